"""Contractions as machine code: loops over register tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from ...program.equation import Equation, Var
from ...program.records import replaced
from .. import ir
from ..emit.scalar import I1, I64, register_type
from ..sizes import is_fixed, known
from .intrinsics import intrinsic, suffix
from .spec import Ints, Operand, Spec
from .tiles import Dot, Lanes, Outer, Piece
from .tiling import Factors, Roles, Tile, roles, swapped

if TYPE_CHECKING:
    from ..emit.codegen import Nest

I32 = ir.IntType(32)
Starts = dict[int, Any]


def spec_from(root: Equation) -> Spec:
    """Return what the parameters of an equation say."""
    params = root.params
    out, left, right = params["strides"]
    offsets = params["offsets"]
    a, b = (
        Operand(o, offset, strides)
        for o, offset, strides in zip(root.operands, offsets, (left, right), strict=True)
    )
    return Spec(params["sizes"], out, a, b)


class Writer:
    """Writes the loops of one contraction."""

    def __init__(
        self, nest: Nest, root: Equation, spec: Spec, tile: Tile, bases: list[Any], adds: bool
    ) -> None:
        self.nest = nest
        self.b = nest.b
        self.tile = tile
        self.spec = swapped(spec) if tile.swapped else spec
        self.pieces_of_sum = 1
        if tile.block is not None:
            label, length = tile.block
            sizes = list(self.spec.sizes)
            self.pieces_of_sum = sizes[label] // length
            sizes[label] = length
            self.spec = replaced(self.spec, sizes=tuple(sizes))
        self.first: Any = None
        self.parts: Roles = roles(self.spec)
        self.kind = register_type(root.out.type.dtype)
        self.bytes = root.out.type.dtype.itemsize
        self.strides: tuple[Ints, Ints, Ints] = (
            self.spec.out,
            self.spec.left.strides,
            self.spec.right.strides,
        )
        self.adds = adds
        out, left, right = bases
        if tile.swapped:
            left, right = right, left
        offsets = 0, self.spec.left.offset, self.spec.right.offset
        self.bases = tuple(
            self.moved(base, I64(at)) for base, at in zip((out, left, right), offsets, strict=True)
        )

    # -- addresses -------------------------------------------------------------------------------

    def moved(self, pointer: Any, elements: Any) -> Any:
        if isinstance(elements, ir.Constant) and elements.constant == 0:
            return pointer
        return self.b.gep(pointer, [elements], source_etype=self.kind)

    def at(self, which: int, pointer: Any, starts: Starts) -> Any:
        """Return a pointer moved by indices along labels."""
        total: Any = None
        for label, i in starts.items():
            stride = self.strides[which][label]
            if not stride or (isinstance(i, ir.Constant) and i.constant == 0):
                continue
            term = i if stride == 1 else self.b.mul(i, I64(stride), flags=["nsw"])
            total = term if total is None else self.b.add(total, term, flags=["nsw"])
        return pointer if total is None else self.moved(pointer, total)

    def offsets(self, which: int, block: Factors) -> list[int]:
        """Return where the elements of a block are, from its first one."""
        strides = self.strides[which]
        ranges = [range(f) for _, f in block]
        return [
            sum(i * strides[label] for i, (label, _) in zip(index, block, strict=True))
            for index in product(*ranges)
        ]

    # -- loops over tiles ------------------------------------------------------------------------

    def write(self) -> None:
        """Write everything."""
        if self.tile.block is None:
            self._write_piece()
            return
        label, length = self.tile.block
        bases, adds = self.bases, self.adds
        with self.nest.loop(I64(self.pieces_of_sum)) as piece:
            moved = self.b.mul(piece, I64(length), flags=["nsw"])
            self.bases = tuple(self.at(n, base, {label: moved}) for n, base in enumerate(bases))
            self.adds = True
            if not adds:
                self.first = self.b.icmp_signed("==", piece, I64(0))
            self._write_piece()

    def extent(self, label: int) -> Any:
        """Return how many values of a label are summed over."""
        return I64(self.spec.sizes[label])

    def summed(self, labels: Sequence[int]) -> list[int]:
        """Return the labels that are summed over in the order of their loops."""
        _, left, right = self.strides
        return sorted(labels, key=lambda k: -max(abs(known(left[k])), abs(known(right[k]))))

    def so_far(self, place: Any, piece: Piece) -> Any:
        """Return what is to be added to: nothing, the first time."""
        before = self.load(place, piece)
        if self.first is None:
            return before
        return self.b.select(self.first, self.zero(piece.width), before)

    def _write_piece(self) -> None:
        lane = self.tile.lane
        batch = [k for k in self.parts.batch if k != lane]
        columns, rows = dict(self.tile.columns), dict(self.tile.rows)
        order = [
            *((k, 1) for k in batch),
            *((k, columns.get(k, 1)) for k in self.parts.columns if k != lane),
            *((k, rows.get(k, 1)) for k in self.parts.rows),
        ]
        along = self.tile.mode != "dot" and lane is not None

        def tiles(starts: Starts, factors: dict[int, int]) -> None:
            if along:
                self._chunks(starts, factors)
            else:
                self._tile(starts, factors, [])

        if along and self.tile.vectors * self.tile.width < known(self.spec.sizes[lane or 0]):
            self._along_first(order, len(batch))
        else:
            self._blocks(order, {}, {}, tiles)

    def _along_first(self, order: list[tuple[int, int]], batch: int) -> None:
        """Go along the lane outside of the rows, so that columns stay in the cache."""

        def outer(starts: Starts, factors: dict[int, int]) -> None:
            def chunk(pieces: list[Piece], start: Any) -> None:
                def inner(more: Starts, rest: dict[int, int]) -> None:
                    lane = self.tile.lane
                    assert lane is not None
                    self._tile({**starts, **more, lane: start}, {**factors, **rest}, pieces)

                self._blocks(order[batch:], {}, {}, inner)

            self._each_chunk(chunk)

        self._blocks(order[:batch], {}, {}, outer)

    def _blocks(
        self,
        order: Sequence[tuple[int, int]],
        starts: Starts,
        factors: dict[int, int],
        body: Callable[[Starts, dict[int, int]], None],
    ) -> None:
        """Write loops over the blocks of labels, and the smaller blocks at their ends."""
        if not order:
            body(starts, factors)
            return
        (label, factor), *rest = order
        size = self.spec.sizes[label]
        whole = size - size % factor
        if not is_fixed(size):
            # how many are left over is known when the code is loaded: they are taken one by one
            for begin, end, step in ((0, whole, factor), (whole, size, 1))[: 1 + (factor > 1)]:
                with self.nest.loop(I64(end), I64(begin), step) as i:
                    self._blocks(rest, {**starts, label: i}, {**factors, label: step}, body)
            return
        if whole == factor:
            self._blocks(rest, {**starts, label: I64(0)}, {**factors, label: factor}, body)
        elif whole:
            with self.nest.loop(I64(whole), step=factor) as i:
                self._blocks(rest, {**starts, label: i}, {**factors, label: factor}, body)
        if size % factor:
            last = {**starts, label: I64(whole)}
            self._blocks(rest, last, {**factors, label: size % factor}, body)

    def _chunks(self, starts: Starts, factors: dict[int, int]) -> None:
        lane = self.tile.lane
        assert lane is not None

        def chunk(pieces: list[Piece], start: Any) -> None:
            self._tile({**starts, lane: start}, factors, pieces)

        self._each_chunk(chunk)

    def _each_chunk(self, body: Callable[[list[Piece], Any], None]) -> None:
        """Write a loop over the vectors of tiles along the lane, and the last, shorter one."""
        lane = self.tile.lane
        assert lane is not None
        size, step = self.spec.sizes[lane], self.tile.width * self.tile.vectors
        whole = size - size % step
        if not is_fixed(size):
            self._each_chunk_of_any(size, whole, body)
            return
        if whole == step:
            body(self._pieces(step), I64(0))
        elif whole:
            with self.nest.loop(I64(whole), step=step) as i:
                body(self._pieces(step), i)
        if size % step:
            body(self._pieces(size % step), I64(whole))

    def _each_chunk_of_any(
        self, size: Any, whole: Any, body: Callable[[list[Piece], Any], None]
    ) -> None:
        """Write the same for any length: vectors one by one at the end, and a part of one."""
        width = self.tile.width
        step, vectors = width * self.tile.vectors, size - size % width
        with self.nest.loop(I64(whole), step=step) as i:
            body(self._pieces(step), i)
        if step > width:
            with self.nest.loop(I64(vectors), I64(whole), width) as i:
                body(self._pieces(width), i)
        if width > 1:
            with self.nest.loop(I64(size), I64(vectors), width) as i:  # not once, or once
                body([Piece(0, width, I64(size % width))], i)

    def _pieces(self, count: int) -> list[Piece]:
        width = self.tile.width
        pieces = [Piece(s, width, width) for s in range(0, count - width + 1, width)]
        rest = count % width
        if rest:
            narrow = 1 << (rest - 1).bit_length()
            pieces.append(Piece(count - rest, narrow, rest))
        return pieces

    # -- one tile --------------------------------------------------------------------------------

    def _tile(self, starts: Starts, factors: dict[int, int], pieces: list[Piece]) -> None:
        rows = tuple((k, factors[k]) for k, _ in self.tile.rows)
        columns = tuple((k, factors[k]) for k, _ in self.tile.columns)
        pointers = [self.at(n, base, starts) for n, base in enumerate(self.bases)]
        body = {"outer": Outer, "lanes": Lanes, "dot": Dot}[self.tile.mode]
        if self.tile.lane is None:
            pieces = [Piece(0, 1, 1)]
        body(self, pointers, rows, columns, pieces).write()

    # -- vectors ---------------------------------------------------------------------------------

    def type_of(self, width: int) -> Any:
        """Return the type of so many elements in a register."""
        return self.kind if width == 1 else ir.VectorType(self.kind, width)

    def zero(self, width: int) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.type_of(width), 0.0 if width == 1 else [0.0] * width)

    def _mask(self, piece: Piece) -> Any:
        if type(piece.count) is not int:
            numbers = ir.Constant(ir.VectorType(I64, piece.width), list(range(piece.width)))
            return self.b.icmp_unsigned("<", numbers, self.splat(piece.count, piece.width))
        bits = [int(i < piece.count) for i in range(piece.width)]
        return ir.Constant(ir.VectorType(I1, piece.width), bits)

    def load(self, pointer: Any, piece: Piece) -> Any:
        """Load the elements of a vector that are meant; the others are zero."""
        kind = self.type_of(piece.width)
        if piece.count == piece.width:
            return self.b.load(pointer, align=self.bytes, typ=kind)
        mask = self._mask(piece)
        shape = [kind, [pointer.type, I32, mask.type, kind]]
        function = intrinsic(self.b.module, f"llvm.masked.load.{suffix(kind)}.p0", *shape)
        return self.b.call(function, [pointer, I32(self.bytes), mask, self.zero(piece.width)])

    def store(self, value: Any, pointer: Any, piece: Piece) -> None:
        """Store the elements of a vector that are meant."""
        if piece.count == piece.width:
            self.b.store(value, pointer, align=self.bytes)
            return
        mask = self._mask(piece)
        shape = [ir.VoidType(), [value.type, pointer.type, I32, mask.type]]
        function = intrinsic(self.b.module, f"llvm.masked.store.{suffix(value.type)}.p0", *shape)
        self.b.call(function, [value, pointer, I32(self.bytes), mask])

    def left_bytes(self) -> int:
        """Return how large the left operand is."""
        o = self.spec.left.base
        size = o.type.size if type(o) is Var else o.size
        return int(known(size)) * self.bytes

    def beside(self, starts: Starts) -> None:
        """Write what is done beside each step of a sum: nothing here."""

    def fetch(self, pointer: Any) -> None:
        """Have memory brought nearer that is needed soon; it need not exist."""
        kinds = [pointer.type, I32, I32, I32]
        function = intrinsic(self.b.module, "llvm.prefetch.p0", ir.VoidType(), kinds)
        self.b.call(function, [pointer, I32(0), I32(2), I32(1)])

    def splat(self, x: Any, width: int) -> Any:
        """Return a vector of which all elements are the same."""
        if width == 1:
            return x
        kind = x.type if width == 1 else ir.VectorType(x.type, width)
        first = self.b.insert_element(ir.Constant(kind, ir.Undefined), x, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, width), [0] * width)
        return self.b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """Return x y + z."""
        kind = z.type
        function = intrinsic(self.b.module, f"llvm.fma.{suffix(kind)}", kind, [kind] * 3)
        return self.b.call(function, [x, y, z])

    def room(self, kind: Any, count: Any = None) -> Any:
        """Return memory of the function's own; registers, if nothing asks for its address."""
        with self.b.goto_entry_block():
            return self.b.alloca(kind, count)
