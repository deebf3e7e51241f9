"""What element-wise operations mean for integers and for truth values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ir

Value = Any
I1 = ir.IntType(1)


def operation(name: str, dtype: np.dtype[Any]) -> Callable[..., Value] | None:
    """Return how an operation is written for whole numbers of a type.

    None if nothing is special about it. Truth values are integers of one bit without a sign: their
    sum is *or* and their product *and*, as in NumPy.
    """
    if dtype.kind not in "biu":
        return None
    if dtype.kind == "b" and name in _OF_BITS:
        return _OF_BITS[name]
    if name in _SYMBOLS:
        return lambda b, x, y: compare(b, _SYMBOLS[name], x, y, dtype)
    if name in ("maximum", "minimum"):
        return lambda b, x, y: extreme(b, name == "maximum", x, y, dtype)
    if name == "abs" and dtype.kind != "i":
        return _same
    if name == "sign":
        return lambda b, x: _sign(b, x, dtype)
    return _OF_ALL.get(name)


def compare(b: ir.IRBuilder, symbol: str, x: Value, y: Value, dtype: np.dtype[Any]) -> Value:
    """Compare whole numbers."""
    return (b.icmp_signed if dtype.kind == "i" else b.icmp_unsigned)(symbol, x, y)


def extreme(b: ir.IRBuilder, largest: bool, x: Value, y: Value, dtype: np.dtype[Any]) -> Value:
    """Return the larger or the smaller one of two whole numbers."""
    return b.select(compare(b, ">" if largest else "<", x, y, dtype), x, y)


def bounds(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the smallest and the largest number of a type."""
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _same(b: ir.IRBuilder, x: Value) -> Value:
    return x


def _sign(b: ir.IRBuilder, x: Value, dtype: np.dtype[Any]) -> Value:
    zero, one = ir.Constant(x.type, 0), ir.Constant(x.type, 1)
    sign = b.select(compare(b, ">", x, zero, dtype), one, zero)
    if dtype.kind == "i":
        sign = b.select(b.icmp_signed("<", x, zero), ir.Constant(x.type, -1), sign)
    return sign


_SYMBOLS = {
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
}
_OF_BITS: dict[str, Callable[..., Value]] = {
    "add": lambda b, x, y: b.or_(x, y),
    "mul": lambda b, x, y: b.and_(x, y),
    "square": _same,
}
_OF_ALL: dict[str, Callable[..., Value]] = {
    "floor": _same,
    "ceil": _same,
    "trunc": _same,
    "isnan": lambda b, x: I1(0),
    "isinf": lambda b, x: I1(0),
    "isfinite": lambda b, x: I1(1),
}
