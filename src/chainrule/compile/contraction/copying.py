"""Copies of views into contiguous arrays."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ...program.equation import Equation
from .. import ir
from ..emit.scalar import I1, I64
from .chains import contiguous_strides
from .intrinsics import intrinsic
from .spec import Ints

if TYPE_CHECKING:
    from ..emit.codegen import Nest


def write_repack(nest: Nest, root: Equation) -> None:
    """Copy a view into a contiguous array, with zeros around and between its elements."""
    params, b = root.params, nest.b
    nest.function.attributes.add("optsize")  # unrolled, it takes long to compile
    (x,) = root.operands
    out = root.out
    dtype = out.type.dtype
    shape, sizes = params["shape"], params["sizes"]
    if prod(sizes) < prod(shape):
        fill = ir.IntType(8)(0)
        count = I64(out.type.size * dtype.itemsize)
        types = [nest.pointer[out].type, fill.type, I64, I1]
        clear = intrinsic(b.module, "llvm.memset.p0.i64", ir.VoidType(), types)
        b.call(clear, [nest.pointer[out], fill, count, I1(0)])
    room = contiguous_strides(shape)
    into = [stride * step for stride, step in zip(room, params["steps"], strict=True)]
    first = sum(stride * start for stride, start in zip(room, params["starts"], strict=True))
    given = params["strides"]
    slot = nest.buffers.slot(x)

    def level(order: list[int], source: Any, target: Any) -> None:
        if not order:
            nest.store(out, dtype, target, nest.load(slot, dtype, source))
            return
        k = order[0]
        with nest.loop(I64(sizes[k])) as i:
            from_ = b.add(source, b.mul(i, I64(given[k]), flags=["nsw"]), flags=["nsw"])
            to = b.add(target, b.mul(i, I64(into[k]), flags=["nsw"]), flags=["nsw"])
            level(order[1:], from_, to)

    level(_copy_order(sizes, given, into), I64(params["offset"]), I64(first))


def _copy_order(sizes: Ints, given: Ints, into: list[int]) -> list[int]:
    """Return the axes, the one along which memory is written without gaps innermost."""
    axes = [k for k, n in enumerate(sizes) if n > 1]
    return sorted(axes, key=lambda k: -abs(into[k]))
