"""One element of each operation, as LLVM instructions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...program.equation import Equation
from .. import ir
from ..plan.schedule import UnsupportedError
from ..runtime import engine
from ..runtime.special import entry_of
from ..runtime.symbols import PREFIX
from ..sizes import Parameter, Size
from . import integers

Value = Any


F64, F32, I64, I1, I8 = (
    ir.DoubleType(),
    ir.FloatType(),
    ir.IntType(64),
    ir.IntType(1),
    ir.IntType(8),
)


def register_type(dtype: np.dtype[Any]) -> Any:
    """Return the type of one element in a register."""
    if dtype.kind == "b":
        return I1
    if dtype.kind in "iu":
        return ir.IntType(8 * dtype.itemsize)
    if dtype == np.float64:
        return F64
    if dtype == np.float32:
        return F32
    raise KeyError(dtype)


def memory_type(dtype: np.dtype[Any]) -> Any:
    """Return the type of one element in memory; NumPy keeps a boolean in a byte."""
    if dtype.kind == "c":
        return ir.ArrayType(F64 if dtype.itemsize == 16 else F32, 2)
    return I8 if dtype.kind == "b" else register_type(dtype)


def constant(value: Any, dtype: np.dtype[Any]) -> Value:
    """Return a constant of a dtype."""
    kind = register_type(dtype)
    if type(value) in (Size, Parameter) and dtype.kind != "b":
        whole = dtype.kind in "iu"
        form = value.expression if whole else (dtype.str[1:], value.expression)
        return ir.filled_in(value.scope.symbol(form), kind)
    if dtype.kind in "biu":
        return ir.Constant(kind, int(value))
    return ir.Constant(kind, float(value))


def convert(b: ir.IRBuilder, x: Value, source: np.dtype[Any], target: np.dtype[Any]) -> Value:
    """Return an element in another dtype, as NumPy casts it."""
    if source == target:
        return x
    to = register_type(target)
    if target.kind == "b":
        zero = ir.Constant(x.type, 0 if source.kind in "biu" else 0.0)
        return (
            b.fcmp_unordered("!=", x, zero) if source.kind == "f" else b.icmp_signed("!=", x, zero)
        )
    if source.kind == "b":
        return b.zext(x, to) if target.kind in "iu" else b.uitofp(x, to)
    if source.kind == "f":
        if target.kind == "f":
            return b.fpext(x, to) if target.itemsize > source.itemsize else b.fptrunc(x, to)
        return b.fptosi(x, to) if target.kind == "i" else b.fptoui(x, to)
    if target.kind == "f":
        return b.sitofp(x, to) if source.kind == "i" else b.uitofp(x, to)
    if target.itemsize > source.itemsize:
        return b.sext(x, to) if source.kind == "i" else b.zext(x, to)
    return b.trunc(x, to) if target.itemsize < source.itemsize else x


def intrinsic(b: ir.IRBuilder, name: str, *args: Value) -> Value:
    """Call an LLVM intrinsic of floating point."""
    function = b.module.declare_intrinsic(name, [args[0].type])
    return b.call(function, args)


# -- operations ----------------------------------------------------------------------------------


def _arithmetic(float_op: str, int_op: str) -> Callable[..., Value]:
    def emit(b: ir.IRBuilder, x: Value, y: Value) -> Value:
        return getattr(
            b, float_op if isinstance(x.type, F64.__class__ | F32.__class__) else int_op
        )(x, y)

    return emit


def _comparison(symbol: str) -> Callable[..., Value]:
    def emit(b: ir.IRBuilder, x: Value, y: Value) -> Value:
        return (b.fcmp_unordered if symbol == "!=" else b.fcmp_ordered)(symbol, x, y)

    return emit


def _extreme(symbol: str) -> Callable[..., Value]:
    def emit(b: ir.IRBuilder, x: Value, y: Value) -> Value:
        # a NaN wins, in either place
        wins = b.or_(b.fcmp_ordered(symbol, x, y), b.fcmp_unordered("uno", x, x))
        return b.select(wins, x, y)

    return emit


def _negative(b: ir.IRBuilder, x: Value) -> Value:
    return b.neg(x) if isinstance(x.type, ir.IntType) else b.fneg(x)


def _absolute(b: ir.IRBuilder, x: Value) -> Value:
    if isinstance(x.type, ir.IntType):
        return b.select(b.icmp_signed("<", x, ir.Constant(x.type, 0)), b.neg(x), x)
    return intrinsic(b, "llvm.fabs", x)


def _sign(b: ir.IRBuilder, x: Value) -> Value:
    zero, one = ir.Constant(x.type, 0.0), ir.Constant(x.type, 1.0)
    signed = b.select(
        b.fcmp_ordered(">", x, zero),
        one,
        b.select(b.fcmp_ordered("<", x, zero), ir.Constant(x.type, -1.0), x),
    )
    return b.select(b.fcmp_ordered("==", x, zero), zero, signed)


def _beside_infinity(symbol: str) -> Callable[..., Value]:
    """Return what compares a number's magnitude with infinity."""

    def emit(b: ir.IRBuilder, x: Value) -> Value:
        return b.fcmp_ordered(symbol, intrinsic(b, "llvm.fabs", x), ir.Constant(x.type, np.inf))

    return emit


