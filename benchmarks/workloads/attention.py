"""A block of a transformer: attention of four heads and a dense network, both with residuals."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case

HEADS = 4
ROOT = (2 / numpy.pi) ** 0.5  # of the usual approximation of gelu


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return scale and shift, Wqkv, Wo, scale and shift, W1, c1, W2, c2, and the sequence."""
    rng = numpy.random.default_rng(0)
    batch, length, d = (2, 3, 8) if quick else (8, 128, 128)

    def weight(*shape: int) -> Any:
        return (rng.standard_normal(shape) / shape[0] ** 0.5).astype(numpy.float32)

    def vector(n: int, value: float) -> Any:
        return numpy.full(n, value, numpy.float32)

    return (
        *(vector(d, 1.0), vector(d, 0.1)),
        *(weight(d, 3 * d), weight(d, d)),
        *(vector(d, 1.0), vector(d, 0.1)),
        *(weight(d, 4 * d), vector(4 * d, 0.1), weight(4 * d, d), vector(d, 0.1)),
        rng.standard_normal((batch, length, d)).astype(numpy.float32),
    )


def build(np: Any, scan: Any) -> Any:
    """Return the mean square of the block's output."""

    def normalise(x: Any, scale: Any, shift: Any) -> Any:
        centred = x - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(centred**2, axis=-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-5) * scale + shift

    def attend(x: Any, Wqkv: Any, Wo: Any) -> Any:
        n, length, d = x.shape
        parts = np.reshape(x @ Wqkv, (n, length, 3, HEADS, d // HEADS))
        q, k, v = np.transpose(parts, (2, 0, 3, 1, 4))
        scores = q @ np.swapaxes(k, -1, -2) * (HEADS / d) ** 0.5
        weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        weights = weights / np.sum(weights, axis=-1, keepdims=True)
        return np.reshape(np.swapaxes(weights @ v, 1, 2), (n, length, d)) @ Wo

    def gelu(x: Any) -> Any:
        return 0.5 * x * (1 + np.tanh(ROOT * (x + 0.044715 * x**3)))

    def loss(*args: Any) -> Any:
        g1, s1, Wqkv, Wo, g2, s2, W1, c1, W2, c2, x = args
        x = x + attend(normalise(x, g1, s1), Wqkv, Wo)
        x = x + gelu(normalise(x, g2, s2) @ W1 + c1) @ W2 + c2
        return np.mean(x**2)

    return loss


def torch_function() -> Any:
    """Return the same with PyTorch's fused functions."""
    import torch
    from torch.nn import functional

    def loss(*args: Any) -> Any:
        g1, s1, Wqkv, Wo, g2, s2, W1, c1, W2, c2, x = args
        n, length, d = x.shape
        parts = functional.layer_norm(x, (d,), g1, s1) @ Wqkv
        q, k, v = parts.view(n, length, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + attended.transpose(1, 2).reshape(n, length, d) @ Wo
        inner = functional.gelu(
            functional.layer_norm(x, (d,), g2, s2) @ W1 + c1, approximate="tanh"
        )
        return torch.mean((x + inner @ W2 + c2) ** 2)

    return loss


TOKENS, D = 8 * 128, 128
PRODUCTS = TOKENS * (3 * D * D + D * D + 8 * D * D + 2 * 128 * D)

CASES = (
    Case(
        name="attention",
        title="attention block, d = 128, s = 128, batch 8, float32",
        target=0.75,
        inputs=inputs,
        forms={"NumPy": build},
        wrt=10,
        tolerance=1e-4,
        torch=torch_function,
        flops=2 * (3 * PRODUCTS - TOKENS * 3 * D * D),
    ),
)
