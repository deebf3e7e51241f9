"""The error function and its complement.

Near 0 a polynomial in x²; elsewhere ``erfc(x) = exp(-x²) g(t) / (1 + 2x)``, in which g is nearly
constant and ``t = (x - 4) / (x + 4)`` maps the half-line to an interval (after Shepherd and
Laframboise, *Chebyshev approximation of (1 + 2x) exp(x²) erfc x*, 1981).
"""

from __future__ import annotations

from .coefficients import ERF, ERFCX
from .double_double import Double, fast_two_sum, two_product
from .exponential import LN_2, beyond_linear, exp_of_reduced, power_of_two, reduce, scale_down
from .expression import Number, fma, polynomial

ERF_NEAR = 1.0
ERFC_NEAR = 0.5
CENTER = 4.0
# from here on erf is 1 to the last place, and erfc is 0
ERF_SATURATED = {64: 6.0, 32: 4.0}
ERFC_VANISHED = {64: 27.5, 32: 10.5}


def beyond_x(x: Number) -> Number:
    """Return ``erf(x) - x`` for x near 0."""
    return x * polynomial(x * x, ERF[x.format.width])


def _quotients(x: Number) -> tuple[Number, Number, Double]:
    """Return t, ``1 / (1 + 2x)`` and ``1 + 2x``, with one division."""
    above = x + CENTER
    denominator = fast_two_sum(x.constant(1.0), x * 2.0)
    both = 1.0 / (above * denominator.high)
    t = (x - CENTER) * (denominator.high * both)
    return t, above * both, denominator


def erf(x: Number) -> Number:
    """Return the error function."""
    size = abs(x)
    bounded = size.at_most(ERF_SATURATED[x.format.width])
    t, inverse, _ = _quotients(bounded)
    r, _, shifted = reduce(-(bounded * bounded))
    gauss = exp_of_reduced(r) * power_of_two(shifted, 0)
    far = fma(-gauss, inverse * polynomial(t, ERFCX[x.format.width]), 1.0)
    near = size + beyond_x(size.at_most(ERF_NEAR))
    return (size < ERF_NEAR).choose(near, far).with_sign_of(x)


def complement(x: Double, square: Double, factor: float = 1.0) -> Number:
    """Return ``factor erfc(x)`` for x between ``ERFC_NEAR`` and where it has vanished.

    It takes the square as well, so that a function of the square is as accurate.
    """
    t, inverse, denominator = _quotients(x.high)
    r, lost, shifted = reduce(-square.high)
    r, lost = fast_two_sum(r, lost - square.low)
    p, p_low = fast_two_sum(r, beyond_linear(r, lost))
    gauss = fast_two_sum(t.constant(1.0), p)
    gauss_low = gauss.low + p_low
    constant, *slopes = ERFCX[t.format.width]
    g = fast_two_sum(t.constant(constant), t * polynomial(t, slopes))
    top = two_product(gauss.high, g.high)
    top_low = fma(gauss.high, g.low, fma(gauss_low, g.high, top.low))
    quotient = top.high * inverse
    remainder = fma(-quotient, denominator.high, top.high) + top_low
    remainder = fma(-quotient, fma(x.low, 2.0, denominator.low), remainder)
    significand = fma(remainder, inverse, quotient) * factor
    return scale_down(significand, shifted, -square.high, LN_2)


def erfc(x: Number) -> Number:
    """Return the complement of the error function, ``1 - erf(x)``."""
    size = abs(x)
    bounded = size.at_most(ERFC_VANISHED[x.format.width])
    far = complement(Double(bounded, x.constant(0.0)), two_product(bounded, bounded))
    far = (x < 0.0).choose(2.0 - far, far)
    near = (1.0 - x) - beyond_x(x.at_most(ERFC_NEAR).at_least(-ERFC_NEAR))
    return (size < ERFC_NEAR).choose(near, x.is_nan().choose(x, far))
