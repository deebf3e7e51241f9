"""Exponentials and what is made of them.

``x = n ln 2 + r`` with an integer n and ``|r| <= ln(2) / 2`` (Cody and Waite's reduction); then
``exp(x) = 2^n (1 + p)`` with ``p = exp(r) - 1`` from a polynomial.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .coefficients import EXP, LN2, LOG2_E, TANH
from .double_double import fast_two_sum
from .expression import Number, fma, polynomial

LN_2 = math.log(2.0)

# the first number whose exponential is too large for the format
EXP_OVERFLOW = {64: 709.7827128933841, 32: 88.72284}
EXP2_OVERFLOW = {64: 1024.0, 32: 128.0}
HYPERBOLIC_OVERFLOW = {64: 710.4758600739440, 32: 89.41599}

TANH_NEAR = 0.5625  # to here goes the polynomial


class Reduced(NamedTuple):
    """``x = n ln 2 + r + lost``; the low end of the bits of ``shifted`` holds n."""

    r: Number
    lost: Number
    shifted: Number


def reduce(x: Number) -> Reduced:
    """Take multiples of ln 2 away from x."""
    rounder, width = x.format.rounder, x.format.width
    shifted = fma(x, LOG2_E[width][0], rounder)
    minus_n = rounder - shifted
    # exact, because the product is a multiple of the last place of the difference
    first = fma(minus_n, LN2[width][0], x)
    r = fma(minus_n, LN2[width][1], first)
    return Reduced(r, fma(minus_n, LN2[width][1], first - r), shifted)


def beyond_linear(r: Number, lost: Number) -> Number:
    """Return ``exp(r + lost) - 1 - r``."""
    return fma(r * r, polynomial(r, EXP[r.format.width]), lost)


def exp_of_reduced(r: Number) -> Number:
    """Return ``exp(r)``, between √½ and √2."""
    return fma(r * r, polynomial(r, EXP[r.format.width]), r) + 1.0


def power_of_two(shifted: Number, offset: int) -> Number:
    """Return ``2^(n + offset)``, which must be a normal number."""
    format = shifted.format
    exponent = shifted.bits() << format.mantissa
    return (exponent + (format.one + (offset << format.mantissa))).number()


def scale_down(significand: Number, shifted: Number, x: Number, unit: float) -> Number:
    """Return ``significand · 2^n`` down to 0; n is near ``x / unit``, the significand to 2^-16."""
    format = x.format
    step = 2 * format.mantissa
    # a subnormal result is made a normal one first, so that it is rounded only once; others
    # are made half as great, as 2^n may be too large for the format where the result is not
    deep = x < (20.0 - format.bias) * unit
    exponent = shifted.bits() << format.mantissa
    lift = deep.choose_integer(format, step << format.mantissa, -1 << format.mantissa)
    lifted = (significand.bits() + exponent + lift).number()
    result = lifted * deep.choose(x.constant(2.0**-step), 2.0)
    return (x < -(format.bias + format.mantissa + 1) * unit).choose(0.0, result)


def too_large(x: Number, overflow: dict[int, float], result: Number) -> Number:
    """Return infinity from the overflow on and NaN for NaN, elsewhere the result."""
    format = x.format
    first = overflow[format.width]
    last = format.number_of(format.bits_of(first) - 1)
    # overflows just where the result does: the processor's flag is to say so, also where LLVM
    # computes both branches of a choice
    above = x.at_least(last) - last
    beyond = above * 2.0 ** (format.mantissa + 8) * 2.0**format.bias
    return x.not_below(first).choose(beyond, result)


def exp(x: Number) -> Number:
    """Return e to the power of x."""
    bounded = within_bounds(x, LN_2)
    r, _, shifted = reduce(bounded)
    return too_large(x, EXP_OVERFLOW, scale_down(exp_of_reduced(r), shifted, bounded, LN_2))


def within_bounds(x: Number, unit: float) -> Number:
    """Return x, or for a great one a number whose exponential is 0 or too large as well.

    Great and infinite ones would be invalid operands further on.
    """
    bias, mantissa = x.format.bias, x.format.mantissa
    return x.at_least(-(bias + mantissa + 2) * unit).at_most((bias + 2) * unit)


def exp2(x: Number) -> Number:
    """Return 2 to the power of x."""
    width = x.format.width
    bounded = within_bounds(x, 1.0)
    shifted = bounded + x.format.rounder
    fraction = bounded - (shifted - x.format.rounder)
    r = fraction * LN2[width][0]
    lost = fma(fraction, LN2[width][1], fma(fraction, LN2[width][0], -r))
    significand = (beyond_linear(r, lost) + r) + 1.0
    return too_large(x, EXP2_OVERFLOW, scale_down(significand, shifted, bounded, 1.0))


def expm1(x: Number) -> Number:
    """Return ``exp(x) - 1`` without cancellation."""
    format = x.format
    # below, the result is -1 to the last place; 2^n stays a normal number
    bounded = x.at_least(-LN_2 * (format.mantissa + 3)).at_most(LN_2 * (format.bias + 1.01))
    r, lost, shifted = reduce(bounded)
    rest = beyond_linear(r, lost)
    half = power_of_two(shifted, -1)  # 2^n itself may be too large
    result = fma(half, rest, fma(half, r, half - 0.5)) * 2.0
    result = (abs(x) < 2.0 ** -(format.mantissa + 2)).choose(x, result)
    return too_large(x, EXP_OVERFLOW, result)


def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent: a polynomial near 0, else ``1 - 2 / (e^2x + 1)``."""
    width = x.format.width
    size = abs(x)
    small = size.at_most(TANH_NEAR)
    z = small * small
    near = fma(z * small, polynomial(z, TANH[width]), small)
    # above, the result is 1 to the last place
    r, _, shifted = reduce((size + size).at_most(LN_2 * (x.format.mantissa + 4)))
    half = fma(power_of_two(shifted, -1), exp_of_reduced(r), 0.5)
    return (size < TANH_NEAR).choose(near, 1.0 - 1.0 / half).with_sign_of(x)


