"""What element-wise operations on complex numbers do to the parts, as in NumPy's loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .parts import Pair, Real

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""By name of the primitive: the code on pairs. Real operands come as pairs as well."""
# by the bytes of a part: from where on an exponential is taken in two factors, lest it overflow
# before it is made small, and arguments of tanh beyond which it is 1 to the last place
HUGE = {8: 700.0, 4: 80.0}
LARGEST = {8: 350.0, 4: 40.0}


def on_pairs(name: str) -> Callable[[Any], Any]:
    """Say that the decorated code does a primitive on pairs."""

    def register(f: Any) -> Any:
        FUNCTIONS[name] = f
        return f

    return register


# -- arithmetic ----------------------------------------------------------------------------------


@on_pairs("add")
def add(a: Pair, b: Pair) -> Pair:
    """Return a sum."""
    return Pair(a.re + b.re, a.im + b.im)


@on_pairs("sub")
def sub(a: Pair, b: Pair) -> Pair:
    """Return a difference."""
    return Pair(a.re - b.re, a.im - b.im)


@on_pairs("neg")
def neg(a: Pair) -> Pair:
    """Return the negative."""
    return Pair(-a.re, -a.im)


@on_pairs("conj")
def conj(a: Pair) -> Pair:
    """Return the conjugate."""
    return Pair(a.re, -a.im)


@on_pairs("mul")
def mul(a: Pair, b: Pair) -> Pair:
    """Return a product; a part that is 0 by type counts, as 0 times infinity is NaN."""
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


@on_pairs("square")
def square(a: Pair) -> Pair:
    """Return a square."""
    return mul(a, a)


@on_pairs("div")
def div(a: Pair, b: Pair) -> Pair:
    """Return a quotient, by Smith's method: nothing overflows that need not."""
    re_size, im_size = abs(b.re), abs(b.im)
    swap = im_size.is_("greater", re_size)
    big, small = swap.choose(b.im, b.re), swap.choose(b.re, b.im)
    x, y = swap.choose(a.im, a.re), swap.choose(a.re, a.im)
    zero = re_size.is_("equal", 0.0) & im_size.is_("equal", 0.0)
    ratio = small / zero.choose(1.0, big)
    scale = 1.0 / zero.choose(0.0, big + small * ratio)
    re = zero.choose(a.re, x + y * ratio)
    im = zero.choose(a.im, swap.choose(x * ratio - y, y - x * ratio))
    return Pair(re * scale, im * scale)


@on_pairs("reciprocal")
def reciprocal(a: Pair) -> Pair:
    """Return 1 / a."""
    return div(Pair(a.re.constant(1.0), None), a)


@on_pairs("real")
def real(a: Pair) -> Real:
    """Return the real part."""
    return a.re


@on_pairs("imag")
def imag(a: Pair) -> Real:
    """Return the imaginary part."""
    return a.dense


@on_pairs("abs")
def size(a: Pair) -> Real:
    """Return the absolute value."""
    return a.re.apply("hypot", a.im)


# -- functions -----------------------------------------------------------------------------------


def _scaled(a: Pair, factor: float) -> Pair:
    return Pair(a.re * factor, a.im * factor)


def _turned(im: Real, length: Real, sine: Real) -> Real:
    """Return the imaginary part ``length sine``, which on the real axis is 0 in any case."""
    return im.is_("equal", 0.0).choose(im, length * sine)


@on_pairs("exp")
def exp(a: Pair) -> Pair:
    """Return the exponential."""
    huge = HUGE[a.re.bytes]
    first = a.re.at_most(huge).apply("exp")
    second = (a.re - huge).at_least(0.0).apply("exp")
    cosine, sine = first * a.im.apply("cos"), _turned(a.im, first, a.im.apply("sin"))
    return Pair(cosine * second, a.im.is_("equal", 0.0).choose(a.im, sine * second))


@on_pairs("exp2")
def exp2(a: Pair) -> Pair:
    """Return the power of 2."""
    return exp(_scaled(a, math.log(2.0)))


