"""Leaving out of loops and branches what nobody reads, and what they carry unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...program.equation import Equation, Var
from ...trace.body import Body
from .parts import Scan, body_of, other, replaced, type_of


def trimmed(equations: Sequence[Equation], outputs: Sequence[Any]) -> tuple[list[Equation], Any]:
    """Return the equations that are needed, with loops and branches that do just what is needed."""
    new: dict[Var, Any] = {}
    used = {o for o in outputs if type(o) is Var}
    kept: list[Equation] = []
    for equation in reversed(equations):
        if used.isdisjoint(equation.outs):
            continue
        trim = _TRIMS.get(equation.primitive.name)
        found: Equation | None = equation
        if trim is not None:
            found, same = trim(equation, used)
            new.update(same)
            used.update(o for o in same.values() if type(o) is Var)
        if found is not None:
            kept.append(found)
            used.update(found.inputs)
    kept.reverse()
    for var in list(new):
        while type(new[var]) is Var and new[var] in new:
            new[var] = new[new[var]]
    if new:
        kept = [replaced(e, new) for e in kept]
    return kept, tuple(other(o, new) for o in outputs)


Trimmed = tuple[Equation | None, dict[Var, Any]]


def _trimmed_scan(equation: Equation, used: set[Var]) -> Trimmed:
    scan = Scan.of(equation)
    same: dict[Var, Any] = {}
    unchanged = [c for c in scan.carried if c.after is c.var and type_of(c.initial) == c.var.type]
    for c in unchanged:  # the same value in every step is one that the body captures
        same[c.out] = c.initial
        scan.captured[c.var] = c.initial
    scan.carried = [c for c in scan.carried if c not in unchanged]
    scan.stacked = [(value, out) for value, out in scan.stacked if out in used]
    _merge_rows(scan)
    _merge_stacked(scan, same)
    alive = _alive(
        scan.equations,
        [value for value, _ in scan.stacked],
        [(c.var, c.after, c.out in used) for c in scan.carried],
    )
    scan.carried = [c for c in scan.carried if c.var in alive]
    results = (*(c.after for c in scan.carried), *(value for value, _ in scan.stacked))
    scan.equations, results = trimmed(scan.equations, results)
    n = len(scan.carried)
    for c, after in zip(scan.carried, results, strict=False):
        c.after = after
    stacked = zip(results[n:], scan.stacked, strict=True)
    scan.stacked = [(value, out) for value, (_, out) in stacked]
    read = scan.readers()
    scan.rows = {var: array for var, array in scan.rows.items() if var in read}
    constants = {
        v: o for v, o in scan.captured.items() if type(o) is not Var and type_of(o) == v.type
    }
    scan.replace(constants)
    if not scan.carried and not scan.stacked:
        return None, same
    return scan.equation(), same


def _merge_rows(scan: Scan) -> None:
    """Read an array once that is read twice."""
    first: dict[int, Var] = {}
    new: dict[Var, Any] = {}
    for var, array in scan.rows.items():
        if type(array) is Var and first.setdefault(id(array), var) is not var:
            new[var] = first[id(array)]
    scan.rows = {var: array for var, array in scan.rows.items() if var not in new}
    outer: dict[int, Var] = {}
    for var, value in scan.captured.items():
        if type(value) is Var and outer.setdefault(id(value), var) is not var:
            new[var] = outer[id(value)]
    scan.replace(new)


def _merge_stacked(scan: Scan, same: dict[Var, Any]) -> None:
    """Write an array once that is written twice; one that is just read is there already."""
    first: dict[Var, Var] = {}
    for value, out in scan.stacked:
        if type(value) is not Var:
            continue
        if value in scan.rows:
            same[out] = scan.rows[value]
        elif first.setdefault(value, out) is not out:
            same[out] = first[value]
    scan.stacked = [(value, out) for value, out in scan.stacked if out not in same]


def _alive(
    equations: Sequence[Equation], needed: Sequence[Any], carried: list[tuple[Var, Any, bool]]
) -> set[Any]:
    """Return the values that are needed, when carried ones are needed for what comes of them."""
    alive = {o for o in needed if type(o) is Var}
    alive.update(var for var, _, is_result in carried if is_result)
    while True:
        before = len(alive)
        alive.update(after for var, after, _ in carried if var in alive and type(after) is Var)
        for equation in reversed(equations):
            if not alive.isdisjoint(equation.outs):
                alive.update(equation.inputs)
        if len(alive) == before:
            return alive


def _trimmed_cond(equation: Equation, used: set[Var]) -> Trimmed:
    yes, no, shared = (equation.params[name] for name in ("yes", "no", "shared"))
    predicate, *rest = equation.operands
    given = rest[:shared]
    kept = [i for i, out in enumerate(equation.outs) if out in used]
    of_yes, of_no = rest[shared : shared + len(yes.captured)], rest[shared + len(yes.captured) :]
    bodies, captured = [], []
    for body, outer in ((yes, of_yes), (no, of_no)):
        small, values = _with_outputs(body, outer, [body.outputs[i] for i in kept])
        bodies.append(small)
        captured.extend(values)
    outs = tuple(equation.outs[i] for i in kept)
    params = {"yes": bodies[0], "no": bodies[1], "shared": shared}
    operands = (predicate, *given, *captured)
    return equation._replace(operands=operands, params=params, outs=outs), {}


def _with_outputs(
    body: Body, outer: Sequence[Any], outputs: Sequence[Any]
) -> tuple[Body, list[Any]]:
    """Return a body with fewer outputs, and the values that it still captures."""
    equations, results = trimmed(body.equations, outputs)
    values = dict(zip(body.captured, outer, strict=True))
    small = body_of(body.inputs, body.captured, equations, results)
    return small, [values[var] for var in small.captured]


def _trimmed_while(equation: Equation, used: set[Var]) -> Trimmed:
    test, body = equation.params["test"], equation.params["body"]
    n, k = len(body.inputs), len(test.captured)
    initial = equation.operands[:n]
    partner = dict(zip(test.inputs, body.inputs, strict=True))
    asked = {v for e in test.equations for v in e.inputs}
    asked.update(o for o in test.outputs if type(o) is Var)
    carried = [
        (var, after, out in used or t in asked)
        for var, after, out, t in zip(
            body.inputs, body.outputs, equation.outs, partner, strict=True
        )
    ]
    alive = _alive(body.equations, [], carried)
    kept = [i for i, var in enumerate(body.inputs) if var in alive]
    small, of_test = _with_outputs(test, equation.operands[n : n + k], test.outputs)
    large, of_body = _with_outputs(
        body, equation.operands[n + k :], [body.outputs[i] for i in kept]
    )
    params = {
        "test": body_of(
            [test.inputs[i] for i in kept], small.captured, small.equations, small.outputs
        ),
        "body": body_of(
            [body.inputs[i] for i in kept], large.captured, large.equations, large.outputs
        ),
    }
    operands = (*(initial[i] for i in kept), *of_test, *of_body)
    outs = tuple(equation.outs[i] for i in kept)
    return equation._replace(operands=operands, params=params, outs=outs), {}


def _trimmed_part(equation: Equation, used: set[Var]) -> Trimmed:
    body: Body = equation.params["body"]
    n = len(body.inputs)
    kept = [i for i, out in enumerate(equation.outs) if out in used]
    small, captured = _with_outputs(body, equation.operands[n:], [body.outputs[i] for i in kept])
    outs = tuple(equation.outs[i] for i in kept)
    operands = (*equation.operands[:n], *captured)
    return equation._replace(operands=operands, params={"body": small}, outs=outs), {}


_TRIMS: dict[str, Callable[[Equation, set[Var]], Trimmed]] = {
    "scan": _trimmed_scan,
    "cond": _trimmed_cond,
    "while": _trimmed_while,
    "checkpoint": _trimmed_part,
}
