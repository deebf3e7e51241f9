"""The passes over the loops of a program, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...program.equation import Equation
from ...program.program import Program
from ...trace.body import Body
from .motion import hoist, project_results, project_rows, sum_products
from .parts import Scan, body_of
from .placing import join_pieces, place_after
from .residuals import pairs, share_results
from .trimming import trimmed
from .undoing import undo_writes


def improve_loops(program: Program) -> Program:
    """Return a program whose loops do less, and that computes the same but for rounding.

    Results of a loop that nobody reads are left out. What a backward loop would compute again it
    reads from the forward loop. What is the same in each step is computed once, and products of
    matrices that don't depend on earlier steps are taken for all steps at once.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad, scan
    >>> from chainrule.trace.program import trace_program
    >>> def f(w, xs):
    ...     return np.sum(scan(lambda h, x: (np.tanh(x @ w + h), None), np.zeros(2), xs)[0])
    >>> program, _ = trace_program(grad(f), np.ones((3, 2)), np.ones((9, 3)), abstract=True)
    >>> [e.primitive.name for e in improve_loops(program).equations].count("matmul")
    2
    """
    found = trimmed(program.equations, program.outputs)
    equations, outputs = trimmed(_improved(found[0], found[1]), found[1])
    return Program.from_trace(program.inputs, equations, outputs, program.name)


def _has_bodies(equation: Equation) -> bool:
    return any(type(value) is Body for value in equation.params.values())


def _improved(equations: Sequence[Equation], outputs: Any) -> list[Equation]:
    inner = [_improved_inside(e) if _has_bodies(e) else e for e in equations]
    for change in (share_results, undo_writes):
        inner = _by_pairs(change, inner, outputs)
    moved: list[Equation] = []
    for equation in inner:
        moved.extend(_moved(equation) if equation.primitive.name == "scan" else [equation])
    return join_pieces(moved, outputs)


def _by_pairs(
    change: Callable[[Scan, Scan], bool], equations: list[Equation], outputs: Any
) -> list[Equation]:
    """Return equations after a change to forward loops and the backward ones that they feed."""
    scans = {id(e): Scan.of(e) for e in equations if e.primitive.name == "scan"}
    changes = [change(*pair) for pair in pairs(list(scans.values()))]
    if not any(changes):
        return equations
    changed = [scans[id(e)].equation() if id(e) in scans else e for e in equations]
    return trimmed(changed, outputs)[0]


def _improved_inside(equation: Equation) -> Equation:
    params = dict(equation.params)
    for name, body in equation.params.items():
        if type(body) is Body:
            equations = _improved(body.equations, body.outputs)
            made = body_of(body.inputs, body.captured, equations, body.outputs)
            if made.captured != body.captured:  # operands are counted by what bodies capture
                captures: list[Any] = [(None, var) for var in body.captured]
                made = Body(body.inputs, captures, equations, body.outputs, body.out_tree)
            params[name] = made
    return equation._replace(params=params)


def _moved(equation: Equation) -> list[Equation]:
    """Return a loop with what was moved out of it before and after it."""
    scan = Scan.of(equation)
    before: list[Equation] = []
    after: list[Equation] = []
    hoist(scan, before)
    project_rows(scan, before)
    sum_products(scan, after)
    place_after(scan, after)
    project_results(scan, after)
    here = [scan.equation()] if scan.carried or scan.stacked else []
    return [*before, *here, *after]
