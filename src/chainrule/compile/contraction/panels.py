"""Whether a product is done over panels: pieces of one operand copied into the order of their use.

A matrix whose rows are far apart in memory is slow to read by blocks: its rows fall into the same
few lines of the first cache and onto a page of memory each. So as much of it as the second cache
holds is copied into *panels*, as wide as a register tile, in which everything lies in the order in
which tiles read it; then each row of the other operand goes by all of the panels.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from ...program.records import frozen_record, replaced
from ..sizes import is_fixed
from .blas import matrices_of
from .spec import Ints, Operand, Spec
from .tiling import Factors, Machine, Tile, blocks, host, roles, swapped, tile_of, variants

VECTORS = 2  # of a panel's width
KEPT = 1 << 20  # bytes of the panels, about half of the second cache
PIECE = 256 * 1024  # the same for a piece, beside what is fetched of the next one
DEEPEST = 2048  # bytes of a panel's column: a panel then comes from the second cache quickly
SHORT = 128  # steps of a sum that make up for loading and storing the tile again
LEAST = 80**3  # products below which other ways are hardly slower
PANELS = 4  # from which a copy of a tile's rows is read often enough
DENSE = 1024  # bytes up to which rows of a transposed operand are read where they are
GAP = 512  # bytes: rows that are a multiple of it apart meet in the first cache
OF_PEAK = 0.4  # what BLAS reaches of the processor's speed where panels take as long
IN_ORDER, TURNED, SCATTERED = 0.6, 0.9, 4.0  # cycles that an element of a copy takes


@frozen_record
class Panels:
    """How a contraction is done over panels of its right operand.

    Attributes
    ----------
    spec : Spec
        The contraction, its operands exchanged if so it is better.
    exchanged : bool
        Whether they are.
    tile : Tile
        The register tile.
    block : int
        The label that is summed over in pieces.
    length : int
        How many of its values a piece has.
    cost : float
        Estimated cycles.
    itemsize : int
        Bytes of an element.
    """

    spec: Spec
    exchanged: bool
    tile: Tile
    block: int
    length: int
    cost: float
    itemsize: int

    def part(self, spec: Spec, dtype: np.dtype[Any]) -> Panels:
        """Return the same panels for a part of the rows."""
        one = swapped(spec) if self.exchanged else spec
        vectors = self.tile.vectors
        rows = min(
            blocks(one, roles(one).rows, host().sums // vectors),
            key=lambda rows: _cost(one, rows, vectors, 1.0, self.tile.lane or 0, dtype),
        )
        return replaced(self, spec=one, tile=replaced(self.tile, rows=rows))

    @property
    def width(self) -> int:
        """How many columns a panel has."""
        return self.tile.vectors * self.tile.width

    @property
    def depth(self) -> int:
        """How many rows a panel has."""
        others = (self.spec.sizes[k] for k in roles(self.spec).inner if k != self.block)
        return prod(others) * self.length

    @property
    def area(self) -> int:
        """How many elements all panels of a piece have."""
        return self.panels * self.width * self.depth

    @property
    def aside(self) -> int:
        """How many elements the copy of a tile's rows has; each thread needs its own."""
        line = 64 // self.itemsize
        return self.row_size * -(-(host().sums // self.tile.vectors) // line) * line

    @property
    def following(self) -> int:
        """How many lines of the cache the next piece takes; 0 if it has gaps, or there is none."""
        right, sizes, lane = self.spec.right.strides, self.spec.sizes, self.tile.lane
        if self.length >= sizes[self.block] or len(self.inner) > 1 or lane is None or self.stacks:
            return 0
        if right[lane] != 1 or right[self.block] != sizes[lane]:
            return 0
        return self.length * sizes[lane] * self.itemsize // 64

    @property
    def stacks(self) -> Ints:
        """The labels of columns beside the lane, for each of whose values there are panels."""
        return tuple(k for k in roles(self.spec).columns if k != self.tile.lane)

    @property
    def stack_panels(self) -> int:
        """How many panels the lane alone makes."""
        assert self.tile.lane is not None
        return -(-self.spec.sizes[self.tile.lane] // self.width)

    @property
    def panels(self) -> int:
        """How many panels there are."""
        return self.stack_panels * prod(self.spec.sizes[k] for k in self.stacks)

    @property
    def row_size(self) -> int:
        """How many elements a tile's row has in a copy; 0 if rows are read where they are."""
        left, rows = self.spec.left.strides, roles(self.spec).rows
        if self.panels < PANELS or 0 in (left[k] for k in self.inner):
            return 0
        if any(left[k] == 1 for k in rows):
            steps = [left[k] * self.itemsize for k in self.inner]
            return self.depth + 16 if max(steps) > DENSE else 0
        meeting = any(left[k] * self.itemsize % (2 * GAP) == 0 for k in rows)
        return self.depth + 16 if meeting and any(left[k] == 1 for k in self.inner) else 0

    @property
    def inner(self) -> Ints:
        """The labels that are summed over."""
        return roles(self.spec).inner


def panels_of(spec: Spec, dtype: np.dtype[Any]) -> Panels | None:
    """Return how to do a contraction over panels; None if another way is quicker, or it can't be.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compile.contraction.spec import Operand, Spec
    >>> def product(m, n, k):
    ...     left, right = Operand(None, 0, (k, 0, 1)), Operand(None, 0, (0, 1, n))
    ...     return Spec((m, n, k), (n, 1, 0), left, right)
    >>> panels_of(product(1000, 512, 512), np.dtype(np.float32)).width % 8
    0
    >>> panels_of(product(4, 512, 512), np.dtype(np.float32)) is None
    True
    """
    left, right = spec.left.strides, spec.right.strides
    if not is_fixed(*spec.sizes, *spec.out, *left, *right):
        return None
    found = _panels_of(spec.sizes, spec.out, left, right, dtype, host())
    if found is None:
        return None
    return replaced(found, spec=swapped(spec) if found.exchanged else spec)


@functools.lru_cache(512)
def _panels_of(
    sizes: Ints, out: Ints, left: Ints, right: Ints, dtype: np.dtype[Any], _: Machine
) -> Panels | None:
    spec = Spec(sizes, out, Operand(None, 0, left), Operand(None, 0, right))
    work = prod(sizes)
    if dtype.kind != "f" or work < LEAST or host().width < 32:
        return None
    options = [p for x in (False, True) if (p := _option(spec, x, dtype)) is not None]
    best = min(options, key=lambda p: p.cost, default=None)
    if best is None or best.cost > _otherwise(spec, dtype):
        return None
    return best


def _option(spec: Spec, exchanged: bool, dtype: np.dtype[Any]) -> Panels | None:
    one = swapped(spec) if exchanged else spec
    parts = roles(one)
    width = host().width // dtype.itemsize
    lane = next((k for k in parts.columns if one.out[k] == 1), None)
    if lane is None or not parts.inner or not parts.rows:
        return None
    if one.sizes[lane] < width or 0 in _held(one, parts.inner):
        return None
    vectors = min(VECTORS, -(-one.sizes[lane] // width))
    block = max(parts.inner, key=lambda k: one.sizes[k])
    length = _length(one, block, dtype)
    if length is None:
        return None
    best = min(
        (_cost(one, rows, vectors, length / one.sizes[block], lane, dtype), rows)
        for rows in blocks(one, parts.rows, host().sums // vectors)
    )
    cost, rows = best
    tile = Tile("outer", False, lane, width, vectors, rows, (), cost)
    return Panels(one, exchanged, tile, block, length, cost, dtype.itemsize)


def _held(spec: Spec, labels: Ints) -> list[int]:
    return [spec.right.strides[k] for k in labels]


def _length(spec: Spec, block: int, dtype: np.dtype[Any]) -> int | None:
    """Return the length of the pieces of the sum, all about the same; None if it is too short."""
    size, parts = spec.sizes[block], roles(spec)
    column = prod(spec.sizes[k] for k in parts.inner if k != block) * dtype.itemsize
    each = column * prod(spec.sizes[k] for k in parts.columns)
    if size * each <= KEPT and size * column <= DEEPEST:
        return size
    most = max(SHORT, PIECE // each, 1)
    length = -(-size // -(-size // most))
    return None if length * each > 2 * KEPT else length


def _cost(
    spec: Spec, rows: Factors, vectors: int, part: float, lane: int, dtype: np.dtype[Any]
) -> float:
    parts, right = roles(spec), spec.right.strides
    width = host().width // dtype.itemsize
    steps = prod(spec.sizes[k] for k in parts.inner)
    stacks = prod(spec.sizes[k] for k in parts.columns if k != lane)
    panels = stacks * -(-spec.sizes[lane] // (vectors * width))
    repeats = prod(spec.sizes[k] for k in parts.batch)
    kinds = variants(spec, parts.rows, rows)
    total = 0.0
    for a, times in kinds:
        each = max(a * vectors / 2, (a + vectors) / 2, 4.0) + 0.7
        total += times * panels * (steps * each + (2 * a * vectors + 30) / part)
    copy = IN_ORDER if right[lane] == 1 else TURNED if 1 in _held(spec, parts.inner) else SCATTERED
    copies = repeats if any(right[k] for k in parts.batch) or part < 1 else 1
    held = prod(spec.sizes[k] for k in (*parts.columns, *parts.inner))
    return repeats * total + copies * copy * held + 20_000 * (len(kinds) - 1)


def _otherwise(spec: Spec, dtype: np.dtype[Any]) -> float:
    """Return about how long the contraction takes without panels."""
    if matrices_of(spec, dtype) is not None:
        return prod(spec.sizes) / (2 * host().width // dtype.itemsize) / OF_PEAK
    tile = tile_of(spec, dtype)
    cost = tile.cost
    if tile.mode == "outer" and tile.lane is not None:
        one = swapped(spec) if tile.swapped else spec
        steps = [one.right.strides[k] * dtype.itemsize for k in roles(one).inner]
        if any(step and step % GAP == 0 for step in steps):
            cost *= 1.2
    return cost
