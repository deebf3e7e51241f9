"""Circular functions and their inverses.

``x = n π/2 + r`` with ``|r| <= π/4``: Cody and Waite's reduction with π/2 in four parts. By fused
multiply-add the first step is exact, so the reduction holds for far greater arguments than the
classical one; beyond ``REDUCIBLE`` the result is NaN, and the caller has to take another way.
"""

from __future__ import annotations

from typing import NamedTuple

from .coefficients import COS, HALF_PI, SIN, TWO_OVER_PI
from .double_double import Double, fast_two_sum, two_product, two_sum
from .expression import Bits, Condition, Number, fma, polynomial

# to here in magnitude the reduction is accurate
REDUCIBLE = {64: 2.0**40, 32: 2.0**20}


class Reduced(NamedTuple):
    """``x = n π/2 + r + lost``; ``n`` counts in the low bits."""

    r: Number
    lost: Number
    n: Bits


def reduce(x: Number) -> Reduced:
    """Take multiples of π/2 away from x, up to ``REDUCIBLE``."""
    width, rounder = x.format.width, x.format.rounder
    first, second, third, fourth = HALF_PI[width]
    shifted = fma(x, TWO_OVER_PI[width][0], rounder)
    minus_n = rounder - shifted
    # exact, because the product is a multiple of the last place of the difference
    start = fma(minus_n, first, x)
    product, error = two_product(minus_n, second)
    high, low = two_sum(start, product)
    r, lost = fast_two_sum(high, fma(minus_n, third, low + error))
    lost = fma(minus_n, fourth, lost)
    return Reduced(r, lost, shifted.bits())


def sine_of_reduced(r: Number, lost: Number) -> Double:
    """Return ``sin(r + lost)``."""
    z = r * r
    # the derivative by the lost part, 1 - z/2, keeps the sum right where r is large
    correction = fma(lost * z, -0.5, lost)
    return fast_two_sum(r, fma(z * r, polynomial(z, SIN[r.format.width]), correction))


def cosine_of_reduced(r: Number, lost: Number) -> Double:
    """Return ``cos(r + lost)``."""
    z = r * r
    leading, rounding = fast_two_sum(r.constant(1.0), z * -0.5)
    square_error = fma(r, r, -z) * -0.5
    rest = fma(z * z, polynomial(z, COS[r.format.width]), rounding + square_error)
    return fast_two_sum(leading, fma(-r, lost, rest))


def _sign(n: Bits) -> Bits:
    """Return the sign bit where the second lowest bit of n is set."""
    return (n >> 1) << (n.format.width - 1)


def _is_odd(n: Bits) -> Condition:
    return (n & 1).differs_from(0)


def _within_reach(x: Number, result: Number) -> Number:
    # NaN for infinity, as it must be, and for what the reduction cannot do
    return (abs(x) > REDUCIBLE[x.format.width]).choose(float("nan"), result)


def sin(x: Number) -> Number:
    """Return the sine."""
    r, lost, n = reduce(x)
    size = _is_odd(n).choose(cosine_of_reduced(r, lost).high, sine_of_reduced(r, lost).high)
    result = (size.bits() ^ _sign(n)).number()
    return _within_reach(x, x.equals(0.0).choose(x, result))


def cos(x: Number) -> Number:
    """Return the cosine."""
    r, lost, n = reduce(x)
    size = _is_odd(n).choose(sine_of_reduced(r, lost).high, cosine_of_reduced(r, lost).high)
    return _within_reach(x, (size.bits() ^ _sign(n + 1)).number())


def tan(x: Number) -> Number:
    """Return the tangent, ``sin(r) / cos(r)`` or ``-cos(r) / sin(r)``."""
    r, lost, n = reduce(x)
    sine, cosine = sine_of_reduced(r, lost), cosine_of_reduced(r, lost)
    odd = _is_odd(n)
    quotient = odd.choose(-cosine.high, sine.high) / odd.choose(sine.high, cosine.high)
    # what the rounding of both has done to it; 2 - cos(r) is near 1 / cos(r)
    remainder = fma(quotient, odd.choose(sine.low, -cosine.low), odd.choose(cosine.low, sine.low))
    near = (2.0 - cosine.high) * odd.choose(quotient, 1.0)
    result = fma(remainder, near, quotient)
    return _within_reach(x, x.equals(0.0).choose(x, result))
