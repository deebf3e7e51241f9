"""Triangular systems solved in place, by forward or backward substitution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ...program.records import replaced
from .. import ir
from ..contraction.tiling import vector_width
from ..emit.routines import Shared, shared
from ..emit.scalar import I64
from .matrices import Matrix, effort_for, less_product, splat

if TYPE_CHECKING:
    from ..emit.codegen import Nest

    Writer: TypeAlias = Nest | Shared

AT_ONCE = 4  # vectors of a row of the right-hand sides that are kept in registers


class Triangle(NamedTuple):
    """A triangular matrix; ``unit`` says that its diagonal is one, and not in the memory."""

    matrix: Matrix
    n: int
    lower: bool
    unit: bool = False

    @property
    def turned(self) -> Triangle:
        """The transpose."""
        return self._replace(matrix=self.matrix.turned, lower=not self.lower)


def has_zero(nest: Writer, matrix: Matrix, n: int) -> Any:
    """Return whether there is a zero in the diagonal of a matrix."""
    b = nest.b
    kind = ir.IntType(1)
    with b.goto_entry_block():
        found = b.alloca(kind)
    b.store(kind(0), found)
    with nest.loop(I64(n)) as i:
        x = matrix.load(i, i)
        zero = b.fcmp_ordered("==", x, ir.Constant(x.type, 0.0))
        b.store(b.or_(b.load(found, typ=kind), zero), found)
    return b.load(found, typ=kind)


@contextmanager
def _rows(nest: Writer, triangle: Triangle) -> Iterator[tuple[Any, Any, Any]]:
    """Go over the rows, as they can be solved; give the row, and which are solved already.

    These are those from the second number up to the third one.
    """
    n = triangle.n
    with nest.loop(I64(n)) as step:
        if triangle.lower:
            yield step, I64(0), step
        else:
            i = nest.b.sub(I64(n - 1), step, flags=["nsw"])
            yield i, nest.b.add(i, I64(1), flags=["nsw"]), I64(n)


def substitute(nest: Nest, triangle: Triangle, x: Matrix, columns: int) -> None:
    """Overwrite right-hand sides with the solutions."""
    matrix = triangle.matrix
    form = "lower" if triangle.lower else "upper"
    name = f"{form}_{triangle.n}_{matrix.row}_{matrix.column}_{x.row}_{columns}_{x.dtype.str[1:]}"

    def write(inner: Shared, given: Sequence[Any]) -> None:
        own = replaced(matrix, nest=inner, pointer=given[0])
        target = replaced(x, nest=inner, pointer=given[1])
        _substitute(inner, triangle._replace(matrix=own), target, columns)

    name = f"{name}_unit" if triangle.unit else name
    shared(nest, name, [matrix.pointer, x.pointer], write, effort_for(triangle.n * columns))


def _substitute(nest: Writer, triangle: Triangle, x: Matrix, columns: int) -> None:
    if columns == 1 and triangle.matrix.row == 1 and triangle.n > 1:
        _by_columns(nest, triangle, x)
        return
    width = vector_width(columns, x.dtype)
    start = 0
    while width:
        whole = (columns - start) // width
        for count in (AT_ONCE, 1):
            times = whole // count
            if times:
                _blocks(nest, triangle, x, start, width, count, times)
                start += times * count * width
                whole -= times * count
        width //= 2


def _blocks(
    nest: Writer, triangle: Triangle, x: Matrix, start: int, width: int, count: int, times: int
) -> None:
    """Solve for blocks of neighbouring columns, each with its sums in registers."""
    b = nest.b
    kind = x.dtype

    def solve(first: Any) -> None:
        columns = [b.add(first, I64(c * width), flags=["nsw"]) for c in range(count)]
        with _rows(nest, triangle) as (i, begin, end):
            sums = [x.lanes(i, c, width) for c in columns]
            sums = _subtracted(nest, triangle, x, sums, columns, (i, begin, end))
            if not triangle.unit:
                pivot = splat(nest, triangle.matrix.load(i, i), width)
                sums = [b.fdiv(s, pivot) for s in sums]
            for c, s in zip(columns, sums, strict=True):
                x.set_lanes(i, c, s)

    assert kind.kind == "f"
    if times == 1:
        solve(I64(start))
        return
    with nest.loop(I64(times)) as block:
        solve(b.add(b.mul(block, I64(count * width)), I64(start), flags=["nsw"]))


def _subtracted(
    nest: Writer, triangle: Triangle, x: Matrix, sums: list[Any], columns: list[Any], rows: Any
) -> list[Any]:
    """Return parts of a row, less what the rows that are solved already contribute."""
    b = nest.b
    i, begin, end = rows
    before = b.block
    head, after = b.append_basic_block("terms"), b.append_basic_block("solved")
    b.cbranch(b.icmp_signed("<", begin, end), head, after)
    b.position_at_end(head)
    k = b.phi(I64, "k")
    k.add_incoming(begin, before)
    running = [b.phi(s.type) for s in sums]
    for phi, s in zip(running, sums, strict=True):
        phi.add_incoming(s, before)
    factor = triangle.matrix.load(i, k)
    width = sums[0].type.count if isinstance(sums[0].type, ir.VectorType) else 1
    factors = splat(nest, factor, width)
    less = [
        less_product(nest, phi, factors, x.lanes(k, c, width))
        for phi, c in zip(running, columns, strict=True)
    ]
    following = b.add(k, I64(1), flags=["nsw"])
    k.add_incoming(following, b.block)
    for phi, s in zip(running, less, strict=True):
        phi.add_incoming(s, b.block)
    b.cbranch(b.icmp_signed("<", following, end), head, after)
    latch = b.block
    b.position_at_end(after)
    found = []
    for s, new in zip(sums, less, strict=True):
        phi = b.phi(s.type)
        phi.add_incoming(s, before)
        phi.add_incoming(new, latch)
        found.append(phi)
    return found


def _by_columns(nest: Writer, triangle: Triangle, x: Matrix) -> None:
    """Solve for one right-hand side, where the columns of the matrix lie in a piece each."""
    b = nest.b
    zero = I64(0)
    with nest.loop(I64(triangle.n)) as step:
        k = step if triangle.lower else b.sub(I64(triangle.n - 1), step, flags=["nsw"])
        known = x.load(k, zero)
        if not triangle.unit:
            known = b.fdiv(known, triangle.matrix.load(k, k))
            x.store(k, zero, known)
        begin, end = (b.add(k, I64(1)), I64(triangle.n)) if triangle.lower else (zero, k)
        with nest.loop(end, begin) as i:
            less = less_product(nest, x.load(i, zero), triangle.matrix.load(i, k), known)
            x.store(i, zero, less)
