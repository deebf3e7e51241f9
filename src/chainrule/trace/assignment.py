"""Reading and writing elements of a traced array, as NumPy's views and assignments do it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..maps import join_index, split_index
from ..primitives.indexing import GETITEM, SETITEM
from ..program.arraytype import shape_of
from ..program.bytecode import opname_at
from ..program.primitive import PRIMITIVES, Primitive, Traced
from ..program.spans import is_internal
from . import refusals
from .cells import Cell
from .copies import as_array
from .recorder import STATE, copy_in_layout
from .tracer import Tracer, as_tracer, bind


def normalize(index: Any, counted: bool = False) -> tuple[list[Any], tuple[Any, ...]]:
    """Return an index as its arrays and its static rest; traced constants become arrays.

    With ``counted`` known masks become the integers that they mean, so that the length of what
    they select is known from the types alone.
    """
    parts = index if isinstance(index, tuple) else (index,)
    cleaned: list[Any] = []
    for part in parts:
        kind = type(part)
        if kind is int or kind is slice or part is None or part is Ellipsis:
            cleaned.append(_static_slice(part) if kind is slice else part)
        else:
            array = _array_part(part)
            if counted and type(array) is np.ndarray and array.dtype == bool and array.ndim:
                cleaned.extend(np.nonzero(array))
            else:
                cleaned.append(array)
    return split_index(tuple(cleaned))


def _array_part(part: Any) -> Any:
    """Return an index that is no plain one: as an array, or as an integer."""
    if isinstance(part, range):
        part = _asarray(part)
    if isinstance(part, list | tuple):
        part = as_tracer(part) if len(part) else _zeros(0, np.intp)
    if isinstance(part, Traced):
        return _traced_part(part)
    if isinstance(part, np.ndarray):
        return part
    if isinstance(part, np.bool_ | bool):
        return _asarray(part)
    try:
        return part.__index__()  # np.int64 and others
    except (AttributeError, TypeError):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
            f"boolean arrays are valid indices, not {type(part).__name__}"
        ) from None


_asarray, _zeros, _copy = np.asarray, np.zeros, np.copy  # a trace replaces them


def _static_slice(s: slice) -> slice:
    ends = (e if e is None or type(e) is int else e.__index__() for e in (s.start, s.stop, s.step))
    return slice(*ends)


def _traced_part(part: Any) -> Any:
    if part.dtype.kind not in "iub":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    if part._is_constant:
        return part._operand()
    value = part._value
    if value is None:
        return part
    return value if isinstance(value, np.ndarray) or part.dtype.kind == "b" else int(value)


def getitem(self: Tracer, index: Any) -> Any:
    """``t[index]``."""
    if type(index) is int and self.ndim:
        return bind(GETITEM, (self,), {"spec": (index,)})
    parts, spec = normalize(index, counted=self._value is None)
    if any(isinstance(part, Traced) and part.dtype.kind == "b" for part in parts):
        refusals.unknown_length()
    return bind(GETITEM, (self, *parts), {"spec": spec})


def setitem(self: Tracer, index: Any, value: Any) -> None:
    """``t[index] = value``: a functional update of what the cell holds."""
    parts, spec = normalize(index)
    if not isinstance(value, Traced):
        value = as_tracer(value)
    elif value._cell is not None and value._cell.view is not None:
        _check_caller(self, value)
    dtype = self.dtype
    if isinstance(value, Traced) and not value._is_constant:
        given = value.dtype
        if given.kind in "fc" and (dtype.kind not in "fc" or (given.kind == "c" != dtype.kind)):
            refusals.lossy_assignment(self, dtype, given)
    if self._is_constant and not _is_traced(value):
        plain = value._plain_array() if isinstance(value, Tracer) else _asarray(value)
        _write_constant(self, join_index(parts, spec), plain)
        return
    store(self, bind(SETITEM, (self, value, *parts), {"spec": spec}))


def _check_caller(self: Tracer, value: Any) -> None:
    """Refuse what compiled code does when it swaps rows: the first one is a view, not a copy."""
    frame = sys._getframe(2)
    code = frame.f_code
    if value._state().view.base is not self or is_internal(code.co_filename):
        return
    called = opname_at(code, frame.f_lasti).startswith("CALL")
    if called and not {"__setitem__", "setitem"}.intersection(code.co_names):
        refusals.shuffle(self)


def _is_traced(value: Any) -> bool:
    return isinstance(value, Traced) and not value._is_constant


def _write_constant(self: Tracer, index: tuple[Any, ...], value: Any) -> None:
    cell = self._state()
    if self._recorder is not STATE.recorder:
        refusals.outer_assignment(self)
    if cell.view is not None:
        updated = _copy(cell.buffer)
        updated[index] = value
        store(self, Tracer(self._recorder, None, Cell(updated)))
        return
    if cell.shared:  # an equation, a view or plain code has seen the buffer: leave theirs alone
        cell.buffer = _copy(cell.buffer)
        cell.shared = False
    cell.buffer[index] = value
    cell.version += 1


def store(self: Tracer, new: Any) -> None:
    """Put another value into a cell, and into the array that it is a view of."""
    if self._recorder is not STATE.recorder:
        refusals.outer_assignment(self)
    cell = self._state()
    view = cell.view
    before = cell.buffer if self._var is None else self._var.value
    if view is None:
        new = _laid_out_like(before, new)
    elif not view.writeable:
        raise ValueError("assignment destination is read-only")
    if isinstance(new, Tracer):
        self._var, cell.buffer, cell.shared = new._var, new._state().buffer, new._var is None
    else:
        self._var, cell.buffer, cell.shared = None, _asarray(new), True
    cell.version += 1
    if view is None:
        return
    if not view.certain:
        refusals.write_to_view(self, "a reshape of another array")
    base = view.base
    held = Tracer(self._recorder, self._var, Cell(cell.buffer))
    store(base, _written_back(base, view.primitive, view.parts, view.params, held))
    after = cell.buffer if self._var is None else self._var.value
    # with another layout in memory it is taken from the base anew, at the next use
    view.version = base._state().version if _same_layout(before, after) else -1


def _same_layout(a: Any, b: Any) -> bool:
    return not isinstance(a, np.ndarray) or a.strides == getattr(b, "strides", None)


def _laid_out_like(before: Any, new: Any) -> Any:
    """Return a new value in the memory layout of the array whose elements it replaces.

    Whether a later reshape is a view or a copy depends on it.
    """
    value = new._value if isinstance(new, Tracer) else new
    if _same_layout(before, value) or value is None or value.shape != before.shape:
        return new

    return bind(PRIMITIVES["alias"], (new,), impl=lambda v: copy_in_layout(v, before))


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
        return bind(primitive, (new,), {"shape": base.shape})
    if primitive.name == "real":
        return new + np.multiply(np.imag(base), 1j)
    if primitive.name == "imag":
        return np.real(base) + np.multiply(new, 1j)
    refusals.write_to_view(new, f"a {primitive.symbol} of another array")


def _is_array(self: Tracer) -> bool:
    return self.ndim > 0 or (self._cell is not None and self._cell.is_array)


def update(self: Tracer, new: Any) -> Tracer:
    """Finish ``self op= other``: arrays change in place, scalars are replaced."""
    value = self._value
    if not (isinstance(value, np.ndarray) if value is not None else _is_array(self)):
        return new
    if shape_of(new) != self.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {self.shape} doesn't match the "
            f"broadcast shape {shape_of(new)}"
        )
    if new.dtype != self.dtype:
        if not np.can_cast(new.dtype, self.dtype, "same_kind"):
            if _is_traced(new):
                refusals.lossy_assignment(self, self.dtype, new.dtype)
            raise TypeError(
                f"Cannot cast ufunc output from {new.dtype!r} to {self.dtype!r} with casting "
                "rule 'same_kind'"
            )
        new = PRIMITIVES["cast"](new, dtype=self.dtype)
    store(self, new if self.shape else as_array(new))
    return self


def iterate(self: Tracer) -> Iterator[Any]:
    """Yield the elements along the first axis."""
    if not self.shape:
        raise TypeError("iteration over a 0-d array")
    for i in range(len(self)):
        yield getitem(self, i)
