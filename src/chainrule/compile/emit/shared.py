"""Large contractions in chunks that several threads share.

A label is cut into the same chunks for every number of threads. If it is one of the result, each
chunk writes elements of its own. If it is summed over, each chunk has a result of its own, and
these are added in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.records import frozen_record, replaced
from .. import ir
from ..contraction.blas import Matrices, matrices_of, write_products
from ..contraction.kernel import spec_from
from ..contraction.panels import Panels, panels_of
from ..contraction.rows import Rows
from ..contraction.spec import Spec
from ..contraction.tiling import Tile, roles, tile_of
from ..contraction.writing import scratch_size, write_part
from ..plan.schedule import Group, Schedule
from ..sizes import is_fixed, known
from .codegen import Buffers, Nest
from .parallel import ParallelNest, Part
from .scalar import I64, register_type

CHUNKS = 4  # few, as each has a smaller tile at its end
CYCLE = 0.33  # ns
PACKED, READ, ADDED = 0.6, 0.3, 0.55  # cycles that an element takes once more, in each chunk
LEAST = 150_000.0  # ns from which sharing pays: these estimates are closer than those of nests
WORTH = 100_000.0  # ns of a chunk
TWICE = 0.03  # of the work that may be done once more, for all chunks together
SHORTEST = 64  # rows or columns of a chunk for which BLAS fills its tiles
SHORTEST_SUM = 256  # terms of a chunk's sums that are more work than to add the sums


@frozen_record
class Cut:
    """Into what a contraction is cut.

    Attributes
    ----------
    rows : Rows
        The label, and whether it is summed over.
    count : int
        How many chunks there are.
    length : int
        How many values of the label each has; the last one may have fewer.
    size : int
        How many the label has in all.
    """

    rows: Rows
    count: int
    length: int
    size: int

    @property
    def last(self) -> int:
        """How many values of the label the last chunk has."""
        return self.size - self.length * (self.count - 1)


def shared_cut(group: Group) -> Cut | None:
    """Return how a contraction is shared, or None."""
    root = group.roots[0]
    if root.primitive.name != "contraction":
        return None
    dtype: np.dtype[Any] = root.out.type.dtype
    spec = spec_from(root)
    panels = panels_of(spec, dtype)
    if panels is not None:
        return _panel_cut(panels)
    tile = tile_of(spec, dtype)
    if tile.cost * CYCLE < LEAST:
        return None
    matrices = matrices_of(spec, dtype)
    if matrices is not None:
        return min(_cuts(matrices), key=lambda found: found[0], default=(0, None))[1]
    return _tile_cut(spec, tile)


def _tile_cut(spec: Spec, tile: Tile) -> Cut | None:
    """Return how a product over tiles is cut: outside of the tiles, where that is possible.

    The outermost axis of the result comes first, as other nests are cut along it too: so a thread
    meets what it has made before.
    """
    inside = {label for label, _ in (*tile.rows, *tile.columns)}
    labels = [k for k, (n, out) in enumerate(zip(spec.sizes, spec.out, strict=True)) if out]
    fixed = [k for k in labels if is_fixed(spec.sizes[k]) and k != tile.lane]
    outermost = sorted(fixed, key=lambda k: -known(spec.out[k]))
    ways: list[tuple[int, int, tuple[int, ...]]]
    ways = [(k, 1, (4, 2)) for k in outermost if k not in inside]
    ways += [(k, 8, (4, 3, 2)) for k in fixed]
    for label, least, counts in ways:
        size = spec.sizes[label]
        count = next((c for c in counts if size % c == 0 and size // c >= least), 1)
        if count > 1:
            return Cut(Rows(label, 1, False), count, size // count, size)
    return None


def _panel_cut(panels: Panels) -> Cut | None:
    """Return how a product over panels is cut: so that little is copied, or added, once more."""
    work = panels.cost * CYCLE
    if work < LEAST:
        return None
    best: tuple[float, Cut] | None = None
    for label, unit, least, again, accumulates in _panel_ways(panels):
        size = panels.spec.sizes[label]
        count = min(CHUNKS, int(work / WORTH), size // least)
        if again:
            count = min(count, 1 + int(TWICE * panels.cost / again))
        count -= count == 3  # which two threads would share badly
        if count < 2:
            continue
        length = -(-size // (count * unit)) * unit
        cut = Cut(Rows(label, 1, accumulates), -(-size // length), length, size)
        if best is None or again < best[0]:
            best = again, cut
    return None if best is None else best[1]


def _panel_ways(panels: Panels) -> Iterator[tuple[int, int, int, float, bool]]:
    """Yield labels, with what divides chunks, their least length, and what is done again.

    The last part is whether each chunk has a part of all sums. Outer axes come first, as other
    nests are cut along them: so a thread meets what it has made before.
    """
    spec = panels.spec
    parts, sizes = roles(spec), spec.sizes
    rows, columns, inner = (
        prod(sizes[k] for k in labels) for labels in (parts.rows, parts.columns, parts.inner)
    )
    for label in parts.batch:
        yield label, 1, 2, 0, False
    held = dict(panels.tile.rows)
    for label in sorted(parts.rows, key=lambda k: -spec.out[k]):
        unit = 8 if label in held else 1
        yield label, unit, 2 * unit, PACKED * inner * columns, False
    for label in parts.columns:
        unit = panels.width if label == panels.tile.lane else 1
        yield label, unit, 2 * unit, READ * rows * inner, False
    for label in () if parts.batch else sorted(parts.inner, key=lambda k: -spec.left.strides[k]):
        least = -(-SHORTEST_SUM * sizes[label] // inner)
        unit = min(16, least)
        yield label, unit, least, ADDED * rows * columns, True


def _room_of_chunk(root: Equation, cut: Cut) -> int:
    """Return how many elements a chunk needs for copies of operands."""
    spec, dtype = spec_from(root), root.out.type.dtype
    lengths = (cut.length, cut.last)
    return max(scratch_size(cut.rows.part(spec, length), dtype) for length in lengths)


def _cuts(matrices: Matrices) -> Iterator[tuple[int, Cut]]:
    """Yield how products by BLAS can be cut, with the elements that are read or written again."""
    sizes = matrices.spec.sizes
    m, n, k = (known(sizes[x]) for x in (matrices.rows, matrices.columns, matrices.inner))
    stack = prod(known(sizes[label]) for label in matrices.batch)
    ways = [(label, 1, 0, False) for label in matrices.batch]
    ways += [
        (matrices.rows, SHORTEST, k * n, False),
        (matrices.columns, SHORTEST, m * k, False),
        (matrices.inner, SHORTEST_SUM, 2 * m * n, True),
    ]
    for label, least, again, accumulates in ways:
        size = sizes[label]
        if not is_fixed(size) or size // least < 2:
            continue
        count = min(CHUNKS, size // least)
        unit = 16 if size >= 16 * CHUNKS and least > 1 else 1  # whole vectors
        length = -(-size // (count * unit)) * unit
        cut = Cut(Rows(label, 1, accumulates), -(-size // length), length, size)
        yield stack * again * (cut.count - 1), cut


def _spare(root: Equation, cut: Cut) -> tuple[Var, ...]:
    """Return memory for the results of all chunks but the first, if they are to be added."""
    if not cut.rows.accumulates:
        return ()
    type_ = root.out.type
    return (Var(-1, None, ArrayType((cut.count - 1, *type_.shape), type_.dtype)),)


class _Chunk(Part):
    """Writes a contraction for some values of the label that is cut."""

    cut: Cut

    def scratch_size(self, root: Equation) -> int:
        cut = shared_cut(self.group)
        return 0 if cut is None else cut.count * _room_of_chunk(root, cut)

    def _room(self, root: Equation, kind: Any) -> Any:
        """Return where the chunk copies operands to."""
        size = _room_of_chunk(root, self.cut)
        if not size:
            return None
        number = self.b.sdiv(self.extra[0], I64(self.cut.length))
        base = self.pointer[self.buffers.room(root)]
        return self.b.gep(base, [self.b.mul(number, I64(size))], source_etype=kind)

    def write(self) -> ir.Function:
        cut, b = self.cut, self.b
        if cut.last == cut.length:
            self._contract(cut.length)
        else:
            is_last = b.icmp_signed("==", self.extra[1], I64(cut.size))
            with b.if_else(is_last, likely=False) as (yes, no):
                with yes:
                    self._contract(cut.last)
                with no:
                    self._contract(cut.length)
        b.ret_void()
        return self.function

    def _contract(self, length: int) -> None:
        root: Equation = self.group.roots[0]
        spec, b, rows = spec_from(root), self.b, self.cut.rows
        kind = register_type(root.out.type.dtype)
        strides = (spec.out, spec.left.strides, spec.right.strides)
        out, *operands = root.out, *(self.buffers.slot(o.base) for o in (spec.left, spec.right))
        pointers = [self._place(out, kind), *(self.pointer[slot] for slot in operands)]
        bases = []
        for pointer, own in zip(pointers, strides, strict=True):
            moved = b.mul(self.extra[0], I64(own[rows.label]), flags=["nsw"])
            bases.append(b.gep(pointer, [moved], source_etype=kind))
        dtype = root.out.type.dtype
        matrices = matrices_of(spec, dtype)
        if matrices is None or panels_of(spec, dtype) is not None:
            write_part(self, root, rows.part(spec, length), bases, False, self._room(root, kind))
            return
        if matrices.exchanged:
            bases = [bases[0], bases[2], bases[1]]
        part: Spec = rows.part(matrices.spec, length)
        write_products(self, root, replaced(matrices, spec=part), bases, False)

    def _place(self, out: Var, kind: Any) -> Any:
        """Return where the chunk's result goes."""
        if not self.cut.rows.accumulates:
            return self.pointer[out]
        b = self.b
        number = b.sub(b.sdiv(self.extra[0], I64(self.cut.length)), I64(1))
        first = b.icmp_signed("<", number, I64(0))
        moved = b.mul(b.select(first, I64(0), number), I64(out.type.size), flags=["nsw"])
        own = b.gep(self.pointer[self.slots[-1]], [moved], source_etype=kind)
        return b.select(first, self.pointer[out], own)


