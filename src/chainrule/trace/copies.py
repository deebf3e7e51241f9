"""Copies of traced arrays, laid out in memory as NumPy lays them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.equation import Var
from ..program.primitive import PRIMITIVES
from .cells import Cell
from .tracer import Tracer, bind


def copy(t: Tracer, order: str = "C") -> Tracer:
    """Return a cell of its own that holds the same elements, laid out in memory as asked for."""
    operand = t._operand()
    if type(operand) is not Var:
        return Tracer(t._recorder, None, Cell(_array(operand, order=order)))
    value = operand.value
    if type(value) is np.ndarray and not _has_layout(value, order):
        # whether a later reshape is a view depends on the layout, so it has to be NumPy's
        return bind(PRIMITIVES["alias"], (t,), impl=lambda v: _array(v, order=order))
    return Tracer(t._recorder, operand)


_array: Any = np.array  # a trace replaces these functions by ones that look for traced values


def _has_layout(value: Any, order: str) -> bool:
    flags = value.flags
    if order in ("K", "A"):
        return flags.forc
    return flags.f_contiguous if order == "F" else flags.c_contiguous


def as_array(t: Any) -> Any:
    """Return a scalar as an array without axes, which an assignment changes in place."""
    if isinstance(t, Tracer) and not t._is_constant and not t.shape:
        made: Tracer = bind(PRIMITIVES["alias"], (t,), impl=_array)
        made._state().is_array = True
        return made
    return t