def _of_library(name: str) -> Callable[..., Value]:
    return lambda b, x: intrinsic(b, f"llvm.{name}", x)


OPERATIONS: dict[str, Callable[..., Value]] = {
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": lambda b, x, y: b.fdiv(x, y),
    "neg": _negative,
    "conj": lambda b, x: x,
    "abs": _absolute,
    "square": lambda b, x: _arithmetic("fmul", "mul")(b, x, x),
    "reciprocal": lambda b, x: b.fdiv(ir.Constant(x.type, 1.0), x),
    "sqrt": _of_library("sqrt"),
    "floor": _of_library("floor"),
    "ceil": _of_library("ceil"),
    "trunc": _of_library("trunc"),
    "rint": _of_library("rint"),
    "sign": _sign,
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "greater": _comparison(">"),
    "greater_equal": _comparison(">="),
    "less": _comparison("<"),
    "less_equal": _comparison("<="),
    "equal": _comparison("=="),
    "not_equal": _comparison("!="),
    "logical_and": lambda b, x, y: b.and_(x, y),
    "logical_or": lambda b, x, y: b.or_(x, y),
    "logical_not": lambda b, x: b.not_(x),
    "logical_xor": lambda b, x, y: b.xor(x, y),
    "bitwise_and": lambda b, x, y: b.and_(x, y),
    "bitwise_or": lambda b, x, y: b.or_(x, y),
    "bitwise_xor": lambda b, x, y: b.xor(x, y),
    "invert": lambda b, x: b.not_(x),
    "isnan": lambda b, x: b.fcmp_unordered("uno", x, x),
    "isfinite": _beside_infinity("<"),
    "isinf": _beside_infinity("=="),
}
COMPARISONS = frozenset(
    [
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "isnan",
        "isfinite",
        "isinf",
    ]
)
_POLYGAMMA = {0: "psi", 1: "trigamma"}
LOGICAL = frozenset(["logical_and", "logical_or", "logical_not", "logical_xor"])


@functools.cache
def _divisions() -> frozenset[str]:
    from .division import DIVISIONS

    return frozenset(DIVISIONS)


def _divided(*given: Any) -> Value:
    from .division import divided

    return divided(*given)


@functools.cache
def math_kernels() -> dict[str, Callable[..., Value]]:
    """Return the emitters of functions such as exp, by the name of the primitive.

    Our own kernels for the trigonometric functions reduce moderate arguments only (see `circular`);
    here these functions are the C library's, which takes any.
    """
    from ..kernels import EMITTERS, REDUCIBLE

    own = {name: emitter for name, emitter in EMITTERS.items() if name not in REDUCIBLE}
    return {name: _of_library(name) for name in REDUCIBLE} | own


