"""Emitters of element-wise operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from .graph import BOOL, INT64, Graph, Value, element_type
from .registry import emits

# -- arithmetic ----------------------------------------------------------------------------------

_FUNCTIONS = {
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "arcsin": "Asin",
    "arccos": "Acos",
    "arctan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "tanh": "Tanh",
    "arcsinh": "Asinh",
    "arccosh": "Acosh",
    "arctanh": "Atanh",
    "expit": "Sigmoid",
    "erf": "Erf",
    "abs": "Abs",
    "sign": "Sign",
    "reciprocal": "Reciprocal",
    "portable_exp": "Exp",
    "portable_log": "Log",
}
_ROUNDINGS = {"floor": "Floor", "ceil": "Ceil", "rint": "Round"}
_ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow"}
_ON_BOOL = {"add": "Or", "mul": "And", "maximum": "Or", "minimum": "And"}


def _function(op: str) -> Any:
    def emit(g: Graph, out: ArrayType, x: Value) -> str:
        return str(g.node(op, g.cast(x, out.dtype)))

    return emit


def _rounding(op: str) -> Any:
    def emit(g: Graph, out: ArrayType, x: Value) -> str:
        if out.dtype.kind != "f":  # integers are whole already
            return str(g.node("Identity", g.cast(x, out.dtype)))
        return str(g.node(op, g.cast(x, out.dtype)))

    return emit


def _binary(name: str, op: str) -> Any:
    def emit(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
        if out.dtype == BOOL:
            return str(g.node(_ON_BOOL[name], g.cast(a, BOOL), g.cast(b, BOOL)))
        names = g.cast(a, out.dtype), g.cast(b, out.dtype)
        if op in ("Max", "Min") and out.dtype.itemsize < 4 and out.dtype.kind in "iu":
            return g.through(np.int32, out.dtype, op, *names)
        if op == "Pow" and out.dtype.kind in "iu" and _is_small(b):
            return _multiplied_out(g, names[0], int(b.data), out)
        if op == "Pow" and (out.dtype.itemsize < 4 or out.dtype.kind == "u"):
            wide = np.float32 if out.dtype.kind == "f" else np.int64
            return g.through(wide, out.dtype, op, *names)
        return str(g.node(op, *names))

    return emit


def _is_small(exponent: Value) -> bool:
    return isinstance(exponent.data, int) and 0 <= exponent.data <= 64


def _multiplied_out(g: Graph, base: str, exponent: int, out: ArrayType) -> str:
    """Return an integer power by products: onnxruntime computes powers in floating point."""
    total = None
    while exponent:
        if exponent % 2:
            total = base if total is None else str(g.node("Mul", total, base))
        exponent //= 2
        base = str(g.node("Mul", base, base)) if exponent else base
    if total is None:
        return g.expand(g.scalar(1, out.dtype), out.shape)
    return total


for _name, _op in _FUNCTIONS.items():
    emits(_name)(_function(_op))
for _name, _op in _ROUNDINGS.items():
    emits(_name)(_rounding(_op))
for _name, _op in {**_ARITHMETIC, "maximum": "Max", "minimum": "Min"}.items():
    emits(_name)(_binary(_name, _op))


@emits("neg")
def _neg(g: Graph, out: ArrayType, x: Value) -> str:
    name = g.cast(x, out.dtype)
    if out.dtype.kind == "u":  # which wraps around
        return str(g.node("Sub", g.scalar(0, out.dtype), name))
    return str(g.node("Neg", name))


@emits("square")
def _square(g: Graph, out: ArrayType, x: Value) -> str:
    name = g.cast(x, out.dtype)
    return str(g.node("Mul", name, name))


@emits("fmod")
def _fmod(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
    divisor = _divisor(g, out, b)
    found = g.node("Mod", g.cast(a, out.dtype), divisor, fmod=1)
    return _unless_zero(g, out, b, found)


@emits("mod")
def _mod(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
    found = g.node("Mod", g.cast(a, out.dtype), _divisor(g, out, b))
    return _unless_zero(g, out, b, found)


@emits("floor_divide")
def _floor_divide(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
    name, divisor = g.cast(a, out.dtype), _divisor(g, out, b)
    whole = g.node("Sub", name, g.node("Mod", name, divisor))
    return _unless_zero(g, out, b, g.node("Div", whole, divisor))


def _divisor(g: Graph, out: ArrayType, b: Value) -> str:
    """Return a divisor with 1 for 0: an integer division by zero may stop the process."""
    name = g.cast(b, out.dtype)
    if out.dtype.kind == "f":
        return name
    is_zero = g.node("Equal", name, g.scalar(0, out.dtype))
    return chosen(g, out.dtype, is_zero, g.scalar(1, out.dtype), name)


def _unless_zero(g: Graph, out: ArrayType, b: Value, found: str) -> str:
    if out.dtype.kind == "f":
        return found
    is_zero = g.node("Equal", g.cast(b, out.dtype), g.scalar(0, out.dtype))
    return chosen(g, out.dtype, is_zero, g.scalar(0, out.dtype), found)


# -- comparisons and logic -----------------------------------------------------------------------

_COMPARISONS = {
    "greater": ("Greater", False),
    "greater_equal": ("GreaterOrEqual", False),
    "less": ("Less", False),
    "less_equal": ("LessOrEqual", False),
    "equal": ("Equal", False),
    "not_equal": ("Equal", True),
}


def common_dtype(*values: Value) -> Any:
    """Return the type in which NumPy compares values; a Python number takes the others'."""
    samples = [v.dtype.type(0).item() if v.type.weak else v.dtype for v in values]
    return np.dtype(np.result_type(*samples))


