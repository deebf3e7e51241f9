"""Matrices in memory, of which machine code reads and writes elements and parts of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.records import frozen_record, replaced
from .. import ir
from ..contraction.intrinsics import intrinsic, suffix
from ..contraction.tiling import vector_width
from ..emit.routines import Shared
from ..emit.scalar import I64, register_type
from ..runtime.layout import ERROR

if TYPE_CHECKING:
    from ...program.equation import Equation
    from ..emit.codegen import Nest

I8 = ir.IntType(8)
TINY = 3  # rows of a matrix for which loops are to be written out


@frozen_record
class Matrix:
    """A matrix of which element (i, j) lies ``i row + j column`` elements behind a pointer."""

    nest: Nest | Shared
    pointer: Any
    dtype: np.dtype[Any]
    row: int
    column: int = 1

    @property
    def turned(self) -> Matrix:
        """The transpose, in the same memory."""
        return replaced(self, row=self.column, column=self.row)

    def address(self, i: Any, j: Any) -> Any:
        """Return where an element is."""
        b = self.nest.b
        at = b.add(_times(b, i, self.row), _times(b, j, self.column), flags=["nsw"])
        kind = register_type(self.dtype)
        return b.gep(self.pointer, [at], inbounds=True, source_etype=kind)

    def load(self, i: Any, j: Any) -> Any:
        """Return an element."""
        return self.nest.b.load(self.address(i, j), typ=register_type(self.dtype))

    def store(self, i: Any, j: Any, x: Any) -> None:
        """Set an element."""
        self.nest.b.store(x, self.address(i, j))

    def lanes(self, i: Any, j: Any, width: int) -> Any:
        """Return as many elements of a row, from one on, as a vector."""
        kind = register_type(self.dtype)
        kind = kind if width == 1 else ir.VectorType(kind, width)
        return self.nest.b.load(self.address(i, j), typ=kind, align=self.dtype.itemsize)

    def set_lanes(self, i: Any, j: Any, x: Any) -> None:
        """Set as many elements of a row as a vector has."""
        self.nest.b.store(x, self.address(i, j), align=self.dtype.itemsize)


def _times(b: ir.IRBuilder, i: Any, stride: int) -> Any:
    return i if stride == 1 else b.mul(i, I64(stride), flags=["nsw"])


def on_stack(nest: Nest | Shared, dtype: np.dtype[Any], rows: int, columns: int = 1) -> Matrix:
    """Return a matrix on the stack, whose rows begin where whole vectors do."""
    width = vector_width(columns, dtype)
    row = -(-columns // width) * width
    with nest.b.goto_entry_block():
        pointer = nest.b.alloca(ir.ArrayType(register_type(dtype), max(rows * row, 1)))
        pointer.align = 64
    pointer.type = ir.PointerType()  # which doesn't say to what: single elements, or vectors
    return Matrix(nest, pointer, dtype, row)


def effort_for(n: int) -> str:
    """Return how much is worth doing to loops over the rows of a matrix."""
    return "much" if n <= TINY else "usual"


def splat(nest: Nest | Shared, x: Any, width: int) -> Any:
    """Return a vector of equal elements."""
    if width == 1:
        return x
    kind = ir.VectorType(x.type, width)
    b = nest.b
    first = b.insert_element(ir.Constant(kind, ir.Undefined), x, ir.IntType(32)(0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)


def less_product(nest: Nest | Shared, x: Any, a: Any, y: Any) -> Any:
    """Return x - a y."""
    b = nest.b
    name = f"llvm.fmuladd.{suffix(x.type)}"
    function = intrinsic(b.module, name, x.type, [x.type] * 3)
    return b.call(function, [b.fneg(a), y, x])


def complain(nest: Nest, equation: Equation, bad: Any) -> None:
    """Note that an equation met a matrix that it cannot work with, unless there is an error yet."""
    b = nest.b
    note = nest.buffers.note(equation)
    with b.if_then(bad, likely=False):
        place = b.gep(nest.frame, [I64(ERROR)], source_etype=I8)
        before = b.load(place, typ=I64)
        first = b.icmp_signed("==", before, I64(0))
        b.store(b.select(first, I64(note), before), place)
