"""Functions of statistics, and simple ones of two operands."""

from __future__ import annotations

import math

from .coefficients import SQRT_HALF
from .double_double import Double, fast_two_sum, two_product
from .error_function import beyond_x, complement
from .exponential import LN_2, beyond_linear, reduce, scale_down
from .expression import Number, fma, polynomial
from .gamma_coefficients import ERFCX_ANYWHERE
from .logarithm import log, log1p, log1p_of_sum

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


def _erf_near(root: Double) -> Number:
    """Return the error function of a number up to a half."""
    small = root.high.at_most(0.51)
    return small + (beyond_x(small) + root.low)


def ndtr(x: Number) -> Number:
    """Return the distribution function of the normal distribution."""
    width = x.format.width
    size = abs(x).at_most(NDTR_VANISHED[width])
    root = _root(size)
    square = two_product(size * 0.5, size)
    far = complement(root, square, 0.5)
    far = (x > 0.0).choose(1.0 - far, far)
    near = fma(_erf_near(root).with_sign_of(x), 0.5, 0.5)
    return (size < NDTR_NEAR).choose(near, x.is_nan().choose(x, far))


def log_ndtr(x: Number) -> Number:
    """Return the logarithm of ``ndtr(x)``, without its vanishing.

    With ``c = ndtr(-|x|) = exp(-x²/2) h`` it is ``-x²/2 + log(h)`` below 0, else ``log(1 - c)``.
    """
    format = x.format
    size = abs(x)
    # beyond, above 0 the result is 0, and below the square is all there is to it
    ends = NDTR_VANISHED[format.width], 2.0 ** (format.mantissa + 8)
    end = (x > 0.0).choose(x.constant(ends[0]), ends[1])
    root = (size > end).choose(end, size) * SQRT_HALF[format.width][0]
    t = (root - 4.0) / (root + 4.0)
    h = polynomial(t, ERFCX_ANYWHERE[format.width]) / fma(root, 4.0, 2.0)
    bounded = size.at_most(NDTR_VANISHED[format.width])
    square = two_product(bounded * 0.5, bounded)
    r, lost, shifted = reduce(-square.high)
    r, lost = fast_two_sum(r, lost - square.low)
    significand = (beyond_linear(r, lost) + r) + 1.0
    c = scale_down(significand * h, shifted, -square.high, LN_2)
    near = size < NDTR_NEAR
    c_near = fma(_erf_near(_root(bounded)), -0.5, 0.5)
    half = (near | (x > 0.0)).choose(0.0, x * -0.5)
    below = fma(half, x, log(near.choose(c_near, h)))
    c = near.choose(c_near, c)
    above = log1p(-c)
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
