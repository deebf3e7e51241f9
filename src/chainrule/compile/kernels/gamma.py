"""The logarithm of the gamma function, and its derivatives.

Near 2 a polynomial, from 8 or 4 on Stirling's formula; arguments between or below are moved to one
of these by the recurrence ``Γ(x + 1) = x Γ(x)``, negative ones by reflection.
"""

from __future__ import annotations

import math

from .double_double import Double, fast_two_sum, two_product, two_sum
from .expression import Condition, Number, fma, polynomial
from .gamma_coefficients import (
    COSPI,
    GAMMALN,
    PSI,
    PSI_NEAR,
    PSI_NEAR_0,
    PSI_ROOT,
    SINPI,
    STIRLING,
    TRIGAMMA,
    TRIGAMMA_NEAR,
    TRIGAMMA_NEAR_0,
)
from .logarithm import decompose, log, natural

FAR = 8.0
PSI_FAR = 4.0
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


def _psi_near(a: Number) -> Number:
    """Return ψ of a positive number below ``PSI_FAR``, to the last place near its root as well."""
    width = a.format.width
    low, high = a < 1.0, a > 3.0
    # ψ(y) with y between 1 and 3 on the one hand, ∓1/d on the other
    d = low.choose(-a, high.choose(a - 1.0, 1.0))
    v = a - low.choose(a.constant(1.0), high.choose(a.constant(3.0), 2.0))
    root, root_low = PSI_ROOT[width]
    # 1 is exact beside the root, but not beside a
    distance = high.choose(a - 1.0, a) - low.choose(a.constant(root - 1.0), root)
    u = fast_two_sum(distance, a.constant(-root_low))
    first, first_low = PSI_NEAR_0[width]
    slope = fast_two_sum(a.constant(first), v * polynomial(v, PSI_NEAR[width]))
    product = two_product(u.high, slope.high)
    rest = fma(u.high, slope.low + first_low, fma(u.low, slope.high, product.low))
    one = (low | high).choose(a.constant(1.0), 0.0)
    fraction = one / d
    rest = rest + fma(-fraction, d, one) * fraction
    total = two_sum(fraction, product.high)
    return total.high + (total.low + rest)


def psi(x: Number) -> Number:
    """Return the derivative of ``gammaln``."""
    width = x.format.width
    a = abs(x)
    great = a.at_least(PSI_FAR)
    inverse = 1.0 / great
    z = inverse * inverse
    rest = fma(z, polynomial(z, PSI[width]), inverse * 0.5)
    k, f, _ = decompose(great)
    far = natural(k, f, -rest)
    tiny = a < 2.0 ** -(x.format.mantissa + 4)
    near = _psi_near(tiny.choose(1.0, a).at_most(PSI_FAR))
    positive = (a < PSI_FAR).choose(near, far)
    # ψ(-a) = ψ(a) + 1/a + π cot(π a)
    r = _nearest(a)
    whole = r.equals(0.0)
    cotangent = polynomial(r * r, COSPI[width]) / whole.choose(1.0, _sine(r))
    mirrored = whole.choose(math.nan, positive + (1.0 / a.at_least(x.format.tiny) + cotangent))
    # the leading term alone, so that nothing cancels
    result = tiny.choose(-1.0 / x, (x < 0.0).choose(mirrored, positive))
    return x.equals(math.inf).choose(x, result)


def _inverse_square(a: Number, tiny: Condition) -> Double:
    """Return ``1 / a²``, in two parts unless it is tiny."""
    square = two_product(a, a)
    inverse = 1.0 / square.high
    bounded, ordinary = tiny.choose(1.0, inverse), tiny.choose(1.0, square.high)
    lost = fma(-bounded, ordinary, 1.0) - bounded * square.low
    return Double(inverse, lost * bounded)


def trigamma(x: Number) -> Number:
    """Return the derivative of ``psi``."""
    width = x.format.width
    size = abs(x)
    negative = x < 0.0
    great = size.at_least(PSI_FAR)
    inverse = 1.0 / great
    z = inverse * inverse
    far = fma(z, fma(inverse, polynomial(z, TRIGAMMA[width]), 0.5), inverse)
    a = size.at_most(2.0 ** (x.format.mantissa + 1))
    low, high, is_near = a < 1.0, a.not_below(3.0), a < PSI_FAR
    v = a.at_most(PSI_FAR) - low.choose(a.constant(1.0), high.choose(a.constant(3.0), 2.0))
    first, first_low = TRIGAMMA_NEAR_0[width]
    near = fast_two_sum(a.constant(first), v * polynomial(v, TRIGAMMA_NEAR[width]))  # ψ'(3 + v)
    following = a + 1.0
    rest = low.choose(1.0 / (following * following), 0.0) + (near.low + first_low)
    tiny = a < 2.0 ** -(x.format.mantissa // 2 + 4)
    leading = _inverse_square(a, tiny)
    # near lacks 1/a² below 3; the reflection is by ψ'(1 + a), which lacks it everywhere
    lacking = negative.choose(high.choose(a.constant(-1.0), 0.0), high.choose(a.constant(0.0), 1.0))
    rest = fma(lacking, tiny.choose(0.0, leading.low), is_near.choose(rest, 0.0))
    total = fma(lacking, tiny.choose(0.0, leading.high), is_near.choose(near.high, far) + rest)
    # ψ'(-a) = π² / sin²(π a) - ψ'(1 + a)
    sine = _sine(tiny.choose(0.5, _nearest(a)))
    mirrored = 1.0 / (sine * sine) - total
    return tiny.choose(leading.high, negative.choose(mirrored, total))
