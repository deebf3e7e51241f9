"""Finding what repeats: runs of equations in which the same block comes again and again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...program.bytecode import instruction_start
from ...program.equation import Equation, Var
from ...program.printing import is_whole
from ..content import content_key

# Parameters that may count with the iteration: where they are read, written or placed.
INDEX_PARAMS = {"getitem": "spec", "setitem": "spec", "embed": "index"}

_MOST_PERIODS = 256  # tried on one program, the likeliest ones
_UNMARKED = 8  # what repeats this often, or is this long, is a loop wherever it comes from

Signatures = np.ndarray[Any, np.dtype[np.int64]]


class Run(NamedTuple):
    """Equations ``start`` to ``stop`` repeat after ``period`` equations, but for operands."""

    start: int
    stop: int
    period: int

    @property
    def trips(self) -> int:
        """How many whole blocks there are."""
        return (self.stop - self.start) // self.period


def signatures(equations: Sequence[Equation]) -> Signatures:
    """Return a number per equation, the same for equations that could be one line of a loop."""
    numbers: dict[Hashable, int] = {}
    places: dict[tuple[int, int], Hashable] = {}
    return np.array(
        [numbers.setdefault(_signature(e, places), len(numbers)) for e in equations], np.int64
    )


def _signature(equation: Equation, places: dict[tuple[int, int], Hashable]) -> Hashable:
    primitive, operands, params, outs, origin = equation
    chain = []
    for code, lasti in origin:
        key = id(code), lasti
        if key not in places:
            places[key] = id(code), instruction_start(code, lasti)
        chain.append(places[key])
    types = tuple(out.type for out in outs)
    described = _params_signature(primitive.name, params)
    return primitive.name, len(operands), types, tuple(chain), described


def _params_signature(primitive: str, params: dict[str, Any]) -> Hashable:
    if not params:
        return ()
    index = INDEX_PARAMS.get(primitive)
    return tuple(
        (name, tuple(map(_part_signature, value)) if name == index else content_key(value))
        for name, value in params.items()
    )


def _part_signature(part: Any) -> Hashable:
    if type(part) is int:
        return int
    if type(part) is slice and (part.start is not None or part.stop is not None):
        return slice, part.step
    return content_key(part)


def find_runs(equations: Sequence[Equation], minimum: int) -> list[Run]:
    """Return the runs with at least ``minimum`` blocks, those with the longest blocks first.

    A loop within a loop is part of the outer one's block, and is found again in there.
    """
    numbers = signatures(equations)
    longest = len(equations) // minimum
    found = {
        run for period in _periods(numbers, longest) for run in _runs_of(numbers, period, minimum)
    }
    # Where an inner loop goes round without a break, an outer one is seen by how far back the
    # operands were computed. Its first iteration takes other operands, so that it is longer.
    linked = _linked(equations, numbers)
    outer = {
        _extended(run, numbers)
        for period in _periods(linked, longest)
        for run in _runs_of(linked, period, minimum - 1)
    }
    multiples = _multiples(outer)
    outer = {run for run in outer if run.trips >= minimum and run not in multiples}
    multiples = _multiples(found | outer) - outer
    runs = [run for run in found | outer if _is_marked(run, equations)]
    return sorted(runs, key=lambda run: (run in multiples, -run.period, run.start))


def _is_marked(run: Run, equations: Sequence[Equation]) -> bool:
    """Tell whether a run looks like a loop, and not like a few similar operations in a row.

    Equations of a derivative come from the one place where it was asked for, whatever they do.
    """
    if run.trips >= _UNMARKED or run.period >= _UNMARKED:
        return True
    block = equations[run.start : run.start + run.period]
    places = {(id(e.origin[0][0]), instruction_start(*e.origin[0])) for e in block if e.origin}
    return len(places) > 1 or (len(places) == run.period == 1 and is_whole(block[0]))


def _multiples(runs: Collection[Run]) -> set[Run]:
    """Return the runs of which one block is several blocks of another run."""
    by_period: dict[int, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.start):
        by_period.setdefault(run.period, []).append(run)
    starts = {period: [run.start for run in group] for period, group in by_period.items()}
    found = set()
    for run in runs:
        for period, group in by_period.items():
            if period >= run.period or run.period % period:
                continue
            place = bisect_right(starts[period], run.start)
            # runs of one period overlap by less than a block
            if any(other.stop >= run.stop for other in group[max(0, place - 2) : place]):
                found.add(run)
    return found


def _linked(equations: Sequence[Equation], numbers: Signatures) -> Signatures:
    """Return signatures that also say how far back each operand was computed."""
    places = {out: place for place, e in enumerate(equations) for out in e.outs}
    linked: dict[Hashable, int] = {}
    keys = (
        (number, *(place - places.get(o, place) if type(o) is Var else -1 for o in e.operands))
        for place, (e, number) in enumerate(zip(equations, numbers.tolist(), strict=True))
    )
    return np.array([linked.setdefault(key, len(linked)) for key in keys], np.int64)


def _extended(run: Run, numbers: Signatures) -> Run:
    """Return a run with up to one block more in front."""
    start = run.start
    while start > max(0, run.start - run.period) and (
        numbers[start - 1] == numbers[start - 1 + run.period]
    ):
        start -= 1
    return Run(start, run.stop, run.period)


def _periods(numbers: Signatures, longest: int) -> list[int]:
    """Return distances after which equations, or stretches of them, come again.

    Stretches of 1, 2, 4, 8... equations are compared. The distance to the next occurrence of a
    stretch that is longer than a loop's body is the length of that body.
    """
    counts: dict[int, int] = {}
    ranks, width = numbers, 1
    while len(ranks) > 1:
        order = np.argsort(ranks, kind="stable")
        again = ranks[order[1:]] == ranks[order[:-1]]
        distances, found = np.unique((order[1:] - order[:-1])[again], return_counts=True)
        if not len(distances):
            break
        for distance, count in zip(distances.tolist(), found.tolist(), strict=True):
            if distance <= longest:
                counts[distance] = counts.get(distance, 0) + count
        if width >= len(ranks):
            break
        pairs = ranks[:-width] * (int(ranks.max()) + 1) + ranks[width:]
        ranks, width = np.unique(pairs, return_inverse=True)[1], 2 * width
    return sorted(counts, key=lambda d: -counts[d])[:_MOST_PERIODS]


def _runs_of(numbers: Signatures, period: int, minimum: int) -> Iterator[Run]:
    """Yield the longest stretches that repeat after ``period`` equations."""
    same = numbers[:-period] == numbers[period:]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - start >= (minimum - 1) * period:
            yield Run(start, stop + period, period)


def aligned(run: Run, equations: Sequence[Equation]) -> Run:
    """Return whole blocks of a run, cut where the fewest values pass from one to the next.

    The first block found may begin in the middle of the loop's body, because the loop's first
    iteration lacks some equations.
    """
    trips, period = run.trips, run.period
    offsets = run.stop - run.start - trips * period
    best = 0
    if offsets:
        middle = run.start + (trips // 2) * period
        widths = [_passing(equations, run, middle + offset) for offset in range(offsets + 1)]
        best = widths.index(min(widths))
    start = run.start + best
    return Run(start, start + trips * period, period)


def _passing(equations: Sequence[Equation], run: Run, cut: int) -> int:
    """Count the values that are computed shortly before a place and used shortly after it."""
    before = equations[max(run.start, cut - run.period) : cut]
    made = {out for e in before for out in e.outs}
    after = equations[cut : min(run.stop, cut + run.period)]
    used: set[Var] = set().union(*(e.inputs for e in after))
    return len(made & used)
