"""Square blocks of matrices, transposed in registers."""

from __future__ import annotations

from typing import Any

from .. import ir
from ..emit.scalar import I64

POINTER = ir.PointerType()
I32 = ir.IntType(32)


def transposer(module: ir.Module, kind: Any, width: int, itemsize: int) -> ir.Function:
    """Return the function that writes a block's rows as columns.

    It takes where the block begins and how far its rows are apart, and the same for the result.
    """
    name = f"transpose_{width}_{8 * itemsize}"
    if name in module.globals:
        return module.globals[name]
    types = [POINTER, I64, POINTER, I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.effort = "little"
    source, given, target, wanted = function.args
    for pointer in (source, target):
        pointer.add_attribute("noalias")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    vector = ir.VectorType(kind, width)

    def row(base: Any, stride: Any, k: int) -> Any:
        return b.gep(base, [b.mul(stride, I64(k), flags=["nsw"])], source_etype=kind)

    rows = [b.load(row(source, given, k), typ=vector, align=itemsize) for k in range(width)]
    half = 1
    while half < width:
        rows = _exchanged(b, rows, half)
        half *= 2
    for k, value in enumerate(rows):
        b.store(value, row(target, wanted, k), align=itemsize)
    b.ret_void()
    return function


def _exchanged(b: ir.IRBuilder, rows: list[Any], half: int) -> list[Any]:
    """Transpose each pair of blocks of ``half`` rows and columns that face each other."""
    width = len(rows)
    found = list(rows)
    kind = ir.VectorType(I32, width)
    lower = [c if not c & half else width + c - half for c in range(width)]
    upper = [c + half if not c & half else width + c for c in range(width)]
    for i in range(width):
        if not i & half:
            pair = rows[i], rows[i + half]
            found[i] = b.shuffle_vector(*pair, ir.Constant(kind, lower))
            found[i + half] = b.shuffle_vector(*pair, ir.Constant(kind, upper))
    return found
