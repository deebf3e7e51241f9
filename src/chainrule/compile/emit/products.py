"""Products of matrices of integers and of empty ones, as plain loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from ..plan.schedule import UnsupportedError
from .blocks import over
from .scalar import I64, constant, convert, register_type

if TYPE_CHECKING:
    from .codegen import Nest


def write_matmul(nest: Nest, root: Equation) -> None:
    """Write a product of matrices or vectors."""
    a, b = root.operands
    shape_a, shape_b = nest.buffers.shape_of(a), nest.buffers.shape_of(b)
    rows = shape_a[-2] if len(shape_a) > 1 else 1
    columns = shape_b[-1] if len(shape_b) > 1 else 1
    inner = shape_a[-1]
    dtype = root.out.type.dtype
    if len(shape_a) <= 2 and len(shape_b) <= 2:
        _write_loops(nest, root, (rows, columns, inner), dtype)
        return
    if len(shape_a) == 1 or len(shape_b) == 1:
        raise UnsupportedError(root, "a product of stacks of matrices is not compiled yet")
    _write_stacks(nest, root, inner, dtype)


def _write_stacks(nest: Nest, root: Equation, inner: int, dtype: np.dtype[Any]) -> None:
    """Write a product of stacks of matrices."""
    a, b = root.operands
    out = root.out.type.shape
    kind = register_type(dtype)
    total = nest.b.alloca(kind)

    def own(o: Any, stack: Any, i: Any, j: Any) -> Any:
        shape = nest.buffers.shape_of(o)
        last = stack[len(stack) - len(shape) + 2 :]
        batch = (I64(0) if n == 1 else s for n, s in zip(shape[:-2], last, strict=True))
        x = nest.value(o, (*batch, i, j))
        return convert(nest.b, x, nest.buffers.dtype_of(o), dtype)

    def body(index: Any) -> None:
        *stack, i, j = index
        nest.b.store(constant(0, dtype), total)
        with nest.loop(I64(inner)) as k:
            nest.memo.clear()
            x, y = own(a, stack, i, k), own(b, stack, k, j)
            so_far = nest.b.load(total, typ=kind)
            nest.b.store(nest.added(dtype, so_far, nest.multiplied(dtype, x, y)), total)
        nest.store(root.out, dtype, nest.linear(out, index), nest.b.load(total, typ=kind))

    over(nest, out, body)


def _write_loops(
    nest: Nest, root: Equation, sizes: tuple[int, int, int], dtype: np.dtype[Any]
) -> None:
    a, b = root.operands
    rows, columns, inner = sizes
    is_matrix_a = len(nest.buffers.shape_of(a)) == 2
    is_matrix_b = len(nest.buffers.shape_of(b)) == 2
    kind = register_type(dtype)
    total = nest.b.alloca(kind)
    with nest.loop(I64(rows)) as i, nest.loop(I64(columns)) as j:
        nest.b.store(constant(0, dtype), total)
        with nest.loop(I64(inner)) as k:
            nest.memo.clear()
            x = nest.value(a, (i, k) if is_matrix_a else (k,))
            y = nest.value(b, (k, j) if is_matrix_b else (k,))
            x = convert(nest.b, x, nest.buffers.dtype_of(a), dtype)
            y = convert(nest.b, y, nest.buffers.dtype_of(b), dtype)
            so_far = nest.b.load(total, typ=kind)
            if dtype.kind == "f":
                product = nest.b.fmul(x, y, flags=["contract"])
                new = nest.b.fadd(so_far, product, flags=["reassoc", "contract", "nsz"])
            else:
                new = nest.added(dtype, so_far, nest.multiplied(dtype, x, y))
            nest.b.store(new, total)
        place = nest.b.add(nest.b.mul(i, I64(columns)), j)
        nest.store(root.out, dtype, place, nest.b.load(total, typ=kind))
