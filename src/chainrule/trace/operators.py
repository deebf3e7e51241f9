"""Python's operators, and ndarray's methods and attributes, on a traced value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitives import elementwise as ew
from ..program.primitive import FUNCTIONS, METHODS, PRIMITIVES, Primitive
from . import assignment, refusals
from .tracer import Tracer, bind, copy

# Operands that an operator takes without asking; others get the chance to answer themselves.
_KNOWN = frozenset({float, int, bool, complex, Tracer, np.ndarray, list, tuple})


def _takes(other: Any) -> bool:
    return type(other) in _KNOWN or isinstance(other, np.generic | np.ndarray)


def _binary(primitive: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Tracer, other: Any) -> Any:
        if type(other) not in _KNOWN and not _takes(other):
            return NotImplemented
        return bind(primitive, (self, other))

    def backward(self: Tracer, other: Any) -> Any:
        if type(other) not in _KNOWN and not _takes(other):
            return NotImplemented
        return bind(primitive, (other, self))

    return forward, backward


def _in_place(primitive: Primitive) -> Callable[..., Any]:
    def operator(self: Tracer, other: Any) -> Any:
        if not _takes(other):
            return NotImplemented
        return assignment.update(self, bind(primitive, (self, other)))

    return operator


def _unary(primitive: Primitive) -> Callable[..., Any]:
    return lambda self: bind(primitive, (self,))


def _install_operators() -> None:
    for name, primitive in (
        ("add", ew.ADD),
        ("sub", ew.SUB),
        ("mul", ew.MUL),
        ("truediv", ew.DIV),
        ("pow", ew.POW),
        ("mod", ew.MOD),
        ("floordiv", PRIMITIVES["floor_divide"]),
        ("and", PRIMITIVES["bitwise_and"]),
        ("or", PRIMITIVES["bitwise_or"]),
        ("xor", PRIMITIVES["bitwise_xor"]),
    ):
        forward, backward = _binary(primitive)
        setattr(Tracer, f"__{name}__", forward)
        setattr(Tracer, f"__r{name}__", backward)
        setattr(Tracer, f"__i{name}__", _in_place(primitive))
    for name, primitive_name in (
        ("lt", "less"),
        ("le", "less_equal"),
        ("gt", "greater"),
        ("ge", "greater_equal"),
        ("eq", "equal"),
        ("ne", "not_equal"),
    ):
        setattr(Tracer, f"__{name}__", _binary(PRIMITIVES[primitive_name])[0])
    for name, primitive in (
        ("neg", ew.NEG),
        ("abs", ew.ABS),
        ("invert", PRIMITIVES["invert"]),
    ):
        setattr(Tracer, f"__{name}__", _unary(primitive))


def _matmul(self: Tracer, other: Any) -> Any:
    return FUNCTIONS[np.matmul](self, other) if _takes(other) else NotImplemented


def _rmatmul(self: Tracer, other: Any) -> Any:
    return FUNCTIONS[np.matmul](other, self) if _takes(other) else NotImplemented


def _imatmul(self: Tracer, other: Any) -> Any:
    return assignment.update(self, _matmul(self, other))


def _round(self: Tracer, ndigits: int | None = None) -> Any:
    # without digits Python gives an integer, which is constant in the value
    return int(np.rint(self._known("int"))) if ndigits is None else np.round(self, ndigits)


def _divmod(self: Tracer, other: Any) -> Any:
    return self // other, self % other  # type: ignore[operator]


def _rdivmod(self: Tracer, other: Any) -> Any:
    return other // self, other % self


def _ndarray_method(answer: Any) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        return answer(self, *args, **kwargs)

    return method


def _missing(self: Tracer, name: str) -> Any:
    if name.startswith("__") or not hasattr(np.ndarray, name):
        raise AttributeError(f"'ndarray' object has no attribute {name!r}")
    refusals.unsupported(f"the ndarray attribute .{name}")


def _transposed(self: Tracer) -> Any:
    return FUNCTIONS[np.transpose](self)


def _matrix_transposed(self: Tracer) -> Any:
    return np.swapaxes(self, -1, -2)


def _flat(self: Tracer) -> Any:
    return np.ravel(self)


def _set_shape(self: Tracer, shape: Any) -> None:
    assignment.store(self, np.reshape(self, shape))


def install() -> None:
    """Give :class:`Tracer` its operators, methods and attributes."""
    _install_operators()
    for name, function in (
        ("__matmul__", _matmul),
        ("__rmatmul__", _rmatmul),
        ("__imatmul__", _imatmul),
        ("__pos__", copy),
        ("__round__", _round),
        ("__divmod__", _divmod),
        ("__rdivmod__", _rdivmod),
        ("__getitem__", assignment.getitem),
        ("__setitem__", assignment.setitem),
        ("__iter__", assignment.iterate),
        ("__getattr__", _missing),
        ("T", property(_transposed)),
        ("mT", property(_matrix_transposed)),
        ("flat", property(_flat)),
        ("real", property(lambda self: np.real(self))),
        ("imag", property(lambda self: np.imag(self))),
    ):
        setattr(Tracer, name, function)
    shape: Any = Tracer.__dict__["shape"]
    Tracer.shape = shape.setter(_set_shape)  # type: ignore[method-assign]
    for name, answer in METHODS.items():
        setattr(Tracer, name, _ndarray_method(answer))
