"""The inside of a register tile: what is loaded, multiplied, added and stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from ...program.records import frozen_record
from .. import ir
from ..emit.scalar import I64
from ..sizes import is_fixed
from .intrinsics import intrinsic, suffix
from .tiling import Factors

FAR = 1 << 20  # bytes that the second cache doesn't hold beside other things

if TYPE_CHECKING:
    from .kernel import Starts, Writer


@frozen_record
class Piece:
    """A vector of a tile: how many elements it has, and how many of them are meant."""

    start: int
    width: int
    count: Any


class Outer:
    """A tile of elements of the left operand times vectors of the right one."""

    def __init__(
        self,
        writer: Writer,
        pointers: list[Any],
        rows: Factors,
        columns: Factors,
        pieces: list[Piece],
    ) -> None:
        self.w = writer
        self.b = writer.b
        self.pointers = pointers
        self.rows, self.columns, self.pieces = rows, columns, pieces
        self.row_offsets = writer.offsets(1, rows)
        self.column_offsets = writer.offsets(2, columns)
        self.cells = [
            (r, c, p)
            for r in range(len(self.row_offsets))
            for c in range(len(self.column_offsets))
            for p in range(len(self._own_pieces()))
        ]
        self.sums = {cell: writer.room(self._kind(cell)) for cell in self.cells}

    def _own_pieces(self) -> list[Piece]:
        return self.pieces

    def _kind(self, cell: tuple[int, int, int]) -> Any:
        return self.w.type_of(self._own_pieces()[cell[2]].width)

    def write(self) -> None:
        """Write the loops over what is summed, and what stores the sums."""
        for cell, room in self.sums.items():
            self.b.store(self.w.zero(self._own_pieces()[cell[2]].width), room)
        inner = [k for k in self.w.parts.inner if k != self._summed_lane()]
        self._level(self.w.summed(inner), {})
        self.finish()

    def _summed_lane(self) -> int | None:
        return None

    def _level(self, inner: list[int], starts: Starts) -> None:
        if not inner:
            left = self.w.at(1, self.pointers[1], starts)
            right = self.w.at(2, self.pointers[2], starts)
            self.w.beside(starts)
            self.step(left, right)
            return
        with self.w.nest.loop(self.w.extent(inner[0])) as i:
            self._level(inner[1:], {**starts, inner[0]: i})

    def step(self, left: Any, right: Any) -> None:
        """Add one product to each sum."""
        w = self.w
        loaded = {
            (c, p): w.load(w.moved(right, I64(offset + piece.start)), piece)
            for c, offset in enumerate(self.column_offsets)
            for p, piece in enumerate(self.pieces)
        }
        for r, offset in enumerate(self.row_offsets):
            x = self.b.load(w.moved(left, I64(offset)), typ=w.kind)
            for (c, p), y in loaded.items():
                self._add((r, c, p), w.splat(x, self.pieces[p].width), y)

    def _add(self, cell: tuple[int, int, int], x: Any, y: Any) -> None:
        room = self.sums[cell]
        so_far = self.b.load(room, typ=self._kind(cell))
        self.b.store(self.w.multiply_add(x, y, so_far), room)

    def finish(self) -> None:
        """Store the sums."""
        lane = self.w.tile.lane
        if lane is not None and self.w.spec.out[lane] != 1:
            self._scatter(lane)
            return
        for (r, c, p), room in self.sums.items():
            offset = self._places()[r][c] + self.pieces[p].start
            value = self.b.load(room, typ=self._kind((r, c, p)))
            place = self.w.moved(self.pointers[0], I64(offset))
            if self.w.adds:
                value = self.b.fadd(self.w.so_far(place, self.pieces[p]), value)
            self.w.store(value, place, self.pieces[p])

    def _places(self) -> list[list[int]]:
        rows, columns = self.w.offsets(0, self.rows), self.w.offsets(0, self.columns)
        return [[a + b for b in columns] for a in rows]

    def _scatter(self, lane: int) -> None:
        """Store vectors along a label that has gaps in the result, one element after the other."""
        w, stride = self.w, self.w.spec.out[lane]
        width = sum(piece.width for piece in self.pieces)
        last = self.pieces[-1]
        count = I64(last.start + last.count) if type(last.count) is int else last.count
        room = w.room(w.kind, I64(width * len(self.cells)))
        block = (*self.rows, *self.columns)
        starts = {
            rc: k * width
            for k, rc in enumerate(
                product(range(len(self.row_offsets)), range(len(self.column_offsets)))
            )
        }
        for (r, c, p), sum_ in self.sums.items():
            at = w.moved(room, I64(starts[r, c] + self.pieces[p].start))
            self.b.store(self.b.load(sum_, typ=self._kind((r, c, p))), at, align=w.bytes)
        with w.nest.loop(count) as i, self._nested(block) as (number, place):
            source = self.b.add(self.b.mul(number, I64(width)), i)
            x = self.b.load(w.moved(room, source), typ=w.kind)
            there = self.b.add(self.b.mul(i, I64(stride)), place)
            self._put(x, w.moved(self.pointers[0], there))

    def _put(self, x: Any, place: Any) -> None:
        """Store a single sum."""
        if self.w.adds:
            x = self.b.fadd(self.w.so_far(place, Piece(0, 1, 1)), x)
        self.b.store(x, place)

    @contextmanager
    def _nested(self, block: Factors) -> Iterator[tuple[Any, Any]]:
        """Write loops over a block: the number of the cell, and its place in the result."""
        number: Any = I64(0)
        place: Any = I64(0)
        out = self.w.strides[0]
        with ExitStack() as stack:
            for label, factor in block:
                i = stack.enter_context(self.w.nest.loop(I64(factor)))
                number = self.b.add(self.b.mul(number, I64(factor)), i)
                place = self.b.add(place, self.b.mul(i, I64(out[label])))
            yield number, place


class Lanes(Outer):
    """A tile of vectors of both operands, along a label of the result."""

    def step(self, left: Any, right: Any) -> None:
        w = self.w
        for p, piece in enumerate(self.pieces):
            ys = [
                w.load(w.moved(right, I64(offset + piece.start)), piece)
                for offset in self.column_offsets
            ]
            for r, offset in enumerate(self.row_offsets):
                x = w.load(w.moved(left, I64(offset + piece.start)), piece)
                for c, y in enumerate(ys):
                    self._add((r, c, p), x, y)


class Dot(Outer):
    """A tile of vectors of both operands, along a label that is summed over."""

    def _own_pieces(self) -> list[Piece]:
        width = self.w.tile.width
        return [Piece(0, width, width)]

    def _summed_lane(self) -> int | None:
        return self.w.tile.lane

    def step(self, left: Any, right: Any) -> None:
        w, width = self.w, self.w.tile.width
        lane = w.tile.lane
        assert lane is not None
        size = w.spec.sizes[lane]
        whole = size - size % width
        if not is_fixed(size):
            self._steps_of_any(left, right, whole, size)
            return
        if whole == width:
            self._products(left, right, Piece(0, width, width))
        elif whole:
            with w.nest.loop(I64(whole), step=width) as i:
                self._products(w.moved(left, i), w.moved(right, i), Piece(0, width, width))
        if size % width:
            rest = Piece(0, width, size % width)
            self._products(w.moved(left, I64(whole)), w.moved(right, I64(whole)), rest)

    def _steps_of_any(self, left: Any, right: Any, whole: Any, size: Any) -> None:
        """Write the same for any length."""
        w, width = self.w, self.w.tile.width
        with w.nest.loop(I64(whole), step=width) as i:
            self._products(w.moved(left, i), w.moved(right, i), Piece(0, width, width))
        if width > 1:
            with w.nest.loop(I64(size), I64(whole), width) as i:  # not once, or once
                rest = Piece(0, width, I64(size % width))
                self._products(w.moved(left, i), w.moved(right, i), rest)

    def _products(self, left: Any, right: Any, piece: Piece) -> None:
        w = self.w
        ys = [w.load(w.moved(right, I64(offset)), piece) for offset in self.column_offsets]
        ahead = self._ahead()
        for r, offset in enumerate(self.row_offsets):
            x = w.load(w.moved(left, I64(offset)), piece)
            if ahead:
                w.fetch(w.moved(left, I64(offset + ahead)))
            for c, y in enumerate(ys):
                self._add((r, c, 0), x, y)

    def _ahead(self) -> int:
        """Return how far ahead the next rows are, if they come from beyond the second cache."""
        if len(self.rows) != 1 or self.w.left_bytes() < FAR:
            return 0
        label, factor = self.rows[0]
        return factor * self.w.strides[1][label]

    def finish(self) -> None:
        w, width = self.w, self.w.tile.width
        kind = w.type_of(width)
        room = w.room(kind, I64(len(self.cells)))
        for k, (cell, sum_) in enumerate(self.sums.items()):
            at = self.b.gep(room, [I64(k)], source_etype=kind)
            self.b.store(self.b.load(sum_, typ=self._kind(cell)), at)
        with self._nested((*self.rows, *self.columns)) as (number, place):
            at = self.b.gep(room, [number], source_etype=kind)
            self._put(self._added(self.b.load(at, typ=kind)), w.moved(self.pointers[0], place))

    def _added(self, vector: Any) -> Any:
        """Return the sum of a vector's elements."""
        w = self.w
        if w.tile.width == 1:
            return vector
        name = f"llvm.vector.reduce.fadd.{suffix(vector.type)}"
        function = intrinsic(self.b.module, name, w.kind, [w.kind, vector.type])
        return self.b.call(function, [ir.Constant(w.kind, -0.0), vector], fastmath=["reassoc"])
