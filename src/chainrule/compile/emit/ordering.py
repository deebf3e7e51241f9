"""Sorting, searching, counting, and where extremes are.

Numbers are sorted as keys: integers of 64 bits in the same order, of which NaN is the last one.
Each goes with its place. Runs of a few are sorted by insertion; then runs of the same length are
merged from both ends at once, without a branch that depends on a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from .. import ir
from ..plan.schedule import UnsupportedError, reduced_axes, size_of
from .blocks import over
from .routines import Shared, shared
from .scalar import F64, I1, I64, convert

if TYPE_CHECKING:
    from .codegen import Nest

Index = tuple[Any, ...]
PAIR = ir.VectorType(I64, 2)  # a key and its place
RUN = 16  # elements that are sorted by insertion
LAST = (1 << 63) - 1
ON_STACK = 128  # elements that are sorted on the stack


# -- keys ----------------------------------------------------------------------------------------


def _key(b: ir.IRBuilder, x: Any, dtype: np.dtype[Any]) -> Any:
    """Return an integer that is ordered among others as the element is among elements."""
    if dtype.kind == "u" and dtype.itemsize == 8:
        return b.xor(x, I64(-(1 << 63)))
    if dtype.kind != "f":
        return convert(b, x, dtype, np.dtype(np.int64))
    x = convert(b, x, dtype, np.dtype(float))
    bits = b.bitcast(b.fadd(x, F64(0.0)), I64)  # of which the sum makes -0.0 the same as 0.0
    negative = b.lshr(b.ashr(bits, I64(63)), I64(1))
    return b.select(b.fcmp_unordered("uno", x, x), I64(LAST), b.xor(bits, negative))


def _chosen(b: ir.IRBuilder, condition: Any, x: Any, y: Any) -> Any:
    """Return one of two integers by a mask that LLVM cannot see through.

    It would make a branch of it, which for numbers in no order is guessed wrong every other time.
    """
    mask = b.sext(condition, I64)
    mask = b.hidden(mask)
    return b.xor(y, b.and_(b.xor(x, y), mask))


# -- sorting -------------------------------------------------------------------------------------


def sort_scratch(root: Equation) -> int:
    """Return how many bytes of memory sorting needs."""
    shape = root.out.type.shape
    n = shape[root.params["axis"]]
    return 32 * n if n > ON_STACK else 0


def _argsort(nest: Nest, root: Equation) -> None:
    (x,) = root.operands
    axis, shape = root.params["axis"], root.out.type.shape
    n, dtype = shape[axis], nest.buffers.dtype_of(x)
    if size_of(shape) == 0:
        return
    b = nest.b
    if nest.scratch is None:
        with b.goto_entry_block():
            pairs = b.alloca(ir.ArrayType(PAIR, 2 * n))
        pairs.align = 16
    else:
        pairs = nest.pointer[nest.scratch]

    def line(index: Index) -> None:
        before, after = index[:axis], index[axis:]
        with nest.loop(I64(n)) as i:
            nest.memo.clear()
            key = _key(b, nest.value(x, (*before, i, *after)), dtype)
            _Pairs(b, pairs).put(i, key, i)
        room = b.gep(pairs, [I64(n)], source_etype=PAIR)
        with b.goto_entry_block():
            place = b.alloca(ir.PointerType())
        shared(nest, f"sort_{n}", [pairs, room, place], lambda s, given: _sort(s, given, n))
        ordered = _Pairs(b, b.load(place, typ=ir.PointerType()))
        with nest.loop(I64(n)) as i:
            at = nest.linear(shape, (*before, i, *after))
            nest.store(root.out, root.out.type.dtype, at, ordered.origin(i))

    over(nest, (*shape[:axis], *shape[axis + 1 :]), line)


class _Pairs:
    """An array of keys with their places."""

    def __init__(self, b: ir.IRBuilder, pointer: Any) -> None:
        self.b = b
        self.pointer = pointer

    def _word(self, i: Any, k: int) -> Any:
        at = self.b.add(self.b.shl(i, I64(1)), I64(k))
        return self.b.gep(self.pointer, [at], source_etype=I64)

    def put(self, i: Any, key: Any, origin: Any) -> None:
        self.b.store(key, self._word(i, 0))
        self.b.store(origin, self._word(i, 1))

    def key(self, i: Any) -> Any:
        return self.b.load(self._word(i, 0), typ=I64)

    def origin(self, i: Any) -> Any:
        return self.b.load(self._word(i, 1), typ=I64)

    def load(self, i: Any) -> Any:
        place = self.b.gep(self.pointer, [i], source_etype=PAIR)
        return self.b.load(place, typ=PAIR, align=16)

    def store(self, i: Any, pair: Any) -> None:
        self.b.store(pair, self.b.gep(self.pointer, [i], source_etype=PAIR), align=16)


def _sort(nest: Shared, given: Sequence[Any], n: int) -> None:
    """Sort pairs, with as much room beside them; tell in which of both they are at the end."""
    b = nest.b
    pairs, room, place = given
    with nest.loop(I64(-(-n // RUN))) as k:
        first = b.mul(k, I64(RUN))
        end = b.add(first, I64(RUN))
        end = b.select(b.icmp_signed("<", end, I64(n)), end, I64(n))
        _insert(nest, _Pairs(b, pairs), first, end)
    length = RUN
    source, target = _Pairs(b, pairs), _Pairs(b, room)
    while length < n:
        whole = n // (2 * length)
        if whole:
            with nest.loop(I64(whole)) as k:
                _merge_equal(nest, source, target, b.mul(k, I64(2 * length)), length)
        _merge_rest(nest, source, target, whole * 2 * length, length, n)
        source, target = target, source
        length *= 2
    b.store(source.pointer, place)


def _insert(nest: Shared, pairs: _Pairs, first: Any, end: Any) -> None:
    """Sort pairs from one place up to another by insertion."""
    b = nest.b
    with nest.loop(end, b.add(first, I64(1))) as i:
        pair, key = pairs.load(i), pairs.key(i)
        before = b.block
        head, move = b.append_basic_block("compare"), b.append_basic_block("move")
        done = b.append_basic_block("put")
        b.branch(head)
        b.position_at_end(head)
        j = b.phi(I64)
        j.add_incoming(i, before)
        b.cbranch(b.icmp_signed(">", j, first), move, done)
        b.position_at_end(move)
        previous = b.sub(j, I64(1))
        shift = b.append_basic_block("shift")
        b.cbranch(b.icmp_signed(">", pairs.key(previous), key), shift, done)
        b.position_at_end(shift)
        pairs.store(j, pairs.load(previous))
        j.add_incoming(previous, shift)
        b.branch(head)
        b.position_at_end(done)
        pairs.store(j, pair)


def _merge_equal(nest: Shared, source: _Pairs, target: _Pairs, first: Any, length: int) -> None:
    """Merge two neighbouring runs of the same length, half of the pairs from either end.

    No run can be used up before the last pair is taken, so that nothing has to be checked.
    """
    b = nest.b
    middle, last = b.add(first, I64(length)), b.add(first, I64(2 * length - 1))
    cells = []
    with b.goto_entry_block():
        cells = [b.alloca(I64) for _ in range(4)]
    starts = (first, middle, b.sub(middle, I64(1)), last)
    for cell, start in zip(cells, starts, strict=True):
        b.store(start, cell)
    with nest.loop(I64(length)) as t:
        i, j, low, high = (b.load(cell, typ=I64) for cell in cells)
        right = b.icmp_signed("<", source.key(j), source.key(i))
        target.store(b.add(first, t), source.load(_chosen(b, right, j, i)))
        b.store(b.add(j, b.zext(right, I64)), cells[1])
        b.store(b.add(i, b.zext(b.not_(right), I64)), cells[0])
        right = b.icmp_signed(">=", source.key(high), source.key(low))
        target.store(b.sub(last, t), source.load(_chosen(b, right, high, low)))
        b.store(b.sub(high, b.zext(right, I64)), cells[3])
        b.store(b.sub(low, b.zext(b.not_(right), I64)), cells[2])


def _merge_rest(
    nest: Shared, source: _Pairs, target: _Pairs, first: int, length: int, n: int
) -> None:
    """Merge a whole run and a shorter one behind it, or copy what is only one run."""
    b = nest.b
    middle = min(first + length, n)
    if middle == n:
        with nest.loop(I64(n), I64(first)) as k:
            target.store(k, source.load(k))
        return
    with b.goto_entry_block():
        left, right = b.alloca(I64), b.alloca(I64)
    b.store(I64(first), left)
    b.store(I64(middle), right)
    with nest.loop(I64(n), I64(first)) as k:
        i, j = b.load(left, typ=I64), b.load(right, typ=I64)
        over_i, over_j = b.icmp_signed(">=", i, I64(middle)), b.icmp_signed(">=", j, I64(n))
        own_i, own_j = b.select(over_i, I64(middle - 1), i), b.select(over_j, I64(n - 1), j)
        smaller = b.icmp_signed("<", source.key(own_j), source.key(own_i))
        takes = b.or_(over_i, b.and_(smaller, b.not_(over_j)))
        target.store(k, source.load(_chosen(b, takes, own_j, own_i)))
        b.store(b.add(j, b.zext(takes, I64)), right)
        b.store(b.add(i, b.zext(b.not_(takes), I64)), left)


# -- searching -----------------------------------------------------------------------------------


def _searchsorted(nest: Nest, root: Equation) -> None:
    """Write binary searches: how many elements belong before each value."""
    a, v = root.operands
    if root.params["sorter"] is not None:
        raise UnsupportedError(root, "np.searchsorted with a sorter is not compiled yet")
    b, shape = nest.b, root.out.type.shape
    (n,) = nest.buffers.shape_of(a)
    sources = [nest.buffers.dtype_of(o) for o in (a, v)]
    work = np.result_type(*sources)
    left = root.params["side"] == "left"

    def body(index: Index) -> None:
        sought = _key(b, convert(b, nest.value(v, index), sources[1], work), work)
        with b.goto_entry_block():
            cells = low, high = b.alloca(I64), b.alloca(I64)
        b.store(I64(0), low)
        b.store(I64(n), high)
        with nest.loop(I64(n.bit_length())):
            nest.memo.clear()
            begin, end = (b.load(cell, typ=I64) for cell in cells)
            middle = b.lshr(b.add(begin, end), I64(1))
            safe = b.select(b.icmp_signed("<", middle, I64(n)), middle, I64(max(n - 1, 0)))
            key = _key(b, convert(b, nest.value(a, (safe,)), sources[0], work), work)
            goes = b.icmp_signed("<" if left else "<=", key, sought)
            goes = b.and_(goes, b.icmp_signed("<", begin, end))
            b.store(b.select(goes, b.add(middle, I64(1)), begin), low)
            b.store(b.select(goes, end, middle), high)
        place = nest.linear(shape, index)
        nest.store(root.out, root.out.type.dtype, place, b.load(low, typ=I64))

    over(nest, shape, body)


# -- reductions to integers ----------------------------------------------------------------------


def _split(nest: Nest, root: Equation) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes that a reduction keeps, and those that it goes over."""
    ndim = len(nest.buffers.shape_of(root.operands[0]))
    axes = reduced_axes(root, ndim)
    return tuple(k for k in range(ndim) if k not in axes), axes


