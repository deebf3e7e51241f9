"""Rosenbrock's function of 1,000 variables: shifted slices, value and gradient."""

from __future__ import annotations

from typing import Any

import numpy

TITLE = "Rosenbrock, n = 1,000"
OPERATIONS = 9


def inputs() -> tuple[Any, ...]:
    """Return x."""
    return (numpy.random.default_rng(0).standard_normal(1000),)


def build(np: Any) -> Any:
    """Return Rosenbrock's function."""
    return lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
