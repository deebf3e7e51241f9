"""Softmax cross-entropy of a batch of 512 over 1,000 classes, in float32."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return the scores and the labels."""
    rng = numpy.random.default_rng(0)
    rows, classes = (7, 5) if quick else (512, 1000)
    scores = rng.standard_normal((rows, classes)).astype(numpy.float32)
    return scores, rng.integers(0, classes, rows)


def build(np: Any, scan: Any) -> Any:
    """Return the mean loss as a function of scores and labels."""

    def loss(scores: Any, labels: Any) -> Any:
        shifted = scores - np.max(scores, axis=1, keepdims=True)
        normaliser = np.log(np.sum(np.exp(shifted), axis=1))
        return np.mean(normaliser - shifted[np.arange(len(labels)), labels])

    return loss


def torch_function() -> Any:
    """Return PyTorch's own loss."""
    import torch

    return torch.nn.functional.cross_entropy


def jax_function() -> Any:
    """Return the loss as JAX's users write it."""
    import jax
    import jax.numpy as jnp

    def loss(scores: Any, labels: Any) -> Any:
        logs = jax.nn.log_softmax(scores)
        return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))

    return loss


def by_hand(scores: Any, labels: Any) -> Any:
    """Return the loss and its gradient."""
    rows = numpy.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)
    gradient = numpy.exp(shifted)
    total = gradient.sum(axis=1, keepdims=True)
    value = numpy.mean(numpy.log(total[:, 0]) - shifted[rows, labels])
    gradient /= total
    gradient[rows, labels] -= 1
    gradient /= len(labels)
    return value, gradient


CASES = (
    Case(
        name="softmax_cross_entropy",
        title="softmax cross-entropy, 512 × 1,000, float32",
        target=0.65,
        inputs=inputs,
        forms={"NumPy": build},
        wrt=1,
        tolerance=1e-4,
        jax=jax_function,
        torch=torch_function,
        by_hand=by_hand,
        traffic=2 * 4 * 512 * 1000,
    ),
)