def _reduced(
    nest: Nest, root: Equation, start: Callable[[], Any], step: Callable[[Any, Any], None]
) -> None:
    """Write a reduction: ``start`` before each line, ``step`` for each place and element of it.

    ``start`` returns where the result will be.
    """
    (x,) = root.operands
    shape = nest.buffers.shape_of(x)
    kept, axes = _split(nest, root)
    b = nest.b

    def line(outer: Index) -> None:
        cell = start()
        sizes = [shape[k] for k in axes]

        def element(inner: Index) -> None:
            index: list[Any] = [None] * len(shape)
            for k, i in (*zip(kept, outer, strict=True), *zip(axes, inner, strict=True)):
                index[k] = i
            step(nest.linear(sizes, inner), nest.value(x, tuple(index)))

        over(nest, sizes, element)
        place = nest.linear([shape[k] for k in kept], outer)
        nest.store(root.out, root.out.type.dtype, place, b.load(cell, typ=I64))

    over(nest, [shape[k] for k in kept], line)


def _count_nonzero(nest: Nest, root: Equation) -> None:
    b, dtype = nest.b, nest.buffers.dtype_of(root.operands[0])
    with b.goto_entry_block():
        count = b.alloca(I64)

    def start() -> Any:
        b.store(I64(0), count)
        return count

    def step(_: Any, x: Any) -> None:
        one = b.zext(convert(b, x, dtype, np.dtype(bool)), I64)
        b.store(b.add(b.load(count, typ=I64), one), count)

    _reduced(nest, root, start, step)


