"""Eigenvalues, singular values and orthogonal factors, by LAPACK."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation, Var
from ..emit.blocks import over
from ..emit.scalar import I64, constant, register_type
from .lapack import I32, Routine
from .matrices import Matrix, complain

if TYPE_CHECKING:
    from ..emit.codegen import Nest

Index = tuple[Any, ...]
BLOCKED = 64  # columns that LAPACK works on at a time, where it has room for them


def _sizes(root: Equation) -> tuple[int, int, int]:
    (a,) = root.operands
    m, n = (a.type.shape if type(a) is Var else np.shape(a))[-2:]
    return m, n, min(m, n)


def _work(root: Equation) -> int:
    """Return how many numbers LAPACK has room for."""
    m, n, k = _sizes(root)
    if root.primitive.name == "symmetric_eigen":
        return 1 + 6 * n + 2 * n * n + BLOCKED * n
    if root.primitive.name == "singular":
        return 7 * k * k + 8 * k + (BLOCKED + 1) * (m + n)
    return BLOCKED * n


def spectral_scratch(root: Equation) -> int:
    """Return how many bytes a decomposition needs: numbers, then a copy, then integers."""
    m, n, k = _sizes(root)
    itemsize = root.out.type.dtype.itemsize
    copied = m * n if root.primitive.name == "singular" else n
    return (_work(root) + copied) * itemsize + 4 * (8 * k + 5 * n + 3)


def _place(nest: Nest, pointer: Any, dtype: np.dtype[Any], at: int) -> Any:
    return nest.b.gep(pointer, [I64(at)], source_etype=register_type(dtype))


def _each(nest: Nest, root: Equation, write: Callable[..., Any]) -> None:
    """Call ``write`` for each matrix of a stack: what gives its elements, where the result is."""
    (a,) = root.operands
    shape, dtype = root.out.type.shape, root.out.type.dtype
    batch = nest.buffers.shape_of(a)[:-2]
    size = int(np.prod(shape[len(batch) :]))

    def body(index: Index) -> None:
        def element(i: Any, j: Any) -> Any:
            nest.memo.clear()
            return nest.value(a, (*index, i, j))

        at = nest.linear((*batch, size), (*index, I64(0)))
        write(element, nest.address(root.out, dtype, at))

    over(nest, batch, body)


def _by_columns(nest: Nest, root: Equation, element: Callable[..., Any], pointer: Any) -> None:
    """Copy a matrix as LAPACK has it."""
    m, n, _ = _sizes(root)
    target = Matrix(nest, pointer, root.out.type.dtype, 1, m)
    with nest.loop(I64(n)) as j, nest.loop(I64(m)) as i:
        target.store(i, j, element(i, j))


def _rooms(nest: Nest, root: Equation) -> tuple[Any, Any, Any]:
    """Return where the numbers, the copy and the integers are."""
    m, n, _ = _sizes(root)
    dtype, work = root.out.type.dtype, _work(root)
    room = nest.pointer[nest.scratch]
    copied = m * n if root.primitive.name == "singular" else n
    return room, _place(nest, room, dtype, work), _place(nest, room, dtype, work + copied)


def _symmetric_eigen(nest: Nest, root: Equation) -> None:
    _, n, _ = _sizes(root)
    dtype, vectors = root.out.type.dtype, root.params["vectors"]

    def write(element: Callable[..., Any], out: Any) -> None:
        work, _, integers = _rooms(nest, root)
        _by_columns(nest, root, element, out)
        routine = Routine(nest, root, "syevd").letters("V" if vectors else "N", "L").sizes(n)
        routine.at(out).sizes(n).at(_place(nest, out, dtype, n * n), work)
        info = routine.sizes(_work(root)).at(integers).sizes(5 * n + 3).call_for_info()
        complain(nest, root, nest.b.icmp_signed("!=", info, I32(0)))

    _each(nest, root, write)


def _singular(nest: Nest, root: Equation) -> None:
    m, n, k = _sizes(root)
    dtype, vectors = root.out.type.dtype, root.params["vectors"]

    def write(element: Callable[..., Any], out: Any) -> None:
        work, copy, integers = _rooms(nest, root)
        _by_columns(nest, root, element, copy)
        routine = Routine(nest, root, "gesdd").letters("S" if vectors else "N").sizes(m, n)
        routine.at(copy).sizes(m).at(_place(nest, out, dtype, k * m), out).sizes(m)
        routine.at(_place(nest, out, dtype, k * m + k)).sizes(k).at(work).sizes(_work(root))
        info = routine.at(integers).call_for_info()
        complain(nest, root, nest.b.icmp_signed("!=", info, I32(0)))

    _each(nest, root, write)


def _orthogonal(nest: Nest, root: Equation) -> None:
    m, n, _ = _sizes(root)
    b, dtype = nest.b, root.out.type.dtype

    def write(element: Callable[..., Any], out: Any) -> None:
        work, tau, _ = _rooms(nest, root)
        _by_columns(nest, root, element, out)
        routine = Routine(nest, root, "geqrf").sizes(m, n).at(out).sizes(m).at(tau, work)
        routine.sizes(_work(root)).call_for_info()
        q = Matrix(nest, out, dtype, 1, m)
        r = Matrix(nest, _place(nest, out, dtype, n * m), dtype, n)
        with nest.loop(I64(n)) as i, nest.loop(I64(n)) as j:
            kept = b.icmp_signed("<=", i, j)
            r.store(i, j, b.select(kept, q.load(i, j), constant(0.0, dtype)))
        routine = Routine(nest, root, "orgqr").sizes(m, n, n).at(out).sizes(m).at(tau, work)
        routine.sizes(_work(root)).call_for_info()

    _each(nest, root, write)


SPECTRAL: dict[str, Callable[[Nest, Equation], None]] = {
    "symmetric_eigen": _symmetric_eigen,
    "singular": _singular,
    "orthogonal": _orthogonal,
}
