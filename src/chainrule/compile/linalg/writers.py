"""Operations on matrices as machine code, one matrix of a stack after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from ..emit.blocks import over
from ..emit.scalar import I64, constant, convert
from ..plan.schedule import UnsupportedError, size_of
from .elimination import small_cholesky, small_lu
from .lapack import large_cholesky, large_lu, large_substitute
from .matrices import Matrix, complain, on_stack
from .spectral import SPECTRAL
from .substitution import Triangle, has_zero, substitute

if TYPE_CHECKING:
    from ..emit.codegen import Nest

LARGEST = 32  # rows of a matrix that is factored by loops of our own
Index = tuple[Any, ...]


def _broadcast(index: Index, shape: Sequence[int]) -> Index:
    """Return which matrix of a stack belongs to an index of the results."""
    last = index[len(index) - len(shape) :]
    return tuple(I64(0) if n == 1 else i for n, i in zip(shape, last, strict=True))


def _element(nest: Nest, o: Any, dtype: np.dtype[Any], batch: Index) -> Callable[..., Any]:
    """Return what gives an element of an operand, in another dtype."""
    shape = nest.buffers.shape_of(o)
    own = _broadcast(batch, shape[: len(shape) - 2])
    source = nest.buffers.dtype_of(o)

    def element(i: Any, j: Any) -> Any:
        index = (*own, i, j) if len(shape) > 1 else (i,)
        return convert(nest.b, nest.value(o, index), source, dtype)

    return element


def _matrix(nest: Nest, o: Any, dtype: np.dtype[Any], batch: Index) -> Matrix:
    """Return an operand, or a result, as it is in memory."""
    shape = nest.buffers.shape_of(o)
    own = _broadcast(batch, shape[: len(shape) - 2])
    rows, columns = shape[-2:]
    place = nest.linear((*shape[:-2], rows * columns), (*own, I64(0)))
    return Matrix(nest, nest.address(nest.buffers.slot(o), dtype, place), dtype, columns)


def _lu(nest: Nest, root: Equation) -> None:
    (a,) = root.operands
    n, dtype = root.out.type.shape[-1], root.out.type.dtype

    def body(batch: Index) -> None:
        element, out = _element(nest, a, dtype, batch), _matrix(nest, root.out, dtype, batch)
        if n <= LARGEST:
            small_lu(nest, n, dtype, element, out)
            return
        with nest.loop(I64(n)) as i, nest.loop(I64(n)) as j:
            nest.memo.clear()
            out.store(j, i, element(i, j))
        large_lu(nest, root, n, out)

    over(nest, root.out.type.shape[:-2], body)


def _cholesky(nest: Nest, root: Equation) -> None:
    (a,) = root.operands
    n, dtype = root.out.type.shape[-1], root.out.type.dtype
    if not root.out.type.size:
        return

    def body(batch: Index) -> None:
        element, out = _element(nest, a, dtype, batch), _matrix(nest, root.out, dtype, batch)
        if n <= LARGEST:
            bad = small_cholesky(nest, n, dtype, element, out)
        else:
            with nest.loop(I64(n)) as i, nest.loop(I64(n)) as j:
                nest.memo.clear()
                kept = nest.b.icmp_signed("<=", j, i)
                out.store(i, j, nest.b.select(kept, element(i, j), constant(0.0, dtype)))
            bad = large_cholesky(nest, root, n, out)
        complain(nest, root, bad)

    over(nest, root.out.type.shape[:-2], body)


def _solve(nest: Nest, root: Equation, triangle: Triangle, x: Matrix, columns: int) -> None:
    if columns == 1 or triangle.n <= LARGEST:
        substitute(nest, triangle, x, columns)
    else:
        large_substitute(nest, root, triangle, x, columns)


def _systems(
    nest: Nest, root: Equation, solve: Callable[[Matrix, Callable[..., Any], Matrix, int], None]
) -> None:
    """Go over the systems of a stack: the matrix, right-hand sides, where the solution belongs."""
    a, b = root.operands
    dtype, shape = root.out.type.dtype, root.out.type.shape
    if not root.out.type.size:
        return
    vector = len(shape) == 1
    columns = 1 if vector else shape[-1]

    def body(batch: Index) -> None:
        matrix = _matrix(nest, a, dtype, batch)
        given = _element(nest, b, dtype, batch)
        if vector:
            pointer = nest.address(nest.buffers.slot(root.out), dtype, I64(0))
            out = Matrix(nest, pointer, dtype, 1)
        else:
            out = _matrix(nest, root.out, dtype, batch)
        solve(matrix, given, out, columns)

    over(nest, () if vector else shape[:-2], body)


def _triangular_solve(nest: Nest, root: Equation) -> None:
    lower, transposed = root.params["lower"], root.params["transposed"]
    if nest.buffers.dtype_of(root.operands[0]) != root.out.type.dtype:
        raise UnsupportedError(root, "a triangular system of mixed dtypes is not compiled yet")

    def solve(matrix: Matrix, given: Callable[..., Any], out: Matrix, columns: int) -> None:
        n = nest.buffers.shape_of(root.operands[0])[-1]
        complain(nest, root, has_zero(nest, matrix, n))
        _copied(nest, given, out, n, columns)
        triangle = Triangle(matrix, n, lower)
        _solve(nest, root, triangle.turned if transposed else triangle, out, columns)

    _systems(nest, root, solve)


def _copied(nest: Nest, given: Callable[..., Any], out: Matrix, n: int, columns: int) -> None:
    with nest.loop(I64(n)) as i, nest.loop(I64(columns)) as j:
        nest.memo.clear()
        out.store(i, j, given(i, j))


def _lu_solve(nest: Nest, root: Equation) -> None:
    b = nest.b

    def solve(factors: Matrix, given: Callable[..., Any], out: Matrix, columns: int) -> None:
        n = nest.buffers.shape_of(root.operands[0])[-1]
        lower = Triangle(factors.turned, n, True, unit=True)
        upper = Triangle(factors.turned, n, False)
        complain(nest, root, has_zero(nest, factors, n))
        if not root.params["transposed"]:
            with nest.loop(I64(n)) as i:
                place = b.fptosi(factors.load(I64(n), i), I64)
                with nest.loop(I64(columns)) as j:
                    nest.memo.clear()
                    out.store(i, j, given(place, j))
            _solve(nest, root, lower, out, columns)
            _solve(nest, root, upper, out, columns)
            return
        x = _room(nest, root, n, columns)
        _copied(nest, given, x, n, columns)
        _solve(nest, root, upper.turned, x, columns)
        _solve(nest, root, lower.turned, x, columns)
        with nest.loop(I64(n)) as i:
            place = b.fptosi(factors.load(I64(n), i), I64)
            with nest.loop(I64(columns)) as j:
                out.store(place, j, x.load(i, j))

    _systems(nest, root, solve)


STACK = 4096  # bytes of a matrix that is put together on the stack


def _room(nest: Nest, root: Equation, rows: int, columns: int) -> Matrix:
    """Return memory for a matrix that is needed in between."""
    dtype = root.out.type.dtype
    if nest.scratch is None:
        return on_stack(nest, dtype, rows, columns)
    return Matrix(nest, nest.pointer[nest.scratch], dtype, columns)


def solve_scratch(root: Equation) -> int:
    """Return how many bytes of memory a system needs beside its solution."""
    if not root.params["transposed"]:
        return 0
    shape, itemsize = root.out.type.shape, root.out.type.dtype.itemsize
    size = size_of(shape[-2:]) * itemsize
    return size if size > STACK else 0


WRITERS: dict[str, Callable[[Nest, Equation], None]] = {
    "lu": _lu,
    "lu_solve": _lu_solve,
    "triangular_solve": _triangular_solve,
    "cholesky": _cholesky,
    **SPECTRAL,
}
