"""Functions of statistics, and simple ones of two operands."""

from __future__ import annotations

import math

from .coefficients import SQRT_HALF
from .double_double import Double, fast_two_sum, two_product
from .error_function import beyond_x, complement
from .exponential import LN_2, beyond_linear, reduce, scale_down
from .expression import Number, fma, polynomial
from .gamma_coefficients import ERFCX_ANYWHERE, ERFCX_ANYWHERE_0
from .logarithm import decompose, log, log1p, log1p_of_sum, natural

NDTR_NEAR = 0.708  # times √½ is just within reach of the approximation beyond
# from here on the distribution is 0 at the one end and 1 at the other
NDTR_VANISHED = {64: 38.6, 32: 14.3}


def xlogy(x: Number, y: Number) -> Number:
    """Return ``x log(y)``, which is 0 where x is 0."""
    nothing = x.equals(0.0) & y.equals(y)
    # an infinite logarithm times 0 would raise a flag
    return nothing.choose(0.0, x * log(nothing.choose(1.0, y)))


def xlog1py(x: Number, y: Number) -> Number:
    """Return ``x log(1 + y)``, which is 0 where x is 0."""
    nothing = x.equals(0.0) & y.equals(y)
    return nothing.choose(0.0, x * log1p(nothing.choose(0.0, y)))


def entr(x: Number) -> Number:
    """Return ``-x log(x)``, 0 where x is 0, and -inf below."""
    result = -(x * log(x.at_least(0.0).equals(0.0).choose(1.0, x)))
    return (x < 0.0).choose(-math.inf, x.equals(0.0).choose(0.0, result))


def logit(x: Number) -> Number:
    """Return ``log(x / (1 - x))``, as ``∓log(1 + (1 - 2t) / t)`` with t the smaller of both."""
    format = x.format
    above = x > 0.5
    t = above.choose(1.0 - x, x)
    top = fast_two_sum(x.constant(1.0), t * -2.0)
    step = format.mantissa + 2
    # a very small number is made greater: else its inverse would overflow
    tiny = t < format.tiny * 2.0**step
    inside = t > 0.0
    bottom = inside.choose(t * tiny.choose(x.constant(2.0**step), 1.0), 1.0)
    quotient = top.high / bottom
    remainder = tiny.choose(0.0, fma(-quotient, bottom, top.high) + top.low)
    size = log1p_of_sum(quotient, remainder / bottom) + tiny.choose(x.constant(step * LN_2), 0.0)
    size = inside.choose(size, t.equals(0.0).choose(x.constant(math.inf), math.nan))
    return above.choose(size, -size)


def _root(size: Number) -> Double:
    """Return a number times √½."""
    high, low = SQRT_HALF[size.format.width]
    product = two_product(size, high)
    return Double(product.high, fma(size, low, product.low))


def _erf_near(root: Double) -> Double:
    """Return the error function of a number up to a half."""
    small = root.high.at_most(0.51)
    return fast_two_sum(small, beyond_x(small) + root.low)


def ndtr(x: Number) -> Number:
    """Return the distribution function of the normal distribution."""
    width = x.format.width
    size = abs(x).at_most(NDTR_VANISHED[width])
    root = _root(size)
    square = two_product(size * 0.5, size)
    far = complement(root, square, 0.5)
    far = (x > 0.0).choose(1.0 - far, far)
    near = fma(_erf_near(root).high.with_sign_of(x), 0.5, 0.5)
    return (size < NDTR_NEAR).choose(near, x.is_nan().choose(x, far))


def _scaled(root: Double) -> Double:
    """Return ``exp(x²) erfc(x) / 2`` of a positive number of any size."""
    x, width = root.high, root.high.format.width
    above = x + 4.0
    denominator = fast_two_sum(x.constant(2.0), x * 4.0)
    both = 1.0 / (above * denominator.high)
    t = (x - 4.0) * (denominator.high * both)
    first, first_low = ERFCX_ANYWHERE_0[width]
    g = fast_two_sum(x.constant(first), t * polynomial(t, ERFCX_ANYWHERE[width]))
    inverse = above * both
    quotient = g.high * inverse
    remainder = fma(-quotient, denominator.high, g.high) + (g.low + first_low)
    remainder = fma(-quotient, fma(root.low, 4.0, denominator.low), remainder)
    return fast_two_sum(quotient, remainder * inverse)


