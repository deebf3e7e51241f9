"""Loops whose steps treat the rows of what they carry independently.

Then some rows can be taken from the first step to the last without a look at the others: a batch of
sequences, say. Threads share such a loop by rows, so that they meet once per loop and not at each
step. What a step adds up over the rows, a chunk adds up over its own, and the sums are added after
the loop.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any

from ...program.equation import Equation, Var
from ...program.records import record
from ..contraction.kernel import spec_from
from ..contraction.panels import panels_of
from ..contraction.rows import Rows
from ..contraction.tiling import tile_of
from .control import Carry, LoopPlan
from .cost import SHARED_FROM, estimated_time
from .schedule import OPAQUE, Group, Schedule, reduced_axes
from .strips import Run

CHUNKS = 4
SHORTEST = 16  # rows of a chunk
STEP = 5_000.0  # ns of a step beside which calls for a few rows don't matter
DEARER = 1.05  # how much longer products of fewer rows may take


@record
class LoopRows:
    """How a loop is run by rows.

    Attributes
    ----------
    rows, length : int
        How many rows there are, and how many a chunk has; the last one may have fewer.
    cuts : dict
        By the results of contractions: the label that goes along the rows.
    partial : set of Var
        What is a sum over rows, so that the chunks' values of it add up.
    groups : list of Group
        What is run on rows; the other groups are run on sums.
    local : set of Var
        Of what there is memory for the rows of a chunk only: of nothing.
    """

    rows: int
    length: int
    cuts: dict[Var, Rows] = field(default_factory=dict)
    partial: set[Var] = field(default_factory=set)
    groups: list[Group] = field(default_factory=list)
    local: set[Var] = field(default_factory=set)

    @property
    def chunk(self) -> int:
        """How many rows a chunk has, here in one strip."""
        return self.length

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.rows // self.length)


def rows_of_loop(loop: LoopPlan) -> LoopRows | None:
    """Return how a loop is shared by rows, or None."""
    time = estimated_time(loop.block.plan)
    if loop.test is not None or time < STEP or time * loop.steps < SHARED_FROM:
        return None
    candidates = dict.fromkeys(c.var.type.shape[0] for c in loop.carries if c.var.type.shape)
    found = (_Steps(loop, rows).by_rows() for rows in candidates if rows >= 2 * SHORTEST)
    return next((plan for plan in found if plan is not None), None)


class _Steps(Run):
    """The groups of a step, and whether each goes by rows."""

    near = math.inf  # a chunk has so many rows that what it reads again is worth it

    def __init__(self, loop: LoopPlan, rows: int) -> None:
        self.loop = loop
        self.plan: Schedule = loop.block.plan
        self.rows = rows
        self.made: set[Var] = set()
        self.summed: set[Var] = set()
        self.cuts: dict[Var, Rows] = {}
        self.partial: set[Var] = set()
        self.groups: list[Group] = []

    def by_rows(self) -> LoopRows | None:
        """Return how the loop is run by rows, or None."""
        for carry in self.loop.carries:
            by_rows = carry.var.type.shape[:1] == (self.rows,)
            (self.made if by_rows else self.partial).add(carry.var)
        if not all(map(self._goes, self.plan.groups)) or self.summed:
            return None
        if not all(map(self._carries, self.loop.carries)):
            return None
        stacked = self.loop.block.outputs[len(self.loop.carries) :]
        for value, out in zip(stacked, self.loop.stacked, strict=True):
            if out.type.shape[1:2] != (self.rows,) or (
                type(value) is Var and not self._owns(value)
            ):
                return None
        length = self._length()
        if length is None:
            return None
        return LoopRows(self.rows, length, self.cuts, self.partial, self.groups)

    def _owns(self, value: Var) -> bool:
        """Tell whether the rows of a value are there when their chunk has made them."""
        return value in self.made or (
            value not in self.partial and value not in self.loop.block.made
        )

    def _carries(self, carry: Carry) -> bool:
        after = carry.after
        if carry.var in self.made:
            return type(after) is not Var or self._owns(after)
        return after in self.partial and carry.kind in ("stack", "in place")

    def _goes(self, group: Group) -> bool:
        if group.inner is not None:
            return False
        reads = group.reads(self.plan)
        if not reads.isdisjoint(self.partial):
            (root, *more) = group.roots
            if more or not self._adds(root):
                return False
            self.partial.add(root.out)
            return True
        if not self._joins(group, reads):
            return False
        self.groups.append(group)
        for root in group.roots:
            if root.out not in self.partial:
                self.made.add(root.out)
            if root.out in self.plan.placed:
                self.made.add(self.plan.placed[root.out][0])
        return True

    def _adds(self, root: Equation) -> bool:
        """Tell whether an equation adds sums of the same shape."""
        return (
            root.primitive.name == "add"
            and root.out.type.dtype.kind == "f"
            and all(type(o) is Var and o in self.partial for o in root.operands)
            and all(o.type == root.out.type for o in root.inputs)
        )

    def _joins(self, group: Group, reads: set[Var]) -> bool:
        name = group.roots[0].primitive.name
        if name == "contraction":
            return self._contraction_joins(group.roots[0])
        if name in OPAQUE:
            return False
        placed = [self.plan.placed[r.out] for r in group.roots if r.out in self.plan.placed]
        if any(axis == 0 or whole.type.shape[0] != self.rows for whole, axis, _ in placed):
            return False
        if group.flat:
            size = group.domain[0]
            fits = size % self.rows == 0 and size > 1
        else:
            fits = group.domain[:1] == (self.rows,)
        return fits and all(self._root_fits(group, root) for root in group.roots)

    def _root_fits(self, group: Group, root: Equation) -> bool:
        if root.primitive.name == "sum" and not group.flat and len(group.domain) > 1:
            axes = reduced_axes(root, len(group.domain))
            if axes == (0,) and root.out.type.dtype.kind == "f":
                self.partial.add(root.out)
                return self._row_wise(root.operands[0], True)
        return super()._root_fits(group, root)

    def _contraction_joins(self, root: Equation) -> bool:
        return super()._contraction_joins(root) and not self.cuts[root.out].accumulates

    def _length(self) -> int | None:
        """Return how many rows a chunk has."""
        products = [r for g in self.plan.groups for r in g.roots if r.out in self.cuts]
        for count in range(CHUNKS, 1, -1):
            length = -(-self.rows // count)
            if length < SHORTEST or (products and self.rows % count):
                continue
            if all(self._is_cheap(root, count) for root in products):
                return length
        return None

    def _is_cheap(self, root: Equation, count: int) -> bool:
        spec, dtype = spec_from(root), root.out.type.dtype
        part = self.cuts[root.out].part(spec, self.rows // count)
        if panels_of(part, dtype) is not None:
            return False  # each chunk would copy the other operand for itself
        cost: Any = tile_of(part, dtype).cost * count
        return bool(cost <= DEARER * tile_of(spec, dtype).cost)
