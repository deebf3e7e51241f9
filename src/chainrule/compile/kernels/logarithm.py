"""Logarithms and what is made of them.

``x = 2^k (1 + f)`` with ``1 + f`` between √½ and √2; then, with ``s = f / (2 + f)``,
``log(1 + f) = 2 artanh(s) = f - f²/2 + s (f²/2 + R(s²))``: the leading terms are exact or nearly
so, and the division's error only meets small ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .coefficients import LN2, LOG, LOG2_E, LOG10_2, LOG10_E, Table
from .double_double import Double, fast_two_sum, two_product, two_sum
from .exponential import exp_of_minus_size
from .expression import Bits, Number, fma, polynomial

LN_2 = math.log(2.0)
SQRT_HALF = math.sqrt(0.5)


class Decomposed(NamedTuple):
    """A positive number as ``2^k (1 + f)``; ``biased`` is k as the exponent is stored."""

    k: Number
    f: Number
    biased: Bits


def decompose(x: Number) -> Decomposed:
    """Decompose a normal number."""
    format = x.format
    bits = x.bits()
    moved = bits + (format.one - format.bits_of(SQRT_HALF))
    biased = moved >> format.mantissa
    f = (bits - (moved & format.exponent_mask) + format.one).number() - 1.0
    # an integer in the low bits of 2^mantissa is that number plus the integer
    base = 2.0**format.mantissa
    k = (biased | format.bits_of(base)).number() - (base + format.bias)
    return Decomposed(k, f, biased)


def decompose_any(x: Number) -> Decomposed:
    """Decompose a positive number, subnormal ones too."""
    step = x.format.mantissa + 2
    small = x < x.format.tiny
    k, f, biased = decompose(x * small.choose(x.constant(2.0**step), 1.0))
    return Decomposed(k - small.choose(x.constant(step), 0.0), f, biased)


def tail(f: Number) -> tuple[Number, Number]:
    """Return s and ``f²/2 + R(s²)``."""
    s = f / (f + 2.0)
    z = s * s
    return s, fma(z, polynomial(z, LOG[f.format.width]), (f * 0.5) * f)


def natural(k: Number, f: Number, lost: Number | None = None) -> Number:
    """Return ``k ln 2 + log(1 + f + lost)``."""
    high, low = LN2[f.format.width][:2]
    s, rest = tail(f)
    correction = k * low if lost is None else fma(k, low, lost)
    return fma(k, high, f - ((f * 0.5) * f - fma(s, rest, correction)))


def at_the_ends(x: Number, result: Number, zero: Number | float, end: float = 0.0) -> Number:
    """Return -inf where x is ``end``, NaN below it, infinity and NaN as they are."""
    result = (x > end).choose(result, math.nan)
    result = x.equals(end).choose(zero, result)
    return x.not_below(math.inf).choose(x, result)


def log(x: Number) -> Number:
    """Return the natural logarithm."""
    k, f, _ = decompose_any(x)
    return at_the_ends(x, natural(k, f), -math.inf)


def log1p(x: Number) -> Number:
    """Return ``log(1 + x)`` without cancellation."""
    return log1p_of_sum(x, None)


def log1p_of_sum(x: Number, low: Number | None) -> Number:
    """Return ``log(1 + x + low)`` with a correction below the last place of x."""
    format = x.format
    total, error = two_sum(x.constant(1.0), x)
    k, f, biased = decompose(total)
    # 2^-k; for the greatest k it would be subnormal, and the error is below every last place
    inverse = ((2 * format.bias - biased) << format.mantissa).at_least(0).number()
    f, lost = fast_two_sum(f, error * inverse)
    if low is not None:
        lost = fma(low, inverse, lost)
    result = at_the_ends(x, natural(k, f, lost), -math.inf, -1.0)
    return x.equals(0.0).choose(x, result)  # -0.0 keeps its sign


def log_double(f: Number) -> Double:
    """Return ``log(1 + f)`` to a few more bits than the format has."""
    s, rest = tail(f)
    half_square = two_product(f * 0.5, f)
    high, low = fast_two_sum(f, -half_square.high)
    return fast_two_sum(high, fma(s, rest, low - half_square.low))


def log_as_sum(x: Number) -> Double:
    """Return the logarithm of a number between 0 and ½ to a few more bits than the format has."""
    k, f, _ = decompose_any(x)
    fraction = log_double(f)
    high, low = LN2[f.format.width][:2]
    whole = two_product(k, high)
    total = fast_two_sum(whole.high, fraction.high)
    return fast_two_sum(total.high, total.low + (fma(k, low, whole.low) + fraction.low))


def _to_base(x: Number, factor: Table, unit: Table | None) -> Number:
    """Return ``k unit + factor log(1 + f)``."""
    width = x.format.width
    k, f, _ = decompose_any(x)
    high, low = log_double(f)
    product, error = two_product(high, factor[width][0])
    rest = fma(high, factor[width][1], fma(low, factor[width][0], error))
    if unit is None:
        whole = k
    else:
        whole, error = two_product(k, unit[width][0])
        rest = rest + fma(k, unit[width][1], error)
    # either k is 0 or the whole is the greater
    total, error = fast_two_sum(whole, product)
    return at_the_ends(x, total + (error + rest), -math.inf)


def log2(x: Number) -> Number:
    """Return the logarithm to base 2."""
    return _to_base(x, LOG2_E, None)


def log10(x: Number) -> Number:
    """Return the logarithm to base 10."""
    return _to_base(x, LOG10_E, LOG10_2)


def log_expit(x: Number) -> Number:
    """Return ``log(expit(x))``, which is ``-log(1 + e^-x)``."""
    result = -((-x).at_least(0.0) + log1p(exp_of_minus_size(x)[0]))
    return x.is_nan().choose(x, result)


def softplus(x: Number) -> Number:
    """Return ``log(1 + e^x)``."""
    result = x.at_least(0.0) + log1p(exp_of_minus_size(x)[0])
    return x.is_nan().choose(x, result)


def arctanh(x: Number) -> Number:
    """Return the inverse hyperbolic tangent."""
    size = abs(x)
    denominator = fast_two_sum(x.constant(1.0), -size)
    inverse = 1.0 / denominator.high
    quotient = (size + size) * inverse
    remainder = fma(-quotient, denominator.high, size + size)
    low = fma(-quotient, denominator.low, remainder) * inverse
    return (log1p_of_sum(quotient, low) * 0.5).with_sign_of(x)
