"""ndarray's attributes on a traced value, and what answers those that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..primitives.elementwise import CONJ, IMAG, REAL
from ..program.arraytype import shape_of
from ..program.primitive import FUNCTIONS, METHODS
from . import assignment, refusals
from .cells import Cell
from .tracer import Tracer, as_tracer, bind, constant

# -- shape, parts, elements ----------------------------------------------------------------------


def _set_shape(self: Tracer, shape: Any) -> None:
    cell = self._state()
    if cell.view is not None or cell.viewed:
        refusals.shape_of_view(self)
    reshaped: Any = np.reshape(self, shape)
    assignment.store(self, Tracer(self._recorder, reshaped._var, Cell(reshaped._state().buffer)))


def _transposed(self: Tracer) -> Any:
    return FUNCTIONS[np.transpose](self)


def _matrix_transposed(self: Tracer) -> Any:
    return np.swapaxes(self, -1, -2)


def _real(self: Tracer) -> Any:
    return bind(REAL, (self,)) if self.dtype.kind == "c" else self


def _imag(self: Tracer) -> Any:
    if self.dtype.kind == "c":
        return bind(IMAG, (self,))
    value = self._value
    return value.imag if value is not None else np.zeros(self.shape, self.dtype)


def _conjugate(self: Tracer) -> Any:
    return bind(CONJ, (self,)) if self.dtype.kind == "c" else self


def _set_real(self: Tracer, value: Any) -> None:
    (_real(self) if self.dtype.kind == "c" else self)[...] = value


def _set_imag(self: Tracer, value: Any) -> None:
    if self.dtype.kind != "c":
        raise TypeError("array does not have imaginary part to set")
    _imag(self)[...] = value


class Flat:
    """The elements of an array in order, as ``t.flat``: read, written and walked through."""

    def __init__(self, base: Tracer) -> None:
        self.base = base
        self.index = 0

    def __len__(self) -> int:
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.index >= len(self):
            raise StopIteration
        here = self.coords
        self.index += 1
        return assignment.getitem(self.base, here)

    @property
    def coords(self) -> tuple[int, ...]:
        """The index of the next element."""
        place = min(self.index, len(self) - 1)
        return tuple(int(i) for i in np.unravel_index(place, self.base.shape))

    def _places(self, index: Any) -> tuple[Any, ...]:
        if isinstance(index, Tracer):
            index = index._plain_array()
        return np.unravel_index(_arange(self.base.size)[index], self.base.shape)

    def __getitem__(self, index: Any) -> Any:
        return assignment.getitem(self.base, self._places(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        places = self._places(index)
        count = np.size(places[0]) if places else 1
        given = np.ravel(as_tracer(value))  # NumPy repeats or cuts the values as needed
        if shape_of(given)[0] != count:
            given = given[_arange(count) % shape_of(given)[0]]
        shape = np.shape(places[0]) if places else ()
        assignment.setitem(self.base, places, np.reshape(given, shape))

    def copy(self) -> Any:
        """Return the elements as an array of their own."""
        return self.base.flatten()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.base.__array__(dtype, copy).ravel()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        args = tuple(a.copy() if isinstance(a, Flat) else a for a in args)
        return function(*args, **kwargs)


_arange = np.arange  # a trace replaces it


def _set_flat(self: Tracer, value: Any) -> None:
    Flat(self)[:] = value


# -- memory --------------------------------------------------------------------------------------


def _places_in_memory(value: Any) -> tuple[Any, Any]:
    """Return whose memory a value lies in, and which elements of it."""
    if not isinstance(value, Tracer):
        return None, value
    views = []
    while value._cell is not None and value._cell.view is not None:
        views.append(value._cell.view)
        value = value._cell.view.base
    constant = value._is_constant
    places = value._operand() if constant else _arange(value.size).reshape(value.shape)
    for view in reversed(views):
        places = view.primitive.impl(places, *view.parts, **view.params)
    return (None if constant else value), places


def _shares_memory(a: Any, b: Any, max_work: int | None = None) -> bool:
    (owner, places), (other, others) = _places_in_memory(a), _places_in_memory(b)
    if owner is not other:
        return False
    if owner is None:
        return bool(np.shares_memory(places, others))
    return bool(np.intersect1d(places, others).size)


FUNCTIONS[np.shares_memory] = FUNCTIONS[np.may_share_memory] = _shares_memory


def _base(self: Tracer) -> Any:
    cell = self._cell
    return None if cell is None or cell.view is None else cell.view.base


def _of_value(name: str) -> Callable[[Tracer], Any]:
    def attribute(self: Tracer) -> Any:
        value = self._value
        if value is None:
            refusals.abstract_value(self, f".{name}")
        return getattr(value, name)

    return attribute


def _view(self: Tracer, dtype: Any = None, type: Any = None) -> Any:
    kind = dtype if isinstance(dtype, _TYPE) else type
    if isinstance(kind, _TYPE) and issubclass(kind, np.ndarray) and kind is not np.ndarray:
        refusals.array_subclass_of(kind)
    if dtype is None or kind is np.ndarray or np.dtype(dtype) == self.dtype:
        return assignment.getitem(self, ...)
    refusals.unsupported(
        ".view() with another dtype",
        why="it reads the same bytes as other numbers",
        help=".astype(dtype) converts the numbers; z.real and z.imag are the parts of a complex z",
    )


_TYPE = type


def _tolist(self: Tracer) -> Any:
    return self._plain_array().tolist() if self._is_constant else _elements(self)


def _item(self: Tracer, *index: Any) -> Any:
    return self._plain_array().item(*index) if self._is_constant else _element(self, *index)


_elements, _element = METHODS["tolist"], METHODS["item"]


def _delete(self: Tracer, index: Any) -> None:
    raise ValueError("cannot delete array elements")


def _choose(self: Tracer, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    return np.choose(self, choices, out=out, mode=mode)  # type: ignore[call-overload]


def _set_flags(self: Tracer, write: Any = None, align: Any = None, uic: Any = None) -> None:
    refusals.unsupported(
        ".setflags()", why="a traced array has no memory of its own", help="leave it out"
    )


def _resize(self: Tracer, *shape: Any, refcheck: bool = True) -> None:
    refusals.unsupported(
        ".resize()", why="it changes the array's memory in place", help="`t = np.resize(t, shape)`"
    )


def _byteswap(self: Tracer, inplace: bool = False) -> Any:
    if inplace or not self._is_constant:
        refusals.unsupported(".byteswap()", why="it reads the bytes as other numbers")
    return constant(self._recorder, self._plain_array().byteswap())


# -- the rest ------------------------------------------------------------------------------------

_SCALAR = ("is_integer", "hex")
_PROTOCOLS = ("__array_interface__", "__array_struct__")


def _missing(self: Tracer, name: str) -> Any:
    """Answer for an attribute that a tracer has not: as the array that it stands for would."""
    if name == "_as_parameter_" and not self._is_constant:  # ctypes asks before it gives up
        refusals.to_number(self, "float")
    value = None if name.startswith("_") else self._value
    if value is not None and not isinstance(value, np.ndarray) and name in _SCALAR:
        return getattr(value, name)
    if name.startswith("__") or not hasattr(np.ndarray, name):
        kind = "ndarray" if value is None else type(value).__name__
        raise AttributeError(f"'{kind}' object has no attribute {name!r}")
    if self._is_constant:
        return getattr(self._plain_array(), name)
    refusals.no_attribute(self, name)


def install() -> None:
    """Give :class:`Tracer` its attributes."""
    shape: Any = Tracer.__dict__["shape"]
    for name, attribute in (
        ("shape", shape.setter(_set_shape)),
        ("T", property(_transposed)),
        ("mT", property(_matrix_transposed)),
        ("flat", property(Flat, _set_flat)),
        ("real", property(_real, _set_real)),
        ("imag", property(_imag, _set_imag)),
        ("conj", _conjugate),
        ("conjugate", _conjugate),
        ("base", property(_base)),
        ("strides", property(_of_value("strides"))),
        ("flags", property(_of_value("flags"))),
        ("device", property(lambda self: "cpu")),
        ("to_device", lambda self, device, **kwargs: self),
        ("view", _view),
        ("choose", _choose),
        ("item", _item),
        ("tolist", _tolist),
        ("__delitem__", _delete),
        ("setflags", _set_flags),
        ("resize", _resize),
        ("byteswap", _byteswap),
        ("__getattr__", _missing),
    ):
        setattr(Tracer, name, attribute)
