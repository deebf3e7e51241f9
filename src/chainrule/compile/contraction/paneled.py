"""The code of products over panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ...program.equation import Equation, Var
from ..emit.scalar import I64
from .chains import contiguous_strides
from .kernel import Starts, Writer
from .panels import Panels
from .spec import Ints
from .tiles import Piece
from .transposition import transposer

if TYPE_CHECKING:
    from ..emit.codegen import Nest


LINE = 64  # bytes of a cache line
SHORT_LINE = 128  # elements of a row, of which the hardware fetches the next ones by itself
FAR = 256 * 1024  # bytes of an array that is not in the second cache when it is needed again


def _is_far(o: Any) -> bool:
    return type(o) is Var and o.type.size * o.type.dtype.itemsize >= FAR


class PanelWriter(Writer):
    """Writes the loops of a contraction whose right operand is copied into panels."""

    def __init__(
        self,
        nest: Nest,
        root: Equation,
        plan: Panels,
        bases: list[Any],
        room: Any,
        adds: bool = False,
    ) -> None:
        if plan.exchanged:
            bases = [bases[0], bases[2], bases[1]]
        super().__init__(nest, root, plan.spec, plan.tile, bases, adds)
        self.plan = plan
        self.panel_room = room
        self.row_room = self.moved(room, I64(plan.area))
        assert plan.tile.lane is not None
        self.lane: int = plan.tile.lane
        self.inner = super().summed(self.parts.inner)
        self.given = self.strides
        self.panel_strides = self._panel_strides()
        self.piece: Any = I64(plan.length)
        self.ahead_here: list[Any] = []
        self.coming: Any = None  # where the next piece is, and how much of it a tile fetches
        # pointers to arrays laid out like the result, needed soon
        self.ahead: list[Any] = [self.bases[0]] if _is_far(root.out) else []
        self.next_rows: Any = None  # where the next tile's rows are, if they are far

    def _panel_strides(self) -> Ints:
        """Return the strides of labels within the panels; from panel to panel, per column."""
        sizes = [self._most(k) for k in self.inner]
        strides = [0] * len(self.spec.sizes)
        for k, stride in zip(
            self.inner, contiguous_strides((*sizes, self.plan.width)), strict=False
        ):
            strides[k] = stride
        strides[self.lane] = self.plan.depth
        return tuple(strides)

    def _most(self, label: int) -> int:
        return self.plan.length if label == self.plan.block else self.spec.sizes[label]

    def extent(self, label: int) -> Any:
        return self.piece if label == self.plan.block else super().extent(label)

    def summed(self, labels: Sequence[int]) -> list[int]:
        return [k for k in self.inner if k in labels]

    def write(self) -> None:
        """Write everything."""
        self._blocks([(k, 1) for k in self.parts.batch], {}, {}, lambda at, _: self._stack(at))

    def _stack(self, starts: Starts) -> None:
        """Write the product of one pair of matrices."""
        bases, adds = self.bases, self.adds
        size, length = self.spec.sizes[self.plan.block], self.plan.length
        here = tuple(self.at(n, base, starts) for n, base in enumerate(bases))
        if length >= size:
            self.pack(here[2])
            self.rows(here)
        else:
            with self.nest.loop(I64(size), step=length) as begin:
                rest = self.b.sub(I64(size), begin)
                shorter = self.b.icmp_signed("<", rest, I64(length))
                self.piece = self.b.select(shorter, rest, I64(length))
                at = {self.plan.block: begin}
                moved = tuple(self.at(n, base, at) for n, base in enumerate(here))
                self.adds = True
                if not adds:
                    self.first = self.b.icmp_signed("==", begin, I64(0))
                self.pack(moved[2])
                self._expect(moved[2], begin)
                self.rows(moved)
        self.bases, self.adds, self.first, self.piece = bases, adds, None, I64(length)
        self.coming = None

    def _expect(self, source: Any, begin: Any) -> None:
        """Have each tile fetch a share of the next piece into the second cache."""
        plan, lines = self.plan, self.plan.following
        if not lines:
            return
        factors = dict(plan.tile.rows)
        tiles = (
            prod(-(-self.spec.sizes[k] // factors.get(k, 1)) for k in self.parts.rows) * plan.panels
        )
        share = -(-lines // tiles)
        if self.coming is None:
            self.coming = self.room(source.type), self.room(I64)
        place, count = self.coming
        following = self.b.add(begin, I64(plan.length))
        more = self.b.icmp_signed("<", following, I64(self.spec.sizes[plan.block]))
        self.b.store(self.b.select(more, I64(share), I64(0)), count)
        self.b.store(self.moved(source, I64(plan.length * self.given[2][plan.block])), place)

    def _fetch_coming(self) -> None:
        place, count = self.coming
        pointer = self.b.load(place, typ=place.type)
        share = self.b.load(count, typ=I64)
        step = I64(LINE // self.bytes)
        with self.nest.loop(share) as i:
            self.fetch(self.moved(pointer, self.b.mul(i, step)))
        self.b.store(self.moved(pointer, self.b.mul(share, step)), place)

    def rows(self, bases: Sequence[Any]) -> None:
        """Write the loops over tiles; each row goes by all panels."""
        factors = dict(self.tile.rows)
        order = [(k, factors.get(k, 1)) for k in self.parts.rows]

        def block(starts: Starts, factors: dict[int, int]) -> None:
            here = [self.at(n, base, starts) for n, base in enumerate(bases[:2])]
            ahead = [self.at(0, base, starts) for base in self.ahead]
            left = self.given[1]
            self._expect_rows(here[1], factors)
            if self.plan.row_size:
                here[1], left = self._pack_left(here[1], factors)

            def stack(among: Starts, panels: Any) -> None:
                self.bases = (self.at(0, here[0], among), here[1], panels)
                self.ahead_here = [self.at(0, base, among) for base in ahead]
                self.strides = (self.given[0], left, self.panel_strides)
                self._chunks({}, factors)
                self.strides = self.given

            self._each_stack(stack)
            self.next_rows = None

        self._blocks(order, {}, {}, block)

    def _each_stack(self, body: Callable[[Starts, Any], None]) -> None:
        """Write loops over the labels of columns beside the lane, each with panels of its own."""
        plan, room = self.plan, self.panel_room
        size = plan.stack_panels * plan.width * plan.depth

        def level(labels: Ints, among: Starts, number: Any) -> None:
            if not labels:
                body(among, self.moved(room, self.b.mul(number, I64(size), flags=["nsw"])))
                return
            count = I64(self.spec.sizes[labels[0]])
            with self.nest.loop(count) as i:
                following = self.b.add(self.b.mul(number, count, flags=["nsw"]), i)
                level(labels[1:], {**among, labels[0]: i}, following)

        if plan.stacks:
            level(plan.stacks, {}, I64(0))
        else:
            body({}, room)

    def _tile(self, starts: Starts, factors: dict[int, int], pieces: list[Piece]) -> None:
        self._fetch_ahead(starts, factors, pieces)
        if self.coming is not None:
            self._fetch_coming()
        super()._tile(starts, factors, pieces)

    def _fetch_ahead(self, starts: Starts, factors: dict[int, int], pieces: list[Piece]) -> None:
        """Have memory that is used behind the product brought nearer while that is computed."""
        rows = [(k, factors[k]) for k, _ in self.tile.rows]
        step = LINE // self.bytes
        for base in self.ahead_here:
            start = self.at(0, base, starts)
            for offset in self.offsets(0, tuple(rows)):
                for column in range(0, sum(p.count for p in pieces), step):
                    self.fetch(self.moved(start, I64(offset + column)))

    def _expect_rows(self, source: Any, factors: dict[int, int]) -> None:
        """Note where the next tile's rows are, and how far each step of a sum gets among them.

        Either each step finds its part of the rows elsewhere: the last one is fetched, as the first
        ones lie in the same line of the cache as this tile's last one, or as that. Or the rows lie
        one behind the other: a step fetches a line then.
        """
        rows, left = [k for k, _ in self.plan.tile.rows], self.given[1]
        if len(rows) != 1 or not _is_far(self.spec.left.base):
            return
        (row,) = rows
        if left[row] == 1:
            self.next_rows = self.moved(source, I64(2 * factors[row] - 1)), left
            return
        inner = self.inner[0]
        lies = len(self.inner) == 1 and left[inner] == 1 and left[row] == self.spec.sizes[inner]
        if lies and left[row] >= SHORT_LINE:
            steps = tuple(LINE // self.bytes if k == inner else 0 for k in range(len(left)))
            self.next_rows = self.moved(source, I64(factors[row] * left[row])), steps

    def beside(self, starts: Starts) -> None:
        if self.next_rows is None:
            return
        place, steps = self.next_rows
        for k, i in starts.items():
            place = self.moved(place, self.b.mul(i, I64(steps[k]), flags=["nsw"]))
        self.fetch(place)

    def _pack_left(self, source: Any, factors: dict[int, int]) -> tuple[Any, Ints]:
        """Write the copy of a tile's rows: they are read for every panel."""
        plan, left = self.plan, self.given[1]
        room = self.row_room
        rows = [k for k, _ in plan.tile.rows]
        lane = next((k for k in rows if left[k] == 1), None)
        if lane is not None:
            rows = [*(k for k in rows if k != lane), lane]
        sizes = {**{k: self._most(k) for k in self.inner}, **{k: factors[k] for k in rows}}
        order = [*self.inner, *rows] if lane is not None else [*rows, *self.inner]
        strides = [0] * len(left)
        line, room_of = LINE // self.bytes, dict(sizes)
        if lane is not None and len(rows) == 1:  # what a step reads begins a line of the cache
            room_of[lane] = -(-sizes[lane] // line) * line
        for k, stride in zip(
            order, contiguous_strides(tuple(room_of[k] for k in order)), strict=True
        ):
            strides[k] = stride
        if lane is None:  # else the rows meet in the cache again
            for k in rows:
                strides[k] = strides[k] // plan.depth * plan.row_size
        self._copied_left(order, source, room, sizes, strides)
        return room, tuple(strides)

    def _copied_left(
        self, order: list[int], source: Any, target: Any, sizes: dict[int, int], strides: list[int]
    ) -> None:
        k, *rest = order
        left = self.given[1]
        count = self.extent(k) if k in self.inner else I64(sizes[k])
        if not rest and left[k] == strides[k] == 1:
            self._copied_line(source, target, count, sizes[k] if k not in self.inner else None)
            return
        with self.nest.loop(count) as i:
            from_ = self.moved(source, self.b.mul(i, I64(left[k]), flags=["nsw"]))
            to = self.moved(target, self.b.mul(i, I64(strides[k]), flags=["nsw"]))
            if rest:
                self._copied_left(rest, from_, to, sizes, strides)
            else:
                self.b.store(self.b.load(from_, typ=self.kind), to)

    def _copied_line(self, source: Any, target: Any, count: Any, known: int | None) -> None:
        """Write the copy of elements without gaps."""
        if known is not None:
            for piece in self._pieces(known):
                value = self.load(self.moved(source, I64(piece.start)), piece)
                self.store(value, self.moved(target, I64(piece.start)), piece)
            return
        width = self.tile.width
        whole = self.b.sub(count, self.b.srem(count, I64(width)))
        one = Piece(0, width, width)
        with self.nest.loop(whole, step=width) as i:
            self.store(self.load(self.moved(source, i), one), self.moved(target, i), one)
        with self.nest.loop(count, whole) as i:
            self.b.store(self.b.load(self.moved(source, i), typ=self.kind), self.moved(target, i))

    # -- panels ----------------------------------------------------------------------------------

    def pack(self, source: Any) -> None:
        """Write the copy of a piece of the right operand into panels."""
        room = self.panel_room

        def stack(among: Starts, panels: Any) -> None:
            self.panel_room = panels
            self._pack_stack(self.at(2, source, among))
            self.panel_room = room

        self._each_stack(stack)

    def _pack_stack(self, source: Any) -> None:
        right = self.given[2]
        along = next((k for k in self.inner if right[k] == 1), None)
        if right[self.lane] == 1:
            self._over(self.inner, source, self.panel_room, self._pack_rows)
        elif along is not None:
            self._pack_turned(source, along)
        else:
            self._pack_single(source, self.inner, I64(0), I64(self.spec.sizes[self.lane]))

    def _over(
        self, labels: Sequence[int], source: Any, target: Any, body: Callable[[Any, Any], None]
    ) -> None:
        """Write loops over labels that are summed over, through the operand and the panels."""
        if not labels:
            body(source, target)
            return
        k = labels[0]
        with self.nest.loop(self.extent(k)) as i:
            from_ = self.moved(source, self.b.mul(i, I64(self.given[2][k]), flags=["nsw"]))
            to = self.moved(target, self.b.mul(i, I64(self.panel_strides[k]), flags=["nsw"]))
            self._over(labels[1:], from_, to, body)

    def _pack_rows(self, source: Any, target: Any) -> None:
        """Copy a row of the operand to the same row of all panels."""

        def chunk(pieces: list[Piece], start: Any) -> None:
            from_ = self.moved(source, start)
            to = self.moved(target, self.b.mul(start, I64(self.plan.depth), flags=["nsw"]))
            for piece in pieces:
                value = self.load(self.moved(from_, I64(piece.start)), piece)
                self.store(value, self.moved(to, I64(piece.start)), piece)

        self._each_chunk(chunk)

    def _column(self, base: Any, j: Any) -> Any:
        """Return where a column begins in the panels."""
        width = self.plan.width
        within = self.b.srem(j, I64(width))
        first = self.b.mul(self.b.sub(j, within), I64(self.plan.depth), flags=["nsw"])
        return self.moved(base, self.b.add(first, within, flags=["nsw"]))

    def _pack_turned(self, source: Any, along: int) -> None:
        """Copy an operand whose columns lie along memory, in square blocks."""
        width, n = self.tile.width, self.spec.sizes[self.lane]
        gap, stride = self.given[2][self.lane], self.panel_strides[along]
        function = transposer(self.b.module, self.kind, width, self.bytes)
        others = [k for k in self.inner if k != along]
        count = self.extent(along)
        whole = self.b.sub(count, self.b.srem(count, I64(width)))

        def columns(from_: Any, to: Any) -> None:
            with self.nest.loop(I64(n - n % width), step=width) as j:
                begin = self.moved(from_, self.b.mul(j, I64(gap), flags=["nsw"]))
                target = self._column(to, j)
                with self.nest.loop(whole, step=width) as k:
                    block = self.moved(target, self.b.mul(k, I64(stride), flags=["nsw"]))
                    self.b.call(function, [self.moved(begin, k), I64(gap), block, I64(stride)])

        self._over(others, source, self.panel_room, columns)
        self._pack_rest(source, along, whole)
        if n % width:
            self._pack_single(source, self.inner, I64(n - n % width), I64(n))

    def _pack_rest(self, source: Any, along: int, whole: Any) -> None:
        """Copy what is left of columns behind the last square block."""
        n = self.spec.sizes[self.lane]
        source = self.moved(source, whole)
        target = self.moved(
            self.panel_room, self.b.mul(whole, I64(self.panel_strides[along]), flags=["nsw"])
        )
        piece = self.extent(along)
        rest = self.b.sub(piece, whole)

        def columns(from_: Any, to: Any) -> None:
            with self.nest.loop(rest) as k:
                moved = self.b.mul(k, I64(self.panel_strides[along]), flags=["nsw"])
                start = self.moved(from_, k)
                self._single(start, self.moved(to, moved), I64(0), I64(n - n % self.tile.width))

        self._over([k for k in self.inner if k != along], source, target, columns)

    def _pack_single(self, source: Any, labels: Sequence[int], begin: Any, end: Any) -> None:
        """Copy some columns, one element after the other."""
        self._over(
            labels, source, self.panel_room, lambda from_, to: self._single(from_, to, begin, end)
        )

    def _single(self, source: Any, target: Any, begin: Any, end: Any) -> None:
        with self.nest.loop(end, begin) as j:
            moved = self.b.mul(j, I64(self.given[2][self.lane]), flags=["nsw"])
            value = self.b.load(self.moved(source, moved), typ=self.kind)
            self.b.store(value, self._column(target, j))
