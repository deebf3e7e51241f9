"""Logistic regression on 20,000 examples of 200 features."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return w, b, the examples X and their signs y."""
    rng = numpy.random.default_rng(0)
    rows, features = (23, 5) if quick else (20_000, 200)
    X = rng.standard_normal((rows, features))
    y = numpy.where(rng.random(rows) < 0.5, -1.0, 1.0)
    return 0.1 * rng.standard_normal(features), 0.1, X, y


def build(np: Any, scan: Any) -> Any:
    """Return the regularised mean loss."""

    def loss(w: Any, b: Any, X: Any, y: Any) -> Any:
        return np.mean(np.logaddexp(0.0, -y * (X @ w + b))) + 0.01 * np.sum(w**2)

    return loss


def torch_function() -> Any:
    """Return the loss in PyTorch."""
    import torch

    def loss(w: Any, b: Any, X: Any, y: Any) -> Any:
        margins = y * (X @ w + b)
        return torch.nn.functional.softplus(-margins).mean() + 0.01 * torch.sum(w**2)

    return loss


def by_hand(w: Any, b: Any, X: Any, y: Any) -> Any:
    """Return the loss and its gradients."""
    margins = -y * (X @ w + b)
    value = numpy.mean(numpy.logaddexp(0.0, margins)) + 0.01 * numpy.sum(w**2)
    d = -y / (1 + numpy.exp(-margins)) / len(y)
    return value, d @ X + 0.02 * w, numpy.sum(d)


CASES = (
    Case(
        name="logistic_regression",
        title="logistic regression, 20,000 × 200",
        target=0.65,
        inputs=inputs,
        forms={"NumPy": build},
        wrt=2,
        torch=torch_function,
        by_hand=by_hand,
        flops=2 * 2 * 20_000 * 200,
        traffic=8 * 20_000 * 200,
    ),
)
