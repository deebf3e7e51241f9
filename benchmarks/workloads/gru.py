"""A gated recurrent unit: value and gradients by its parameters."""

from __future__ import annotations

from typing import Any

from .recurrent import case


def build(np: Any, scan: Any) -> Any:
    """Return the mean square of the last state."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def loss(Wx: Any, Wh: Any, bx: Any, bh: Any, xs: Any) -> Any:
        n = Wh.shape[0]

        def step(h: Any, z: Any) -> Any:
            a = h @ Wh + bh
            reset = sigmoid(z[:, :n] + a[:, :n])
            keep = sigmoid(z[:, n : 2 * n] + a[:, n : 2 * n])
            new = np.tanh(z[:, 2 * n :] + reset * a[:, 2 * n :])
            return (1 - keep) * new + keep * h, None

        start = np.zeros((xs.shape[1], n), xs.dtype)
        h, _ = scan(step, start, xs @ Wx + bx)
        return np.mean(h**2)

    return loss


def torch_function() -> Any:
    """Return the same with PyTorch's own recurrent network."""
    import torch

    def loss(Wx: Any, Wh: Any, bx: Any, bh: Any, xs: Any) -> Any:
        start = xs.new_zeros(1, xs.shape[1], Wh.shape[0])
        weights = (Wx.T, Wh.T, bx, bh)
        _, h = torch.gru(xs, start, weights, True, 1, 0.0, True, False, False)
        return torch.mean(h**2)

    return loss


CASES = (case("GRU", build, torch_function, 3, 2, "large", 0.6),)
