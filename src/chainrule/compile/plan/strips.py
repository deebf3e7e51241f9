"""Loop nests that go over the same rows, run on a few rows at a time.

One nest after the other over large arrays reads from memory what the one before has written there.
Nests of which each needs just row i of what the others compute for row i are run in *strips*: all
of them on the first rows, then all on the next ones. What only they need lives in a strip's worth
of memory, which stays in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.index import Hole
from ...program.records import record
from ..contraction.kernel import spec_from
from ..contraction.panels import panels_of
from ..contraction.rows import Rows, row_labels
from ..contraction.tiling import NEAR
from ..sizes import is_fixed
from .cost import SHARED_FROM, time_per_element
from .schedule import CIRCULAR, OPAQUE, REDUCTIONS, Group, Schedule, reduced_axes, size_of

CACHE = 40 * 1024  # bytes of all arrays of a strip: about the first cache
WIDE = 128 * 1024  # the same beside panels, which come from the second cache
SEVERAL = 400 * 1024  # the same beside panels of several products
PANELS = 1200 * 1024  # bytes of the panels of several products: half of the second cache
SECOND = 512 * 1024  # the same for longer strips: a part of the second cache
AGAIN = 200 * 1024  # bytes of a matrix that each of those strips reads or adds to again
LEAST = 768 * 1024  # bytes of all arrays below which the cache holds them anyway
BESIDE = 256 * 1024  # the same beside a product over panels, which fill the cache
MUCH = 4 << 20  # the same beside several of them, which each strip reads again
HEIGHT = 12  # rows of a product of matrices below which tiles are not filled
TALL = 32  # rows that make up for reading a matrix of that size again
CHUNKS = 8  # that threads share: enough to be spread well, few beside the strips
MOST = 4096  # strips, each of which has a place on the stack for its parts of reductions


@record
class StripPlan:
    """Groups that are run in strips.

    Attributes
    ----------
    groups : list of Group
        In the order in which they are run on a strip.
    rows, length : int
        How many rows there are, and how many a strip has.
    local : set of Var
        What nobody else needs: there is memory for the rows of one strip only.
    cuts : dict
        By the results of contractions: the label that goes along the rows.
    chunks : int
        Into how many runs of strips the work is cut that threads share; 1 if it is too little.
    """

    groups: list[Group]
    rows: int
    length: int
    local: set[Var]
    cuts: dict[Var, Rows]
    chunks: int = 1
    steps: int = 1
    workspaces: tuple[Var, ...] = ()
    blocks: list[Any] = field(default_factory=list)

    @property
    def is_paneled(self) -> bool:
        """Whether there is a product over panels, with what follows on its rows."""
        return any(cut.paneled for cut in self.cuts.values())

    @property
    def added(self) -> list[Var]:
        """Sums in memory to which every strip adds."""
        products = [out for out, cut in self.cuts.items() if cut.accumulates]
        nests = [g for g in self.groups if not g.flat]
        return products + [r.out for g in nests for r in g.roots if _is_over_rows(r, len(g.domain))]

    @property
    def chunk(self) -> int:
        """How many rows a chunk has; the last one may have fewer."""
        return -(-(self.rows // self.length) // self.chunks) * self.length


def _panel_bytes(root: Equation) -> int:
    panels = panels_of(spec_from(root), root.out.type.dtype)
    return 0 if panels is None else panels.area * panels.itemsize


def _is_over_rows(root: Equation, ndim: int) -> bool:
    """Tell whether a reduction has several results, to each of which all rows contribute."""
    if root.primitive.name not in REDUCTIONS:
        return False
    axes = reduced_axes(root, ndim)
    return 0 in axes and len(axes) < ndim


@record
class _Block:
    plan: Schedule


def form_strips(plan: Schedule, outputs: Iterable[Any]) -> Schedule:
    """Return the schedule with groups over the same rows made one, where that saves memory."""
    kept = {o for o in outputs if type(o) is Var}
    waiting, done = list(plan.groups), []
    known: dict[Group, set[Var]] = {}
    while waiting:
        near = Run(plan, waiting, NEAR, CACHE, HEIGHT, known)
        options = [near.found(kept), Run(plan, waiting, AGAIN, SECOND, TALL, known).found(kept)]
        if options[0] is None and near.several:
            options[0] = Run(plan, waiting, NEAR, CACHE, HEIGHT, known, most=0).found(kept)
        found = [f for f in options if f is not None]
        if not found:
            done.append(waiting.pop(0))
            continue
        before, strip, after = max(found, key=lambda f: (f[1].is_paneled, len(f[1].groups)))
        members = strip.groups
        roots = [root for group in members for root in group.roots]
        strip.blocks.append(_Block(Schedule(members, plan.stored, plan.producer, plan.placed)))
        waiting = [*before, Group((strip.rows,), False, roots, strip), *after]
    return Schedule(done, plan.stored, plan.producer, plan.placed)


def rows_kept(plan: Schedule) -> dict[Var, tuple[int, int]]:
    """Return of which variables only some rows are in memory: how many, and of how many.

    Chunks that are run at the same time must not share it.
    """
    strips = (g.inner for g in plan.groups if isinstance(g.inner, StripPlan))
    return {var: (s.chunks * s.length, s.rows) for s in strips for var in s.local}


class Run:
    """Groups that can join the first one of a list, within the limits of a cache.

    Matrices of so many bytes are ``near`` enough to be read again with each strip, all arrays of a
    strip may take ``cache`` bytes, and products have to have so many rows (``height``). Panels of
    several products may take ``most`` bytes.
    """

    def __init__(
        self,
        plan: Schedule,
        groups: list[Group],
        near: float,
        cache: int,
        height: int,
        known: dict[Group, set[Var]],
        most: int = PANELS,
    ) -> None:
        self.near, self.cache, self.height = near, cache, height
        self.known = known  # what groups read
        self.plan = plan
        self.groups = groups
        first = groups[0]
        self.rows = first.domain[0] if first.domain and not first.flat else 0
        self.most = most
        self.panels = 0
        self.several = False
        self.made: set[Var] = set()
        self.summed: set[Var] = set()
        self.cuts: dict[Var, Rows] = {}

    def found(self, kept: set[Var]) -> tuple[list[Group], StripPlan, list[Group]] | None:
        """Return what is done before the strips, the strips, and what is done after them."""
        before, members, after = self.split()
        strip = self.planned(members, after, kept) if len(members) > 1 else None
        return None if strip is None else (before, strip, after)

    def split(self) -> tuple[list[Group], list[Group], list[Group]]:
        """Return what is to be done before the strips, in strips, and after them."""
        before: list[Group] = []
        members: list[Group] = []
        after: list[Group] = []
        late: set[Var] = set()
        for group in self.groups:
            reads = self.known.get(group)
            if reads is None:
                reads = self.known[group] = group.reads(self.plan)
            outs = {out for root in group.roots for out in root.outs}
            # who reads an array that is made in pieces waits for all of them
            outs |= {self.plan.placed[out][0] for out in outs if out in self.plan.placed}
            if reads.isdisjoint(late) and self._joins(group, reads):
                members.append(group)
                self.made |= outs - self.summed
                late |= outs & self.summed
            elif members and (not reads.isdisjoint(late) or not reads.isdisjoint(self.made)):
                after.append(group)
                late |= outs
            elif members:
                before.append(group)
            else:
                return [], [], self.groups
        return before, members, after

    def _joins(self, group: Group, reads: set[Var]) -> bool:
        if not is_fixed(self.rows) or self.rows < 4 or group.inner is not None or group.reuse:
            return False
        if any(out in self.plan.placed for root in group.roots for out in root.outs):
            return False
        if self.made.isdisjoint(reads) and any(cut.paneled for cut in self.cuts.values()):
            return False  # it would not save anything, and make the strips thinner
        (name, *_) = {root.primitive.name for root in group.roots}
        if name == "contraction":
            return self._contraction_joins(group.roots[0])
        if name == "scatter_add":
            return self._scatter_joins(group.roots[0])
        if name in OPAQUE:
            return False
        if group.flat:
            size = group.domain[0]
            fits = size % self.rows == 0 and size > 1
        else:
            fits = group.domain[:1] == (self.rows,)
        return fits and all(self._root_fits(group, root) for root in group.roots)

    def _root_fits(self, group: Group, root: Equation) -> bool:
        if root.primitive.name in REDUCTIONS:
            (x,) = root.operands
            if group.flat:
                self.summed.add(root.out)
                return self._aligned(x, group.domain[0])
            ndim = len(group.domain)
            axes = reduced_axes(root, ndim)
            trailing = axes == tuple(range(ndim - len(axes), ndim))
            if 0 in axes:
                self.summed.add(root.out)
            elif not trailing:
                return False
            return (trailing or self._adds_once(group, root)) and self._row_wise(x, True)
        if group.flat:
            return all(self._aligned(o, group.domain[0]) for o in root.operands)
        return all(self._row_wise(o, self._keeps(root, o)) for o in root.operands)

    def _adds_once(self, group: Group, root: Equation) -> bool:
        """Tell whether it is a small sum over rows, and each row is added to it just once.

        Nests with circular functions may be run twice.
        """
        if root.primitive.name != "sum" or root.out.type.dtype.kind != "f":
            return False
        waiting = list(group.roots)
        seen: set[Var] = set()
        while waiting:
            equation = waiting.pop()
            if equation.primitive.name in CIRCULAR:
                return False
            inner = {v for v in equation.inputs if v not in self.plan.stored} - seen
            seen |= inner
            waiting.extend(self.plan.producer[v] for v in inner)
        return root.out.type.size * root.out.type.dtype.itemsize <= NEAR

    def _aligned(self, o: Any, size: int) -> bool:
        """Tell whether a flat nest reads made values in the order of memory only."""
        return all(v not in self.made or v.type.size == size for v, _ in self._read(o, True))

    def _row_wise(self, o: Any, kept: bool) -> bool:
        """Tell whether for row i an operand is read in row i only, if it is made in the strips."""
        return all(
            v not in self.made or (kept and v.type.shape[:1] == (self.rows,))
            for v, kept in self._read(o, kept)
        )

    def _read(self, o: Any, kept: bool) -> Iterator[tuple[Var, bool]]:
        """Yield what is read from memory for an operand, and whether its rows are kept.

        Each value in between is looked at once, though there may be many ways to it.
        """
        waiting = [(o, kept)]
        seen = set()
        while waiting:
            read = waiting.pop()
            var, kept = read
            if type(var) is not Var or read in seen:
                continue
            seen.add(read)
            if var in self.plan.stored:
                yield read
                continue
            equation = self.plan.producer[var]
            for p in equation.operands:
                waiting.append((p, kept and self._keeps(equation, p)))

    def _keeps(self, equation: Equation, o: Any) -> bool:
        """Tell whether row i of a result comes from row i of an operand."""
        if type(o) is not Var:
            return True
        name, shape, out = equation.primitive.name, o.type.shape, equation.out.type.shape
        if shape[:1] != (self.rows,) or out[:1] != (self.rows,):
            return False
        if name == "transpose":
            return bool(equation.params["axes"][0] == 0)
        if name == "windows":
            return 0 not in equation.params["axis"]
        if name == "getitem":
            return self._picks_rows(equation)
        same = equation.primitive.elementwise or name in ("cast", "alias", "stop_gradient")
        return name == "reshape" or ((same or name == "broadcast_to") and len(shape) == len(out))

    def _picks_rows(self, equation: Equation) -> bool:
        spec = equation.params["spec"]
        if len(equation.operands) == 1:
            return type(spec[0]) is slice and spec[0] == slice(None)
        return self._every_row(spec, equation.operands[1:])

    def _every_row(self, spec: Any, parts: Any) -> bool:
        """Tell whether the first index is 0, 1, 2, ... as it takes one element of each row."""
        if not spec or type(spec[0]) is not Hole or any(type(p) is not Hole for p in spec):
            return False
        first = parts[spec[0]]
        return (
            type(first) is np.ndarray
            and first.shape == (self.rows,)
            and bool((first == np.arange(self.rows)).all())
        )

    def _scatter_joins(self, root: Equation) -> bool:
        values, *parts = root.operands
        shape = values.type.shape if type(values) is Var else np.shape(values)
        made = {p for p in parts if type(p) is Var} & self.made
        return (
            root.out.type.shape[:1] == shape[:1] == (self.rows,)
            and self._every_row(root.params["spec"], parts)
            and not made
        )

    def _contraction_joins(self, root: Equation) -> bool:
        found = row_labels(root, self.rows, self.made, self.near)
        if found is None:
            return False
        if found.paneled:
            total = self.panels + _panel_bytes(root)
            if self.near > NEAR or (self.made and total > self.most):
                return False  # panels of several would not fit into the cache
            self.several |= bool(self.made)
            self.panels = total
        self.cuts[root.out] = found
        if found.accumulates:
            self.summed.add(root.out)
        return True

    def _is_thin(self, members: list[Group], length: int) -> bool:
        """Tell whether strips are too short for a product of matrices to be quick."""
        roots = [r for g in members for r in g.roots if r.out in self.cuts]
        return any(
            not self.cuts[r.out].accumulates
            and self.cuts[r.out].height(spec_from(r), length) < self.height
            for r in roots
        )

    def planned(self, members: list[Group], after: list[Group], kept: set[Var]) -> StripPlan | None:
        """Return how the members are run in strips; None if that saves nothing."""
        touched: dict[Var, int] = {}
        for group in members:
            for var in (*group.reads(self.plan), *(r.out for r in group.roots)):
                touched[var] = touched.get(var, 0) + 1
        rows = {
            var: var.type.size * var.type.dtype.itemsize / self.rows
            for var in touched
            if is_fixed(var.type.size) and var.type.size % self.rows == 0 and var.type.size
        }
        # sums alone, that take longer in pieces, do not gain by what they only read together
        kept_near = self.made if self.near > NEAR else set(rows)
        again = sum(rows[v] for v in kept_near if touched.get(v, 0) > 1 and v in rows) * self.rows
        time = sum(time_per_element(g, self.plan) * size_of(g.domain) for g in members)
        roots = (r.out for g in members for r in g.roots)
        paneled = sum(self.cuts[out].paneled for out in roots if out in self.cuts)
        if again < (MUCH if paneled > 1 else BESIDE if paneled else LEAST):
            return None
        cache = SEVERAL if paneled > 1 else WIDE if paneled else self.cache
        length = max(self._fitting(sum(rows.values()), cache), default=1)
        if self.rows // length > MOST or self._is_thin(members, length):
            return None
        elsewhere = {v for g in after for v in g.reads(self.plan)} | kept
        chunks = _chunks(self.rows // length) if time >= SHARED_FROM else 1
        return StripPlan(members, self.rows, length, self.made - elsewhere, self.cuts, chunks)

    def _fitting(self, row: float, cache: int) -> list[int]:
        """Return lengths of strips that the cache holds."""
        lengths = (n for n in range(1, self.rows + 1) if self.rows % n == 0)
        return [n for n in lengths if n * row <= cache]


def _chunks(strips: int) -> int:
    """Return how many chunks of as many strips each there are, but for the last one."""
    return -(-strips // -(-strips // CHUNKS))