def _place_of_extreme(largest: bool) -> Callable[[Nest, Equation], None]:
    """Return what writes the place of the first extreme, or of the first NaN."""

    def write(nest: Nest, root: Equation) -> None:
        b, dtype = nest.b, nest.buffers.dtype_of(root.operands[0])
        if not size_of(nest.buffers.shape_of(root.operands[0])):
            raise UnsupportedError(root, "the extreme of nothing is left to NumPy")
        with b.goto_entry_block():
            best, place, some = b.alloca(I64), b.alloca(I64), b.alloca(I1)

        def start() -> Any:
            b.store(I64(0), place)
            b.store(I1(0), some)
            return place

        def step(at: Any, x: Any) -> None:
            key = _key(b, x, dtype)
            if not largest:
                # NaN comes first here, and nothing else has the smallest of all keys
                key = b.not_(key)
                if dtype.kind == "f":
                    nan = b.icmp_signed("==", key, I64(~LAST))
                    key = b.select(nan, I64(LAST), key)
            better = b.icmp_signed(">", key, b.load(best, typ=I64))
            better = b.or_(better, b.not_(b.load(some, typ=I1)))
            b.store(b.select(better, key, b.load(best, typ=I64)), best)
            b.store(b.select(better, at, b.load(place, typ=I64)), place)
            b.store(I1(1), some)

        b.store(I64(0), best)
        _reduced(nest, root, start, step)

    return write


ORDERING: dict[str, Callable[[Nest, Equation], None]] = {
    "argsort": _argsort,
    "argpartition": _argsort,  # all of it sorted is one of the orders that are allowed
    "searchsorted": _searchsorted,
    "count_nonzero": _count_nonzero,
    "argmax": _place_of_extreme(True),
    "argmin": _place_of_extreme(False),
}
