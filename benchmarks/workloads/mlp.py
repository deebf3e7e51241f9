"""A step of gradient descent of a dense network 784-512-256-10 on a batch of 128, in float32."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy

from ..case import RATE, Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return W1, b1, W2, b2, W3, b3, images, labels."""
    rng = numpy.random.default_rng(0)
    widths, batch = ((11, 7, 6, 3), 5) if quick else ((784, 512, 256, 10), 128)
    parameters: list[Any] = []
    for m, n in pairwise(widths):
        parameters.append((rng.standard_normal((m, n)) * (2 / m) ** 0.5).astype(numpy.float32))
        parameters.append(numpy.zeros(n, numpy.float32))
    images = rng.standard_normal((batch, widths[0])).astype(numpy.float32)
    return (*parameters, images, rng.integers(0, widths[-1], batch))


def build(np: Any, scan: Any) -> Any:
    """Return the loss."""

    def loss(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, x: Any, y: Any) -> Any:
        x = np.maximum(x @ W1 + b1, 0)
        x = np.maximum(x @ W2 + b2, 0)
        scores = x @ W3 + b3
        shifted = scores - np.max(scores, axis=1, keepdims=True)
        normaliser = np.log(np.sum(np.exp(shifted), axis=1))
        return np.mean(normaliser - shifted[np.arange(len(y)), y])

    return loss


def torch_function() -> Any:
    """Return the loss in PyTorch."""
    import torch

    def loss(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, x: Any, y: Any) -> Any:
        x = torch.relu(torch.addmm(b1, x, W1))
        x = torch.relu(torch.addmm(b2, x, W2))
        return torch.nn.functional.cross_entropy(torch.addmm(b3, x, W3), y)

    return loss


def by_hand(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, x: Any, y: Any) -> Any:
    """Return the loss and the parameters after the step."""
    a1 = numpy.maximum(x @ W1 + b1, 0)
    a2 = numpy.maximum(a1 @ W2 + b2, 0)
    scores = a2 @ W3 + b3
    rows = numpy.arange(len(y))
    shifted = scores - scores.max(axis=1, keepdims=True)
    d3 = numpy.exp(shifted)
    total = d3.sum(axis=1, keepdims=True)
    value = numpy.mean(numpy.log(total[:, 0]) - shifted[rows, y])
    d3 /= total
    d3[rows, y] -= 1
    d3 /= len(y)
    d2 = (d3 @ W3.T) * (a2 > 0)
    d1 = (d2 @ W2.T) * (a1 > 0)
    before = (W1, b1, W2, b2, W3, b3)
    gradients = (x.T @ d1, d1.sum(0), a1.T @ d2, d2.sum(0), a2.T @ d3, d3.sum(0))
    return value, *(p - RATE * g for p, g in zip(before, gradients, strict=True))


WEIGHTS = 784 * 512 + 512 * 256 + 256 * 10

CASES = (
    Case(
        name="mlp",
        title="dense network 784-512-256-10, batch 128, float32: step",
        target=0.95,
        inputs=inputs,
        forms={"NumPy": build},
        derivative="step",
        wrt=6,
        tolerance=1e-4,
        torch=torch_function,
        by_hand=by_hand,
        flops=2 * 128 * (3 * WEIGHTS - 784 * 512),
        traffic=2 * 4 * WEIGHTS,
    ),
)
