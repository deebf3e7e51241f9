"""Small matrices factored by loops over their rows, each of which is a few vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.records import replaced
from .. import ir
from ..contraction.tiling import vector_width
from ..emit.routines import Shared, shared
from ..emit.scalar import I1, I64, constant, intrinsic
from .matrices import Matrix, effort_for, less_product, on_stack, splat

if TYPE_CHECKING:
    from ..emit.codegen import Nest

Element = Callable[[Any, Any], Any]


def _chunks(n: int, dtype: np.dtype[Any]) -> tuple[int, list[int]]:
    """Return how many elements a vector has, and where in a row each vector begins."""
    width = vector_width(n, dtype)
    return width, list(range(0, n, width))


def _filled(nest: Nest, n: int, dtype: np.dtype[Any], element: Element, lower: bool) -> Matrix:
    """Return a square matrix on the stack, with zeros beside it.

    Of a symmetric one it has the upper triangle, and ``element`` knows the lower one.
    """
    work = on_stack(nest, dtype, n, n)
    width, starts = _chunks(n, dtype)
    if lower or n % width:
        zero = splat(nest, constant(0.0, dtype), width)
        with nest.loop(I64(n)) as i:
            for start in starts if lower else starts[-1:]:
                work.set_lanes(i, I64(start), zero)
    with nest.loop(I64(n)) as i, nest.loop(nest.b.add(i, I64(1)) if lower else I64(n)) as j:
        nest.memo.clear()
        x = element(i, j)
        work.store(j if lower else i, i if lower else j, x)
    return work


def _subtract(nest: Shared, work: Matrix, i: Any, factor: Any, pivot: list[Any]) -> None:
    """Subtract a multiple of a row, which is at hand as vectors, from another row."""
    width = pivot[0].type.count if isinstance(pivot[0].type, ir.VectorType) else 1
    factors = splat(nest, factor, width)
    for c, row in enumerate(pivot):
        at = I64(c * width)
        x = work.lanes(i, at, width)
        work.set_lanes(i, at, less_product(nest, x, factors, row))


def _behind(nest: Shared, k: Any, start: int, width: int, x: Any) -> Any:
    """Return a vector of a row, with zeros up to column k."""
    b = nest.b
    zero = ir.Constant(x.type, None)
    if width == 1:
        return b.select(b.icmp_signed("<", k, I64(start)), x, ir.Constant(x.type, 0.0))
    columns = ir.Constant(ir.VectorType(I64, width), [start + lane for lane in range(width)])
    return b.select(b.icmp_signed("<", splat(nest, k, width), columns), x, zero)


def small_lu(nest: Nest, n: int, dtype: np.dtype[Any], element: Element, out: Matrix) -> None:
    """Factor a matrix of a few rows; ``out`` gets its factors by columns, see ``LU``."""
    work = _filled(nest, n, dtype, element, lower=False)

    def write(inner: Shared, given: Sequence[Any]) -> None:
        own, target = (
            replaced(m, nest=inner, pointer=p) for m, p in zip((work, out), given, strict=False)
        )
        _lu(inner, n, own, target)

    shared(nest, f"lu_{n}_{dtype.str[1:]}", [work.pointer, out.pointer], write, effort_for(n))


def _lu(nest: Shared, n: int, work: Matrix, out: Matrix) -> None:
    b, dtype = nest.b, work.dtype
    order = on_stack(nest, dtype, n)
    with b.goto_entry_block():
        sign = b.alloca(work_type(dtype))
    b.store(constant(1.0, dtype), sign)
    with nest.loop(I64(n)) as i:
        order.store(i, I64(0), b.sitofp(i, work_type(dtype)))
    with nest.loop(I64(n)) as k:
        _eliminate(nest, n, work, order, sign, k)
    with nest.loop(I64(n)) as i:
        with nest.loop(I64(n)) as j:
            out.store(j, i, work.load(i, j))
        out.store(I64(n), i, order.load(i, I64(0)))
        out.store(I64(n + 1), i, work.load(i, i))
    first = b.fmul(out.load(I64(n + 1), I64(0)), b.load(sign, typ=work_type(dtype)))
    out.store(I64(n + 1), I64(0), first)


def work_type(dtype: np.dtype[Any]) -> Any:
    """Return the type of an element in a register."""
    return ir.DoubleType() if dtype == np.float64 else ir.FloatType()


def _eliminate(nest: Shared, n: int, work: Matrix, order: Matrix, sign: Any, k: Any) -> None:
    """Take column k out of the rows below the one with its largest element."""
    b, dtype = nest.b, work.dtype
    width, starts = _chunks(n, dtype)
    at = _largest(nest, work, k, n)
    for start in starts:
        here, there = (work.lanes(i, I64(start), width) for i in (k, at))
        work.set_lanes(at, I64(start), here)
        work.set_lanes(k, I64(start), there)
    here, there = order.load(k, I64(0)), order.load(at, I64(0))
    order.store(at, I64(0), here)
    order.store(k, I64(0), there)
    so_far = b.load(sign, typ=work_type(dtype))
    b.store(b.select(b.icmp_signed("==", at, k), so_far, b.fneg(so_far)), sign)
    pivot = work.load(k, k)
    zero = constant(0.0, dtype)
    divisor = b.select(b.fcmp_ordered("==", pivot, zero), constant(1.0, dtype), pivot)
    row = [_behind(nest, k, s, width, work.lanes(k, I64(s), width)) for s in starts]
    with nest.loop(I64(n), b.add(k, I64(1))) as i:
        factor = b.fdiv(work.load(i, k), divisor)
        _subtract(nest, work, i, factor, row)
        work.store(i, k, factor)


def _largest(nest: Shared, work: Matrix, k: Any, n: int) -> Any:
    """Return the row, from row k on, with the largest element in column k."""
    b = nest.b
    with b.goto_entry_block():
        best, at = b.alloca(work_type(work.dtype)), b.alloca(I64)
    b.store(intrinsic(b, "llvm.fabs", work.load(k, k)), best)
    b.store(k, at)
    with nest.loop(I64(n), b.add(k, I64(1))) as i:
        x = intrinsic(b, "llvm.fabs", work.load(i, k))
        so_far = b.load(best, typ=work_type(work.dtype))
        larger = b.fcmp_ordered(">", x, so_far)
        b.store(b.select(larger, x, so_far), best)
        b.store(b.select(larger, i, b.load(at, typ=I64)), at)
    return b.load(at, typ=I64)


def small_cholesky(nest: Nest, n: int, dtype: np.dtype[Any], element: Element, out: Matrix) -> Any:
    """Write the lower factor of a matrix of a few rows; return whether there is none."""
    b = nest.b
    work = _filled(nest, n, dtype, element, lower=True)
    with b.goto_entry_block():
        bad = b.alloca(I1)
    b.store(I1(0), bad)

    def write(inner: Shared, given: Sequence[Any]) -> None:
        own, target = (
            replaced(m, nest=inner, pointer=p) for m, p in zip((work, out), given, strict=False)
        )
        _cholesky(inner, n, own, target, given[2])

    given = [work.pointer, out.pointer, bad]
    shared(nest, f"cholesky_{n}_{dtype.str[1:]}", given, write, effort_for(n))
    return b.load(bad, typ=I1)


def _cholesky(nest: Shared, n: int, work: Matrix, out: Matrix, bad: Any) -> None:
    b, dtype = nest.b, work.dtype
    width, starts = _chunks(n, dtype)
    with nest.loop(I64(n)) as k:
        pivot = work.load(k, k)
        ok = b.fcmp_ordered(">", pivot, constant(0.0, dtype))
        b.store(b.or_(b.load(bad, typ=I1), b.not_(ok)), bad)
        root = intrinsic(b, "llvm.sqrt", b.select(ok, pivot, constant(1.0, dtype)))
        roots = splat(nest, root, width)
        row = [b.fdiv(work.lanes(k, I64(s), width), roots) for s in starts]
        for start, x in zip(starts, row, strict=True):
            work.set_lanes(k, I64(start), x)
        with nest.loop(I64(n), b.add(k, I64(1))) as i:
            _subtract(nest, work, i, work.load(k, i), row)
    with nest.loop(I64(n)) as i, nest.loop(I64(n)) as j:
        kept = b.icmp_signed("<=", j, i)
        out.store(i, j, b.select(kept, work.load(j, i), constant(0.0, dtype)))
