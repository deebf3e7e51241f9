"""Extremes that cancel out: subtracted lest an exponential overflow, and of no effect else.

In ``e = exp(x - max(x))`` and ``e / sum(e)`` the maximum may be any number: the result is the same.
So its derivative is zero, which the chain rule finds as a sum of terms that differ by rounding. To
know it beforehand saves these terms, and the search for where the maximum was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from ..program.equation import Equation, Var
from ..program.index import Hole

EXTREMES = frozenset({"max", "min"})
UNKNOWN = "unknown"


class Change(NamedTuple):
    """How a value changes if an extreme ``m`` becomes ``m + d``.

    By adding ``by * d`` ("shift") or by multiplying with ``exp(by * d)`` ("scale"). For each axis
    of the value ``axes`` has the axis of the extreme that goes along it, None where d is constant.
    """

    kind: str
    by: float
    axes: tuple[int | None, ...]


def cancelled(equations: Sequence[Equation], outputs: Sequence[Any]) -> frozenset[Var]:
    """Return the extremes on which no output depends, although they are used.

    Examples
    --------
    >>> from chainrule.trace.program import trace_program
    >>> def softmax(x):
    ...     e = np.exp(x - np.max(x, axis=1, keepdims=True))
    ...     return e / np.sum(e, axis=1, keepdims=True)
    >>> program, _ = trace_program(softmax, np.ones((2, 3)), abstract=True)
    >>> len(cancelled(program.equations, program.outputs))
    1
    """
    extremes = [
        (k, e.out)
        for k, e in enumerate(equations)
        if e.primitive.name in EXTREMES and e.out.type.is_differentiable
    ]
    if not extremes:
        return frozenset()
    users: dict[Var, list[int]] = {}
    for k, equation in enumerate(equations):
        for o in set(equation.inputs):
            users.setdefault(o, []).append(k)
    ends = {o for o in outputs if type(o) is Var}
    return frozenset(m for _, m in extremes if _has_no_effect(m, equations, users, ends))


def _has_no_effect(
    extreme: Var, equations: Sequence[Equation], users: dict[Var, list[int]], ends: set[Var]
) -> bool:
    shape = extreme.type.shape
    own = tuple(k if n != 1 else None for k, n in enumerate(shape))
    changes = {extreme: Change("shift", 1.0, own)}
    waiting: list[int] = []

    def follow(var: Var) -> None:
        for k in users.get(var, ()):
            heappush(waiting, k)

    follow(extreme)
    done = -1
    while waiting:
        k = heappop(waiting)
        if k == done:
            continue
        done = k
        equation = equations[k]
        change = _changed(equation, changes)
        if change == UNKNOWN:
            return False
        if isinstance(change, Change) and change.by:
            changes[equation.out] = change
            follow(equation.out)
    return ends.isdisjoint(changes)


def _changed(equation: Equation, changes: dict[Var, Change]) -> Change | str | None:
    """Return how a result changes; None if it doesn't, or has no derivative."""
    name = equation.primitive.name
    if len(equation.outs) != 1:
        return UNKNOWN
    if name == "stop_gradient" or not equation.out.type.is_differentiable:
        return None
    rule = RULES.get(name)
    given = [changes.get(o) if type(o) is Var else None for o in equation.operands]
    return UNKNOWN if rule is None else rule(equation, given)


# -- rules: from an equation and the changes of its operands to the change of its result -----------

Rule = Callable[[Equation, list[Change | None]], "Change | str | None"]


def _aligned(change: Change, equation: Equation) -> Change:
    """Return a change with axes for all that a result has: broadcasting adds some in front."""
    missing = len(equation.out.type.shape) - len(change.axes)
    return change._replace(axes=(None,) * missing + change.axes)


def _added(sign: float) -> Rule:
    def rule(equation: Equation, given: list[Change | None]) -> Change | str | None:
        a, b = (_aligned(c, equation) if c else None for c in given)
        if b is not None and b.kind == "shift":
            b = b._replace(by=sign * b.by)
        if a is None or b is None:
            one = a or b
            return one if one is not None and one.kind == "shift" else UNKNOWN
        if a.kind != b.kind or a.axes != b.axes:
            return UNKNOWN
        if a.kind == "shift":
            return a._replace(by=a.by + b.by)
        return a if a.by == b.by else UNKNOWN

    return rule


def _multiplied(sign: float) -> Rule:
    def rule(equation: Equation, given: list[Change | None]) -> Change | str | None:
        a, b = (_aligned(c, equation) if c else None for c in given)
        if a is not None and a.kind == "shift" and b is None:
            factor = equation.operands[1]
            if type(factor) not in (int, float) or not factor:
                return UNKNOWN
            return a._replace(by=a.by * factor if sign > 0 else a.by / factor)
        if any(c is not None and c.kind == "shift" for c in (a, b)):
            return UNKNOWN
        if a is None or b is None:
            return a if b is None else b._replace(by=sign * b.by)
        return a._replace(by=a.by + sign * b.by) if a.axes == b.axes else UNKNOWN

    return rule


