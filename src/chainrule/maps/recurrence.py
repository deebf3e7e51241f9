"""The map of a linear recurrence: derivatives of running products, and filters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.primitive import call
from .base import LinearMap, Show


class Recurrence(LinearMap):
    """``v -> y`` with ``y[0] = v[0]`` and ``y[i] = a[i] y[i-1] + v[i]`` along one axis.

    With ``reverse`` it runs from the end: ``y[i] = a[i] y[i+1] + v[i]``.
    """

    __slots__ = ("a", "axis", "reverse")
    kind = "recurrence"
    structure = "product"

    def __init__(self, a: Any, axis: int, reverse: bool = False) -> None:
        self.a = a
        self.axis = axis
        self.reverse = reverse

    def apply(self, v: Any) -> Any:
        return call("linear_recurrence", self.a, v, axis=self.axis, reverse=self.reverse)

    def transpose(self) -> LinearMap:
        # y[i] takes a[i] y[i-1]; so, turned around, y[i-1] gives a[i] to y[i]
        a = np.conj(self.a) if self.a.dtype.kind == "c" else self.a
        return Recurrence(shifted(a, self.axis, not self.reverse), self.axis, not self.reverse)

    def text(self, v: str, show: Show) -> str:
        return f"recurrence({v}; {show(self.a)})"


def shifted(a: Any, axis: int, back: bool) -> Any:
    """Return ``a`` moved by one place along an axis, towards the end or back; a zero comes in."""
    before = (slice(None),) * axis
    zero = np.zeros_like(a[(*before, slice(0, 1))])
    if back:
        return np.concatenate([a[(*before, slice(1, None))], zero], axis)
    return np.concatenate([zero, a[(*before, slice(None, -1))]], axis)
