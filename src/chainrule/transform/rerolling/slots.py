"""Where the operands in a repeated block come from, so that the block can be a loop's body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ..content import content_key
from .indexing import moving
from .periods import INDEX_PARAMS, Run
from .sources import Fixed, Lagged, Local, Loop, Scanned, Source, Step, type_of

_LONGEST_LAG = 8
_KINDS = "biufc"  # a number is converted to a kind further right, never to the left


class _UnfitError(Exception):
    """The blocks differ in a way that no loop of ours has."""


def loop_of(run: Run, equations: Sequence[Equation]) -> Loop | None:
    """Return a run as a loop; None if its blocks don't fit together."""
    try:
        return Loop(run, _Analysis(run, equations).steps())
    except _UnfitError:
        return None


class _Analysis:
    def __init__(self, run: Run, equations: Sequence[Equation]) -> None:
        self.trips = run.trips
        period = run.period
        block = equations[run.start : run.stop]
        self.columns = [block[q::period] for q in range(period)]
        self.home: dict[Var, tuple[int, int, int]] = {
            out: (t, q, j)
            for q, column in enumerate(self.columns)
            for t, equation in enumerate(column)
            for j, out in enumerate(equation.outs)
        }

    def steps(self) -> list[Step]:
        return [self.step(q) for q in range(len(self.columns))]

    def step(self, q: int) -> Step:
        column = self.columns[q]
        first = column[0]
        sources = tuple(self.source(q, k) for k in range(len(first.operands)))
        name = first.primitive.name
        index = INDEX_PARAMS.get(name)
        if index is None or _all_equal([e.params[index] for e in column]):
            return Step(first.primitive, first.params, sources, first)
        step = Step(first.primitive, first.params, sources, first)
        moved = moving(step, [e.params[index] for e in column])
        if moved is None:
            raise _UnfitError
        return moved

    def source(self, q: int, k: int) -> Source:
        values = [e.operands[k] for e in self.columns[q]]
        home = self.home.get(values[-1]) if type(values[-1]) is Var else None
        if home is not None:
            return self.inner(q, k, values, home)
        if any(type(v) is Var and v in self.home for v in values):
            raise _UnfitError
        first = values[0]
        if all(v is first for v in values) or _all_equal(values):
            return Fixed(first)
        return self.scanned(q, k, values)

    def inner(self, q: int, k: int, values: list[Any], home: tuple[int, int, int]) -> Source:
        last, position, out = home
        lag = self.trips - 1 - last
        get = self.home.get
        for t in range(lag, self.trips):
            if type(values[t]) is not Var or get(values[t]) != (t - lag, position, out):
                raise _UnfitError
        if not lag:
            return Local(position, out)
        if lag > min(_LONGEST_LAG, self.trips - 1):
            raise _UnfitError
        type_ = values[-1].type
        elementwise = self.columns[q][0].primitive.elementwise
        initial = tuple(self.start(v, type_, elementwise) for v in values[:lag])
        return Lagged(position, out, initial)

    def start(self, value: Any, type_: ArrayType, elementwise: bool) -> Any:
        """Return a value before the first iteration as the loop carries it."""
        if type(value) is Var and value in self.home:
            raise _UnfitError
        given = type_of(value)
        if given == type_ or (given.weak and given[:2] == type_[:2]):
            return value
        broadcast = given.shape == () and elementwise
        if type(value) is Var or type_.weak or (given.shape != type_.shape and not broadcast):
            raise _UnfitError
        made = np.full(type_.shape, value, type_.dtype)
        # converted, it must be the number that it was, whatever it meets in the loop
        if content_key(made.flat[:1].astype(given.dtype)) != content_key(
            np.array([value], given.dtype).reshape(-1)[:1]
        ):
            raise _UnfitError
        return made[()]

    def scanned(self, q: int, k: int, values: list[Any]) -> Scanned:
        types = {type_of(v) for v in values}
        if all(type(v) is not Var for v in values) and all(t.weak for t in types):
            return self.numbers(q, k, values)
        if len(types) > 1:
            raise _UnfitError
        (type_,) = types
        if type_.weak or (k and type_.dtype.kind == "b" and self.is_indexing(q)):
            raise _UnfitError
        return Scanned(tuple(values), type_)

    def is_indexing(self, q: int) -> bool:
        return self.columns[q][0].primitive.name in ("getitem", "setitem", "scatter_add")

    def numbers(self, q: int, k: int, values: list[Any]) -> Scanned:
        """Return Python's numbers, which give way to the other operands' dtypes, in that dtype."""
        equation = self.columns[q][0]
        primitive, operands = equation.primitive, equation.operands
        types = [type_of(o) for o in operands]
        if primitive.name == "setitem" and k == 1:
            dtype = types[0].dtype
        elif primitive.elementwise and primitive.name != "pow":  # x**2 is computed as a square
            given = types[1:] if primitive.name == "where" else types
            samples = [t.dtype.type(0).item() if t.weak else t.dtype for t in given]
            dtype = np.dtype(np.result_type(*samples))
        else:
            raise _UnfitError
        if any(_KINDS.index(np.asarray(v).dtype.kind) > _KINDS.index(dtype.kind) for v in values):
            raise _UnfitError
        strong = ArrayType((), dtype)
        found = primitive.type_rule(*types[:k], strong, *types[k + 1 :], **equation.params)
        if found != equation.out.type:
            raise _UnfitError
        try:
            with np.errstate(all="ignore"):
                return Scanned(tuple(np.asarray(v, dtype)[()] for v in values), strong)
        except OverflowError:  # an integer that the dtype does not have
            raise _UnfitError from None


def _all_equal(values: Sequence[Any]) -> bool:
    first = values[0]
    if any(type(v) is not type(first) for v in values):
        return False
    if type(first) is Var:
        return all(v is first for v in values)
    key = content_key(first)
    return all(v is first or content_key(v) == key for v in values)
