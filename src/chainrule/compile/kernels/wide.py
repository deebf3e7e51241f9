"""Math functions over whole vectors of AVX-512, which are about twice as fast as those in general.

The processor holds tables of 16 numbers in registers, so arguments are reduced to a sixteenth as
far and polynomials are short. It scales by powers of 2 and takes numbers apart in one instruction,
also where they are subnormal, overflow or vanish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .coefficients import EXP_16, EXPM1_16, EXPM1_16_UP, LN2, LOG2_E, LOG_16, Table
from .expression import Bits, Number, fma, polynomial
from .tables import (
    EXP2_16,
    EXP2_16_REST,
    INVERSE_16,
    INVERSE_16_LOG,
    INVERSE_16_UP,
    INVERSE_16_UP_LOG,
    SHORT_LN2,
)
from .vector import (
    INFINITY,
    INVALID,
    MINUS_INFINITY,
    QUIET,
    element_of,
    exponent_of,
    fma_down,
    repaired,
    scaled,
    significand_of,
)

LN_2 = math.log(2.0)


class Reduced(NamedTuple):
    """``x = k ln 2 + r``, in which k is a multiple of 1/16.

    The lowest four bits of ``shifted`` tell k's fraction, those above its whole part.
    """

    r: Number
    k: Number
    shifted: Bits


def reduced(x: Number, shifted: Number, factor: float = 1.0) -> Reduced:
    """Take multiples of ln(2) / 16 away from x; factor x is taken for x, but not in r."""
    width = x.format.width
    k = shifted - x.format.rounder / 16.0
    r = fma(-k, LN2[width][0] / factor, x)
    return Reduced(fma(-k, LN2[width][1] / factor, r), k, shifted.bits())


def exp(x: Number) -> Number:
    """Return e to the power of x."""
    format = x.format
    # beyond these bounds the result is infinite or 0
    bounded = x.at_most((format.bias + 2) * LN_2).at_least(_vanishing(x))
    near = fma(bounded, LOG2_E[format.width][0], format.rounder / 16.0)
    return _exp(reduced(bounded, near), EXP2_16)


def exp_nonpositive(x: Number) -> Number:
    """Return e to the power of x, which is not above 0."""
    return _exp(_reduced_minus(-x), EXP2_16)


def _vanishing(x: Number) -> float:
    """Return a number of which the exponential is 0, as it is of those below."""
    return -(x.format.bias + x.format.mantissa + 2) * LN_2


def _reduced_minus(size: Number) -> Reduced:
    """Take multiples of ln(2) / 16 away from -size, which is not above 0.

    No instruction is needed to change the sign.
    """
    rounder, width = size.format.rounder / 16.0, size.format.width
    bounded = size.at_most(-_vanishing(size))
    shifted = fma(bounded, -LOG2_E[width][0], rounder)
    k = shifted - rounder
    r = -fma(k, LN2[width][1], fma(k, LN2[width][0], bounded))
    return Reduced(r, k, shifted.bits())


def _exp(reduced: Reduced, *powers: Table) -> Number:
    """Return an exponential, by powers of 2^(1/16) and what these lack, if it matters."""
    r, k, shifted = reduced
    width = r.format.width
    power, *rest = (element_of(table[width], shifted, r) for table in powers)
    q = fma(r * r, polynomial(r, EXP_16[width]), rest[0] + r if rest else r)
    return scaled(fma(power, q, power), k)


def _half_power(shifted: Bits, like: Number) -> Number:
    """Return ``2^(k - 1)``, which must be a normal number."""
    format = like.format
    places = format.mantissa - 4
    # the fraction of k would count in the significand: the table makes up for it
    table = [
        format.number_of(format.bits_of(power / 2.0) - (j << places))
        for j, power in enumerate(EXP2_16[format.width])
    ]
    return (element_of(table, shifted, like).bits() + (shifted << places)).number()


def _half_expm1(reduced: Reduced, factor: float, coefficients: Sequence[float]) -> Number:
    """Return ``(exp(factor x) - 1) / 2``; the factor is 1 or 2."""
    r, _, shifted = reduced
    half = _half_power(shifted, r)
    scaled_up = [c * factor ** (n + 2) for n, c in enumerate(coefficients)]
    rest = element_of(EXP2_16_REST[r.format.width], shifted, r)
    first = rest + r if factor == 1.0 else fma(r, factor, rest)
    q = fma(r * r, polynomial(r, scaled_up), first)
    return fma(half, q, half - 0.5)


def expm1(x: Number) -> Number:
    """Return ``exp(x) - 1`` without cancellation."""
    format = x.format
    width = format.width
    # below, the result is -1 to the last place; above, it is infinite
    bounded = x.at_least(-LN_2 * (format.mantissa + 3)).at_most(LN_2 * (format.bias + 1.01))
    # near 0 nothing is taken away, else both parts of the sum could have different signs
    far = (abs(x) < LN_2 / 16).choose(0.0, bounded)
    parts = reduced(bounded, fma(far, LOG2_E[width][0], format.rounder / 16.0))
    result = _half_expm1(parts, 1.0, EXPM1_16[width]) * 2.0
    # half of a subnormal number could not be told
    result = (abs(x) < 2.0 ** -(format.mantissa + 2)).choose(x, result)
    return result.with_sign_of(x)


def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent, ``h / (h + 1)`` with ``h = (e^2x - 1) / 2``."""
    format = x.format
    width = format.width
    # above, the result is 1 to the last place
    size = abs(x).at_most(LN_2 / 2 * (format.mantissa + 4))
    # downwards, so that both parts of the sum are positive
    parts = reduced(size, fma_down(size, 2.0 * LOG2_E[width][0], format.rounder / 16.0), 2.0)
    half = _half_expm1(parts, 2.0, EXPM1_16_UP[width])
    denominator = half + 1.0
    lost = half - (denominator - 1.0)
    inverse = 1.0 / denominator
    result = half * inverse
    remainder = fma(-result, lost, fma(-result, denominator, half))
    return fma(remainder, inverse, result).with_sign_of(x)