def _gauss(size: Number, h: Double) -> Double:
    """Return ``exp(-x²/2) h``."""
    square = two_product(size * 0.5, size)
    r, lost, shifted = reduce(-square.high)
    r, lost = fast_two_sum(r, lost - square.low)
    p, p_low = fast_two_sum(r, beyond_linear(r, lost))
    bell = fast_two_sum(size.constant(1.0), p)
    product = two_product(bell.high, h.high)
    low = fma(bell.high, h.low, fma(bell.low + p_low, h.high, product.low))
    significand = fast_two_sum(product.high, low)
    high = scale_down(significand.high, shifted, -square.high, LN_2)
    exponent = (shifted.bits() + size.format.bias) << size.format.mantissa
    # the power of 2, or 0 where the low part no longer counts
    unit = exponent.at_least(0).number()
    return Double(high, significand.low * unit)


def log_ndtr(x: Number) -> Number:
    """Return the logarithm of ``ndtr(x)``, without its vanishing.

    With ``c = ndtr(-|x|) = exp(-x²/2) h`` it is ``-x²/2 + log(h)`` below 0, else ``log(1 - c)``.
    All are carried along in two parts.
    """
    format = x.format
    size = abs(x)
    # beyond, above 0 the result is 0, and below the square is all there is to it
    ends = NDTR_VANISHED[format.width], 2.0 ** (format.mantissa + 8)
    end = (x > 0.0).choose(x.constant(ends[0]), ends[1])
    size = (size > end).choose(end, size)
    h = _scaled(_root(size))
    bounded = size.at_most(NDTR_VANISHED[format.width])
    erf = _erf_near(_root(bounded))
    half = fast_two_sum(x.constant(0.5), erf.high * -0.5)
    near = size < NDTR_NEAR
    c, c_far = Double(half.high, fma(erf.low, -0.5, half.low)), _gauss(bounded, h)
    c_far = Double(near.choose(c.high, c_far.high), near.choose(c.low, c_far.low))
    above = log1p_of_sum(-c_far.high, -c_far.low)
    value, low = near.choose(c.high, h.high), near.choose(c.low, h.low)
    k, f, biased = decompose(value)
    inverse = ((2 * format.bias - biased) << format.mantissa).number()
    exponent = (near | (x > 0.0)).choose(0.0, x * -0.5)
    below = fma(exponent, x, natural(k, f, low * inverse))
    return (x > 0.0).choose(above, below)


def hypot(x: Number, y: Number) -> Number:
    """Return the length of the vector (x, y)."""
    a, b = abs(x), abs(y)
    great = (a > b).choose(a, b)
    step = 2.0 ** (x.format.bias // 2 - 10)
    large, small = great > step, great < 1.0 / step
    # by a power of 2, so that squares neither overflow nor vanish; the largest numbers by two
    down, up = 1.0 / (step * 2.0**24), step * 2.0**24
    factor = large.choose(x.constant(down), small.choose(x.constant(up), 1.0))
    a, b = a * factor, b * factor
    length = fma(a, a, b * b).sqrt()
    result = length * large.choose(x.constant(up), small.choose(x.constant(down), 1.0))
    infinite = a.equals(math.inf) | b.equals(math.inf)
    return infinite.choose(math.inf, result)


def copysign(x: Number, y: Number) -> Number:
    """Return x with the sign of y."""
    return x.with_sign_of(y)


def heaviside(x: Number, y: Number) -> Number:
    """Return 0 for negative, 1 for positive x, and y at 0."""
    step = (x < 0.0).choose(0.0, (x > 0.0).choose(1.0, x))
    return x.equals(0.0).choose(y, step)
