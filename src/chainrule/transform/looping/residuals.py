"""Values that a backward loop computes again though the forward loop had them.

The derivative of a scan reads the states before each step and computes the step again from them.
Where that costs more than to read the results, the forward loop writes them to arrays of its own
(the tape), from which the backward loop reads them. Results of cheap element-wise operations are
computed again, because memory costs more than they do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from ...program.equation import Equation, Var
from ..content import content_key
from .parts import Scan

CHEAP = frozenset(
    [
        *("add", "sub", "mul", "neg", "abs", "square", "where", "maximum", "minimum", "sign"),
        *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
        *("logical_and", "logical_or", "logical_not", "cast", "alias", "stop_gradient"),
        *("reshape", "broadcast_to", "transpose"),
    ]
)
FAR = 1 << 20  # bytes of a tape for one value, which only the third cache holds


def share_results(forward: Scan, backward: Scan) -> bool:
    """Let a backward loop read results of the forward one; returns whether it found any."""
    if forward.steps != backward.steps:
        return False
    twins = _twins(forward, backward)
    if not twins:
        return False
    wanted = _wanted(backward, twins)
    if not wanted:
        return False
    new = {var: backward.row(forward.column(twins[var])) for var in wanted}
    backward.replace(new)
    return True


def _known(forward: Scan, backward: Scan) -> dict[Var, Var]:
    """Return the values that both loops read in the same step, from the backward one's."""
    stacked = {out: value for value, out in forward.stacked if type(value) is Var}
    reading = {content_key(array): var for var, array in forward.rows.items()}
    known: dict[Var, Var] = {}
    for var, array in backward.rows.items():
        if array in stacked if type(array) is Var else False:
            known[var] = stacked[array]
        elif (key := content_key(array)) in reading:
            known[var] = reading[key]
    outer = {content_key(value): var for var, value in forward.captured.items()}
    for var, value in backward.captured.items():
        if (key := content_key(value)) in outer:
            known[var] = outer[key]
    return known


def _twins(forward: Scan, backward: Scan) -> dict[Var, Var]:
    """Return what the backward loop computes from the same values as the forward loop did."""
    twins = _known(forward, backward)
    read = set(twins)
    made = {_key(e, {}): e for e in forward.equations}
    for equation in backward.equations:
        if not equation.inputs or any(v not in twins for v in equation.inputs):
            continue
        found = made.get(_key(equation, twins))
        if found is not None and [o.type for o in found.outs] == [o.type for o in equation.outs]:
            twins.update(zip(equation.outs, found.outs, strict=True))
    return {var: twin for var, twin in twins.items() if var not in read}


def _key(equation: Equation, twins: dict[Var, Var]) -> Hashable:
    operands = tuple(
        content_key(twins.get(o, o)) if type(o) is Var else content_key(o)
        for o in equation.operands
    )
    return equation.primitive.name, operands, content_key(equation.params)


def _wanted(backward: Scan, twins: dict[Var, Var]) -> list[Var]:
    """Return what to read: what others need, back to where it is cheap to go on from."""
    producer = {out: e for e in backward.equations for out in e.outs}
    fixed = set(backward.captured)
    for e in backward.equations:  # what is the same in each step will be moved out of the loop
        if fixed.issuperset(e.inputs):
            fixed.update(e.outs)
    needed = {var: e for var, e in producer.items() if var in twins and var not in fixed}
    wanted, parts = _needed_by_others(backward, needed, set())
    sizes: Counter[Var] = Counter()
    for var in parts:
        sizes[needed[var].inputs[0]] += var.type.size
    # several parts are read as the whole that they are parts of
    whole = {source for source, size in sizes.items() if 2 * size > source.type.size}
    if whole:
        wanted, parts = _needed_by_others(backward, needed, whole)
    wanted += [var for var in parts if not _is_at_hand(var, needed, wanted)]
    return [var for var in wanted if not _is_soon_divided(var, backward, needed, wanted)]


def _needed_by_others(
    backward: Scan, needed: dict[Var, Equation], whole: set[Var]
) -> tuple[list[Var], list[Var]]:
    """Return what is costly to compute, and small parts of others that may be so.

    ``needed`` has what the loop computes again, and how.
    """
    made_anew = (e for e in backward.equations if e.outs[0] not in needed)
    waiting: list[Any] = [v for e in made_anew for v in e.inputs]
    waiting += (c.after for c in backward.carried)
    waiting += (value for value, _ in backward.stacked)
    seen: set[Var] = set()
    wanted: list[Var] = []
    parts: list[Var] = []
    while waiting:
        var = waiting.pop()
        if type(var) is not Var or var in seen or var not in needed:
            continue
        seen.add(var)
        equation = needed[var]
        if _is_small_part(equation) and equation.inputs[0] not in whole:
            parts.append(var)
        elif equation.primitive.name in CHEAP or _is_view(equation):
            waiting.extend(equation.inputs)
        else:
            wanted.append(var)
    return wanted, parts


def _is_soon_divided(
    var: Var, backward: Scan, needed: dict[Var, Equation], wanted: list[Var]
) -> bool:
    """Tell whether a value is an inverse that is computed sooner than it is read from far away.

    That is so if what it is the inverse of is at hand anyway, and the tape too long for the cache.
    """
    equation = needed[var]
    if equation.primitive.name != "div" or type(equation.operands[0]) is Var:
        return False
    if backward.steps * var.type.size * var.type.dtype.itemsize < FAR:
        return False
    return _is_at_hand(var, needed, wanted)


def _is_at_hand(var: Var, needed: dict[Var, Equation], wanted: list[Var]) -> bool:
    """Tell whether a value is cheap to compute from what is read."""
    waiting: list[Any] = list(needed[var].inputs)
    while waiting:
        source = waiting.pop()
        if source in wanted or source not in needed:
            continue
        if needed[source].primitive.name not in CHEAP and not _is_view(needed[source]):
            return False
        waiting.extend(needed[source].inputs)
    return True


def _is_small_part(equation: Equation) -> bool:
    """Tell whether a value is a part of another one, which would take far more memory."""
    return _is_view(equation) and 2 * equation.out.type.size < equation.inputs[0].type.size


def _is_view(equation: Equation) -> bool:
    return equation.primitive.name == "getitem" and len(equation.operands) == 1


def pairs(scans: Sequence[Scan]) -> list[tuple[Scan, Scan]]:
    """Return (forward, backward) for loops of which one reads what the other wrote."""
    maker = {out: scan for scan in scans for _, out in scan.stacked}
    found = []
    for backward in scans:
        made = [maker.get(a) for a in backward.rows.values() if type(a) is Var]
        for forward in dict.fromkeys(m for m in made if m is not None):
            if forward is not backward:
                found.append((forward, backward))
    return found
