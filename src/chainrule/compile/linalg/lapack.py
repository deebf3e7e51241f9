"""Calls of BLAS and LAPACK, which take matrices by columns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from .. import ir
from ..contraction.blas import tell_threads
from ..emit.scalar import I64, constant
from ..plan.schedule import UnsupportedError
from ..runtime.symbols import UnknownSymbolError, linear_algebra
from .elimination import work_type
from .matrices import Matrix
from .substitution import Triangle

if TYPE_CHECKING:
    from ..emit.codegen import Nest

POINTER = ir.PointerType()
I32, I8 = ir.IntType(32), ir.IntType(8)
ALONE = 256  # rows of a matrix up to which the threads of BLAS would wait more than they work


@functools.cache
def is_there() -> bool:
    """Tell whether this process has LAPACK, by way of SciPy."""
    try:
        linear_algebra("dgetrf")
    except (ImportError, UnknownSymbolError):
        return False
    return True


class Routine:
    """A call of one routine in the making: its arguments, all of which are handed by address."""

    def __init__(self, nest: Nest, root: Equation, name: str) -> None:
        if not is_there():
            raise UnsupportedError(root, f"`{root.primitive.name}` needs SciPy's LAPACK")
        self.nest = nest
        self.dtype = root.out.type.dtype
        self.name = ("d" if self.dtype == np.float64 else "s") + name
        self.arguments: list[Any] = []
        self.is_small = max(nest.buffers.shape_of(root.operands[0])[-2:]) <= ALONE

    def _cell(self, kind: Any) -> Any:
        with self.nest.b.goto_entry_block():
            return self.nest.b.alloca(kind)

    def _boxed(self, value: Any) -> Routine:
        place = self._cell(value.type)
        self.nest.b.store(value, place)
        self.arguments.append(place)
        return self

    def letters(self, *letters: str) -> Routine:
        """Add options."""
        for letter in letters:
            self._boxed(I8(ord(letter)))
        return self

    def sizes(self, *sizes: int) -> Routine:
        """Add integers."""
        for size in sizes:
            self._boxed(I32(size))
        return self

    def number(self, value: float) -> Routine:
        """Add a number of the routine's dtype."""
        return self._boxed(constant(value, self.dtype))

    def at(self, *pointers: Any) -> Routine:
        """Add addresses."""
        self.arguments += pointers
        return self

    def call(self) -> None:
        """Write the call."""
        b = self.nest.b
        symbol = f"chainrule.{self.name}"
        function = b.module.globals.get(symbol)
        if function is None:
            linear_algebra(self.name)  # SciPy is imported now, not within a call
            kind = ir.FunctionType(ir.VoidType(), [POINTER] * len(self.arguments))
            function = ir.Function(b.module, kind, symbol)
        if self.is_small:
            tell_threads(b, "begin")
        b.call(function, self.arguments)
        if self.is_small:
            tell_threads(b, "end")

    def call_for_info(self) -> Any:
        """Write the call of a routine that says last whether it went well; return that number."""
        info = self._cell(I32)
        self.at(info).call()
        return self.nest.b.load(info, typ=I32)


def large_lu(nest: Nest, root: Equation, n: int, out: Matrix) -> None:
    """Factor the matrix whose columns ``out`` holds as rows; complete what ``LU`` has beside it."""
    b, dtype = nest.b, out.dtype
    kind = work_type(dtype)
    with b.goto_entry_block():
        pivots = b.alloca(ir.ArrayType(I32, n))
        sign = b.alloca(kind)
    routine = Routine(nest, root, "getrf").sizes(n, n).at(out.pointer).sizes(n).at(pivots)
    routine.call_for_info()  # a pivot that is zero is found by who divides by it
    b.store(constant(1.0, dtype), sign)
    with nest.loop(I64(n)) as i:
        out.store(I64(n), i, b.sitofp(i, kind))
        out.store(I64(n + 1), i, out.load(i, i))
    with nest.loop(I64(n)) as k:
        place = b.gep(pivots, [k], source_etype=I32)
        at = b.sub(b.sext(b.load(place, typ=I32), I64), I64(1))
        here, there = out.load(I64(n), k), out.load(I64(n), at)
        out.store(I64(n), at, here)
        out.store(I64(n), k, there)
        so_far = b.load(sign, typ=kind)
        b.store(b.select(b.icmp_signed("==", at, k), so_far, b.fneg(so_far)), sign)
    first = b.fmul(out.load(I64(n + 1), I64(0)), b.load(sign, typ=kind))
    out.store(I64(n + 1), I64(0), first)


def large_cholesky(nest: Nest, root: Equation, n: int, out: Matrix) -> Any:
    """Overwrite the lower triangle of a matrix with its factor; return whether there is none."""
    routine = Routine(nest, root, "potrf").letters("U").sizes(n).at(out.pointer).sizes(n)
    return nest.b.icmp_signed("!=", routine.call_for_info(), I32(0))


def large_substitute(
    nest: Nest, root: Equation, triangle: Triangle, x: Matrix, columns: int
) -> None:
    """Overwrite right-hand sides with the solutions.

    Rows in memory are columns to BLAS: it solves Xᵀ Tᵀ = Bᵀ.
    """
    by_columns = triangle.matrix.row == 1
    upper = triangle.lower != by_columns
    matrix = triangle.matrix
    routine = Routine(nest, root, "trsm").letters(
        "R", "U" if upper else "L", "T" if by_columns else "N", "U" if triangle.unit else "N"
    )
    routine.sizes(columns, triangle.n).number(1.0).at(matrix.pointer)
    routine.sizes(matrix.column if by_columns else matrix.row).at(x.pointer).sizes(x.row).call()
