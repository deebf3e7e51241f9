"""Which stored values share a loop nest.

Values of the same index space do, and a value may be computed in the nest of those that it needs
if it needs just the same element of them: that one is still in a register.
"""

from __future__ import annotations

from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from .schedule import (
    CONTROL,
    OPAQUE,
    REDUCTIONS,
    Group,
    Schedule,
    domain_of,
    reads_alike,
    stored_inputs,
)

NARROW = 8  # elements of a last axis, below which loops over several axes cost more than one


def grouped(
    program: Program, plan: Schedule, control: dict[tuple[Var, ...], Group]
) -> list[Group]:
    """Return the stored values of a program in groups, in an order in which they can be run."""
    groups: list[Group] = []
    place: dict[Var, int] = {}
    for equation in program.equations:
        if equation.primitive.name in CONTROL:
            groups.append(control[equation.outs])
            place.update((out, len(groups) - 1) for out in equation.outs)
            continue
        if equation.out not in plan.stored:
            continue
        needs = {v: place[v] for v in stored_inputs(equation, plan) if v in place}
        domain, flat = domain_of(equation, plan.stored, plan.producer)
        at = None
        if equation.primitive.name not in OPAQUE:
            at = _place(groups, equation, needs, Group(domain, flat), plan)
        if at is None:
            groups.append(Group(domain, flat))
            at = len(groups) - 1
        groups[at].roots.append(equation)
        place[equation.out] = at
    return groups


def _place(
    groups: list[Group], equation: Equation, needs: dict[Var, int], alone: Group, plan: Schedule
) -> int | None:
    """Return the first group that an equation can join."""
    last = max(needs.values(), default=-1)
    for i in range(max(last, 0), len(groups)):
        group = groups[i]
        if group.inner is not None or group.roots[0].primitive.name in OPAQUE:
            continue
        made = [v for v, at in needs.items() if at == i]
        common = _common(group, alone, equation, bool(made))
        if common is None or not all(_is_ready(v, equation, group, common, plan) for v in made):
            continue
        group.domain, group.flat = common.domain, common.flat
        return i
    return None


def _common(group: Group, alone: Group, equation: Equation, linked: bool) -> Group | None:
    """Return the index space in which a group and another equation can be computed together."""
    if group.domain == alone.domain and group.flat == alone.flat:
        return alone
    nested = alone if group.flat else group
    if group.flat == alone.flat or not nested.domain or nested.domain[-1] < NARROW:
        return None
    if group.flat and not linked:
        return None  # that others can be computed with it is not worth more loops
    flat = group.roots if group.flat else [equation]
    return nested if all(_shape(e) == nested.domain for e in flat) else None


def _shape(equation: Equation) -> Any:
    """Return the shape over which an equation goes."""
    if equation.primitive.name not in REDUCTIONS:
        return equation.out.type.shape
    (x,) = equation.operands
    return x.type.shape if type(x) is Var else x.shape


def _is_ready(var: Var, equation: Equation, group: Group, common: Group, plan: Schedule) -> bool:
    """Tell whether each element of a value is there when the equation needs it."""
    maker = next(r for r in group.roots if r.out is var)
    if maker.primitive.name in REDUCTIONS or maker.primitive.name == "rows" or _shape(maker) != var.type.shape:
        return False
    return all(reads_alike(o, common, equation, var, plan) for o in equation.operands)
