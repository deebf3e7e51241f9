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
from ...program.program import needed
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
MOST = 16  # parts that are added one by one
Part = tuple[Any, tuple[Any, ...], Any]  # value, indices, and where they stand


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
    if not _clears(x, zero, out) or type(mask) is not np.ndarray or mask.dtype != bool:
        return None
    if mask.shape != x.type.shape or not mask.ndim:
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


def changes_in_place(
    equations: Sequence[Equation], outputs: Sequence[Any], inside: bool = False
) -> list[Equation]:
    """Write what the bodies of loops do to a part of an array as done to that part alone.

    These are sums with an array that is zero but for a part, and choices of zero for a part.
    """
    producer = {out: e for e in equations for out in e.outs}
    found = []
    for equation in equations:
        if inside and equation.primitive.name == "add":
            found += _as_additions(equation, producer)
            continue
        if inside and equation.primitive.name == "where":
            equation = _as_assignment(equation, producer)
        bodies = {k: v for k, v in equation.params.items() if type(v) is Body}
        if bodies:
            changed = {k: _changed(v) for k, v in bodies.items()}
            equation = equation._replace(params={**equation.params, **changed})
        found.append(equation)
    return needed(found, outputs) if inside else found


def _changed(body: Body) -> Body:
    captures: list[Any] = [(None, var) for var in body.captured]
    equations = changes_in_place(body.equations, body.outputs, inside=True)
    return Body(body.inputs, captures, equations, body.outputs, body.out_tree)


def _as_additions(equation: Equation, producer: dict[Var, Equation]) -> list[Equation]:
    """Write a sum with arrays that are zero but for a part as additions of these parts."""
    for place, o in enumerate(equation.operands):
        x = equation.operands[1 - place]
        if type(x) is not Var or type(o) is not Var or not x.type == o.type == equation.out.type:
            continue
        parts = _parts(o, producer)
        if parts is None:
            continue
        found = []
        for k, (value, index, spec) in enumerate(parts):
            last = k == len(parts) - 1
            out = equation.out if last else Var(-1, None, equation.out.type)
            operands = (x, value, *index)
            found.append(Equation(ADD_AT, operands, {"spec": spec}, (out,), equation.origin))
            x = out
        return found
    return [equation]


def _parts(o: Var, producer: dict[Var, Equation]) -> list[Part] | None:
    """Return the parts whose sum an array is; None if it isn't zero elsewhere."""
    waiting, found = [o], list[Part]()
    while waiting:
        term = producer.get(waiting.pop())
        if term is None or len(found) == MOST:
            return None
        name, operands, params = term.primitive.name, term.operands, term.params
        if name == "add" and all(type(p) is Var and p.type == o.type for p in operands):
            waiting.extend(operands)
        elif name == "scatter_add":
            found.append((operands[0], operands[1:], params["spec"]))
        elif name == "embed":
            found.append((operands[0], (), params["index"]))
        elif name == "setitem" and _is_zero(operands[0]) and not _may_repeat(term):
            found.append((operands[1], operands[2:], params["spec"]))
        else:
            return None
    return found


def _as_assignment(equation: Equation, producer: dict[Var, Equation]) -> Equation:
    """Write a choice of zero where a mask was set to False as an assignment of zero."""
    mask, x, zero = equation.operands
    made = producer.get(mask) if type(mask) is Var else None
    if made is None or made.primitive.name != "setitem" or not _clears(x, zero, equation.out):
        return equation
    everywhere, off, *parts = made.operands
    fits = mask.type.shape == equation.out.type.shape and type(off) is not Var and not np.any(off)
    if not fits or type(everywhere) is Var or not np.all(everywhere):
        return equation
    return equation._replace(
        primitive=PRIMITIVES["setitem"], operands=(x, 0.0, *parts), params=made.params
    )


def _clears(x: Any, zero: Any, out: Var) -> bool:
    if type(x) is not Var or x.type != out.type or x.type.dtype.kind != "f":
        return False
    return type(zero) is not Var and not np.ndim(zero) and zero == 0 and not np.signbit(zero)


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