def expit(x: Number) -> Number:
    """Return the logistic function ``1 / (1 + e^-x)``."""
    e, relative = exp_of_minus_size(x)
    negative = x < 0.0
    denominator = fast_two_sum(x.constant(1.0), e)
    quotient = negative.choose(e, 1.0) / denominator.high
    # what the roundings of the denominator and, where it is the numerator, of e have done
    inverse = negative.choose(1.0 - quotient, quotient)
    correction = fma(-denominator.low, inverse, negative.choose(relative, 0.0))
    result = fma(quotient, correction, quotient)
    return x.is_nan().choose(x, result)


def exp_of_minus_size(x: Number) -> tuple[Number, Number]:
    """Return ``exp(-|x|)`` for x that is no NaN, and the relative error of its rounding."""
    # below, the result is 0
    size = (-abs(x)).at_least(-LN_2 * (x.format.bias + x.format.mantissa + 3))
    r, lost, shifted = reduce(size)
    p, p_low = fast_two_sum(r, beyond_linear(r, lost))
    significand, low = fast_two_sum(x.constant(1.0), p)
    # by a small relative error it does no harm to divide by 1 + r as if that were 1 / (1 - r)
    relative = (low + p_low) * (1.0 - r)
    return scale_down(significand, shifted, size, LN_2), relative


class Halves(NamedTuple):
    """``exp(|x|) = 2^n (1 + r + rest)`` and the powers ``2^(n - 2)`` and ``2^(-n - 2)``."""

    r: Number
    rest: Number
    quarter: Number
    inverse: Number


def halves(x: Number) -> Halves:
    """Return what both ``exp(x)`` and ``exp(-x)`` are made of."""
    format = x.format
    r, lost, shifted = reduce(abs(x).at_most(LN_2 * (format.bias + 2.01)))
    inverse = ((format.bias - 2) - shifted.bits()) << format.mantissa
    # where the inverse would be subnormal it no longer counts
    bounded = inverse.at_least(0).number()
    return Halves(r, beyond_linear(r, lost), power_of_two(shifted, -2), bounded)


def cosh(x: Number) -> Number:
    """Return the hyperbolic cosine."""
    r, rest, quarter, inverse = halves(x)
    significand = (rest + r) + 1.0
    result = fma(quarter, significand, inverse / significand) * 2.0
    return too_large(abs(x), HYPERBOLIC_OVERFLOW, result)


def sinh(x: Number) -> Number:
    """Return the hyperbolic sine."""
    r, rest, quarter, inverse = halves(x)
    p = rest + r
    # 2^n (1 + p) - 2^-n / (1 + p), in which 1 / (1 + p) = 1 - r - rest + p² / (1 + p)
    small = fma(quarter, rest, inverse * (rest - p * p / (p + 1.0)))
    result = (fma(quarter + inverse, r, quarter - inverse) + small) * 2.0
    result = (abs(x) < 2.0 ** -(x.format.mantissa // 2 + 2)).choose(abs(x), result)
    return too_large(abs(x), HYPERBOLIC_OVERFLOW, result).with_sign_of(x)
