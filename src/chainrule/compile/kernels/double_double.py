"""Sums and products without rounding error: a number as an unevaluated sum of two.

The algorithms are those of Dekker and Knuth, as in Muller et al., *Handbook of Floating-Point
Arithmetic*, chapters 4 and 5; the error of a product is one fused multiply-add away.
"""

from __future__ import annotations

from typing import NamedTuple

from .expression import Number, fma


class Double(NamedTuple):
    """The unevaluated sum of a number and a correction below its last place."""

    high: Number
    low: Number


def two_sum(a: Number, b: Number) -> Double:
    """Return ``a + b`` exactly."""
    total = a + b
    of_b = total - a
    of_a = total - of_b
    return Double(total, (a - of_a) + (b - of_b))


def fast_two_sum(a: Number, b: Number) -> Double:
    """Return ``a + b`` exactly, if ``a`` is the greater in magnitude, or zero."""
    total = a + b
    return Double(total, b - (total - a))


def two_product(a: Number, b: Number | float) -> Double:
    """Return ``a * b`` exactly."""
    product = a * b
    return Double(product, fma(a, b, -product))


def times(a: Double, b: Double) -> Double:
    """Return the product to about twice the format's precision."""
    high, low = two_product(a.high, b.high)
    return fast_two_sum(high, fma(a.low, b.high, fma(a.high, b.low, low)))


def plus(a: Double, b: Double) -> Double:
    """Return the sum to about twice the format's precision, for |a| >= |b| or the same sign."""
    high, low = two_sum(a.high, b.high)
    return fast_two_sum(high, low + (a.low + b.low))


def double_constant(like: Number, parts: tuple[float, ...]) -> Double:
    """Return a constant given by its leading two parts."""
    return Double(like.constant(parts[0]), like.constant(parts[1]))
