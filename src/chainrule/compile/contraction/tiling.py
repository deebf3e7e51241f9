"""How a contraction is cut into register tiles, by an estimate of its cost.

One label, the *lane*, runs along the elements of vectors:

- ``outer``: a lane of the right operand and the result; vectors of the right operand are multiplied
  by single elements of the left one,
- ``lanes``: a lane of both operands and the result, vectors times vectors,
- ``dot``: a lane that is summed over, vectors times vectors, added up at the end.

A tile is a block of the labels of the left operand (rows) times a block of those of the right one
(columns, and vectors along the lane). Its sums stay in registers while everything that is summed
over goes by.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from ...program.records import frozen_record, replaced
from ..sizes import is_fixed, known
from .spec import Ints, Operand, Spec

Factors = tuple[tuple[int, int], ...]
Variants = list[tuple[int, int]]
NEAR = 20 * 1024  # bytes that stay in the first cache
SHORTEST = 48  # steps of a sum that make up for loading and storing the tile
CALL = 200.0  # cycles of a tile's loops beside the arithmetic


@frozen_record
class Machine:
    """What of a processor matters: bytes of a vector, and how many registers hold one."""

    width: int
    registers: int

    @property
    def sums(self) -> int:
        """How many vectors of sums fit beside what is multiplied."""
        return 28 if self.registers == 32 else 12


@functools.cache
def host() -> Machine:
    """Return this computer's vectors."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Machine(64, 32)
    if features.get("avx2") and features.get("fma"):
        return Machine(32, 16)
    return Machine(16, 16)


@frozen_record
class Tile:
    """A way to compute a contraction.

    Attributes
    ----------
    mode : str
        "outer", "lanes" or "dot".
    swapped : bool
        Whether the left operand takes the part of the right one.
    lane : int or None
        The label along the vectors; None for single elements.
    width : int
        Elements of a vector.
    vectors : int
        How many vectors along the lane a tile has.
    rows, columns : tuple of (label, int)
        The labels of a tile and how many values of each it covers.
    cost : float
        Estimated cycles.
    block : (label, int) or None
        A label that is summed over in pieces, and their length: so much of the columns stays in
        the first cache.
    """

    mode: str
    swapped: bool
    lane: int | None
    width: int
    vectors: int
    rows: Factors
    columns: Factors
    cost: float
    block: tuple[int, int] | None = None


@frozen_record
class Roles:
    """The labels of a contraction by what they belong to."""

    batch: Ints
    rows: Ints
    columns: Ints
    inner: Ints


def roles(spec: Spec) -> Roles:
    """Classify the labels: batch, of the left operand, of the right one, and summed over."""
    kinds: dict[str, list[int]] = {"batch": [], "rows": [], "columns": [], "inner": []}
    triples = zip(spec.out, spec.left.strides, spec.right.strides, strict=True)
    for label, (out, left, right) in enumerate(triples):
        if not out:
            kind = "inner"
        elif left and right:
            kind = "batch"
        else:
            kind = "rows" if left else "columns"
        kinds[kind].append(label)
    return Roles(*(tuple(kinds[k]) for k in ("batch", "rows", "columns", "inner")))


def swapped(spec: Spec) -> Spec:
    """Return the same contraction with its operands exchanged."""
    return Spec(spec.sizes, spec.out, spec.right, spec.left)


def vector_width(size: int, dtype: np.dtype[np.generic]) -> int:
    """Return how many elements the vectors along an axis have."""
    full = host().width // dtype.itemsize
    return min(full, 1 << (size - 1).bit_length())


def tile_of(spec: Spec, dtype: np.dtype[np.generic]) -> Tile:
    """Return the tile with the least estimated cost."""
    tables = (spec.sizes, spec.out, spec.left.strides, spec.right.strides)
    tile = _tile_of(*(tuple(map(known, table)) for table in tables), dtype, host())
    if tile.block is not None and not is_fixed(spec.sizes[tile.block[0]]):
        return replaced(tile, block=None)  # pieces have one length, which must divide the whole
    return tile


@functools.lru_cache(512)
def _tile_of(
    sizes: Ints, out: Ints, left: Ints, right: Ints, dtype: np.dtype[np.generic], _: Machine
) -> Tile:
    spec = Spec(sizes, out, Operand(None, 0, left), Operand(None, 0, right))
    return min(_candidates(spec, dtype), key=lambda t: t.cost)


def _candidates(spec: Spec, dtype: np.dtype[np.generic]) -> Iterator[Tile]:
    found = False
    for is_swapped in (False, True):
        one = swapped(spec) if is_swapped else spec
        parts = roles(one)
        left, right = one.left.strides, one.right.strides
        for lane in parts.columns:
            if right[lane] == 1:
                yield _best("outer", is_swapped, one, lane, dtype)
                found = True
        if is_swapped:
            break
        for lane in parts.batch:
            if left[lane] == right[lane] == 1:
                yield _best("lanes", is_swapped, one, lane, dtype)
                found = True
        for lane in parts.inner:
            if left[lane] == right[lane] == 1:
                yield _best("dot", is_swapped, one, lane, dtype)
                found = True
    if not found or prod(spec.sizes) <= 64:
        yield _best("outer", False, spec, None, dtype)


