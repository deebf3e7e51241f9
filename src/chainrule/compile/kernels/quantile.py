"""Inverses of the error function and of the normal distribution.

Around the middle a polynomial. Towards the ends, where p is left, ``s - D`` with
``s = √(-2 log p)``, as in Wichura, *Applied Statistics* 37, 1988, and with a D that varies little,
a polynomial in ``t = (s - c) / (s + c)``.
"""

from __future__ import annotations

import math

from .coefficients import Table
from .double_double import fast_two_sum
from .expression import Number, fma, polynomial
from .logarithm import log_as_sum
from .quantile_coefficients import (
    ERFINV,
    ERFINV_0,
    ERFINV_TAIL,
    ERFINV_TAIL_0,
    NDTRI,
    NDTRI_0,
    NDTRI_TAIL,
    NDTRI_TAIL_0,
)

ERFINV_NEAR = 0.75
NDTRI_NEAR = 0.375  # of the probability, from a half
# by how much a result grows with s, nearly, where the tail begins
SLOPE = 1.15


def _near(u: Number, constant: Table, slopes: Table) -> Number:
    """Return the quantile of a number near the middle."""
    z = u * u
    first, first_low = constant[u.format.width]
    return fma(u, first, u * fma(z, polynomial(z, slopes[u.format.width]), first_low))


def _tail(p: Number, factor: float, center: float, constant: Table, slopes: Table) -> Number:
    """Return the quantile, without its sign, where p is left; ``s² = -factor log p``."""
    logarithm = log_as_sum(p)
    square = logarithm.high * -factor
    s = square.sqrt()
    twice_lost = fma(-s, s, square) - logarithm.low * factor
    t = (s - center) / (s + center)
    first, first_low = constant[p.format.width]
    beyond = fast_two_sum(s, p.constant(-first))
    rest = fma(t, polynomial(t, slopes[p.format.width]), first_low)
    low = fma(twice_lost / s, 0.5 * SLOPE, beyond.low)
    return beyond.high - (rest - low)


def erfinv(x: Number) -> Number:
    """Return the inverse of the error function."""
    size = abs(x)
    near = _near(size.at_most(ERFINV_NEAR), ERFINV_0, ERFINV)
    inside = size < 1.0
    left = inside.choose(1.0 - size, 0.25).at_most(1.0 - ERFINV_NEAR)
    far = _tail(left, 1.0, 2.0, ERFINV_TAIL_0, ERFINV_TAIL)
    far = inside.choose(far, size.equals(1.0).choose(x.constant(math.inf), math.nan))
    return (size < ERFINV_NEAR).choose(near, far).with_sign_of(x + 0.0)  # 0 is positive, as SciPy's


def ndtri(p: Number) -> Number:
    """Return the inverse of the normal distribution's function."""
    u = fast_two_sum(p.constant(-0.5), p.at_least(0.0).at_most(1.0))
    # dx/dp is about 4 where p - ½ is not exact
    near = fma(u.low, 4.0, _near(u.high, NDTRI_0, NDTRI))
    upper = p > 0.5
    left = upper.choose(1.0 - p, p)
    inside = left > 0.0
    far = _tail(inside.choose(left, 0.125).at_most(0.5), 2.0, 8.0, NDTRI_TAIL_0, NDTRI_TAIL)
    far = inside.choose(far, left.equals(0.0).choose(p.constant(math.inf), math.nan))
    return (abs(u.high) < NDTRI_NEAR).choose(near, upper.choose(far, -far))
