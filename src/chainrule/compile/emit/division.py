"""Division with remainder, signs and bits: operations whose form depends on the dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from .. import ir
from ..plan.schedule import UnsupportedError
from .scalar import constant, convert, intrinsic

Value = Any
Emitter = Callable[[ir.IRBuilder, Equation, list[Value], "np.dtype[Any]"], Value]


def divided(
    b: ir.IRBuilder, equation: Equation, args: list[Value], dtypes: list[np.dtype[Any]]
) -> Value:
    """Emit one element of an operation of ``DIVISIONS``."""
    name = equation.primitive.name
    work = equation.out.type.dtype if name not in TESTS else dtypes[0]
    if work.kind not in ("fi" if name not in ("left_shift", "right_shift") else "i"):
        raise UnsupportedError(equation, f"`{name}` of {work} is not compiled yet")
    given = [convert(b, x, d, work) for x, d in zip(args, dtypes, strict=True)]
    return DIVISIONS[name](b, equation, given, work)


# -- remainders ----------------------------------------------------------------------------------


def _check_divisor(equation: Equation) -> None:
    """Refuse whole numbers whose division might not be defined for the processor."""
    divisor = equation.operands[1]
    if type(divisor) is Var or not np.all(divisor) or np.any(np.equal(divisor, -1)):
        name = equation.primitive.name
        raise UnsupportedError(equation, f"`{name}` by whole numbers that vary is left to NumPy")


def _truncated(
    b: ir.IRBuilder, equation: Equation, args: list[Value], dtype: np.dtype[Any]
) -> Value:
    """Emit the remainder that has the sign of the dividend."""
    if dtype.kind == "f":
        return b.frem(*args)
    _check_divisor(equation)
    return b.srem(*args)


def _differ(b: ir.IRBuilder, r: Value, y: Value, dtype: np.dtype[Any]) -> Value:
    """Tell whether a remainder is not zero and has another sign than the divisor."""
    zero = constant(0, dtype)
    less = b.icmp_signed if dtype.kind == "i" else b.fcmp_ordered
    unequal = b.icmp_signed if dtype.kind == "i" else b.fcmp_unordered
    return b.and_(unequal("!=", r, zero), b.xor(less("<", r, zero), less("<", y, zero)))


def _mod(b: ir.IRBuilder, equation: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    """Emit the remainder that has the sign of the divisor."""
    r, y = _truncated(b, equation, args, dtype), args[1]
    differ = _differ(b, r, y, dtype)
    if dtype.kind == "i":
        return b.select(differ, b.add(r, y), r)
    exact = b.fcmp_ordered("==", r, constant(0.0, dtype))
    return b.select(
        exact, _with_sign(b, constant(0.0, dtype), y), b.select(differ, b.fadd(r, y), r)
    )


def _floor_divide(
    b: ir.IRBuilder, equation: Equation, args: list[Value], dtype: np.dtype[Any]
) -> Value:
    """Emit the quotient rounded down; of floating point from the exact remainder, as NumPy does."""
    x, y = args
    r = _truncated(b, equation, args, dtype)
    differ = _differ(b, r, y, dtype)
    if dtype.kind == "i":
        quotient = b.sdiv(x, y)
        return b.select(differ, b.sub(quotient, constant(1, dtype)), quotient)
    zero, one = constant(0.0, dtype), constant(1.0, dtype)
    plain = b.fdiv(x, y)
    quotient = b.fdiv(b.fsub(x, r), y)
    quotient = b.select(differ, b.fsub(quotient, one), quotient)
    floor = intrinsic(b, "llvm.floor", quotient)
    up = b.fcmp_ordered(">", b.fsub(quotient, floor), constant(0.5, dtype))
    whole = b.select(up, b.fadd(floor, one), floor)
    nothing = b.fcmp_ordered("==", quotient, zero)
    found = b.select(nothing, _with_sign(b, zero, plain), whole)
    return b.select(b.fcmp_ordered("==", y, zero), plain, found)


# -- signs ---------------------------------------------------------------------------------------


def _with_sign(b: ir.IRBuilder, x: Value, y: Value) -> Value:
    """Return the size of one number with the sign of another."""
    kind = ir.FunctionType(x.type, [x.type, x.type])
    return b.call(b.module.declare_intrinsic("llvm.copysign", [x.type], kind), [x, y])


def _copysign(b: ir.IRBuilder, _: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    return _with_sign(b, *args)


def _signbit(b: ir.IRBuilder, _: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    (x,) = args
    if dtype.kind == "f":
        x = b.bitcast(x, ir.IntType(8 * dtype.itemsize))
    return b.icmp_signed("<", x, ir.Constant(x.type, 0))


def _isinf(b: ir.IRBuilder, _: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    (x,) = args
    if dtype.kind == "i":
        return ir.Constant(ir.IntType(1), 0)
    return b.fcmp_ordered("==", intrinsic(b, "llvm.fabs", x), constant(np.inf, dtype))


def _heaviside(b: ir.IRBuilder, _: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    x, middle = args
    zero = constant(0.0, dtype)
    step = b.select(b.fcmp_ordered(">", x, zero), constant(1.0, dtype), x)
    step = b.select(b.fcmp_ordered("<", x, zero), zero, step)
    return b.select(b.fcmp_ordered("==", x, zero), middle, step)


def _hypot(b: ir.IRBuilder, _: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
    """Emit √(x² + y²) without leaving the range of numbers on the way."""
    x, y = (intrinsic(b, "llvm.fabs", a) for a in args)
    zero, one, infinity = (constant(v, dtype) for v in (0.0, 1.0, np.inf))
    first = b.fcmp_ordered(">", x, y)
    large, small = b.select(first, x, y), b.select(first, y, x)
    endless = b.or_(*(b.fcmp_ordered("==", v, infinity) for v in (x, y)))
    odd = b.or_(endless, b.fcmp_ordered("==", b.fadd(x, y), zero))
    ratio = b.fdiv(b.select(odd, zero, small), b.select(odd, one, large))
    root = intrinsic(b, "llvm.sqrt", b.fadd(one, b.fmul(ratio, ratio)))
    return b.select(endless, infinity, b.fmul(large, root))


# -- bits ----------------------------------------------------------------------------------------


def _shift(name: str) -> Emitter:
    def emit(b: ir.IRBuilder, equation: Equation, args: list[Value], dtype: np.dtype[Any]) -> Value:
        count = equation.operands[1]
        known = type(count) is not Var and np.all(np.greater_equal(count, 0))
        if not known or not np.all(np.less(count, 8 * dtype.itemsize)):
            raise UnsupportedError(equation, "a shift by what varies is left to NumPy")
        return getattr(b, name)(*args)

    return emit


DIVISIONS: dict[str, Emitter] = {
    "fmod": _truncated,
    "mod": _mod,
    "floor_divide": _floor_divide,
    "copysign": _copysign,
    "signbit": _signbit,
    "isinf": _isinf,
    "heaviside": _heaviside,
    "hypot": _hypot,
    "left_shift": _shift("shl"),
    "right_shift": _shift("ashr"),
}
TESTS = frozenset({"signbit", "isinf"})
