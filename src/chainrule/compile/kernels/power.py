"""Functions of two operands.

A power is ``exp(y log(x))``. As the exponential makes a relative error of an absolute one, the
logarithm and the product are computed as sums of two numbers, to about 12 bits beyond the format.
"""

from __future__ import annotations

import math

from .coefficients import LN2, LOG_TAIL, TWO_THIRDS
from .double_double import (
    Double,
    double_constant,
    fast_two_sum,
    plus,
    times,
    two_product,
)
from .exponential import (
    EXP_OVERFLOW,
    LN_2,
    beyond_linear,
    exp_of_reduced,
    power_of_two,
    scale_down,
    too_large,
    within_bounds,
)
from .exponential import reduce as reduce_exponent
from .expression import Condition, Number, fma, polynomial
from .logarithm import decompose, decompose_any, log1p, natural


def _quotient(f: Number) -> Double:
    """Return ``f / (2 + f)``."""
    high, low = fast_two_sum(f.constant(2.0), f)
    inverse = 1.0 / high
    quotient = f * inverse
    remainder = fma(-quotient, low, fma(-quotient, high, f))
    return Double(quotient, remainder * inverse)


def log_double(x: Number) -> Double:
    """Return ``log(x)`` of a positive number."""
    width = x.format.width
    k, f, _ = decompose_any(x)
    s = _quotient(f)
    z = times(s, s)
    # 2 artanh(s) = 2 s + s z (2/3 + z T(z))
    leading = double_constant(f, TWO_THIRDS[width])
    factor, rounding = fast_two_sum(leading.high, z.high * polynomial(z.high, LOG_TAIL[width]))
    cubic = times(s, times(z, Double(factor, rounding + leading.low)))
    fraction = plus(Double(s.high * 2.0, s.low * 2.0), cubic)
    whole = two_product(k, LN2[width][0])
    return plus(Double(whole.high, fma(k, LN2[width][1], whole.low)), fraction)


def _magnitude(x: Number, y: Number) -> Number:
    """Return x to the power of y for positive x, 0 and infinity."""
    logarithm = log_double(x)
    extreme = x.equals(0.0).choose(-math.inf, logarithm.high)
    extreme = x.equals(math.inf).choose(math.inf, extreme)
    product = y * extreme
    error = fma(y, logarithm.low, fma(y, logarithm.high, -product))
    bounded = within_bounds(product, LN_2)
    r, lost, shifted = reduce_exponent(bounded)
    r, lost = fast_two_sum(r, lost + error)
    significand = (beyond_linear(r, lost) + r) + 1.0
    return too_large(product, EXP_OVERFLOW, scale_down(significand, shifted, bounded, LN_2))


def _magnitude_by_double(x: Number, y: Number) -> Number:
    """Return the same for single precision: double precision has bits enough to spare."""
    k, f, _ = decompose(x.as_double())
    logarithm = x.equals(0.0).choose(-math.inf, natural(k, f))
    logarithm = x.equals(math.inf).choose(math.inf, logarithm)
    # beyond these bounds the result is 0 or infinity
    product = (y.as_double() * logarithm).at_most(200.0).at_least(-200.0)
    r, _, shifted = reduce_exponent(product)
    return (exp_of_reduced(r) * power_of_two(shifted, 0)).as_single()


def _parity(y: Number) -> tuple[Condition, Condition]:
    """Return whether y is no integer, and whether it is an odd one."""
    fractional = y.floor().differs_from(y)
    half = y * 0.5
    return fractional, half.floor().differs_from(half) & y.floor().equals(y)


def pow(x: Number, y: Number) -> Number:
    """Return x to the power of y, with the special cases of IEEE 754."""
    size = abs(x)
    magnitude = _magnitude if x.format.width == 64 else _magnitude_by_double
    result = magnitude(size, y)
    result = size.equals(1.0).choose(1.0, result)
    fractional, odd = _parity(y)
    result = odd.choose(result.with_sign_of(x), result)
    # a finite negative number has no real power but the integer ones
    result = ((x < 0.0) & (x > -math.inf) & fractional).choose(math.nan, result)
    result = (x.is_nan() | y.is_nan()).choose(math.nan, result)
    return (x.equals(1.0) | y.equals(0.0)).choose(1.0, result)


def logaddexp(x: Number, y: Number) -> Number:
    """Return ``log(e^x + e^y)``."""
    distance = within_bounds(-abs(x - y), LN_2)
    r, lost, shifted = reduce_exponent(distance)
    e = scale_down((beyond_linear(r, lost) + r) + 1.0, shifted, distance, LN_2)
    larger = (x > y).choose(x, y)
    result = larger + log1p(e)
    result = x.equals(y).choose(x + LN_2, result)  # also where both are infinite
    return (x.is_nan() | y.is_nan()).choose(math.nan, result)
