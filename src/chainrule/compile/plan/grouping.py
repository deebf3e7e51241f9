"""Which stored values share a loop nest.

Values of the same index space do, and a value may be computed in the nest of those that it needs
if it needs just the same element of them: that one is still in a register.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
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

PIECES = 16  # arrays that are joined, above which one function for all is shorter
ENDS, LONG = 5, 64  # pieces, and elements of all, among which there may be short pieces
NARROW = 8  # elements of a last axis, below which loops over several axes cost more than one


def in_pieces(
    equations: Sequence[Equation],
) -> tuple[list[Equation], dict[Var, tuple[Var, int, int]]]:
    """Return equations in which arrays are not joined, but computed where they belong.

    Returns also where each piece belongs: in which array, along which axis, from where on.
    """
    found: list[Equation] = []
    placed: dict[Var, tuple[Var, int, int]] = {}
    for equation in equations:
        if equation.primitive.name != "concatenate" or not _is_divisible(equation):
            found.append(equation)
            continue
        axis, start = equation.params["axis"], 0
        for o in equation.operands:
            type_ = o.type if type(o) is Var else array_type(o)
            piece = Var(-1, None, ArrayType(type_.shape, type_.dtype))
            placed[piece] = equation.out, axis, start
            start += type_.shape[axis]
            found.append(Equation(PRIMITIVES["alias"], (o,), {}, (piece,), equation.origin))
    return found, placed


def _is_divisible(equation: Equation) -> bool:
    """Tell whether a few large arrays of one dtype are joined."""
    out = equation.out.type
    types = [o.type if type(o) is Var else array_type(o) for o in equation.operands]
    if len(types) > PIECES or any(t.dtype != out.dtype or not t.size for t in types):
        return False
    narrow = [t for t in types if t.shape[-1] < NARROW]
    # at the ends of a long one, short pieces are computed sooner than the long one is copied
    return not narrow or (len(types) <= ENDS and out.shape[0] == out.size >= LONG)


def grouped(
    equations: Sequence[Equation], plan: Schedule, control: dict[tuple[Var, ...], Group]
) -> list[Group]:
    """Return the stored values of a program in groups, in an order in which they can be run."""
    groups: list[Group] = []
    place: dict[Var, int] = {}
    for equation in equations:
        if equation.primitive.name in CONTROL:
            groups.append(control[equation.outs])
            place.update((out, len(groups) - 1) for out in equation.outs)
            continue
        if equation.out not in plan.stored:
            continue
        needs = {v: place[v] for v in stored_inputs(equation, plan) if v in place}
        domain, flat = domain_of(equation, plan.stored, plan.producer)
        if equation.out in plan.placed:
            domain, flat = equation.out.type.shape, False
        at = None
        if equation.primitive.name not in OPAQUE:
            at = _place(groups, equation, needs, Group(domain, flat), plan)
        if at is None:
            groups.append(Group(domain, flat))
            at = len(groups) - 1
        groups[at].roots.append(equation)
        place[equation.out] = at
        if equation.out in plan.placed:
            whole = plan.placed[equation.out][0]
            place[whole] = max(at, place.get(whole, -1))
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
    if group.flat == alone.flat or not linked:
        return None
    if not nested.domain or nested.domain[-1] < NARROW:
        return None
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
    maker = next((r for r in group.roots if r.out is var), None)
    if maker is None or maker.primitive.name in (*REDUCTIONS, "rows"):
        return False
    if _shape(maker) != var.type.shape:
        return False
    return all(reads_alike(o, common, equation, var, plan) for o in equation.operands)