def _best(
    mode: str, is_swapped: bool, spec: Spec, lane: int | None, dtype: np.dtype[np.generic]
) -> Tile:
    parts = roles(spec)
    width = vector_width(spec.sizes[lane], dtype) if lane is not None else 1
    chunks = -(-spec.sizes[lane] // width) if lane is not None else 1
    labels = [k for k in parts.columns if k != lane]
    most = host().sums
    along = 1 if mode == "dot" or lane is None else chunks
    best: Tile | None = None
    repeats = prod(spec.sizes[k] for k in parts.batch if k != lane)
    inner = prod(spec.sizes[k] for k in parts.inner if k != lane)
    inner *= chunks if mode == "dot" else 1
    heights = [
        (rows, prod(f for _, f in rows), variants(spec, parts.rows, rows))
        for rows in blocks(spec, parts.rows, most)
    ]
    widths = [
        (columns, prod(f for _, f in columns), variants(spec, labels, columns))
        for columns in blocks(spec, labels, 6)
    ]
    for (rows, tall, m), vectors, (columns, wide, n) in product(
        heights, _counts(along, most), widths
    ):
        covered = tall, vectors * wide
        if covered[0] * covered[1] > most or (mode != "outer" and sum(covered) > 12):
            continue
        block = _block(spec, parts.inner, covered[1], inner) if mode == "outer" else None
        steps = inner // spec.sizes[block[0]] * block[1] if block else inner
        pieces = inner // steps
        cost = _cost(spec, mode, lane, m, vectors, n, along, steps, repeats * pieces)
        if best is None or cost < best.cost:
            best = Tile(mode, is_swapped, lane, width, vectors, rows, columns, cost, block)
    assert best is not None
    return best


def _block(spec: Spec, labels: Ints, vectors: int, inner: int) -> tuple[int, int] | None:
    """Return in what pieces to sum, so that a tile's columns stay in the first cache."""
    step = vectors * host().width
    if inner * step <= NEAR or not labels:
        return None
    label = max(labels, key=lambda k: spec.sizes[k])
    size = spec.sizes[label]
    others = inner // size
    fitting = (
        n for n in range(size - 1, SHORTEST - 1, -1) if size % n == 0 and n * others * step <= NEAR
    )
    length = next(fitting, None)
    return None if length is None else (label, length)


def _counts(size: int, most: int) -> list[int]:
    """Return the block sizes worth a try: the least one for each number of blocks."""
    return sorted({-(-size // blocks) for blocks in range(1, size + 1)} & set(range(1, most + 1)))


def blocks(spec: Spec, labels: Ints | list[int], most: int) -> list[Factors]:
    """Return blocks of one label, or of two of which the first is covered as a whole."""
    found: list[Factors] = [()]
    for a in labels:
        found.extend(((a, n),) for n in _counts(spec.sizes[a], most) if n > 1)
    for a, b in product(labels, repeat=2):
        if a != b and spec.sizes[a] < most:
            room = most // spec.sizes[a]
            counts = (n for n in _counts(spec.sizes[b], room) if n > 1)
            found.extend(((a, spec.sizes[a]), (b, n)) for n in counts)
    return found


def _cost(
    spec: Spec,
    mode: str,
    lane: int | None,
    m: Variants,
    vectors: int,
    columns: Variants,
    along: int,
    inner: int,
    repeats: int,
) -> float:
    full, rest = divmod(along, vectors)
    chunks = [(vectors, full)] + ([(rest, 1)] if rest else [])
    n = [(c * v, count * times) for c, count in columns for v, times in chunks]
    stored = 1.0 if lane is None or spec.out[lane] == 1 else 24.0
    if mode == "dot":
        stored = 6.0
    total = 0.0
    width = host().width
    for (a, times_a), (b, times_b) in product(m, n):
        # every block of rows reads the columns again: from the first cache, if they fit into it
        load = 0.5 if b * inner * width <= NEAR or times_a == 1 else 2.0
        step = max(a * b / 2, a / 2 + b * load, 4.0 if inner > 8 else 0.0) + 1.0
        total += times_a * times_b * (inner * step + a * b * stored + 20)
    # each kind of tile is more code
    return repeats * total + 20_000 * (len(m) * len(n) - 1) + CALL


def variants(spec: Spec, labels: Ints | list[int], block: Factors) -> Variants:
    """Return (elements, how often) of the blocks that labels are cut into, with the last ones."""
    factors = dict(block)
    kinds = [(1, 1)]
    for k in labels:
        size, f = spec.sizes[k], factors.get(k, 1)
        own = [(f, size // f)] + ([(size % f, 1)] if size % f else [])
        kinds = [(a * b, x * y) for (a, x), (b, y) in product(kinds, own)]
    return kinds
