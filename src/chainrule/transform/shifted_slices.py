"""Stacks of shifted slices, as the sliding windows that they are.

A convolution written as ``np.stack([x[i : i + n] for i in range(k)])`` and a product with the
kernel copies its input k times. As windows it is a view. Its derivative, which puts slices into
zeros and adds them up, is a sum of overlapping windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product
from math import prod
from typing import Any

from ..program.equation import Equation, Var
from ..program.primitive import PRIMITIVES
from ..program.program import Program, needed
from ..program.records import frozen_record

LEAST = 4  # slices that are worth being taken together
PRODUCTS = frozenset({"einsum", "matmul"})  # which read windows where they are

Part = tuple[int, int, int]


@frozen_record
class Grid:
    """Slices whose starts are all combinations of evenly spaced places along some axes.

    Attributes
    ----------
    axes : tuple of int
        The axes along which they are shifted, the slowest first.
    lengths, gaps : tuple of int
        How many starts there are along each of them, and how far apart.
    parts : tuple of (int, int, int)
        Start, step and count of the first slice along every axis of the array.
    """

    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    gaps: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def windows(self) -> tuple[int, ...]:
        """How long windows that hold all starts are."""
        pairs = zip(self.lengths, self.gaps, strict=True)
        return tuple((n - 1) * gap + 1 for n, gap in pairs)

    def index(self) -> tuple[slice, ...]:
        """Return which of all windows the slices are made of, and which elements of each."""
        places = (slice(s, s + (n - 1) * step + 1, step) for s, step, n in self.parts)
        return (*places, *(slice(0, None, gap) for gap in self.gaps))


def slices_as_windows(program: Program) -> Program:
    """Return the program with stacks of shifted slices as windows, and with their transposes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> def smooth(x, w):
    ...     return np.einsum("kn,k->n", np.stack([x[i : i + 7] for i in range(4)]), w)
    >>> program, _ = trace_program(smooth, np.zeros(10), np.ones(4), abstract=True)
    >>> [e.primitive.name for e in slices_as_windows(program).equations]
    ['windows', 'transpose', 'einsum']
    """
    names = Counter(e.primitive.name for e in program.equations)
    if max(names["stack"], names["add"] * (names["embed"] >= LEAST)) == 0:
        return program
    rewriting = _Rewriting(program)
    found: list[Equation] = []
    for equation in program.equations:
        found.extend(rewriting.replaced(equation))
    if not rewriting.changed:
        return program
    return program.replace(equations=tuple(needed(found, program.outputs)))


class _Rewriting:
    def __init__(self, program: Program) -> None:
        self.producer = {o: e for e in program.equations for o in e.outs}
        self.users: dict[Var, list[Equation]] = {}
        for equation in program.equations:
            for o in equation.inputs:
                self.users.setdefault(o, []).append(equation)
        self.outputs = {o for o in program.outputs if type(o) is Var}
        self.changed = False

    def replaced(self, equation: Equation) -> list[Equation]:
        """Return what stands for an equation."""
        name = equation.primitive.name
        new = None
        if name == "stack" and len(equation.operands) >= LEAST:
            new = self._stacked(equation)
        elif name == "add" and not self._is_inner(equation.out):
            new = self._added(equation)
        self.changed |= new is not None
        return [equation] if new is None else new

    def _made_by(self, o: Any, name: str) -> Equation | None:
        found = self.producer.get(o) if type(o) is Var else None
        return found if found is not None and found.primitive.name == name else None

    # -- stacks ----------------------------------------------------------------------------------

    def _stacked(self, equation: Equation) -> list[Equation] | None:
        users = self.users.get(equation.out, [])
        if equation.out in self.outputs or not users:
            return None
        if any(u.primitive.name not in PRODUCTS for u in users):
            return None
        reads = [self._made_by(o, "getitem") for o in equation.operands]
        first = reads[0]
        if first is None or any(r is None or r.operands != first.operands for r in reads):
            return None
        (x, *others) = first.operands
        if others or type(x) is not Var:
            return None
        shape = x.type.shape
        grid = _grid([_parts(r.params["spec"], shape) for r in reads if r is not None])
        return None if grid is None else _as_windows(equation, x, grid)

    # -- sums ------------------------------------------------------------------------------------

    def _is_inner(self, out: Var) -> bool:
        """Tell whether a sum is but a term of another one."""
        users = self.users.get(out, [])
        alone = len(users) == 1 and out not in self.outputs
        return alone and users[0].primitive.name == "add" and users[0].out.type == out.type

    def _terms(self, equation: Equation) -> Iterator[Any]:
        waiting = list(reversed(equation.operands))
        while waiting:  # a loop in Python may have added a million of them: no place for recursion
            o = waiting.pop()
            inner = self._made_by(o, "add")
            if inner is not None and self._is_inner(inner.out):
                waiting.extend(reversed(inner.operands))
            else:
                yield o

    def _added(self, equation: Equation) -> list[Equation] | None:
        terms = list(self._terms(equation))
        if len(terms) < LEAST:
            return None
        sources: dict[tuple[Var, int], dict[int, Any]] = {}
        for term in terms:
            key, place = self._term(term)
            if key is not None:
                sources.setdefault(key, {})[place] = term
        for (source, axis), pieces in sources.items():
            if len(pieces) < LEAST or sorted(pieces) != list(range(source.type.shape[axis])):
                continue
            ordered = [self.producer[pieces[k]] for k in range(len(pieces))]
            shape = equation.out.type.shape
            grid = _grid([_parts(e.params["index"], shape) for e in ordered])
            chosen = {id(t) for t in pieces.values()}
            rest = [t for t in terms if id(t) not in chosen]
            known = all(type(t) is Var and t.type == equation.out.type for t in rest)
            if grid is not None and known and len(rest) + len(pieces) == len(terms):
                return _as_overlaps(equation, source, axis, grid, rest)
        return None

    def _term(self, term: Any) -> tuple[tuple[Var, int] | None, int]:
        """Return of which array, along which axis, a term is a slice put into zeros; and which."""
        put = self._made_by(term, "embed")
        taken = None if put is None else self._made_by(put.operands[0], "getitem")
        if taken is None or len(taken.operands) > 1 or type(taken.operands[0]) is not Var:
            return None, 0
        spec = taken.params["spec"]
        spec = spec if isinstance(spec, tuple) else (spec,)
        whole = [k for k, part in enumerate(spec) if type(part) is int]
        rest = (part for part in spec if type(part) is not int)
        if len(whole) != 1 or any(type(p) is not slice or p != slice(None) for p in rest):
            return None, 0
        (axis,) = whole
        return (taken.operands[0], axis), spec[axis] % taken.operands[0].type.shape[axis]


def _parts(spec: Any, shape: Sequence[int]) -> tuple[Part, ...] | None:
    """Return start, step and count along each axis; None for an index of another kind."""
    spec = spec if isinstance(spec, tuple) else (spec,)
    if len(spec) > len(shape) or any(type(part) is not slice for part in spec):
        return None
    full = (*spec, *(slice(None),) * (len(shape) - len(spec)))
    bounds = [part.indices(n) for part, n in zip(full, shape, strict=True)]
    if any(step < 1 for _, _, step in bounds):
        return None
    return tuple((start, step, len(range(start, stop, step))) for start, stop, step in bounds)


def _grid(parts: Sequence[tuple[Part, ...] | None]) -> Grid | None:
    first = parts[0]
    known = [p for p in parts if p is not None]
    if first is None or len(known) < len(parts) or 0 in (count for _, _, count in first):
        return None
    if any([c[1:] for c in p] != [c[1:] for c in first] for p in known):
        return None
    starts = [tuple(c[0] for c in p) for p in known]
    places = [sorted(set(column)) for column in zip(*starts, strict=True)]
    moving = [a for a, values in enumerate(places) if len(values) > 1]
    if not moving or prod(len(places[a]) for a in moving) != len(parts):
        return None
    gaps = {a: places[a][1] - places[a][0] for a in moving}
    if any(v != places[a][0] + k * gaps[a] for a in moving for k, v in enumerate(places[a])):
        return None
    for axes in permutations(moving):
        order = [[s[a] for a in axes] for s in starts]
        if order == [list(c) for c in product(*(places[a] for a in axes))]:
            lengths = tuple(len(places[a]) for a in axes)
            return Grid(axes, lengths, tuple(gaps[a] for a in axes), first)
    return None


class _Chain:
    """Equations in a row, of which the last one makes a given variable."""

    def __init__(self, equation: Equation, start: Any) -> None:
        self.like = equation
        self.value = start
        self.equations: list[Equation] = []

    def then(self, name: str, **params: Any) -> None:
        self.apply(name, self.value, **params)

    def apply(self, name: str, *operands: Any, **params: Any) -> None:
        primitive = PRIMITIVES[name]
        type_ = primitive.type_rule(*(o.type for o in operands), **params)
        self.value = Var(self.like.out.id, None, type_)
        origin = self.like.origin
        self.equations.append(Equation(primitive, operands, params, (self.value,), origin))

    def finish(self) -> list[Equation]:
        """Return the equations."""
        last = self.equations[-1]._replace(outs=(self.like.out,))
        return [*self.equations[:-1], last]


def _as_windows(equation: Equation, x: Var, grid: Grid) -> list[Equation]:
    chain = _Chain(equation, x)
    chain.then("windows", window=grid.windows, axis=grid.axes)
    index, shape = grid.index(), chain.value.type.shape
    if not _is_whole(index, shape):
        chain.then("getitem", spec=index)
    ndim, added = len(grid.parts), range(len(shape))[len(grid.parts) :]
    axis = equation.params["axis"] % (ndim + 1)
    chain.then("transpose", axes=(*range(axis), *added, *range(axis, ndim)))
    if len(grid.axes) > 1:
        chain.then("reshape", shape=equation.out.type.shape)
    return chain.finish()


def _as_overlaps(
    equation: Equation, source: Var, axis: int, grid: Grid, rest: Sequence[Any]
) -> list[Equation]:
    given, shape = source.type.shape, equation.out.type.shape
    chain = _Chain(equation, source)
    count = len(grid.axes)
    if count > 1:
        chain.then("reshape", shape=(*given[:axis], *grid.lengths, *given[axis + 1 :]))
    ndim = len(given) - 1 + count
    windows = tuple(range(axis, axis + count))
    chain.then("transpose", axes=(*(a for a in range(ndim) if a not in windows), *windows))
    room = list(shape)
    for a, window in zip(grid.axes, grid.windows, strict=True):
        room[a] -= window - 1
    index = grid.index()
    if not _is_whole(index, (*room, *grid.windows)):
        chain.then("embed", shape=(*room, *grid.windows), index=index)
    chain.then("overlap_add", shape=shape, window=grid.windows, axis=grid.axes)
    for term in rest:
        chain.apply("add", chain.value, term)
    return chain.finish()


def _is_whole(index: Sequence[slice], shape: Sequence[int]) -> bool:
    return all(part.indices(n) == (0, n, 1) for part, n in zip(index, shape, strict=True))
