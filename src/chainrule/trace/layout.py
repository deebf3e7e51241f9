"""Memory order, as far as NumPy lets a program see it: in ravel, flatten and reshape.

Which elements come first, and whether the result is a view that an assignment writes through,
depends on how the array lies in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import split_index
from ..primitives.indexing import GETITEM
from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import FUNCTIONS, METHODS
from . import refusals
from .cells import Cell, View
from .copies import copy
from .tracer import Tracer, bind

_reshape = FUNCTIONS[np.reshape]
_reshape_method = METHODS["reshape"]


def _plain_order(a: Any, order: str | None) -> str:
    """Return "C" or "F" for an order that asks for the one in memory."""
    if order is None or order in ("C", "F"):
        return order or "C"
    value = a._value if isinstance(a, Tracer) else a
    if not isinstance(value, np.ndarray) or value.ndim < 2 or value.flags.c_contiguous:
        return "C"
    if value.flags.f_contiguous:
        return "F"
    if order == "K":
        refusals.unsupported(
            "order='K' of an array that is not contiguous",
            why="it depends on the memory layout",
            help="leave order= out",
        )
    return "C"


def _ravel(a: Any, order: str = "C") -> Any:
    order = _plain_order(a, order)
    flat = _reshape(a, (-1,), order)
    value = a._value if isinstance(a, Tracer) else None
    if isinstance(value, np.ndarray):
        flags = value.flags
        if not (flags.f_contiguous if order == "F" else flags.c_contiguous):
            return copy(flat)  # unlike reshape, ravel gives contiguous memory
    return flat


def _flatten(a: Any, order: str = "C") -> Any:
    return copy(_reshape(a, (-1,), _plain_order(a, order)))


def _in_order(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    return _reshape(a, _sizes(shape), _plain_order(a, order), copy=copy)


def _method(a: Any, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return _reshape_method(a, *map(_sizes, shape), order=_plain_order(a, order), copy=copy)


def _sizes(shape: Any) -> Any:
    """Return a shape that may be given as an array."""
    if isinstance(shape, Tracer):
        shape = shape._known("a shape")
    return shape.tolist() if isinstance(shape, np.ndarray) else shape


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Take a diagonal: a read-only view of the elements."""
    if ndim_of(a) < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    matrix = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = shape_of(matrix)[-2:]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    i = np.arange(length)
    parts, spec = split_index((..., i - min(offset, 0), i + max(offset, 0)))
    out = bind(GETITEM, (matrix, *parts), {"spec": spec})
    if isinstance(out, Tracer) and isinstance(matrix, Tracer):
        view = View(matrix, GETITEM, tuple(parts), {"spec": spec})
        view.writeable = False
        out._cell = Cell(None if out._cell is None else out._cell.buffer, view)
    return out


def install() -> None:
    """Answer the functions that see the memory order."""
    FUNCTIONS[np.diagonal] = METHODS["diagonal"] = _diagonal
    FUNCTIONS[np.ravel] = METHODS["ravel"] = _ravel
    METHODS["flatten"] = _flatten
    FUNCTIONS[np.reshape] = _in_order
    METHODS["reshape"] = _method