class SharedContraction(ParallelNest):
    """Writes a contraction that hands its chunks to the pool of threads."""

    def __init__(
        self, module: ir.Module, name: str, group: Group, plan: Schedule, buffers: Buffers
    ) -> None:
        cut = shared_cut(group)
        assert cut is not None
        spare = _spare(group.roots[0], cut)
        Nest.__init__(self, module, name, group, plan, buffers, spare=spare)
        self.module = module
        self.is_small = False
        self.cut = cut
        self.steps = cut.size
        self.length = cut.length
        self.part = _Chunk(module, f"{name}.part", group, plan, buffers, spare=spare)
        self.part.cut = cut

    def scratch_size(self, root: Equation) -> int:
        cut = shared_cut(self.group)
        return 0 if cut is None else cut.count * _room_of_chunk(root, cut)

    def conclude_chunks(self) -> None:
        """Add what the chunks have summed up, in order."""
        if not self.cut.rows.accumulates:
            return
        out = self.group.roots[0].out
        size, dtype = out.type.size, out.type.dtype
        with self.loop(I64(size)) as i:
            total = self.load(out, dtype, i)
            for k in range(self.cut.count - 1):
                place = self.b.add(i, I64(k * size), flags=["nsw"])
                total = self.b.fadd(total, self.load(self.slots[-1], dtype, place))
            self.store(out, dtype, i, total)
