"""Arrays that a loop puts together piece by piece, put together at once after it.

A loop that writes ``r[t] = y`` and reads nothing of ``r`` stacks its values instead. A gradient by
an array of which each step reads an element is a sum of arrays that are zero elsewhere; the steps'
values are collected, and added at their places after the loop. So the cost of a step does not grow
with the length of the array.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.index import Hole
from .parts import Carried, Scan, apply, type_of

_MOVES = frozenset({"embed", "transpose", "reshape"})


def place_after(scan: Scan, after: list[Equation]) -> None:
    """Write after the loop what it does to carried arrays that it doesn't read."""
    if not scan.steps:
        return
    changed = True
    while changed:
        changed = False
        readers = scan.readers()
        producer = {out: e for e in scan.equations for out in e.outs}
        for c in list(scan.carried):
            step = producer.get(c.after) if type(c.after) is Var else None
            if step is None or readers.get(c.var) != 1 or readers.get(c.after) != 1:
                continue
            if c.var in step.inputs and _is_placed(scan, c, step, producer, readers, after):
                scan.carried.remove(c)
                changed = True


def _is_placed(
    scan: Scan,
    c: Carried,
    step: Equation,
    producer: dict[Var, Equation],
    readers: dict[Var, int],
    after: list[Equation],
) -> bool:
    if step.primitive.name == "setitem" and step.operands[0] is c.var:
        return _assigned(scan, c, step, after)
    if step.primitive.name != "add" or c.var.type.size <= 1:
        return False
    (term,) = [o for o in step.operands if o is not c.var] or [None]
    if type(term) is not Var or readers.get(term) != 1 or term.type != c.var.type:
        return False
    equation = producer.get(term)
    if equation is None:
        return False
    if equation.primitive.name in _MOVES:
        return _moved(scan, c, step, equation, after)
    value = _scattered(equation)
    if value is None:
        return False
    columns = _columns(scan, value, equation.operands, equation.params["spec"], c.var)
    if columns is None:
        return False
    total = _sum_of_placed(columns, equation, c.var, after)
    after.append(step._replace(operands=(c.initial, total), outs=(c.out,)))
    return True


def _scattered(equation: Equation) -> Var | None:
    """Return what an equation puts into zeros at a place that is computed."""
    name, operands = equation.primitive.name, equation.operands
    value = None
    if name == "scatter_add":
        value = operands[0]
    elif name == "setitem" and type(operands[0]) is not Var and not np.any(operands[0]):
        value = operands[1]
    return value if type(value) is Var else None


Columns = tuple[Any, list[Any]]  # the values of all steps, and their indices


def _columns(
    scan: Scan, value: Var, operands: tuple[Any, ...], spec: tuple[Any, ...], like: Var
) -> Columns | None:
    """Return the values and the places of all steps; None if the places are of another form."""
    parts = operands[len(operands) - sum(type(p) is Hole for p in spec) :]
    count = len(parts)
    if not count or not all(type(p) is Hole for p in spec[:count]):
        return None
    if any(type(p) is not slice or p != slice(None) for p in spec[count:]):
        return None
    for part in parts:
        if type(part) is not Var or part in scan.captured or part.type.shape:
            return None
        if part.type.dtype.kind not in "iu":
            return None
    shape = like.type.shape[count:]
    if value.type.shape != shape or value.type.dtype != like.type.dtype or value in scan.captured:
        return None
    return scan.column(value), [scan.column(part) for part in parts]


def _sum_of_placed(columns: Columns, equation: Equation, like: Var, into: list[Equation]) -> Var:
    values, indices = columns
    shape, origin = like.type.shape, equation.origin
    row = _progression(indices[0]) if len(indices) == 1 else None
    if row is None or min(row) < 0 or max(row) >= shape[0]:
        spec = (*map(Hole, range(len(indices))), *(slice(None) for _ in shape[len(indices) :]))
        return apply(into, "scatter_add", (values, *indices), origin, shape=shape, spec=spec)
    if len(row) > 1 and row[0] > row[1]:
        backwards = (slice(None, None, -1),)
        values = apply(into, "getitem", (values,), origin, spec=backwards)
    index = (slice(min(row), max(row) + 1), *(slice(None) for _ in shape[1:]))
    return apply(into, "embed", (values,), origin, shape=shape, index=index)


def _progression(indices: Any) -> list[int] | None:
    """Return known indices that count up or down by one."""
    if type(indices) is not np.ndarray or indices.ndim != 1:
        return None
    steps = set(np.diff(indices).tolist())
    return indices.tolist() if steps in (set(), {1}, {-1}) else None


def _assigned(scan: Scan, c: Carried, step: Equation, after: list[Equation]) -> bool:
    """Write assignments of all steps as one."""
    value, spec = step.operands[1], step.params["spec"]
    if type(value) is not Var:
        return False
    if scan.reverse:  # what is assigned last has to stay
        return False
    columns = _columns(scan, value, step.operands, spec, c.var)
    if columns is None:
        return False
    values, indices = columns
    after.append(step._replace(operands=(c.initial, values, *indices), outs=(c.out,)))
    return True


