"""A long short-term memory: value and gradients by its parameters."""

from __future__ import annotations

from typing import Any

from .recurrent import case


def build(np: Any, scan: Any) -> Any:
    """Return the mean square of the last output."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def loss(Wx: Any, Wh: Any, b: Any, xs: Any) -> Any:
        n = Wh.shape[0]

        def step(state: Any, z: Any) -> Any:
            h, c = state
            z = z + h @ Wh
            keep, write = sigmoid(z[:, n : 2 * n]), sigmoid(z[:, :n])
            c = keep * c + write * np.tanh(z[:, 2 * n : 3 * n])
            return (sigmoid(z[:, 3 * n :]) * np.tanh(c), c), None

        start = np.zeros((xs.shape[1], n), xs.dtype)
        (h, _), _ = scan(step, (start, start), xs @ Wx + b)
        return np.mean(h**2)

    return loss


def torch_function() -> Any:
    """Return the same with PyTorch's own recurrent network."""
    import torch

    def loss(Wx: Any, Wh: Any, b: Any, xs: Any) -> Any:
        start = xs.new_zeros(1, xs.shape[1], Wh.shape[0])
        weights = (Wx.T, Wh.T, b, torch.zeros_like(b))
        _, h, _ = torch.lstm(xs, (start, start), weights, True, 1, 0.0, True, False, False)
        return torch.mean(h**2)

    return loss


CASES = (
    case("LSTM", build, torch_function, 4, 1, "large", 0.8),
    case("LSTM", build, torch_function, 4, 1, "small", 0.5),
)
