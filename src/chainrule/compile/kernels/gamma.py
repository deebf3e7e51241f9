"""The logarithm of the gamma function, and its derivative.

Near 2 a polynomial, from 8 on Stirling's formula; arguments between or below are moved to one of
these by the recurrence ``Γ(x + 1) = x Γ(x)``, negative ones by reflection.
"""

from __future__ import annotations

import math

from .expression import Number, fma, polynomial
from .gamma_coefficients import COSPI, GAMMALN, PSI, PSI_NEAR, PSI_ROOT, SINPI, STIRLING
from .logarithm import log

FAR = 8.0
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def _nearest(a: Number) -> Number:
    """Return how far a positive number is from the nearest integer."""
    return a - (a + 0.5).floor()


def _sine(r: Number) -> Number:
    """Return ``sin(π r) / π`` for r up to a half."""
    return r * polynomial(r * r, SINPI[r.format.width])


def _near_two(a: Number) -> tuple[Number, Number, Number]:
    """Return ``log Γ`` of a number near 2, the factor between that and Γ(a), and its sign.

    ``log Γ(a)`` for a up to 8 is the first plus sign times the logarithm of the second.
    """
    low, lower = a < 1.5, a < 0.5
    shift = lower.choose(a.constant(0.0), low.choose(a.constant(1.0), 2.0))
    # the distance from 2 of what stands for a, without rounding
    u = a - shift
    factor = low.choose(lower.choose(fma(a, a, a), a), 1.0)
    for _ in range(6):
        above = u > 0.5
        factor = above.choose(factor * (u + 1.0), factor)
        u = above.choose(u - 1.0, u)
    value = u * (u + 1.0) * polynomial(u, GAMMALN[a.format.width])
    return value, factor, low.choose(a.constant(-1.0), 1.0)


def _gammaln_of_positive(a: Number) -> Number:
    far = a.not_below(FAR)
    value, factor, sign = _near_two(a.at_most(FAR))
    logarithm = log(far.choose(a, factor))
    inverse = 1.0 / a.at_least(FAR)
    rest = inverse * polynomial(inverse * inverse, STIRLING[a.format.width])
    stirling = fma(a - 0.5, logarithm - 1.0, rest + (HALF_LOG_2PI - 0.5))
    return far.choose(stirling, fma(sign, logarithm, value))


def gammaln(x: Number) -> Number:
    """Return the logarithm of the gamma function's magnitude."""
    a = abs(x)
    positive = _gammaln_of_positive(a)
    r = _nearest(a)
    # Γ(-a) Γ(a) = -π / (a sin(π a)), and -1/a² for a small one
    mirrored = -(log(a * abs(_sine(r))) + positive)
    mirrored = r.equals(0.0).choose(math.inf, mirrored)
    mirrored = (a < x.format.tiny * 2.0 ** (x.format.bias // 2)).choose(positive, mirrored)
    result = (x < 0.0).choose(mirrored, positive)
    return a.equals(math.inf).choose(x, result)


def _psi_below_far(a: Number) -> Number:
    """Return ψ of a positive number below ``FAR``."""
    low = a < 1.0
    # with 1/a + 1/(a + 1) + ... as one fraction
    y = low.choose(a + 1.0, a)
    top, bottom = low.choose(a.constant(-1.0), 0.0), low.choose(a, 1.0)
    for _ in range(6):
        above = y > 2.0
        y = above.choose(y - 1.0, y)
        top = above.choose(fma(top, y, bottom), top)
        bottom = above.choose(bottom * y, bottom)
    high, lower = PSI_ROOT[a.format.width]
    # 1 is exact beside the root, but not beside a
    u = low.choose(a - (high - 1.0), y - high) - lower
    return fma(u, polynomial(u, PSI_NEAR[a.format.width]), top / bottom)


def psi(x: Number) -> Number:
    """Return the derivative of ``gammaln``."""
    width = x.format.width
    a = abs(x)
    great = a.at_least(FAR)
    inverse = 1.0 / great
    z = inverse * inverse
    rest = fma(z, polynomial(z, PSI[width]), inverse * 0.5)
    positive = (a < FAR).choose(_psi_below_far(a.at_most(FAR)), log(great) - rest)
    # ψ(-a) = ψ(a) + 1/a + π cot(π a)
    r = _nearest(a)
    whole = r.equals(0.0)
    cotangent = polynomial(r * r, COSPI[width]) / whole.choose(1.0, _sine(r))
    mirrored = whole.choose(math.nan, positive + (1.0 / a.at_least(x.format.tiny) + cotangent))
    tiny = a < 2.0 ** -(x.format.mantissa + 4)
    # the leading term alone, so that nothing cancels
    result = tiny.choose(-1.0 / x, (x < 0.0).choose(mirrored, positive))
    return x.equals(math.inf).choose(x, result)
