"""Finite differences of high order, with an estimate of their own error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ROWS = 6
_SHRINK = 2.0


def differentiate(g: Callable[[float], Array], steps: tuple[float, ...]) -> tuple[Array, Array]:
    """Return the derivative of a curve at 0 and an estimate of the error, element by element.

    Ridders' method: central differences at shrinking steps, extrapolated to the step 0 (Ridders,
    "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4, 1982).
    The most trustworthy entry of the tableau is taken for each element.

    Parameters
    ----------
    g : callable
        The curve: from a number to a vector.
    steps : tuple of float
        Largest steps to begin with; several, where the scale of the curve is not known.

    Examples
    --------
    >>> derivative, error = differentiate(lambda t: np.array([np.exp(t)]), (0.1,))
    >>> bool(abs(derivative[0] - 1.0) < 1e-11)
    True
    """
    size = np.size(g(0.0))
    best, error = np.full(size, np.nan), np.full(size, np.inf)
    with np.errstate(all="ignore"):
        for step in steps:
            _ridders(g, step, best, error)
    return best, error


def _ridders(g: Callable[[float], Array], step: float, best: Array, error: Array) -> None:
    """Fill the tableau for one largest step; improve ``best`` and ``error`` in place."""
    previous: list[Array] = []
    for _ in range(_ROWS):
        row = [(g(step) - g(-step)) / (2.0 * step)]
        factor = _SHRINK**2
        for older in previous:
            row.append((row[-1] * factor - older) / (factor - 1.0))
            factor *= _SHRINK**2
            estimate = np.maximum(abs(row[-1] - row[-2]), abs(row[-1] - older))
            better = estimate < error  # a NaN is never better
            best[better], error[better] = row[-1][better], estimate[better]
        previous = row
        step /= _SHRINK