def _comparison(op: str, negated: bool) -> Any:
    def emit(g: Graph, out: ArrayType, a: Value, b: Value) -> str:
        dtype = common_dtype(a, b)
        if dtype == BOOL and op != "Equal":
            dtype = np.dtype(np.int32)
        found = str(g.node(op, g.cast(a, dtype), g.cast(b, dtype)))
        return str(g.node("Not", found)) if negated else found

    return emit


def _logic(op: str) -> Any:
    def emit(g: Graph, out: ArrayType, *values: Value) -> str:
        return str(g.node(op, *(truth(g, v) for v in values)))

    return emit


def truth(g: Graph, value: Value) -> str:
    """Return where a value is not zero."""
    return g.cast(value, BOOL)


def _bitwise(op: str, logical: str) -> Any:
    def emit(g: Graph, out: ArrayType, *values: Value) -> str:
        name = logical if out.dtype == BOOL else op
        return str(g.node(name, *(g.cast(v, out.dtype) for v in values)))

    return emit


for _name, _comparing in _COMPARISONS.items():
    emits(_name)(_comparison(*_comparing))
for _name, _op in (("and", "And"), ("or", "Or"), ("xor", "Xor"), ("not", "Not")):
    emits(f"logical_{_name}")(_logic(_op))
for _name, _op in (("and", "And"), ("or", "Or"), ("xor", "Xor")):
    emits(f"bitwise_{_name}")(_bitwise(f"Bitwise{_op}", _op))
emits("invert")(_bitwise("BitwiseNot", "Not"))


def _of_floats(g: Graph, x: Value, op: str) -> str:
    if x.dtype.kind != "f":
        never = g.node("Equal", x.name, x.name)
        return str(g.node("Not", never))
    return str(g.node(op, x.name))


@emits("isnan")
def _isnan(g: Graph, out: ArrayType, x: Value) -> str:
    return _of_floats(g, x, "IsNaN")


@emits("isinf")
def _isinf(g: Graph, out: ArrayType, x: Value) -> str:
    return _of_floats(g, x, "IsInf")


@emits("isfinite")
def _isfinite(g: Graph, out: ArrayType, x: Value) -> str:
    return str(g.node("Not", g.node("Or", _of_floats(g, x, "IsNaN"), _of_floats(g, x, "IsInf"))))


# -- choosing and converting ---------------------------------------------------------------------


@emits("where")
def _where(g: Graph, out: ArrayType, condition: Value, a: Value, b: Value) -> str:
    return chosen(g, out.dtype, truth(g, condition), g.cast(a, out.dtype), g.cast(b, out.dtype))


def chosen(g: Graph, dtype: Any, condition: str, a: str, b: str) -> str:
    """Add a Where, in a type that onnxruntime has it for."""
    if dtype == BOOL:
        wide: np.dtype[Any] = np.dtype(np.uint8)
    elif dtype.kind in "iu" and dtype.itemsize < 4 and dtype != np.uint8:
        wide = np.dtype(np.int32)
    elif dtype in (np.dtype(np.uint32), np.dtype(np.uint64)):
        wide = INT64
    else:
        return str(g.node("Where", condition, a, b))
    found = g.node("Where", condition, g.cast(a, wide), g.cast(b, wide))
    return g.cast(found, dtype)


@emits("cast", "cast_to_integer")
def _cast(g: Graph, out: ArrayType, x: Value, dtype: Any) -> str:
    return str(g.node("Cast", x.name, to=element_type(out.dtype)))


@emits("alias", "stop_gradient", "conj")
def _same(g: Graph, out: ArrayType, x: Value) -> str:
    return str(g.node("Identity", g.cast(x, out.dtype)))


@emits("fitted")
def _fitted(g: Graph, out: ArrayType, x: Value) -> str:
    """Give a result the type that its equation promises: a constant, or one of fewer axes."""
    name = g.cast(x, out.dtype)
    return str(g.node("Identity", name)) if x.shape == out.shape else g.expand(name, out.shape)
