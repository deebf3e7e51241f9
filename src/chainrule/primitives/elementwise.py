"""Element-wise operations. Each rule is the derivative as a textbook has it.

In a rule ``y`` is the result. The map acts on arrays of the result's shape; broadcasting of the
operands is composed where all element-wise rules are used.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..maps import IDENTITY, Cast, Conjugate, LinearMap, compose, scale, select
from ..program.arraytype import ArrayType
from ..program.primitive import FUNCTIONS, METHODS, Primitive, Traced, implements
from . import batching
from .families import elementwise, is_complex, known, piecewise_constant

LN2 = math.log(2.0)
LN10 = math.log(10.0)


def _identity(y: Any, *operands: Any) -> LinearMap:
    return IDENTITY


NEGATED = scale(-1.0)


# -- arithmetic ----------------------------------------------------------------------------------

ADD = elementwise(
    "add", np.add, _identity, _identity, text="{0} + {1}", symbol="sum", impl=operator.add
)
SUB = elementwise(
    "sub",
    np.subtract,
    _identity,
    lambda y, a, b: NEGATED,
    text="{0} − {1}",
    symbol="difference",
    impl=operator.sub,
)
MUL = elementwise(
    "mul",
    np.multiply,
    lambda y, a, b: scale(b),
    lambda y, a, b: scale(a),
    text="{0} · {1}",
    symbol="product",
    impl=operator.mul,
)
DIV = elementwise(
    "div",
    np.true_divide,
    lambda y, a, b: scale(1.0 / b),
    lambda y, a, b: scale(-y / b),
    text="{0} / {1}",
    symbol="quotient",
    impl=operator.truediv,
)
NEG = elementwise(
    "neg", np.negative, lambda y, x: NEGATED, text="−{0}", symbol="negative", impl=operator.neg
)
FUNCTIONS[np.positive] = lambda x: +x


def _power_base(y: Any, a: Any, b: Any) -> LinearMap:
    if isinstance(b, int | float):
        if b == 2:
            return scale(2.0 * a)
        return scale(b * a ** (b - 1)) if b != 0 else scale(0.0 * np.ones_like(a))
    # a**0 is the constant 1, also at a = 0, where b * a**(b - 1) would be 0 * inf
    constant = np.equal(b, 0)
    return scale(np.where(constant, 0.0, b * a ** np.where(constant, 1.0, b - 1)))


def _power_exponent(y: Any, a: Any, b: Any) -> LinearMap:
    # 0**b is the constant 0 for b > 0, so its derivative there is 0 and not 0 * log(0)
    if isinstance(a, int | float):
        return scale(y * (math.log(a) if a > 0 else 0.0 if a == 0 else math.nan))
    return scale(y * np.log(np.where(np.equal(a, 0), 1.0, a)))


POW = elementwise(
    "pow",
    np.power,
    _power_base,
    _power_exponent,
    text="{0}^{1}",
    symbol="power",
    impl=operator.pow,
)
FUNCTIONS[np.float_power] = lambda a, b: np.power(a * 1.0, b * 1.0)
SQUARE = elementwise("square", np.square, lambda y, x: scale(2.0 * x), text="{0}²")
RECIPROCAL = elementwise("reciprocal", np.reciprocal, lambda y, x: scale(-y * y), text="1/{0}")
SQRT = elementwise("sqrt", np.sqrt, lambda y, x: scale(0.5 / y), text="√{0}", symbol="square root")
CBRT = elementwise(
    "cbrt", np.cbrt, lambda y, x: scale(1.0 / (3.0 * y * y)), text="∛{0}", symbol="cube root"
)


# -- exponentials and logarithms -----------------------------------------------------------------

EXP = elementwise("exp", np.exp, lambda y, x: scale(y), text="exp({0})", symbol="exponential")
EXP2 = elementwise("exp2", np.exp2, lambda y, x: scale(LN2 * y), text="2^{0}")
EXPM1 = elementwise("expm1", np.expm1, lambda y, x: scale(y + 1.0), text="expm1({0})")
LOG = elementwise("log", np.log, lambda y, x: scale(1.0 / x), text="log({0})", symbol="logarithm")
LOG2 = elementwise("log2", np.log2, lambda y, x: scale(1.0 / (LN2 * x)), text="log2({0})")
LOG10 = elementwise("log10", np.log10, lambda y, x: scale(1.0 / (LN10 * x)), text="log10({0})")
LOG1P = elementwise("log1p", np.log1p, lambda y, x: scale(1.0 / (1.0 + x)), text="log1p({0})")


def log_share(part: Any, total: Any) -> Any:
    """Return ``part - total``, the logarithm of a share, also where both are infinite.

    Of a total +inf an infinite part has all. Of a total -inf no part has any.
    """
    gap = np.where(np.equal(part, total), 0.0, part - total)
    return np.where(np.equal(total, -np.inf), -np.inf, gap)


def _log_add_exp(exp: Any) -> tuple[Any, Any]:
    def share(y: Any, part: Any) -> LinearMap:
        return scale(exp(log_share(part, y)))

    return (lambda y, a, b: share(y, a)), (lambda y, a, b: share(y, b))


LOGADDEXP = elementwise(
    "logaddexp",
    np.logaddexp,
    *_log_add_exp(np.exp),
    text="logaddexp({0}, {1})",
    symbol="log-sum-exp",
)
LOGADDEXP2 = elementwise(
    "logaddexp2", np.logaddexp2, *_log_add_exp(np.exp2), text="logaddexp2({0}, {1})"
)


# -- trigonometric and hyperbolic ----------------------------------------------------------------

SIN = elementwise("sin", np.sin, lambda y, x: scale(np.cos(x)), text="sin({0})", symbol="sine")
COS = elementwise("cos", np.cos, lambda y, x: scale(-np.sin(x)), text="cos({0})", symbol="cosine")
TAN = elementwise("tan", np.tan, lambda y, x: scale(1.0 + y * y), text="tan({0})")
ARCSIN = elementwise(
    "arcsin", np.arcsin, lambda y, x: scale(1.0 / np.sqrt((1.0 - x) * (1.0 + x))), text="asin({0})"
)
ARCCOS = elementwise(
    "arccos", np.arccos, lambda y, x: scale(-1.0 / np.sqrt((1.0 - x) * (1.0 + x))), text="acos({0})"
)
ARCTAN = elementwise("arctan", np.arctan, lambda y, x: scale(1.0 / (1.0 + x * x)), text="atan({0})")
ARCTAN2 = elementwise(
    "arctan2",
    np.arctan2,
    lambda y, a, b: scale(b / (a * a + b * b)),
    lambda y, a, b: scale(-a / (a * a + b * b)),
    text="atan2({0}, {1})",
)
SINH = elementwise("sinh", np.sinh, lambda y, x: scale(np.cosh(x)), text="sinh({0})")
COSH = elementwise("cosh", np.cosh, lambda y, x: scale(np.sinh(x)), text="cosh({0})")
TANH = elementwise("tanh", np.tanh, lambda y, x: scale(1.0 - y * y), text="tanh({0})")
ARCSINH = elementwise(
    "arcsinh", np.arcsinh, lambda y, x: scale(1.0 / np.sqrt(x * x + 1.0)), text="asinh({0})"
)
ARCCOSH = elementwise(
    "arccosh",
    np.arccosh,
    lambda y, x: scale(1.0 / (np.sqrt(x - 1.0) * np.sqrt(x + 1.0))),
    text="acosh({0})",
)
ARCTANH = elementwise(
    "arctanh", np.arctanh, lambda y, x: scale(1.0 / ((1.0 - x) * (1.0 + x))), text="atanh({0})"
)


def _in_floats(ufunc: Any, answer: Any) -> Any:
    """Return an answer that takes integers as the floats that the ufunc makes of them."""

    def converted(x: Any) -> Any:
        if x.dtype.kind in "biu":
            x = x.astype(ufunc.resolve_dtypes((x.dtype, None))[-1])
        return answer(x)

    return converted


_turned: Any
for _turned, _factor in (
    (np.deg2rad, math.pi / 180.0),
    (np.radians, math.pi / 180.0),
    (np.rad2deg, 180.0 / math.pi),
    (np.degrees, 180.0 / math.pi),
):
    FUNCTIONS[_turned] = _in_floats(_turned, lambda x, factor=_factor: x * factor)


def _hypot(y: Any, part: Any) -> LinearMap:
    # at the origin the subgradient 0, as for every norm
    origin = np.equal(y, 0)
    return scale(np.where(origin, 0.0, part / np.where(origin, 1.0, y)))


HYPOT = elementwise(
    "hypot",
    np.hypot,
    lambda y, a, b: _hypot(y, a),
    lambda y, a, b: _hypot(y, b),
    text="hypot({0}, {1})",
)


# -- pieces: absolute value, extremes, selection -------------------------------------------------


def _abs(y: Any, x: Any) -> LinearMap:
    if is_complex(x):
        origin = np.equal(y, 0)
        direction = np.where(origin, 0.0, x / np.where(origin, 1.0, y))
        return compose(Cast(direction.dtype, y.dtype), scale(np.conj(direction)))
    return scale(np.sign(x))


ABS = elementwise("abs", np.absolute, _abs, text="|{0}|", symbol="absolute value", impl=abs)
FUNCTIONS[np.fabs] = _in_floats(np.fabs, ABS)


def _extreme(wins: Any) -> tuple[Any, Any]:
    """Return the rules of maximum or minimum: the winner takes all, a tie is split evenly.

    Where an operand loses, the result doesn't depend on it by structure: hence a selection. A NaN
    counts as a winner, so that it stays visible.
    """

    def rule(mine: Any, other: Any) -> LinearMap:
        keep = select(np.logical_not(wins(other, mine)))
        tie = np.equal(mine, other)
        if not isinstance(tie, Traced) and not np.any(tie):
            return keep
        return compose(keep, scale(np.where(tie, 0.5, 1.0).astype(_float_of(mine, other))))

    return (lambda y, a, b: rule(a, b)), (lambda y, a, b: rule(b, a))


def _float_of(*operands: Any) -> Any:
    """Return the dtype in which a factor of 1/2 belongs beside these operands."""
    dtype = np.result_type(*(o if isinstance(o, int | float) else o.dtype for o in operands))
    return dtype if dtype.kind == "f" else np.dtype(float)


MAXIMUM = elementwise("maximum", np.maximum, *_extreme(np.greater), text="max({0}, {1})")
MINIMUM = elementwise("minimum", np.minimum, *_extreme(np.less), text="min({0}, {1})")


def _ignoring_nan(extreme: Any) -> Any:
    def answer(a: Any, b: Any) -> Any:
        return np.where(np.isnan(a), b, np.where(np.isnan(b), a, extreme(a, b)))

    return answer


FUNCTIONS[np.fmax] = _ignoring_nan(np.maximum)
FUNCTIONS[np.fmin] = _ignoring_nan(np.minimum)


def _where_type(c: ArrayType, a: ArrayType, b: ArrayType) -> ArrayType:
    shape = np.broadcast_shapes(c.shape, a.shape, b.shape)
    samples = [t.dtype.type(0).item() if t.weak else t.dtype for t in (a, b)]
    return ArrayType(shape, np.result_type(*samples))


WHERE = Primitive(
    "where",
    np.where,
    type_rule=_where_type,
    d=(
        None,
        lambda y, c, a, b: select(c),
        lambda y, c, a, b: select(np.logical_not(c)),
    ),
    elementwise=True,
    text="{1} where {0} else {2}",
    symbol="select",
)


@implements(np.where)
def _where(condition: Any, *branches: Any) -> Any:
    if not branches:
        return np.nonzero(condition)
    if getattr(condition, "dtype", np.dtype(bool)).kind != "b":
        condition = np.not_equal(condition, 0)
    return WHERE(condition, *branches)


@implements(np.clip, method="clip")
def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low = a_min if a_min is not None else min
    high = a_max if a_max is not None else max
    if low is not None:
        a = np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


# -- remainders, complex parts, casts ------------------------------------------------------------

MOD = elementwise(
    "mod",
    np.remainder,
    _identity,
    lambda y, a, b: scale(-np.floor_divide(a, b)),
    text="{0} mod {1}",
    symbol="remainder",
    impl=operator.mod,
)
FMOD = elementwise(
    "fmod",
    np.fmod,
    _identity,
    lambda y, a, b: scale(-np.trunc(a / b)),
    text="fmod({0}, {1})",
)
COPYSIGN = elementwise(
    "copysign",
    np.copysign,
    lambda y, a, b: scale(np.copysign(1.0, a) * np.copysign(1.0, b)),
    None,
    text="copysign({0}, {1})",
)


def _conjugate(y: Any, x: Any) -> LinearMap:
    return Conjugate()


CONJ = elementwise("conj", np.conjugate, _conjugate, text="conj({0})", symbol="conjugate")


def _real_type(x: ArrayType) -> ArrayType:
    return ArrayType(x.shape, np.empty(0, x.dtype).real.dtype)


REAL = Primitive(
    "real",
    np.real,
    type_rule=_real_type,
    d=(lambda y, x: Cast(x.dtype, y.dtype),),
    batch=batching.leading,
    text="Re({0})",
    makes_view=True,
)
IMAG = Primitive(
    "imag",
    np.imag,
    type_rule=_real_type,
    d=(lambda y, x: compose(Cast(x.dtype, y.dtype), scale(-1j)),),
    batch=batching.leading,
    text="Im({0})",
    makes_view=True,
)


@implements(np.real)
def _real(x: Any) -> Any:
    return REAL(x) if x.dtype.kind == "c" else x


@implements(np.imag)
def _imag(x: Any) -> Any:
    return IMAG(x) if x.dtype.kind == "c" else np.zeros_like(x)


@implements(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100.0) -> Any:
    if a.dtype.kind != "c":
        return a
    plain = known(a, "np.real_if_close")
    return np.real(a) if np.isrealobj(np.real_if_close(plain, tol)) else a


@implements(np.angle)
def _angle(z: Any, deg: bool = False) -> Any:
    angle = np.arctan2(np.imag(z), np.real(z))
    return np.degrees(angle) if deg else angle


METHODS["conj"] = METHODS["conjugate"] = CONJ


def _cast(x: Any, dtype: Any) -> Any:
    x = np.asarray(x)
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = x.real
    return x.astype(dtype)[()]


CAST = Primitive(
    "cast",
    _cast,
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    d=(lambda y, x, dtype: Cast(np.result_type(x), y.dtype),),
    batch=batching.leading,
    text="{0}",
    symbol="cast",
)
ALIAS = Primitive(
    "alias",
    lambda x: x,
    type_rule=lambda x: x,
    d=(_identity,),
    batch=batching.leading,
    text="{0}",
    symbol="identity",
)


# -- what has no derivative, or derivative zero --------------------------------------------------

for _name, _ufunc, _text, _impl in (
    ("sign", np.sign, "sign({0})", None),
    ("floor", np.floor, "⌊{0}⌋", None),
    ("ceil", np.ceil, "⌈{0}⌉", None),
    ("rint", np.rint, "round({0})", None),
    ("trunc", np.trunc, "trunc({0})", None),
    ("floor_divide", np.floor_divide, "⌊{0} / {1}⌋", operator.floordiv),
    ("heaviside", np.heaviside, "heaviside({0}, {1})", None),
    ("greater", np.greater, "{0} > {1}", operator.gt),
    ("greater_equal", np.greater_equal, "{0} ≥ {1}", operator.ge),
    ("less", np.less, "{0} < {1}", operator.lt),
    ("less_equal", np.less_equal, "{0} ≤ {1}", operator.le),
    ("equal", np.equal, "{0} = {1}", operator.eq),
    ("not_equal", np.not_equal, "{0} ≠ {1}", operator.ne),
    ("logical_and", np.logical_and, "{0} ∧ {1}", None),
    ("logical_or", np.logical_or, "{0} ∨ {1}", None),
    ("logical_xor", np.logical_xor, "{0} ⊻ {1}", None),
    ("logical_not", np.logical_not, "¬{0}", None),
    ("bitwise_and", np.bitwise_and, "{0} & {1}", operator.and_),
    ("bitwise_or", np.bitwise_or, "{0} | {1}", operator.or_),
    ("bitwise_xor", np.bitwise_xor, "{0} ^ {1}", operator.xor),
    ("invert", np.invert, "~{0}", operator.invert),
    ("isfinite", np.isfinite, "isfinite({0})", None),
    ("isnan", np.isnan, "isnan({0})", None),
    ("isinf", np.isinf, "isinf({0})", None),
    ("signbit", np.signbit, "signbit({0})", None),
):
    piecewise_constant(_name, _ufunc, _text, _impl)


@implements(np.round, np.around, method="round")
def _round(a: Any, decimals: int = 0) -> Any:
    factor = 10.0**decimals
    return np.rint(a) if decimals == 0 else np.rint(a * factor) / factor


if hasattr(np, "fix"):  # NumPy 2.5 warns of its end
    FUNCTIONS[np.fix] = lambda x: np.trunc(x)
FUNCTIONS[np.divmod] = lambda a, b: (np.floor_divide(a, b), np.remainder(a, b))
FUNCTIONS[np.ldexp] = lambda a, exponent: (
    a * (2.0**exponent if isinstance(exponent, int) else np.exp2(exponent.astype(a.dtype)))
)


@implements(np.modf)
def _modf(x: Any) -> tuple[Any, Any]:
    whole = np.trunc(x)
    return x - whole, whole


@implements(np.isposinf)
def _isposinf(x: Any) -> Any:
    return np.logical_and(np.isinf(x), np.greater(x, 0))


@implements(np.isneginf)
def _isneginf(x: Any) -> Any:
    return np.logical_and(np.isinf(x), np.less(x, 0))


STOP = Primitive(
    "stop_gradient",
    lambda x: x,
    type_rule=lambda x: x,
    differentiable=False,
    batch=batching.leading,
    text="{0}",
    symbol="stop",
)
