"""Assignments and additions to parts of an array, which loops do in place.

The derivative of ``r[i] = y`` sets a cotangent to zero there, and that of reading ``r[i]`` adds to
it there. Recorded as operations on whole arrays, they would cost a pass over the array in each
step of a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...primitives.families import made_late
from ...program.equation import Equation, Var
from ...program.index import join_index
from ...program.primitive import PRIMITIVES, Primitive
from ...trace.body import Body


def _add_at(x: Any, v: Any, *parts: Any, spec: tuple[Any, ...]) -> Any:
    out = np.array(x)
    np.add.at(out, join_index(parts, spec), v)
    return out


ADD_AT = Primitive(
    "add_at",
    _add_at,
    type_rule=lambda x, v, *parts, spec: x,
    d=(made_late, made_late),
    text="{0} plus {1}",
)
WRITERS = frozenset({"setitem", "add_at"})


def masks_as_assignments(equations: Sequence[Equation]) -> list[Equation]:
    """Write choices of zero for one element, or one row, as the assignment that they come from."""
    found = []
    for equation in equations:
        if equation.primitive.name == "where":
            mask, x, zero = equation.operands
            place = _cleared(mask, x, zero, equation.out)
            if place is not None:
                setitem = PRIMITIVES["setitem"]
                equation = equation._replace(
                    primitive=setitem, operands=(x, 0.0), params={"spec": place}
                )
        found.append(equation)
    return found


def _cleared(mask: Any, x: Any, zero: Any, out: Var) -> tuple[int, ...] | None:
    """Return the element or row that a choice sets to zero, if it is only one."""
    if type(x) is not Var or x.type != out.type or x.type.dtype.kind != "f":
        return None
    if type(mask) is not np.ndarray or mask.dtype != bool or mask.shape != x.type.shape:
        return None
    if type(zero) is Var or np.ndim(zero) or zero != 0 or np.signbit(zero) or not mask.ndim:
        return None
    places = np.flatnonzero(~mask)
    if len(places) == 1:
        return tuple(int(i) for i in np.unravel_index(places[0], mask.shape))
    width = mask.size // len(mask) if len(mask) else 0
    if (
        len(places) != width
        or width < 2
        or places[0] % width
        or places[-1] - places[0] != width - 1
    ):
        return None
    return (int(places[0]) // width,)


def additions_in_place(
    equations: Sequence[Equation], outputs: Sequence[Any], inside: bool = False
) -> list[Equation]:
    """Write sums in the bodies of loops with an array that is zero but for a part as additions."""
    readers: dict[Var, int] = {}
    for v in (*(v for e in equations for v in e.inputs), *outputs):
        if type(v) is Var:
            readers[v] = readers.get(v, 0) + 1
    producer = {out: e for e in equations for out in e.outs}
    found = []
    for equation in equations:
        if inside and equation.primitive.name == "add":
            equation = _as_addition(equation, producer, readers)
        bodies = {k: v for k, v in equation.params.items() if type(v) is Body}
        if bodies:
            changed = {k: _changed(v) for k, v in bodies.items()}
            equation = equation._replace(params={**equation.params, **changed})
        found.append(equation)
    return found


def _changed(body: Body) -> Body:
    captures: list[Any] = [(None, var) for var in body.captured]
    equations = additions_in_place(body.equations, body.outputs, inside=True)
    return Body(body.inputs, captures, equations, body.outputs, body.out_tree)


def _as_addition(
    equation: Equation, producer: dict[Var, Equation], readers: dict[Var, int]
) -> Equation:
    for place, o in enumerate(equation.operands):
        x = equation.operands[1 - place]
        term = producer.get(o) if type(o) is Var and readers.get(o) == 1 else None
        if term is None or type(x) is not Var or not x.type == o.type == equation.out.type:
            continue
        name, params = term.primitive.name, term.params
        if name == "scatter_add":
            value, parts, spec = term.operands[0], term.operands[1:], params["spec"]
        elif name == "embed":
            value, parts, spec = term.operands[0], (), params["index"]
        elif name == "setitem" and _is_zero(term.operands[0]) and not _may_repeat(term):
            value, parts, spec = term.operands[1], term.operands[2:], params["spec"]
        else:
            continue
        return equation._replace(
            primitive=ADD_AT, operands=(x, value, *parts), params={"spec": spec}
        )
    return equation


def _is_zero(o: Any) -> bool:
    return type(o) is not Var and not np.any(o)


def _may_repeat(equation: Equation) -> bool:
    """Tell whether an assignment may name an element twice, of which only the last one stays."""
    return any(type(p) is not Var or bool(p.type.shape) for p in equation.operands[2:])


def writers_last(equations: Sequence[Equation]) -> list[Equation]:
    """Return equations in an order in which arrays are read before they are written over."""
    waiting = list(equations)
    made = {out for e in equations for out in e.outs}
    found: list[Equation] = []
    while waiting:
        late = []
        for equation in waiting:
            ready = made.isdisjoint(equation.inputs)
            if ready and equation.primitive.name not in WRITERS:
                found.append(equation)
                made.difference_update(equation.outs)
            else:
                late.append(equation)
        if len(late) == len(waiting):  # only those that write are left to begin with
            first = next(e for e in late if made.isdisjoint(e.inputs))
            found.append(first)
            made.difference_update(first.outs)
            late = [e for e in late if e is not first]
        waiting = late
    return found


def read_before(equations: Sequence[Equation]) -> set[Var]:
    """Return small values that are read from arrays which are then written over."""
    places = [(e, e.operands[0]) for e in equations if e.operands and type(e.operands[0]) is Var]
    written = {array for e, array in places if e.primitive.name in WRITERS}
    return {
        e.out
        for e, array in places
        if e.primitive.name == "getitem" and array in written and e.out.type.size <= 64
    }
