"""Sums of maps, and what is built from them: the derivatives of matrix factorisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import LinearMap, Show, add, compose, push
from .diagonal import Conjugate, Identity, Scale
from .layout import Permute


class Sum(LinearMap):
    """``v -> A v + B v + ...``: an operand that reaches the result by several ways."""

    __slots__ = ("maps",)
    kind = "sum"

    def __init__(self, *maps: LinearMap) -> None:
        self.maps = maps

    def apply(self, v: Any) -> Any:
        return self._added(v)

    def apply_masked(self, v: Any) -> Any:
        return self._added(v)

    def _added(self, v: Any) -> Any:
        total = push(self.maps[0], v)
        for map in self.maps[1:]:
            total = add(total, push(map, v))
        return total

    def transpose(self) -> LinearMap:
        return Sum(*(map.transpose() for map in self.maps))

    def text(self, v: str, show: Show) -> str:
        return "(" + " + ".join(map.text(v, show) for map in self.maps) + ")"


def swap(ndim: int) -> LinearMap:
    """Return the transposition of matrices, or of stacks of them."""
    return Permute((*range(ndim - 2), ndim - 1, ndim - 2))


def adjoint_of(ndim: int, complex_: bool) -> LinearMap:
    """Return the conjugate transposition of matrices, as a map linear over the real numbers."""
    return compose(Conjugate(), swap(ndim)) if complex_ else swap(ndim)


def hermitian_part(ndim: int, complex_: bool) -> LinearMap:
    """Return ``v -> (v + vᴴ) / 2``, the projection on the symmetric matrices; self-adjoint."""
    return compose(Scale(0.5), Sum(Identity(), adjoint_of(ndim, complex_)))


def skew_from_lower(n: int, ndim: int, dtype: np.dtype[Any]) -> LinearMap:
    """Return ``v -> w - wᴴ`` with ``w`` the lower triangle of ``v``, half of its diagonal.

    The tangents of orthogonal and unitary matrices are of this kind.
    """
    triangle = np.tril(np.ones((n, n), np.empty(0, dtype).real.dtype))
    np.fill_diagonal(triangle, 0.5)
    turned = compose(Scale(-1.0), adjoint_of(ndim, dtype.kind == "c"))
    return compose(Sum(Identity(), turned), Scale(triangle))