def _moved(
    scan: Scan, c: Carried, step: Equation, equation: Equation, after: list[Equation]
) -> bool:
    """Sum up what a change of layout is made of, and change the layout of the sum."""
    (value,) = equation.operands
    if type(value) is not Var or value.type.dtype != c.var.type.dtype:
        return False
    type_ = value.type._replace(weak=False)
    var, out, total = (Var(-1, None, type_) for _ in range(3))
    scan.equations.append(step._replace(operands=(var, value), outs=(total,)))
    zeros = np.zeros(type_.shape, type_.dtype)
    zeros.flags.writeable = False
    scan.carried.append(Carried(zeros[()], var, total, out))
    placed = Var(-1, None, equation.out.type)
    after.append(equation._replace(operands=(out,), outs=(placed,)))
    after.append(step._replace(operands=(c.initial, placed), outs=(c.out,)))
    return True


# -- sums of pieces --------------------------------------------------------------------------------


def join_pieces(equations: list[Equation], outputs: Any) -> list[Equation]:
    """Write sums of arrays that are zero but for different pieces as those pieces, joined."""
    if not any(e.primitive.name == "embed" for e in equations):
        return equations
    readers: dict[Var, int] = {}
    for v in (*(v for e in equations for v in e.inputs), *outputs):
        if type(v) is Var:
            readers[v] = readers.get(v, 0) + 1
    producer = {out: e for e in equations for out in e.outs}
    inner = {
        v
        for e in equations
        if e.primitive.name == "add"
        for v in e.inputs
        if readers[v] == 1 and v in producer and producer[v].primitive.name == "add"
    }
    kept: list[Equation] = []
    for equation in equations:
        joined = None
        if equation.primitive.name == "add" and equation.out not in inner:
            joined = _joined(equation, producer, readers)
        kept.extend(joined or [equation])
    return kept


def _joined(
    root: Equation, producer: dict[Var, Equation], readers: dict[Var, int]
) -> list[Equation] | None:
    """Return the equations for a sum with two pieces or more in it."""
    type_ = root.out.type
    terms: list[Any] = []
    waiting = list(reversed(root.operands))
    while waiting:
        o = waiting.pop()
        if type_of(o)[:2] != type_[:2]:
            return None
        added = producer.get(o) if type(o) is Var and readers[o] == 1 else None
        if added is not None and added.primitive.name == "add":
            waiting.extend(reversed(added.operands))
        else:
            terms.append(o)
    found = [_piece(producer.get(o) if type(o) is Var else None) for o in terms]
    pieces = sorted((p for p in found if p is not None), key=lambda p: p[1])
    if len(pieces) < 2 or len({p[0] for p in pieces}) > 1:
        return None
    if any(a[2] > b[1] for a, b in pairwise(pieces)):
        return None
    into: list[Equation] = []
    total = _concatenated(pieces, root, into)
    for o in (o for o, piece in zip(terms, found, strict=True) if piece is None):
        total = apply(into, "add", (o, total), root.origin)
    into[-1] = into[-1]._replace(outs=(root.out,))
    return into


Piece = tuple[int, int, int, Var]  # axis, start, stop, what is there


def _piece(equation: Equation | None) -> Piece | None:
    """Return the piece of which an array consists, if it is zero elsewhere."""
    if equation is None or equation.primitive.name != "embed":
        return None
    (value,) = equation.operands
    shape, index = equation.params["shape"], equation.params["index"]
    rest = [slice(None)] * (len(shape) - len(index) + sum(p is Ellipsis for p in index))
    parts = [q for p in index for q in (rest if p is Ellipsis else [p])]
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) != len(shape) or any(type(p) not in (int, slice) for p in parts):
        return None
    places = [
        k for k, p in enumerate(parts) if type(p) is int or p.indices(shape[k]) != (0, shape[k], 1)
    ]
    if len(places) != 1 or type(value) is not Var or value.type.dtype != equation.out.type.dtype:
        return None
    (axis,) = places
    part = parts[axis]
    if type(part) is int:
        start = part % shape[axis]
        stop = start + 1
        expected = shape[:axis] + shape[axis + 1 :]
    else:
        start, stop, step = part.indices(shape[axis])
        if step != 1 or stop <= start:
            return None
        expected = (*shape[:axis], stop - start, *shape[axis + 1 :])
    return (axis, start, stop, value) if value.type.shape == expected else None


def _concatenated(pieces: list[Piece], root: Equation, into: list[Equation]) -> Var:
    shape, dtype = root.out.type.shape, root.out.type.dtype
    axis = pieces[0][0]
    operands: list[Any] = []
    place = 0

    def fill(stop: int) -> None:
        if stop > place:
            zeros = np.zeros((*shape[:axis], stop - place, *shape[axis + 1 :]), dtype)
            zeros.flags.writeable = False
            operands.append(zeros)

    for _, start, stop, value in pieces:
        fill(start)
        full = (*shape[:axis], stop - start, *shape[axis + 1 :])
        if value.type.shape != full:
            value = apply(into, "reshape", (value,), root.origin, shape=full)
        operands.append(value)
        place = stop
    fill(shape[axis])
    return apply(into, "concatenate", tuple(operands), root.origin, axis=axis)