def emit(
    b: ir.IRBuilder,
    equation: Equation,
    args: list[Value],
    dtypes: list[np.dtype[Any]],
    wide: str = "",
) -> Value:
    """Emit one element of an element-wise equation from the elements of its operands.

    In a long loop some functions are calls, which become those of vectors: of the ``wide`` kernel.
    """
    name = kernel_name(equation)
    out = equation.out.type.dtype
    if name in ("where",):
        c, x, y = args
        chosen = convert(b, c, dtypes[0], np.dtype(bool))
        return b.select(chosen, convert(b, x, dtypes[1], out), convert(b, y, dtypes[2], out))
    if name == "pow":
        return _power(b, equation, args, dtypes)
    if name in _divisions():
        return _divided(b, equation, args, dtypes)
    work = out
    if name in COMPARISONS:
        work = np.result_type(*dtypes)
    elif name in LOGICAL:
        work = np.dtype(bool)
    given = [convert(b, x, d, work) for x, d in zip(args, dtypes, strict=True)]
    if wide and work.kind == "f":
        return wide_call(b, wide, *given)
    if name == "reciprocal" and work.kind in "biu":
        raise UnsupportedError(equation, "`reciprocal` of integers is not compiled yet")
    operation = operation_of(name, work)
    if operation is not None:
        return operation(b, *given)
    entry = entry_of(name, len(given))
    if entry is None or work.kind != "f":
        raise UnsupportedError(equation, f"`{name}` is not compiled yet")
    return _library_call(b, entry, given)


def kernel_name(equation: Equation) -> str:
    """Return the name of what computes an equation's elements."""
    name = equation.primitive.name
    if name == "polygamma":
        return _POLYGAMMA.get(equation.params["n"], name)
    return name


def _library_call(b: ir.IRBuilder, entry: str, given: list[Value]) -> Value:
    """Call a function of SciPy, which are all for double precision."""
    symbol, kind = f"{PREFIX}special.{entry}", given[0].type
    i32 = ir.IntType(32)
    function = b.module.globals.get(symbol)
    if function is None:
        signature = ir.FunctionType(F64, [*[F64] * len(given), i32])
        function = ir.Function(b.module, signature, symbol)
        function.attributes.update(("nounwind", "willreturn"))
    wide = [b.fpext(x, F64) if kind == F32 else x for x in given]
    # the last argument says that this is no call from Python
    result = b.call(function, [*wide, i32(1)])
    return b.fptrunc(result, F32) if kind == F32 else result


def operation_of(name: str, dtype: np.dtype[Any]) -> Callable[..., Value] | None:
    """Return how an operation on numbers of a type is written; None if that is not known here."""
    return integers.operation(name, dtype) or OPERATIONS.get(name) or math_kernels().get(name)


def is_wide(name: str) -> bool:
    """Tell whether this processor has a faster kernel for whole vectors."""
    if name in OPERATIONS:
        return False
    from ..kernels.variants import NEEDED, WIDE

    return name in WIDE and engine.has(NEEDED)


def wide_kernel(name: str, sign: int) -> str:
    """Return the name of the kernel for whole vectors, for arguments of a sign (0: of any)."""
    from ..kernels.variants import of_sign

    return of_sign(name, sign)


def wide_call(b: ir.IRBuilder, name: str, x: Value) -> Value:
    """Call the kernel for whole vectors."""
    from ..kernels.variants import call

    return call(b, x, name)


def is_multiplied_out(equation: Equation) -> bool:
    """Tell whether an equation is a power that is written as a product."""
    if equation.primitive.name != "pow":
        return False
    exponent = equation.operands[1]
    whole = isinstance(exponent, int | float) and float(exponent).is_integer()
    return whole and 1 <= exponent <= 4


def _power(
    b: ir.IRBuilder, equation: Equation, args: list[Value], dtypes: list[np.dtype[Any]]
) -> Value:
    """Emit a power: by multiplication for a small integer exponent."""
    out = equation.out.type.dtype
    base = convert(b, args[0], dtypes[0], out)
    exponent = equation.operands[1]
    if is_multiplied_out(equation):
        times = {1: 1, 2: 2, 3: 3, 4: 4}[int(exponent)]
        square = b.fmul(base, base) if out.kind == "f" else b.mul(base, base)
        if times == 1:
            return base
        if times == 2:
            return square
        multiply = b.fmul if out.kind == "f" else b.mul
        return multiply(square, base) if times == 3 else multiply(square, square)
    kernel = math_kernels().get("pow")
    if kernel is None or out.kind != "f":
        raise UnsupportedError(equation, "a power with this exponent is not compiled yet")
    return kernel(b, base, convert(b, args[1], dtypes[1], out))
