"""Polynomials as NumPy writes them: coefficients from the highest power down."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import Traced, implements
from .families import unsupported


def _coefficients(p: Any) -> Any:
    return np.atleast_1d(p if isinstance(p, Traced) else np.asarray(p))


@implements(np.polyval)
def _polyval(p: Any, x: Any) -> Any:
    y: Any = 0.0 * x
    for coefficient in p:
        y = y * x + coefficient
    return y


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = _coefficients(a), _coefficients(b)
    n = max(a.shape[0], b.shape[0])
    return np.pad(a, (n - a.shape[0], 0)), np.pad(b, (n - b.shape[0], 0))


@implements(np.polyadd)
def _polyadd(a1: Any, a2: Any) -> Any:
    a, b = _aligned(a1, a2)
    return a + b


@implements(np.polysub)
def _polysub(a1: Any, a2: Any) -> Any:
    a, b = _aligned(a1, a2)
    return a - b


@implements(np.polymul)
def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_coefficients(a1), _coefficients(a2))


@implements(np.polyder)
def _polyder(p: Any, m: int = 1) -> Any:
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(m):
        n = shape_of(p)[0]
        p = p[:-1] * np.arange(n - 1, 0, -1)
    return p


@implements(np.polyint)
def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = (
        [0.0] * m
        if k is None
        else list(k)
        if isinstance(k, list | tuple) or ndim_of(k)
        else [k] * m
    )
    if len(constants) == 1 and m > 1:
        constants = constants * m
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    p = _coefficients(p)
    for constant in constants[:m]:
        n = shape_of(p)[0]
        p = np.append(p / np.arange(n, 0, -1), constant)
    return p


@implements(np.polyfit)
def _polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    if full or cov:
        unsupported(
            "np.polyfit with full=True or cov=True",
            why="only the coefficients have a rule",
            help="leave full= and cov= away",
        )
    left, right = np.vander(x, int(deg) + 1), y + 0.0
    if w is not None:
        left = left * np.reshape(w, (-1, 1))
        right = right * (w if ndim_of(right) == 1 else np.reshape(w, (-1, 1)))
    size = np.linalg.norm(left, axis=0)  # columns of length 1, as NumPy fits them too
    solution = np.linalg.lstsq(left / size, right, rcond)[0]
    return solution / (size if ndim_of(right) == 1 else np.reshape(size, (-1, 1)))


@implements(np.vander)
def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    if ndim_of(x) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = shape_of(x)[0] if N is None else N
    x = x.astype(np.promote_types(x.dtype, int))  # as np.vander does
    columns = [np.ones_like(x)]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    if not increasing:
        columns.reverse()
    return np.stack(columns[: n or 0], 1) if n else np.zeros((shape_of(x)[0], 0), x.dtype)


def _refuse_roots(*args: Any, **kwargs: Any) -> Any:
    unsupported(
        "finding roots of a polynomial",
        why="roots that coincide have no derivative",
        help="find a root r with stop_gradient, then take one Newton step from it",
    )


implements(np.roots, np.poly, np.polydiv)(_refuse_roots)
