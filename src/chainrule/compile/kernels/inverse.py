"""Inverses of circular and hyperbolic functions."""

from __future__ import annotations

import math
from typing import NamedTuple

from .coefficients import ARCSIN, ARCTAN, HALF_PI
from .double_double import Double, fast_two_sum, two_product, two_sum
from .exponential import LN_2
from .expression import Condition, Number, fma, polynomial
from .logarithm import log1p, log1p_of_sum

TAN_EIGHTH_PI = math.sqrt(2.0) - 1.0


def _arctan_of_quotient(numerator: Number, denominator: Number) -> Double:
    """Return ``arctan(numerator / denominator)`` of positive numbers.

    The quotient t is brought below tan(π/8): arctan(t) = π/4 + arctan((t - 1) / (t + 1)), and
    where the numerator is the greater, the angle is taken from π/2.
    """
    width = numerator.format.width
    steep = numerator > denominator
    small = steep.choose(denominator, numerator)
    great = steep.choose(numerator, denominator)
    turned = small > great * TAN_EIGHTH_PI
    total = fast_two_sum(great, small)
    top = turned.choose(small - great, small)
    bottom = turned.choose(total.high, great)
    inverse = 1.0 / bottom
    t = top * inverse
    remainder = fma(-t, turned.choose(total.low, 0.0), fma(-t, bottom, top))
    z = t * t
    rest = fma(z * t, polynomial(z, ARCTAN[width]), remainder * inverse)
    # base + sign (t + rest), with the base 0, π/4 or π/2
    sign = steep.choose(t.constant(-1.0), 1.0)
    quarters = turned.choose(t.constant(0.5), steep.choose(t.constant(1.0), 0.0))
    high, low = two_sum(quarters * HALF_PI[width][0], t * sign)
    return Double(high, low + fma(rest, sign, quarters * HALF_PI[width][1]))


def arctan(x: Number) -> Number:
    """Return the inverse tangent."""
    size = abs(x)
    bounded = size.at_most(2.0 ** (x.format.mantissa + 4))
    angle = _arctan_of_quotient(bounded, x.constant(1.0))
    return (angle.high + angle.low).with_sign_of(x)


def _scaled_pair(a: Number, b: Number) -> tuple[Number, Number]:
    """Return two positive numbers of the same quotient that neither overflow nor vanish."""
    a_infinite, b_infinite = a.equals(math.inf), b.equals(math.inf)
    either = a_infinite | b_infinite
    a = either.choose(a_infinite.choose(a.constant(1.0), 0.0), a)
    b = either.choose(b_infinite.choose(b.constant(1.0), 0.0), b)
    great = (a > b).choose(a, b)
    step = 2.0 ** (a.format.bias // 2)
    factor = (great > step).choose(a.constant(1.0 / step), 1.0)
    factor = (great < 1.0 / step).choose(step, factor)
    return a * factor, great.equals(0.0).choose(1.0, b * factor)


def arctan2(y: Number, x: Number) -> Number:
    """Return the angle of the point (x, y)."""
    angle = _arctan_of_quotient(*_scaled_pair(abs(y), abs(x)))
    pi, pi_low = (2.0 * part for part in HALF_PI[x.format.width][:2])
    left = two_sum(x.constant(pi), -angle.high)
    behind = left.high + (left.low + (pi_low - angle.low))
    # the sign bit also tells -0.0 from 0.0
    is_left = x.constant(1.0).with_sign_of(x) < 0.0
    result = is_left.choose(behind, angle.high + angle.low).with_sign_of(y)
    return (x.is_nan() | y.is_nan()).choose(math.nan, result)


class Arcsine(NamedTuple):
    """``arcsin(|x|)`` near 0, else half of ``π/2 - arcsin(|x|)``, as ``root + rest``."""

    near: Condition
    root: Number
    rest: Number


def _arcsine(x: Number) -> Arcsine:
    size = abs(x)
    near = size < 0.5
    z = near.choose(size * size, fma(size, -0.5, 0.5))
    root = near.choose(size, z.sqrt())
    return Arcsine(near, root, (root * z) * polynomial(z, ARCSIN[x.format.width]))


def arcsin(x: Number) -> Number:
    """Return the inverse sine."""
    near, root, rest = _arcsine(x)
    half_pi, low = HALF_PI[x.format.width][:2]
    high, error = fast_two_sum(x.constant(half_pi), root * -2.0)
    far = high + (error + fma(rest, -2.0, low))
    return near.choose(root + rest, far).with_sign_of(x)


def arccos(x: Number) -> Number:
    """Return the inverse cosine."""
    near, root, rest = _arcsine(x)
    half_pi, half_pi_low = HALF_PI[x.format.width][:2]
    negative = x < 0.0
    # near 0: π/2 - arcsin(x); else 2 arcsin(√((1 - |x|) / 2)), for negative x taken from π
    factor = near.choose(x.constant(-1.0).with_sign_of(-x), negative.choose(x.constant(-2.0), 2.0))
    quarters = near.choose(x.constant(1.0), negative.choose(x.constant(2.0), 0.0))
    high, error = fast_two_sum(quarters * half_pi, root * factor)
    return high + (error + fma(rest, factor, quarters * half_pi_low))


def arcsinh(x: Number) -> Number:
    """Return the inverse hyperbolic sine."""
    size = abs(x)
    limit = 2.0 ** (x.format.mantissa + 2)
    great = size > limit  # beyond, 1 + x² is x² to the last place
    bounded = size.at_most(limit)
    square = bounded * bounded
    argument = bounded + square / (1.0 + (square + 1.0).sqrt())
    result = log1p(great.choose(size, argument)) + great.choose(x.constant(LN_2), 0.0)
    return result.with_sign_of(x)


def arccosh(x: Number) -> Number:
    """Return the inverse hyperbolic cosine."""
    limit = 2.0 ** (x.format.mantissa + 2)
    great = x > limit
    above = x.at_most(limit) - 1.0
    square = two_product(above, above)
    inside = two_sum(above * 2.0, square.high)
    root = inside.high.sqrt()
    lost = fma(-root, root, inside.high) + (inside.low + square.low)
    argument = fast_two_sum(root, above)
    # at x = 1 nothing is lost, and nothing may be divided by the root
    low = fma(lost, 0.5 / root.at_least(x.format.tiny), argument.low)
    high = great.choose(x, argument.high)
    result = log1p_of_sum(high, great.choose(0.0, low)) + great.choose(x.constant(LN_2), 0.0)
    return (x < 1.0).choose(math.nan, result)
