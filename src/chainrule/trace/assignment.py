"""Reading and writing elements of a traced array, as NumPy's views and assignments do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..maps import join_index, split_index
from ..primitives.indexing import GETITEM, SETITEM
from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import PRIMITIVES, Primitive, Traced
from . import refusals
from .recorder import STATE
from .tracer import Cell, Tracer, as_tracer, bind


def normalize(index: Any) -> tuple[list[Any], tuple[Any, ...]]:
    """Return an index as its arrays and its static rest; traced constants become arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    cleaned: list[Any] = []
    for part in parts:
        kind = type(part)
        if kind is int or kind is slice or part is None or part is Ellipsis:
            cleaned.append(_static_slice(part) if kind is slice else part)
        elif isinstance(part, Traced):
            cleaned.append(_traced_part(part))
        elif isinstance(part, np.ndarray):
            cleaned.append(part if part.ndim or part.dtype == bool else int(part))
        elif isinstance(part, list):
            array = as_tracer(part) if part else np.zeros(0, np.intp)
            cleaned.append(np.asarray(array))
        elif isinstance(part, np.bool_ | bool):
            cleaned.append(np.asarray(part))
        else:
            cleaned.append(part.__index__())  # np.int64 and others; TypeError as in NumPy
    return split_index(tuple(cleaned))


def _static_slice(s: slice) -> slice:
    ends = (e if e is None or type(e) is int else e.__index__() for e in (s.start, s.stop, s.step))
    return slice(*ends)


def _traced_part(part: Any) -> Any:
    value = part._value
    if part.dtype.kind not in "iub":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    if value is None:
        return part
    return int(value) if ndim_of(value) == 0 and part.dtype.kind != "b" else np.asarray(value)


def getitem(self: Tracer, index: Any) -> Any:
    """``t[index]``."""
    if type(index) is int and self.ndim:
        return bind(GETITEM, (self,), {"spec": (index,)})
    parts, spec = normalize(index)
    return bind(GETITEM, (self, *parts), {"spec": spec})


def setitem(self: Tracer, index: Any, value: Any) -> None:
    """``t[index] = value``: a functional update of what the cell holds."""
    parts, spec = normalize(index)
    if not isinstance(value, Traced):
        value = as_tracer(value)
    dtype = self.dtype
    if isinstance(value, Traced) and not value._is_constant:  # type: ignore[attr-defined]
        given = value.dtype  # type: ignore[attr-defined]
        if given.kind in "fc" and (dtype.kind not in "fc" or (given.kind == "c" != dtype.kind)):
            refusals.lossy_assignment(self, dtype, given)
    if self._is_constant and not _is_traced(value):
        _write_constant(self, join_index(parts, spec), np.asarray(value))
        return
    store(self, bind(SETITEM, (self, value, *parts), {"spec": spec}))


def _is_traced(value: Any) -> bool:
    return isinstance(value, Traced) and not value._is_constant  # type: ignore[attr-defined]


def _write_constant(self: Tracer, index: tuple[Any, ...], value: Any) -> None:
    cell = self._state()
    if self._recorder is not STATE.recorder:
        refusals.outer_assignment(self)
    if cell.view is not None:
        updated = np.array(cell.buffer)
        updated[index] = value
        store(self, Tracer(self._recorder, None, Cell(updated)))
        return
    if cell.shared:  # an equation, a view or plain code has seen the buffer: leave theirs alone
        cell.buffer = np.array(cell.buffer)
        cell.shared = False
    cell.buffer[index] = value
    cell.version += 1


def store(self: Tracer, new: Any) -> None:
    """Put another value into a cell, and into the array that it is a view of."""
    if self._recorder is not STATE.recorder:
        refusals.outer_assignment(self)
    cell = self._state()
    if isinstance(new, Tracer):
        self._var, cell.buffer, cell.shared = new._var, new._state().buffer, new._var is None
    else:
        self._var, cell.buffer, cell.shared = None, np.asarray(new), True
    cell.version += 1
    view = cell.view
    if view is None:
        return
    base = view.base
    held = Tracer(self._recorder, self._var, Cell(cell.buffer))
    store(base, _written_back(base, view.primitive, view.parts, view.params, held))
    view.version = base._state().version


def _written_back(
    base: Tracer, primitive: Primitive, parts: Any, params: dict[str, Any], new: Tracer
) -> Any:
    """Return the base of a view after the view got a new value."""
    if primitive.name == "getitem":
        return bind(SETITEM, (base, new, *parts), params)
    if primitive.name == "transpose":
        inverse = tuple(int(i) for i in np.argsort(params["axes"]))
        return bind(primitive, (new,), {"axes": inverse})
    if primitive.name == "reshape":
        value = base._value
        if base._state().view is None and value is not None and value.flags.c_contiguous:
            return bind(primitive, (new,), {"shape": base.shape})
    refusals.write_to_view(new, f"a {primitive.symbol} of another array")


def update(self: Tracer, new: Any) -> Tracer:
    """Finish ``self op= other``: arrays change in place, scalars are replaced."""
    value = self._value
    if not (isinstance(value, np.ndarray) or (value is None and self.ndim)):
        return new
    if shape_of(new) != self.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {self.shape} doesn't match the "
            f"broadcast shape {shape_of(new)}"
        )
    if new.dtype != self.dtype:
        if not np.can_cast(new.dtype, self.dtype, "same_kind"):
            refusals.lossy_assignment(self, self.dtype, new.dtype)
        new = PRIMITIVES["cast"](new, dtype=self.dtype)
    store(self, new)
    return self


def iterate(self: Tracer) -> Iterator[Any]:
    """Yield the elements along the first axis."""
    if not self.shape:
        raise TypeError("iteration over a 0-d array")
    for i in range(len(self)):
        yield getitem(self, i)