@on_pairs("expm1")
def expm1(a: Pair) -> Pair:
    """Return ``exp(a) - 1`` without cancellation near 0."""
    half = (a.im * 0.5).apply("sin")
    re = a.re.apply("expm1") * a.im.apply("cos") - half * half * 2.0
    return Pair(re, _turned(a.im, a.re.apply("exp"), a.im.apply("sin")))


@on_pairs("log")
def log(a: Pair) -> Pair:
    """Return the principal logarithm; near the unit circle from the distance to it."""
    length, re, im = size(a), abs(a.re), abs(a.im)
    swap = im.is_("greater", re)
    large, small = swap.choose(im, re), swap.choose(re, im)
    near = length.is_("greater", 0.5) & length.is_("less", 2.0)
    # chosen before, lest the other case raise flags
    large, small = near.choose(large, 1.0), near.choose(small, 0.0)
    beyond = (large - 1.0) * (large + 1.0) + small * small
    logarithm = near.choose(1.0, length).apply("log")
    return Pair(near.choose(beyond.apply("log1p") * 0.5, logarithm), angle(a))


def angle(a: Pair) -> Real:
    """Return the argument."""
    return a.im.apply("arctan2", a.re)


@on_pairs("log2")
def log2(a: Pair) -> Pair:
    """Return the logarithm to the base 2."""
    return _scaled(log(a), 1.0 / math.log(2.0))


@on_pairs("log10")
def log10(a: Pair) -> Pair:
    """Return the logarithm to the base 10."""
    return _scaled(log(a), 1.0 / math.log(10.0))


@on_pairs("log1p")
def log1p(a: Pair) -> Pair:
    """Return ``log(1 + a)``, as NumPy does without more."""
    one_more = Pair(a.re + 1.0, a.im)
    return Pair(size(one_more).apply("log"), angle(one_more))


@on_pairs("sqrt")
def sqrt(a: Pair) -> Pair:
    """Return the principal root."""
    large = (size(a) * 0.5 + abs(a.re) * 0.5).apply("sqrt")
    height = abs(a.im)
    infinite = height.is_("equal", math.inf)
    below = (infinite | large.is_("equal", 0.0)).choose(1.0, large)
    small = height * 0.5 / below
    right = a.re.is_("greater_equal", 0.0)
    im = right.choose(small, large)
    return Pair(right.choose(large, small), im.apply("copysign", a.im))


@on_pairs("pow")
def power(a: Pair, b: Pair) -> Pair:
    """Return a power: by products for an integer, else by exponential and logarithm."""
    exponent = b.re.operand
    if b.maybe_im is None and _is_small_integer(exponent):
        return _whole_power(a, int(exponent))
    zero = a.re.is_("equal", 0.0) & a.im.is_("equal", 0.0)
    found = exp(mul(b, log(Pair(zero.choose(1.0, a.re), a.im))))
    one = b.re.is_("equal", 0.0) & b.im.is_("equal", 0.0)
    positive = b.re.is_("greater", 0.0) & b.im.is_("equal", 0.0)
    at_zero = positive.choose(0.0, math.nan)
    re = one.choose(1.0, zero.choose(at_zero, found.re))
    return Pair(re, one.choose(0.0, zero.choose(at_zero, found.im)))


def _is_small_integer(o: Any) -> bool:
    return isinstance(o, int | float) and float(o).is_integer() and abs(o) < 100


def _whole_power(a: Pair, n: int) -> Pair:
    if n <= 0:
        whole = a.each(lambda part: part * 0.0 + 1.0) if n == 0 else _whole_power(a, -n)
        return Pair(whole.re, None) if n == 0 else reciprocal(whole)
    found = None
    while n:
        if n & 1:
            found = a if found is None else mul(found, a)
        n >>= 1
        a = mul(a, a) if n else a
    assert found is not None
    return found


@on_pairs("sin")
def sin(a: Pair) -> Pair:
    """Return the sine."""
    return Pair(
        a.re.apply("sin") * a.im.apply("cosh"),
        _turned(a.im, a.im.apply("sinh"), a.re.apply("cos")),
    )


@on_pairs("cos")
def cos(a: Pair) -> Pair:
    """Return the cosine."""
    return Pair(a.re.apply("cos") * a.im.apply("cosh"), -(a.re.apply("sin") * a.im.apply("sinh")))


