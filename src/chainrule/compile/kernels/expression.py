"""Real arithmetic on LLVM values, so that a kernel reads like the formula that it computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...program.records import frozen_record
from .. import ir


@frozen_record
class Format:
    """An IEEE 754 binary format: its LLVM types, its width and what follows from it."""

    width: int
    mantissa: int
    real: ir.Type
    integer: ir.Type

    @property
    def bias(self) -> int:
        """Return the number added to the exponent where it is stored."""
        return (1 << (self.width - self.mantissa - 2)) - 1

    @property
    def exponent_mask(self) -> int:
        """Return the bits of sign and exponent; those below are the significand's."""
        return ((1 << (self.width - self.mantissa)) - 1) << self.mantissa

    @property
    def one(self) -> int:
        """Return the bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def rounder(self) -> float:
        """Return 1.5 · 2^mantissa: adding it rounds a small number to an integer.

        The integer then stands, in two's complement, in the low bits of the sum.
        """
        return 1.5 * 2.0**self.mantissa

    @property
    def largest(self) -> float:
        """Return the largest number."""
        return float(np.finfo(np.float64 if self.width == 64 else np.float32).max)

    @property
    def tiny(self) -> float:
        """Return the smallest normal number."""
        return 2.0 ** (1 - self.bias)

    def bits_of(self, value: float) -> int:
        """Return the bits with which ``value`` is stored."""
        if self.width == 64:
            return int(np.float64(value).view(np.int64))
        return int(np.float32(value).view(np.int32))

    def number_of(self, bits: int) -> float:
        """Return the number that is stored as these bits."""
        if self.width == 64:
            return float(np.int64(bits).view(np.float64))
        return float(np.int32(bits).view(np.float32))

    def nearest(self, value: float) -> float:
        """Return ``value`` rounded to this format."""
        return float(value) if self.width == 64 else float(np.float32(value))


DOUBLE = Format(64, 52, ir.DoubleType(), ir.IntType(64))
SINGLE = Format(32, 23, ir.FloatType(), ir.IntType(32))
FORMATS = {DOUBLE.real: DOUBLE, SINGLE.real: SINGLE}


class Number:
    """A real number inside a function that is being built."""

    __slots__ = ("builder", "format", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value
        self.format = FORMATS[value.type]

    def constant(self, value: float) -> Number:
        """Return ``value`` rounded to this number's format."""
        return Number(self.builder, ir.Constant(self.format.real, self.format.nearest(value)))

    def _lift(self, other: Number | float) -> ir.Value:
        return other.value if isinstance(other, Number) else self.constant(other).value

    def _like(self, value: ir.Value) -> Number:
        return Number(self.builder, value)

    def __add__(self, other: Number | float) -> Number:
        return self._like(self.builder.fadd(self.value, self._lift(other)))

    def __radd__(self, other: float) -> Number:
        return self.constant(other) + self

    def __sub__(self, other: Number | float) -> Number:
        return self._like(self.builder.fsub(self.value, self._lift(other)))

    def __rsub__(self, other: float) -> Number:
        return self.constant(other) - self

    def __mul__(self, other: Number | float) -> Number:
        return self._like(self.builder.fmul(self.value, self._lift(other)))

    def __rmul__(self, other: float) -> Number:
        return self.constant(other) * self

    def __truediv__(self, other: Number | float) -> Number:
        return self._like(self.builder.fdiv(self.value, self._lift(other)))

    def __rtruediv__(self, other: float) -> Number:
        return self.constant(other) / self

    def __neg__(self) -> Number:
        return self._like(self.builder.fneg(self.value))

    def __abs__(self) -> Number:
        return self._intrinsic("llvm.fabs")

    def sqrt(self) -> Number:
        """Return the square root, correctly rounded."""
        return self._intrinsic("llvm.sqrt")

    def floor(self) -> Number:
        """Return the greatest integer that is not above this number."""
        return self._intrinsic("llvm.floor")

    def with_sign_of(self, other: Number) -> Number:
        """Return this magnitude with the sign of ``other``."""
        return self._intrinsic("llvm.copysign", other)

    def _intrinsic(self, name: str, *others: Number) -> Number:
        arguments = (self, *others)
        types = [a.format.real for a in arguments]
        signature = ir.FunctionType(self.format.real, types)
        function = self.builder.module.declare_intrinsic(name, (self.format.real,), signature)
        return self._like(self.builder.call(function, [a.value for a in arguments]))

    def _compare(self, operator: str, other: Number | float, *, unordered: bool) -> Condition:
        compare = self.builder.fcmp_unordered if unordered else self.builder.fcmp_ordered
        return Condition(self.builder, compare(operator, self.value, self._lift(other)))

    def __lt__(self, other: Number | float) -> Condition:
        return self._compare("<", other, unordered=False)

    def __gt__(self, other: Number | float) -> Condition:
        return self._compare(">", other, unordered=False)

    def __ge__(self, other: Number | float) -> Condition:
        return self._compare(">=", other, unordered=False)

    def equals(self, other: Number | float) -> Condition:
        """Return whether both are equal; false for NaN."""
        return self._compare("==", other, unordered=False)

    def differs_from(self, other: Number) -> Condition:
        """Return whether both are unequal; false for NaN."""
        return self._compare("!=", other, unordered=False)

    def not_below(self, other: Number | float) -> Condition:
        """Return ``not self < other``: true for NaN as well."""
        return self._compare(">=", other, unordered=True)

    def is_nan(self) -> Condition:
        """Return whether this is not a number."""
        return Condition(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def at_most(self, bound: float) -> Number:
        """Return the smaller of both; NaN stays NaN."""
        return (self > bound).choose(bound, self)

    def at_least(self, bound: float) -> Number:
        """Return the greater of both; NaN stays NaN."""
        return (self < bound).choose(bound, self)

    def as_double(self) -> Number:
        """Return a number of single precision in double precision."""
        return self._like(self.builder.fpext(self.value, DOUBLE.real))

    def as_single(self) -> Number:
        """Return a number of double precision rounded to single precision."""
        return self._like(self.builder.fptrunc(self.value, SINGLE.real))

    def bits(self) -> Bits:
        """Return the stored bits."""
        raw = self.builder.bitcast(self.value, self.format.integer)
        return Bits(self.builder, raw, self.format)


class Bits:
    """The stored bits of a number, or an integer of the same width."""

    __slots__ = ("builder", "format", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value, format: Format) -> None:
        self.builder = builder
        self.value = value
        self.format = format

    def _lift(self, other: Bits | int) -> ir.Value:
        if isinstance(other, Bits):
            return other.value
        return ir.Constant(self.format.integer, other)

    def _like(self, value: ir.Value) -> Bits:
        return Bits(self.builder, value, self.format)

    def __add__(self, other: Bits | int) -> Bits:
        return self._like(self.builder.add(self.value, self._lift(other)))

    def __sub__(self, other: Bits | int) -> Bits:
        return self._like(self.builder.sub(self.value, self._lift(other)))

    def __rsub__(self, other: int) -> Bits:
        return self._like(self.builder.sub(self._lift(other), self.value))

    def __and__(self, other: Bits | int) -> Bits:
        return self._like(self.builder.and_(self.value, self._lift(other)))

    def __or__(self, other: Bits | int) -> Bits:
        return self._like(self.builder.or_(self.value, self._lift(other)))

    def __xor__(self, other: Bits | int) -> Bits:
        return self._like(self.builder.xor(self.value, self._lift(other)))

    def __lshift__(self, places: int) -> Bits:
        return self._like(self.builder.shl(self.value, self._lift(places)))

    def __rshift__(self, places: int) -> Bits:
        """Return the bits moved down, with zeros from above."""
        return self._like(self.builder.lshr(self.value, self._lift(places)))

    def at_least(self, bound: int) -> Bits:
        """Return the greater of both, as signed integers."""
        above = self.builder.icmp_signed(">", self.value, self._lift(bound))
        return self._like(self.builder.select(above, self.value, self._lift(bound)))

    def differs_from(self, other: Bits | int) -> Condition:
        """Return whether any bit differs."""
        return Condition(
            self.builder, self.builder.icmp_unsigned("!=", self.value, self._lift(other))
        )

    def number(self) -> Number:
        """Return the number that is stored as these bits."""
        return Number(self.builder, self.builder.bitcast(self.value, self.format.real))


class Condition:
    """A truth value; both branches are always computed and one is chosen."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    def choose(self, yes: Number | float, no: Number | float) -> Number:
        """Return ``yes`` where this holds, else ``no``; at least one of them is a Number."""
        model = yes if isinstance(yes, Number) else no
        assert isinstance(model, Number)
        return Number(
            self.builder,
            self.builder.select(self.value, model._lift(yes), model._lift(no)),
        )

    def choose_integer(self, format: Format, yes: int, no: int) -> Bits:
        """Return the integer ``yes`` where this holds, else ``no``."""
        constants = (ir.Constant(format.integer, yes), ir.Constant(format.integer, no))
        return Bits(self.builder, self.builder.select(self.value, *constants), format)

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Condition) -> Condition:
        return Condition(self.builder, self.builder.or_(self.value, other.value))


def fma(a: Number, b: Number | float, c: Number | float) -> Number:
    """Return ``a * b + c``, rounded once."""
    factors = (Number(a.builder, a._lift(b)), Number(a.builder, a._lift(c)))
    return a._intrinsic("llvm.fma", *factors)


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """Return the polynomial with these coefficients, the constant first.

    Even and odd powers go separately (Horner's scheme of the second order): half the latency
    for one multiplication more.
    """
    if len(coefficients) <= 4:
        return _horner(x, coefficients)
    square = x * x
    return fma(_horner(square, coefficients[1::2]), x, _horner(square, coefficients[0::2]))


def _horner(x: Number, coefficients: Sequence[float]) -> Number:
    *rest, last = coefficients
    total = x.constant(last)
    for coefficient in reversed(rest):
        total = fma(total, x, coefficient)
    return total
