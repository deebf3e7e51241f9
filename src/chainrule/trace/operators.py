"""Python's operators, and ndarray's methods and attributes, on a traced value."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitives import elementwise as ew
from ..primitives.families import piecewise_constant
from ..program.primitive import FUNCTIONS, METHODS, PRIMITIVES, Primitive
from . import assignment, protocols, refusals
from .copies import copy
from .tracer import Tracer, bind, bind_one, bind_pair

# Operands that an operator takes without asking; others get the chance to answer themselves.
_KNOWN = frozenset({float, int, bool, complex, Tracer, np.ndarray, list, tuple})


def _takes(other: Any) -> bool:
    return type(other) in _KNOWN or isinstance(other, np.generic | np.ndarray)


def _binary(
    primitive: Primitive, reflected: str = "__eq__"
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Tracer, other: Any) -> Any:
        kind = type(other)
        if kind is float or kind is Tracer:
            return bind_pair(primitive, self, other)
        if kind not in _KNOWN and not _takes(other):
            if not hasattr(kind, reflected):
                refusals.unknown_operand(other)
            return NotImplemented
        return bind(primitive, (self, other))

    def backward(self: Tracer, other: Any) -> Any:
        kind = type(other)
        if kind is float or kind is int:
            return bind_pair(primitive, other, self)
        if kind not in _KNOWN and not _takes(other):
            return NotImplemented
        return bind(primitive, (other, self))

    return forward, backward


def _in_place(primitive: Primitive) -> Callable[..., Any]:
    def operator(self: Tracer, other: Any) -> Any:
        if not _takes(other):
            return NotImplemented
        return assignment.update(self, bind(primitive, (self, other)))

    return operator


def _shift(name: str, impl: Callable[..., Any]) -> Primitive:
    ufunc = getattr(np, name)
    sign = "<<" if name == "left_shift" else ">>"
    return piecewise_constant(name, ufunc, f"{{0}} {sign} {{1}}", impl)


def _unary(primitive: Primitive) -> Callable[..., Any]:
    return lambda self: bind_one(primitive, self, primitive.impl)


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
        ("lshift", _shift("left_shift", operator.lshift)),
        ("rshift", _shift("right_shift", operator.rshift)),
    ):
        forward, backward = _binary(primitive, f"__r{name}__")
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
    # the result is constant in the value nearly everywhere
    return round(self._known("round()"), ndigits)


def _divmod(self: Tracer, other: Any) -> Any:
    return self // other, self % other


def _rdivmod(self: Tracer, other: Any) -> Any:
    return other // self, other % self


def _contains(self: Tracer, element: Any) -> bool:
    return bool(np.any(self == element))


def install() -> None:
    """Give :class:`Tracer` its operators and methods."""
    _install_operators()
    for name, answer in METHODS.items():
        setattr(Tracer, name, protocols.method(name, answer))
    for name, function in (
        ("__matmul__", _matmul),
        ("__rmatmul__", _rmatmul),
        ("__imatmul__", _imatmul),
        ("__pos__", lambda self: copy(self, "K")),
        ("__round__", _round),
        ("__divmod__", _divmod),
        ("__rdivmod__", _rdivmod),
        ("__contains__", _contains),
        ("__getitem__", assignment.getitem),
        ("__setitem__", assignment.setitem),
        ("__iter__", assignment.iterate),
        ("copy", copy),
        ("__copy__", lambda self: copy(self, "K")),
        ("__deepcopy__", lambda self, memo: copy(self, "K")),
    ):
        setattr(Tracer, name, function)
