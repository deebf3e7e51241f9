"""Finite differences of high order, with an estimate of their own error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ROWS = 6
_SHRINK = 2.0
_EPS = float(np.finfo(float).eps)


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
            found, estimate = _ridders(g, step, size)
            better = _more_trustworthy(found, estimate, best, error)
            best, error = np.where(better, found, best), np.where(better, estimate, error)
    return best, error


def _more_trustworthy(a: Array, error_a: Array, b: Array, error_b: Array) -> Array:
    """Tell where ``a`` is the better estimate.

    Relative errors are compared, since a step far too large for the curve can settle on a small
    slope that is not there; absolute ones where neither is more than noise.
    """
    relative_a = np.where(np.isfinite(error_a), error_a / (abs(a) + error_a), 1.0)
    relative_b = np.where(np.isfinite(error_b), error_b / (abs(b) + error_b), 1.0)
    noise = (relative_a > 0.1) & (relative_b > 0.1)
    return np.where(noise, error_a < error_b, relative_a < relative_b) | (
        (error_a == 0) & ~np.isfinite(error_b)
    )


def _ridders(g: Callable[[float], Array], step: float, size: int) -> tuple[Array, Array]:
    """Return the best entry of one tableau and its error."""
    best, error = np.full(size, np.nan), np.full(size, np.inf)
    previous: list[Array] = []
    for _ in range(_ROWS):
        after, before = g(step), g(-step)
        row = [(after - before) / (2.0 * step)]
        rounding = _EPS * np.maximum(abs(after), abs(before)) / step
        factor = _SHRINK**2
        for older in previous:
            row.append((row[-1] * factor - older) / (factor - 1.0))
            factor *= _SHRINK**2
            estimate = np.maximum(abs(row[-1] - row[-2]), abs(row[-1] - older)) + rounding
            better = estimate < error  # a NaN is never better
            best[better], error[better] = row[-1][better], estimate[better]
        previous = row
        step /= _SHRINK
    return best, error
