"""Large products of plain matrices, by BLAS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from ...program.records import frozen_record
from .. import ir
from ..emit.scalar import I64, constant, register_type
from ..runtime.symbols import linear_algebra
from ..runtime.threads import has_threads
from ..sizes import known
from .spec import Ints, Spec
from .tiling import roles

if TYPE_CHECKING:
    from ..emit.codegen import Nest

POINTER = ir.PointerType()
I32 = ir.IntType(32)
LEAST = 16  # rows or columns below which BLAS wastes most of its tile
SHORT = 48  # inner length up to which BLAS spends its time on packing
BYTES = 3 << 20  # of all matrices: up to there our own tiles find them in the second cache
WORK = 48**3  # products below which a call costs more than it saves


@frozen_record
class Matrices:
    """A contraction as a stack of products of matrices.

    ``rows``, ``columns`` and ``inner`` are labels; the result's columns are contiguous, for which
    the operands may have been exchanged.
    """

    spec: Spec
    rows: int
    columns: int
    inner: int
    batch: Ints
    exchanged: bool


def matrices_of(spec: Spec, dtype: np.dtype[Any]) -> Matrices | None:
    """Return a contraction as products of matrices that BLAS can do; None for another one."""
    parts = roles(spec)
    if not (len(parts.rows) == len(parts.columns) == len(parts.inner) == 1):
        return None
    (m,), (n,), (k,) = parts.rows, parts.columns, parts.inner
    sizes = [known(spec.sizes[x]) for x in (m, n, k)]
    if (
        min(sizes[:2]) < LEAST
        or sizes[2] < SHORT
        or sizes[0] * sizes[1] * sizes[2] < WORK
        or dtype.kind != "f"
    ):
        return None
    has_lanes = 1 in (spec.left.strides[m], spec.right.strides[n])
    if has_lanes and dtype.itemsize * _elements(sizes) <= BYTES:
        return None
    exchanged = spec.out[m] == 1
    if exchanged:
        spec = Spec(spec.sizes, spec.out, spec.right, spec.left)
        m, n = n, m
    tables = (
        (spec.out, m, n, True),
        (spec.left.strides, m, k, False),
        (spec.right.strides, k, n, False),
    )
    for strides, a, b, ordered in tables:
        plain = _is_matrix(strides, a, b, spec.sizes)
        if not plain and (ordered or not _is_matrix(strides, b, a, spec.sizes)):
            return None
    return Matrices(spec, m, n, k, parts.batch, exchanged)


def _elements(sizes: list[int]) -> int:
    m, n, k = sizes
    return m * k + k * n + m * n


def _is_matrix(strides: Ints, a: int, b: int, sizes: Ints) -> bool:
    return strides[b] == 1 and strides[a] >= sizes[b]


def write_products(
    nest: Nest, root: Equation, plan: Matrices, bases: list[Any], adds: bool
) -> None:
    """Call BLAS, which takes matrices by columns: C = AB there reads Cᵀ = BᵀAᵀ here."""
    spec, m, n, k = plan.spec, plan.rows, plan.columns, plan.inner
    dtype = root.out.type.dtype
    function = _routine(nest.b.module, "dgemm" if dtype == np.float64 else "sgemm")
    b = nest.b

    def boxed(value: Any) -> Any:
        place = b.alloca(value.type)
        b.store(value, place)
        return place

    def letter(transposed: bool) -> Any:
        return boxed(ir.IntType(8)(ord("T" if transposed else "N")))

    left, right = spec.left.strides, spec.right.strides
    turned_left, turned_right = left[k] != 1, right[n] != 1
    ld_left, ld_right = left[k if turned_left else m], right[n if turned_right else k]
    sizes = [boxed(I32(spec.sizes[label])) for label in (n, m, k)]
    one, beta = boxed(constant(1.0, dtype)), boxed(constant(float(adds), dtype))
    letters = letter(turned_right), letter(turned_left)
    steps = [boxed(I32(stride)) for stride in (ld_right, ld_left, spec.out[m])]
    kind = register_type(dtype)

    def call(starts: list[Any]) -> None:
        out, x, y = starts
        arguments = [*letters, *sizes, one, y, steps[0], x, steps[1], beta, out, steps[2]]
        b.call(function, arguments)

    def level(depth: int, starts: list[Any]) -> None:
        if depth == len(plan.batch):
            call(starts)
            return
        label = plan.batch[depth]
        with nest.loop(I64(spec.sizes[label])) as i:
            strides = spec.out[label], left[label], right[label]
            moved = (b.mul(i, I64(s), flags=["nsw"]) for s in strides)
            level(
                depth + 1,
                [b.gep(p, [at], source_etype=kind) for p, at in zip(starts, moved, strict=True)],
            )

    offsets = 0, spec.left.offset, spec.right.offset
    tell_threads(b, "begin")
    level(
        0,
        [b.gep(p, [I64(at)], source_etype=kind) for p, at in zip(bases, offsets, strict=True)],
    )
    tell_threads(b, "end")


def tell_threads(b: ir.IRBuilder, event: str) -> None:
    """Say that BLAS is to work on this thread only, or that it may use others again."""
    if not has_threads():
        return
    name = f"chainrule.runtime.blas_{event}"
    found = b.module.globals.get(name)
    b.call(found or ir.Function(b.module, ir.FunctionType(ir.VoidType(), []), name), [])


def _routine(module: ir.Module, name: str) -> ir.Function:
    symbol = f"chainrule.{name}"
    if symbol in module.globals:
        return module.globals[symbol]
    linear_algebra(name)  # SciPy is imported before the code is loaded, not within a call
    return ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 13), symbol)