def expit(x: Number) -> Number:
    """Return the logistic function: ``1 / (1 + e)`` or ``e / (1 + e)`` with ``e = exp(-|x|)``."""
    format = x.format
    width = format.width
    size = (-abs(x)).at_least(-(format.bias + format.mantissa + 2) * LN_2)
    r, k, shifted = reduced(size, fma(size, LOG2_E[width][0], format.rounder / 16.0))
    power = element_of(EXP2_16[width], shifted, x)
    rest = element_of(EXP2_16_REST[width], shifted, x)
    q = fma(r * r, polynomial(r, EXP_16[width]), rest + r)
    # the denominator and the numerator, each with what its rounding has lost
    small = scaled(power, k)
    total = small + 1.0
    more = fma(small, q, small - (total - 1.0))
    denominator = total + more
    lost = more - (denominator - total)
    negative = x < 0.0
    e = fma(power, q, power)
    numerator = negative.choose(e, 1.0)
    missing = negative.choose(fma(power, q, power - e), 0.0)
    inverse = 1.0 / denominator
    result = numerator * inverse
    remainder = fma(-result, lost, fma(-result, denominator, numerator) + missing)
    # by the power of 2 at last: a subnormal result is rounded once
    return scaled(fma(remainder, inverse, result), negative.choose(k, 0.0))


def softplus(x: Number) -> Number:
    """Return ``log(1 + e^x)``."""
    return x.at_least(0.0) + log1p_nonnegative(_exp(_reduced_minus(abs(x)), EXP2_16, EXP2_16_REST))


def log_expit(x: Number) -> Number:
    """Return ``log(expit(x))``."""
    return -softplus(-x)


def _log_of_sum(total: Number, error: Number | None) -> Number:
    """Return the logarithm of the positive number ``total + error``."""
    format = total.format
    width = format.width
    m = significand_of(total)
    minus_k = exponent_of(m) - exponent_of(total)
    sixteenth = m.bits() >> (format.mantissa - 4)
    inverse = element_of(INVERSE_16[width], sixteenth, total)
    r = fma(m, inverse, -1.0)
    if error is not None:
        r = fma(scaled(error, minus_k), inverse, r)
    high, low = SHORT_LN2[width]
    rest = fma(r * r, polynomial(r, LOG_16[width]), minus_k * -low)
    # both terms of the leading sum have few binary places
    leading = fma(minus_k, -high, element_of(INVERSE_16_LOG[width], sixteenth, total))
    result = leading + (r + rest)
    return repaired(
        result,
        total,
        quiet=QUIET,
        signaling=QUIET,
        zero=MINUS_INFINITY,
        minus_infinity=INVALID,
        infinity=INFINITY,
        negative=INVALID,
    )


def log(x: Number) -> Number:
    """Return the natural logarithm."""
    return _log_of_sum(x, None)


def log1p(x: Number) -> Number:
    """Return ``log(1 + x)`` without cancellation."""
    total = x + 1.0
    # exact, except where the sum is so great that what it has lost means nothing
    error = x - (total - 1.0)
    return _log_of_sum(total, error).with_sign_of(x)


def log1p_nonnegative(x: Number) -> Number:
    """Return ``log(1 + x)`` for x that is 0.0 or above.

    As the sum is not below 1 nothing cancels, whichever power of 2 is taken from it.
    """
    format = x.format
    width = format.width
    total = x + 1.0
    error = x - (total - 1.0)
    minus_k = -exponent_of(total)
    sixteenth = total.bits() >> (format.mantissa - 4)
    inverse = scaled(element_of(INVERSE_16_UP[width], sixteenth, total), minus_k)
    r = fma(error, inverse, fma(total, inverse, -1.0))
    high, low = SHORT_LN2[width]
    rest = fma(r * r, polynomial(r, LOG_16[width]), minus_k * -low)
    leading = fma(minus_k, -high, element_of(INVERSE_16_UP_LOG[width], sixteenth, total))
    return repaired(leading + (r + rest), total, infinity=INFINITY)


KERNELS = (exp, expm1, tanh, expit, log, log1p, log_expit, softplus)
# for arguments whose sign is known: which arguments, and the function
SIGNED = {"exp": (-1, exp_nonpositive), "log1p": (1, log1p_nonnegative)}