def _same(equation: Equation, given: list[Change | None]) -> Change | str | None:
    return given[0]


def _negated(equation: Equation, given: list[Change | None]) -> Change | str | None:
    (x,) = given
    return x._replace(by=-x.by) if x is not None and x.kind == "shift" else x


def _between(before: str, after: str) -> Rule:
    def rule(equation: Equation, given: list[Change | None]) -> Change | str | None:
        (x,) = given
        return x._replace(kind=after) if x is not None and x.kind == before else UNKNOWN

    return rule


def _reduced(kinds: tuple[str, ...]) -> Rule:
    def rule(equation: Equation, given: list[Change | None]) -> Change | str | None:
        (x,) = given
        if x is None or x.kind not in kinds:
            return UNKNOWN
        axis, ndim = equation.params["axis"], len(x.axes)
        over = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        summed = {a % ndim for a in over}
        if any(x.axes[a] is not None for a in summed):
            return UNKNOWN
        if equation.params["keepdims"]:
            return x
        return x._replace(axes=tuple(a for k, a in enumerate(x.axes) if k not in summed))

    return rule


def _transposed(equation: Equation, given: list[Change | None]) -> Change | str | None:
    (x,) = given
    assert x is not None
    return x._replace(axes=tuple(x.axes[a] for a in equation.params["axes"]))


def _broadcast(equation: Equation, given: list[Change | None]) -> Change | str | None:
    (x,) = given
    return None if x is None else _aligned(x, equation)


def _reshaped(equation: Equation, given: list[Change | None]) -> Change | str | None:
    """Tell of a result that has the same axes but for some of length one."""
    x, *others = given
    source = equation.operands[0]
    if x is None or others or equation.out.type.size == 0:
        return UNKNOWN
    before, after = source.type.shape, equation.out.type.shape
    if [n for n in before if n != 1] != [n for n in after if n != 1]:
        return UNKNOWN
    longer = iter([a for a, n in zip(x.axes, before, strict=True) if n != 1])
    return x._replace(axes=tuple(next(longer) if n != 1 else None for n in after))


def _picked(equation: Equation, given: list[Change | None]) -> Change | str | None:
    spec = equation.params["spec"]
    if all(p is None or p is Ellipsis or (type(p) is slice and p == slice(None)) for p in spec):
        return _reshaped(equation, given)
    x = given[0]
    if x is None or len(x.axes) != len(spec) or any(type(p) is not Hole for p in spec):
        return UNKNOWN
    parts = [equation.operands[1 + p] for p in spec]
    along = [k for k, a in enumerate(x.axes) if a is not None]
    if len(along) == 1 and all(_ndim(part) <= 1 for part in parts):
        (k,) = along
        if _counts(parts[k], equation.operands[0].type.shape[k]):
            return x._replace(axes=(x.axes[k],))  # one element of each row
    return UNKNOWN


def _ndim(o: Any) -> int:
    return len(o.type.shape) if type(o) is Var else np.ndim(o)


def _counts(o: Any, n: int) -> bool:
    """Tell whether an index is 0, 1, 2, ... up to all of an axis."""
    return type(o) is np.ndarray and o.shape == (n,) and bool((o == np.arange(n)).all())


def _chosen(equation: Equation, given: list[Change | None]) -> Change | str | None:
    pair = [_aligned(c, equation) if c else None for c in given[1:]]
    for one, other, o in zip(pair, pair[::-1], equation.operands[:0:-1], strict=True):
        if one is not None and (one == other or (one.kind == "scale" and _is_zero(o))):
            return one
    return UNKNOWN


def _is_zero(o: Any) -> bool:
    return type(o) in (int, float) and o == 0


def _product(equation: Equation, given: list[Change | None]) -> Change | str | None:
    """Tell of a product of matrices of which the left one's rows are scaled."""
    a, b = given
    if a is None or b is not None or a.kind != "scale" or len(a.axes) < 2:
        return UNKNOWN
    if a.axes[-1] is not None:
        return UNKNOWN
    right = equation.operands[1]
    rows = a.axes[:-1] if _ndim(right) == 1 else (*a.axes[:-1], None)
    return _aligned(a._replace(axes=rows), equation)


RULES: dict[str, Rule] = {
    "add": _added(1.0),
    "sub": _added(-1.0),
    "mul": _multiplied(1.0),
    "div": _multiplied(-1.0),
    "neg": _negated,
    "exp": _between("shift", "scale"),
    "log": _between("scale", "shift"),
    "sum": _reduced(("scale",)),
    "mean": _reduced(("scale",)),
    "max": _reduced(("shift",)),
    "min": _reduced(("shift",)),
    "alias": _same,
    "cast": _same,
    "transpose": _transposed,
    "broadcast_to": _broadcast,
    "reshape": _reshaped,
    "getitem": _picked,
    "where": _chosen,
    "matmul": _product,
}