@on_pairs("sinh")
def sinh(a: Pair) -> Pair:
    """Return the hyperbolic sine."""
    return Pair(
        a.re.apply("sinh") * a.im.apply("cos"),
        _turned(a.im, a.re.apply("cosh"), a.im.apply("sin")),
    )


@on_pairs("cosh")
def cosh(a: Pair) -> Pair:
    """Return the hyperbolic cosine."""
    return Pair(a.re.apply("cosh") * a.im.apply("cos"), a.re.apply("sinh") * a.im.apply("sin"))


def _tangent(lengthwise: Real, around: Real) -> tuple[Real, Real]:
    """Return both parts of a hyperbolic tangent."""
    end = LARGEST[lengthwise.bytes]
    bounded = lengthwise.at_most(end).at_least(-end)
    sinh, cosh = bounded.apply("sinh"), bounded.apply("cosh")
    sine, cosine = around.apply("sin"), around.apply("cos")
    below = sinh * sinh + cosine * cosine
    return sinh * cosh / below, sine * cosine / below


@on_pairs("tanh")
def tanh(a: Pair) -> Pair:
    """Return the hyperbolic tangent."""
    return Pair(*_tangent(a.re, a.im))


@on_pairs("tan")
def tan(a: Pair) -> Pair:
    """Return the tangent."""
    im, re = _tangent(a.im, a.re)
    return Pair(re, im)


# -- comparisons and choices ---------------------------------------------------------------------


@on_pairs("equal")
def equal(a: Pair, b: Pair) -> Real:
    """Tell where both parts are the same."""
    return a.re.is_("equal", b.re) & a.im.is_("equal", b.im)


@on_pairs("not_equal")
def not_equal(a: Pair, b: Pair) -> Real:
    """Tell where one part differs."""
    return a.re.is_("not_equal", b.re) | a.im.is_("not_equal", b.im)


@on_pairs("isfinite")
def isfinite(a: Pair) -> Real:
    """Tell where both parts are finite."""
    return a.re.apply("isfinite") & a.im.apply("isfinite")


@on_pairs("isnan")
def isnan(a: Pair) -> Real:
    """Tell where a part is NaN."""
    return a.re.apply("isnan") | a.im.apply("isnan")


@on_pairs("isinf")
def isinf(a: Pair) -> Real:
    """Tell where a part is infinite."""
    return a.re.apply("isinf") | a.im.apply("isinf")


@on_pairs("rint")
def rint(a: Pair) -> Pair:
    """Round both parts."""
    return a.each(lambda part: part.apply("rint"))


@on_pairs("sign")
def sign(a: Pair) -> Pair:
    """Return the direction, 0 at 0."""
    length = size(a)
    below = length.is_("equal", 0.0).choose(1.0, length)
    return Pair(a.re / below, a.im / below)


def _truth(a: Pair) -> Real:
    return not_equal(a, Pair(a.re.constant(0.0), None))


def _of_truths(name: str) -> Callable[..., Real]:
    """Return an operation on what is not 0."""

    def apply(*operands: Pair, **params: Any) -> Real:
        first, *others = map(_truth, operands)
        return first.apply(name, *others, **params)

    return apply


for _name in ("logical_not", "logical_and", "logical_or", "logical_xor"):
    FUNCTIONS[_name] = _of_truths(_name)
for _name in ("any", "all", "count_nonzero"):
    FUNCTIONS[_name] = _of_truths(_name)


def _in_order(strict: str, final: str) -> Callable[[Pair, Pair], Real]:
    """Return a comparison by the real part, then by the imaginary one; of NaN it is false."""

    def compare(a: Pair, b: Pair) -> Real:
        known = a.im.is_("equal", a.im) & b.im.is_("equal", b.im)
        first = a.re.is_(strict, b.re) & known
        return first | a.re.is_("equal", b.re) & a.im.is_(final, b.im)

    return compare


for _name in ("less", "greater"):
    FUNCTIONS[_name] = _in_order(_name, _name)
    FUNCTIONS[f"{_name}_equal"] = _in_order(_name, f"{_name}_equal")
