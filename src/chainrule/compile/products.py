"""Products of matrices: small ones as loops, large ones by BLAS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from ..program.equation import Equation
from .blocks import over
from .scalar import I64, constant, convert, register_type
from .schedule import UnsupportedError
from .symbols import linear_algebra

if TYPE_CHECKING:
    from .codegen import Nest

POINTER = ir.PointerType()
I32 = ir.IntType(32)
SMALL = 2048  # multiplications up to which a call to BLAS costs more than it saves


def write_matmul(nest: Nest, root: Equation) -> None:
    """Write a product of matrices or vectors."""
    a, b = root.operands
    shape_a, shape_b = nest.buffers.shape_of(a), nest.buffers.shape_of(b)
    rows = shape_a[-2] if len(shape_a) > 1 else 1
    columns = shape_b[-1] if len(shape_b) > 1 else 1
    inner = shape_a[-1]
    dtype = root.out.type.dtype
    same = nest.buffers.dtype_of(a) == nest.buffers.dtype_of(b) == dtype
    large = same and dtype.kind == "f" and rows * columns * inner > SMALL
    if len(shape_a) <= 2 and len(shape_b) <= 2:
        write = _write_gemm if large else _write_loops
        write(nest, root, (rows, columns, inner), dtype)
        return
    if len(shape_a) == 1 or len(shape_b) == 1 or large:
        raise UnsupportedError(root, "a product of stacks of matrices is not compiled yet")
    _write_stacks(nest, root, inner, dtype)


def _write_stacks(nest: Nest, root: Equation, inner: int, dtype: np.dtype[Any]) -> None:
    """Write a product of stacks of small matrices."""
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
                new = nest.b.add(so_far, nest.b.mul(x, y))
            nest.b.store(new, total)
        place = nest.b.add(nest.b.mul(i, I64(columns)), j)
        nest.store(root.out, dtype, place, nest.b.load(total, typ=kind))


def _write_gemm(
    nest: Nest, root: Equation, sizes: tuple[int, int, int], dtype: np.dtype[Any]
) -> None:
    """Call BLAS, which takes matrices by columns: C = AB there reads Cᵀ = BᵀAᵀ here."""
    a, b = root.operands
    rows, columns, inner = sizes
    function = _routine(nest.b.module, "dgemm" if dtype == np.float64 else "sgemm")

    def number(n: int) -> Any:
        place = nest.b.alloca(I32)
        nest.b.store(I32(n), place)
        return place

    def factor(value: float) -> Any:
        place = nest.b.alloca(register_type(dtype))
        nest.b.store(constant(value, dtype), place)
        return place

    letter = nest.b.alloca(ir.IntType(8))
    nest.b.store(ir.IntType(8)(ord("N")), letter)
    m, n, k = number(columns), number(rows), number(inner)
    left, right = _pointer(nest, a), _pointer(nest, b)
    out = nest.pointer[root.out]
    arguments = [letter, letter, m, n, k, factor(1.0), right, m, left, k, factor(0.0), out, m]
    nest.b.call(function, arguments)


def _routine(module: ir.Module, name: str) -> ir.Function:
    symbol = f"chainrule.{name}"
    if symbol in module.globals:
        return module.globals[symbol]
    linear_algebra(name)  # SciPy is imported before the code is loaded, not within a call
    return ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 13), symbol)


def _pointer(nest: Nest, o: Any) -> Any:
    return nest.pointer[nest.buffers.slot(o)]
