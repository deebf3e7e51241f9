"""A sum of element-wise terms: value and gradient in one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy

TITLE = "sum(tanh(x)·exp(−x²) + log1p(x²)), n = 100,000"
OPERATIONS = 8


def inputs() -> tuple[Any, ...]:
    """Return x."""
    return (numpy.random.default_rng(0).standard_normal(100_000),)


def build(np: Any) -> Any:
    """Return the sum as a function of the array."""
    return lambda x: np.sum(np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2))
