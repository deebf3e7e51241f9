"""The chain rule itself: maps composed in program order, transposes in reverse order.

Everything that differentiates goes through :func:`push_forward` and :func:`pull_back`. They work
on a list of equations and on whatever ``read`` gives for a variable: a plain array, or a traced
value while somebody records the derivative in turn. There is no second derivation anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..maps import Cast, Compose, LinearMap, Slice, add, bare, broadcast, push
from ..program.equation import Equation, Var
from ..trace.recorder import current

Read = Callable[[Var], Any]
# called per edge with (equation, operand position, map, cotangent of the result, of the operand)
Observe = Callable[[Equation, int, LinearMap, Any, Any], None]

read_value: Read = attrgetter("value")
"""Reads the concrete value of a variable."""


def _is_plain(value: Any) -> bool:
    return type(value) is np.ndarray or isinstance(value, np.generic)


def _in_numpy(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return np.float64(value)
    return np.complex128(value) if kind is complex else value


def local_map(equation: Equation, position: int, y: Any, xs: Sequence[Any]) -> LinearMap | None:
    """Return the derivative of one equation by one operand; None where it has none.

    This is the one place where the broadcasting of element-wise operations is composed, and where
    a gradient is kept in the space of its input: its shape and its dtype.
    """
    primitive, _, params, _, _ = equation
    rules = primitive.d
    if position < len(rules) and not primitive.variadic:
        rule = rules[position]
    else:
        rule = primitive.rule(position)
    if rule is None:
        return None
    x = xs[position]
    kind = type(x)
    if kind is complex or type(y) is complex:  # as `1j * np.float64(1)` is
        y, *xs = [_in_numpy(v) for v in (y, *xs)]
        x = xs[position]
    try:
        map: LinearMap = rule(y, *xs, **params) if params else rule(y, *xs)
    except (ZeroDivisionError, OverflowError):
        # a derivative is infinite as in NumPy, also where Python's own numbers refuse to be
        map = rule(*(_in_numpy(v) for v in (y, *xs)), **params)
    if kind is np.float64 and type(y) is np.float64:
        return map
    if kind is float:
        if primitive.elementwise and (large := getattr(y, "shape", ())):
            map = Compose(map, broadcast((), large))
        return map
    if primitive.elementwise and x.shape != y.shape:
        map = Compose(map, broadcast(x.shape, y.shape))
    dtype = x.dtype
    if dtype is not y.dtype and dtype != y.dtype and type(map) is not Cast:  # noqa: SIM102
        if dtype.kind != "c" or y.dtype.kind == "c":
            map = Compose(map, Cast(dtype, y.dtype))
    return map


def push_forward(
    equations: Iterable[Equation], tangents: dict[Var, Any], read: Read = read_value
) -> dict[Var, Any]:
    """Carry tangents of some variables through equations to all that depends on them.

    Parameters
    ----------
    equations : iterable of Equation
        In program order.
    tangents : dict
        The tangents of the inputs; the result holds those of all dependent variables too.
    read : callable
        Gives the value of a variable.
    """
    if read is not read_value and (recorder := current()) is not None:
        with recorder.differentiating(equations) as each:
            return _walk_forward(each, tangents, read)
    return _walk_forward(equations, tangents, read)


def _walk_forward(
    equations: Iterable[Equation], tangents: dict[Var, Any], read: Read
) -> dict[Var, Any]:
    tangents = dict(tangents)
    for equation in equations:
        if equation.primitive.joint is not None:
            _push_joint(equation, tangents, read)
            continue
        out = None
        xs: list[Any] | None = None
        for position, operand in enumerate(equation.operands):
            if type(operand) is not Var or (v := tangents.get(operand)) is None:
                continue
            if xs is None:
                xs = [read(o) if type(o) is Var else o for o in equation.operands]
                y = read(equation.outs[0])
            map = local_map(equation, position, y, xs)
            if map is not None:
                moved = push(map, v)
                out = moved if out is None else add(out, moved)
        if out is not None:
            tangents[equation.outs[0]] = out
    return tangents


def pull_back(
    equations: Sequence[Equation] | Iterator[Equation],
    cotangents: dict[Var, Any],
    first: int,
    read: Read = read_value,
    observe: Observe | None = None,
) -> dict[Var, Any]:
    """Carry cotangents of results back through equations to the inputs.

    Parameters
    ----------
    equations : sequence of Equation or iterator
        In program order; they are walked backwards. An iterator gives the last one first, and may
        let go of each: what the chain rule has passed then needs no memory any more.
    cotangents : dict
        The cotangents of the results.
    first : int
        Variables with a smaller id are none of our business: their cotangents are not computed.
    read : callable
        Gives the value of a variable.
    observe : callable, optional
        Is told about every edge that a cotangent passes.

    Returns
    -------
    dict
        The cotangents of the variables that no equation here has computed: the inputs.
    """
    last_first = equations if isinstance(equations, Iterator) else reversed(equations)
    if read is not read_value and (recorder := current()) is not None:
        with recorder.differentiating(last_first) as each:
            return _walk_back(each, cotangents, first, read, observe)
    return _walk_back(last_first, cotangents, first, read, observe)


def _walk_back(
    equations: Iterator[Equation],
    cotangents: dict[Var, Any],
    first: int,
    read: Read,
    observe: Observe | None,
) -> dict[Var, Any]:
    cotangents = dict(cotangents)
    summed: set[Var] | None = set() if read is read_value and observe is None else None
    for equation in equations:
        primitive, operands, _, outs, _ = equation
        if primitive.joint is not None:
            _pull_joint(equation, cotangents, first, read, observe)
            continue
        ct = cotangents.pop(outs[0], None)
        if ct is None:
            continue
        xs = [read(o) if type(o) is Var else o for o in operands]
        y = read(outs[0])
        for position, operand in enumerate(operands):
            if type(operand) is not Var or operand.id < first:
                continue
            map = local_map(equation, position, y, xs)
            if map is None:
                continue
            if summed is not None and type(map) is Slice and _is_plain(ct):
                _add_part(map, ct, operand, cotangents, summed)
                continue
            moved = map.apply_transpose(ct)
            if observe is not None:
                observe(equation, position, map, ct, moved)
            previous = cotangents.get(operand)
            cotangents[operand] = moved if previous is None else add(previous, moved)
    return cotangents


def _add_part(
    map: Slice, ct: Any, operand: Var, cotangents: dict[Var, Any], summed: set[Var]
) -> None:
    """Add the cotangent of a part of an array to that of the array.

    ``summed`` has the variables whose cotangent is an array that was made here and that nobody
    else holds. It is changed in place: so a loop over the parts takes as long as the array is
    large, and not as the array is large times the parts that there are.
    """
    total = cotangents.get(operand)
    if operand in summed and type(total) is np.ndarray and total.dtype == ct.dtype:
        total[map.index] += ct
        return
    moved = map.apply_transpose(ct)
    cotangents[operand] = moved if total is None else add(total, moved)
    summed.add(operand)


def _joint_map(equation: Equation, read: Read) -> LinearMap:
    primitive, operands, params, outs, _ = equation
    xs = [read(o) if type(o) is Var else o for o in operands]
    assert primitive.joint is not None
    map: LinearMap = primitive.joint([read(o) for o in outs], xs, **params)
    return map


def _push_joint(equation: Equation, tangents: dict[Var, Any], read: Read) -> None:
    """Carry tangents through an equation with several results."""
    given = [bare(tangents.get(o)) if type(o) is Var else None for o in equation.operands]
    if all(v is None for v in given):
        return
    moved = _joint_map(equation, read).apply(given)
    for out, v in zip(equation.outs, moved, strict=True):
        if v is not None:
            tangents[out] = v


def _pull_joint(
    equation: Equation,
    cotangents: dict[Var, Any],
    first: int,
    read: Read,
    observe: Observe | None,
) -> None:
    """Carry cotangents back through an equation with several results."""
    given = [bare(cotangents.pop(o, None)) for o in equation.outs]
    if all(ct is None for ct in given):
        return
    map = _joint_map(equation, read)
    moved = map.transpose().apply(given)
    for position, (operand, ct) in enumerate(zip(equation.operands, moved, strict=True)):
        if ct is None or type(operand) is not Var or operand.id < first:
            continue
        if observe is not None:
            observe(equation, position, map, given, ct)
        previous = cotangents.get(operand)
        cotangents[operand] = ct if previous is None else add(previous, ct)
