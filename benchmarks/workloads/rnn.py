"""A recurrent network with tanh: value and gradients by its parameters."""

from __future__ import annotations

from typing import Any

from .recurrent import case


def build(np: Any, scan: Any) -> Any:
    """Return the mean square of the last state."""

    def loss(Wx: Any, Wh: Any, b: Any, xs: Any) -> Any:
        def step(h: Any, z: Any) -> Any:
            return np.tanh(z + h @ Wh), None

        start = np.zeros((xs.shape[1], Wh.shape[0]), xs.dtype)
        h, _ = scan(step, start, xs @ Wx + b)
        return np.mean(h**2)

    return loss


def torch_function() -> Any:
    """Return the same with PyTorch's own recurrent network."""
    import torch

    def loss(Wx: Any, Wh: Any, b: Any, xs: Any) -> Any:
        start = xs.new_zeros(1, xs.shape[1], Wh.shape[0])
        weights = (Wx.T, Wh.T, b, torch.zeros_like(b))
        _, h = torch.rnn_tanh(xs, start, weights, True, 1, 0.0, True, False, False)
        return torch.mean(h**2)

    return loss


CASES = (
    case("RNN", build, torch_function, 1, 1, "large", 0.75),
    case("RNN", build, torch_function, 1, 1, "small", 0.5),
)
