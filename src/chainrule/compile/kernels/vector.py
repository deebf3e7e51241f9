"""Vectors of 512 bits, and what AVX-512 can do with them that LLVM has no words of its own for.

A vector of the processor's is a ``Number`` whose formats are those here; all that works for one
number works for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import ir
from .expression import FORMATS, Bits, Format, Number

_ROUNDING = 4  # as the processor is set
_TOWARDS_ZERO = 11

# what fixupimm can put in place of a result, and the classes of arguments that it knows
KEPT, QUIET, INVALID, MINUS_INFINITY, INFINITY = 0, 2, 3, 4, 5
_CLASSES = ("quiet", "signaling", "zero", "one", "minus_infinity", "infinity", "negative")


def _format(width: int, mantissa: int, element: ir.Type) -> Format:
    lanes = 512 // width
    integer = ir.VectorType(ir.IntType(width), lanes)
    return Format(width, mantissa, ir.VectorType(element, lanes), integer)


DOUBLES = _format(64, 52, ir.DoubleType())
SINGLES = _format(32, 23, ir.FloatType())
BY_WIDTH = {64: DOUBLES, 32: SINGLES}
FORMATS.update({DOUBLES.real: DOUBLES, SINGLES.real: SINGLES})


def _call(name: str, like: Number, *arguments: ir.Value) -> Number:
    """Call an intrinsic function of AVX-512 that returns a vector such as ``like``."""
    module = like.builder.module
    full = f"llvm.x86.avx512.{name.format('pd' if like.format is DOUBLES else 'ps')}"
    kind = ir.FunctionType(like.format.real, [a.type for a in arguments])
    function = module.globals.get(full) or ir.Function(module, kind, full)
    return Number(like.builder, like.builder.call(function, arguments))


def _mask(x: Number) -> ir.Constant:
    """Return a mask that lets all elements take part."""
    return ir.Constant(ir.IntType(512 // x.format.width), -1)


def _number(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), value)


def scaled(x: Number, exponent: Number) -> Number:
    """Return ``x · 2^floor(exponent)``, rounded once."""
    given = (x.value, exponent.value, x.value, _mask(x), _number(_ROUNDING))
    return _call("mask.scalef.{}.512", x, *given)


def fma_down(a: Number, b: float, c: float) -> Number:
    """Return ``a * b + c``, rounded towards 0."""
    given = (a.value, a.constant(b).value, a.constant(c).value, _number(_TOWARDS_ZERO))
    return _call("vfmadd.{}.512", a, *given)


def exponent_of(x: Number) -> Number:
    """Return the exponent of 2 in a number, as a number; subnormal ones are no exception."""
    return _call("mask.getexp.{}.512", x, x.value, x.value, _mask(x), _number(_ROUNDING))


def significand_of(x: Number) -> Number:
    """Return a number brought between 0.75 and 1.5 by a power of 2."""
    given = (x.value, _number(3), x.value, _mask(x), _number(_ROUNDING))
    return _call("mask.getmant.{}.512", x, *given)


def element_of(table: Sequence[float], index: Bits, like: Number) -> Number:
    """Return elements of a table of 16; only the lowest four bits of each index count."""
    size = 512 // like.format.width
    parts = [ir.Constant(like.format.real, table[k : k + size]) for k in range(0, 16, size)]
    if like.format is DOUBLES:
        return _call("vpermi2var.{}.512", like, parts[0], index.value, parts[1])
    return _call("permvar.sf.512", like, parts[0], index.value)


def repaired(result: Number, argument: Number, **responses: int) -> Number:
    """Return another result for some classes of arguments."""
    word = sum(responses.get(name, KEPT) << 4 * k for k, name in enumerate(_CLASSES))
    table = ir.Constant(result.format.integer, word)
    given = (result.value, argument.value, table, _number(0), _mask(result), _number(_ROUNDING))
    return _call("mask.fixupimm.{}.512", result, *given)
