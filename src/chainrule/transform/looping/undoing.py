"""Arrays that a backward loop takes back through their states, as it goes, write by write.

The derivative of a loop reads the states before each step. Where a step writes a small part of a
large array, keeping all its states would need the memory of that array times the steps, though
they differ by little. Instead the forward loop keeps what it writes over, and the backward one
carries the array and puts that back.
"""

from __future__ import annotations

from typing import Any

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from .parts import Carried, Scan

SHARE = 4  # an array has to be so many times as large as what a step writes of it


def undo_writes(forward: Scan, backward: Scan) -> bool:
    """Let a backward loop take arrays back; returns whether there were any."""
    if forward.steps != backward.steps or forward.reverse == backward.reverse:
        return False
    states = {c.var: c for c in forward.carried}
    variables = [(value, out) for value, out in forward.stacked if type(value) is Var]
    stacked = {out: states[value] for value, out in variables if value in states}
    found = False
    for row, array in list(backward.rows.items()):
        carried = stacked.get(array) if type(array) is Var else None
        writes = None if carried is None else _writes(carried, forward)
        if carried is not None and writes:
            _take_back(row, carried, writes, forward, backward)
            found = True
    return found


def _writes(carried: Carried, forward: Scan) -> list[Equation] | None:
    """Return what writes small parts of a state, the last first; None if anything else does."""
    producer = {out: e for e in forward.equations for out in e.outs}
    writes: list[Equation] = []
    value = carried.after
    while value is not carried.var:
        equation = producer.get(value) if type(value) is Var else None
        if equation is None or equation.primitive.name != "setitem":
            return None
        if any(o.type.dtype.kind not in "iu" for o in equation.operands[2:] if type(o) is Var):
            return None  # a mask: how much it writes is not known
        writes.append(equation)
        value = equation.operands[0]
    written = sum(_part_type(e).size for e in writes)
    return writes if SHARE * written <= carried.var.type.size else None


def _part_type(write: Equation) -> ArrayType:
    array, _, *index = write.operands
    types = (o.type for o in (array, *index))
    part: Any = PRIMITIVES["getitem"].type_rule(*types, **write.params)
    return part


def _take_back(
    row: Var, carried: Carried, writes: list[Equation], forward: Scan, backward: Scan
) -> None:
    type_ = carried.var.type
    before = now = Var(-1, None, type_)
    restored: list[Equation] = []
    for write in writes:
        array, _, *index = write.operands
        old = Var(-1, None, _part_type(write)._replace(weak=False))
        read = Equation(PRIMITIVES["getitem"], (array, *index), write.params, (old,), write.origin)
        place = next(k for k, e in enumerate(forward.equations) if e is write)
        forward.equations.insert(place, read)
        operands = [now, *(_seen_from(backward, o, forward) for o in (old, *index))]
        now = Var(-1, None, type_)
        restored.append(write._replace(operands=tuple(operands), outs=(now,)))
    del backward.rows[row]
    backward.equations[:0] = restored
    backward.replace({row: now})
    backward.carried.append(Carried(carried.out, before, now, Var(-1, None, type_)))


def _seen_from(backward: Scan, operand: Any, forward: Scan) -> Any:
    """Return a value of the forward loop in the same step of the backward one."""
    if type(operand) is not Var:
        return operand
    if operand not in forward.captured:
        return backward.row(forward.column(operand))
    value = forward.captured[operand]
    for var, known in backward.captured.items():
        if known is value:
            return var
    var = Var(-1, None, operand.type)
    backward.captured[var] = value
    return var
