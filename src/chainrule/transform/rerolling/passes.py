"""Turning what repeats in a program into loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...primitives.joining import STACK
from ...program.equation import Equation, Var
from ...program.program import Program, needed
from ...trace.body import Body
from .loops import LoopWriter
from .numbers import hardened
from .periods import Run, aligned, find_runs
from .rebuild import Rebuilt
from .slots import loop_of
from .sources import Lagged, Loop

_MOST_COPIED = 2**16  # elements


def reroll(program: Program, *, minimum: int = 3) -> Program:
    """Return a program in which equations that repeat are loops.

    A Python loop is recorded iteration by iteration, so that a program grows with the number of
    iterations. Here blocks of equations that come again and again, from the same places of the
    source, become the body of one ``scan``. What differs between iterations may be: results of
    earlier iterations, which the loop carries; elements of arrays at an index that counts, and
    constants, which it reads one by one; places that are read or written. Results of single
    iterations are stacked. Where a block fits no such pattern, the equations stay as they are.

    Parameters
    ----------
    program : Program
        Not changed.
    minimum : int
        How often a block has to repeat. Short blocks from a single place of the source, such as
        those of a derivative, have to repeat 8 times.

    Returns
    -------
    Program
        It computes the same to the last bit, for inputs that are not views with gaps in memory.
        A number that Python computed may become one that NumPy computes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> def f(x, h):
    ...     for t in range(100):
    ...         h = np.tanh(0.5 * h + x[t])
    ...     return h
    >>> program, _ = trace_program(f, np.ones(100), np.ones(()), abstract=True)
    >>> len(program), len(reroll(program))
    (400, 1)
    """
    if minimum < 2:
        raise ValueError(f"minimum is {minimum}, but what comes once does not repeat")
    found = reroll_equations(program.equations, program.outputs, minimum)
    return program if found is None else Program.from_trace(program.inputs, *found, program.name)


def reroll_equations(
    equations: Sequence[Equation], outputs: Sequence[Any], minimum: int
) -> tuple[list[Equation], tuple[Any, ...]] | None:
    """Return equations and outputs that compute the same with loops; None if nothing repeats.

    Other variables than those of the equations' results are taken as they are.
    """
    wanted = needed(equations, outputs)
    operands = (o for e in wanted for o in e.operands)
    made = {out for e in wanted for out in e.outs}
    free = {o: None for o in (*operands, *outputs) if type(o) is Var and o not in made}
    given = Program(tuple(free), tuple(wanted), tuple(outputs))
    for candidate in dict.fromkeys((hardened(given), given)):
        found = _rerolled(candidate.equations, candidate.outputs, minimum)
        if found is not None:
            return found
    return None


Rerolled = tuple[list[Equation], tuple[Any, ...]]


def _rerolled(
    equations: Sequence[Equation], outputs: Sequence[Any], minimum: int
) -> Rerolled | None:
    """Return other equations and outputs; None if nothing repeats."""
    found = _looped(equations, outputs, minimum)
    if found is None:
        inner = [_inner(e, minimum) for e in equations]
        changed = any(e is not before for e, before in zip(inner, equations, strict=True))
        return (inner, tuple(outputs)) if changed else None
    # loops that follow each other may repeat in turn
    return _rerolled(*found, minimum) or found


def _looped(equations: Sequence[Equation], outputs: Sequence[Any], minimum: int) -> Rerolled | None:
    loops = _loops(equations, outputs, minimum)
    while loops:
        new, rebuilt = _rebuilt(equations, outputs, loops)
        kept = [loop for number, loop in enumerate(loops) if _pays(loop, number, new)]
        if len(kept) == len(loops):
            return rebuilt if _size(rebuilt[0]) < _size(equations) else None
        loops = kept
    return None


def _size(equations: Sequence[Equation]) -> int:
    """Count equations, those in bodies too."""
    bodies = [v for e in equations for v in e.params.values() if type(v) is Body]
    return len(equations) + sum(_size(body.equations) for body in bodies)


def _pays(loop: Loop, number: int, new: Rebuilt) -> bool:
    """Tell whether a loop makes the program shorter, and not much slower.

    It doesn't if most iterations' results are asked for by themselves, or if large arrays, such as
    the weights of some layers, have to be copied side by side in each run.
    """
    written = loop.run.period + new.written[number] + new.taken.get(number, 0)
    return written < loop.run.period * loop.run.trips and new.copied.get(number, 0) <= _MOST_COPIED


def _loops(equations: Sequence[Equation], outputs: Sequence[Any], minimum: int) -> list[Loop]:
    """Return the loops, in program order; none overlaps another."""
    loops: list[Loop] = []
    readers = _readers(equations, outputs)
    free = [True] * len(equations)
    for run in find_runs(equations, minimum):
        if not all(free[run.start : run.stop]):
            continue
        loop = _fitting(run, equations, minimum)
        if loop is not None and _keeps_numbers(loop, equations, readers):
            loops.append(loop)
            free[loop.run.start : loop.run.stop] = [False] * (loop.run.stop - loop.run.start)
    return sorted(loops, key=lambda loop: loop.run.start)


def _fitting(run: Run, equations: Sequence[Equation], minimum: int) -> Loop | None:
    """Return a run as a loop, without its first or last iteration where these are others."""
    run = aligned(run, equations)
    p = run.period
    for first, last in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 1)):
        shorter = Run(run.start + first * p, run.stop - last * p, p)
        if shorter.trips < minimum:
            continue
        loop = loop_of(shorter, equations)
        if loop is not None:
            return loop
    return None


def _readers(equations: Sequence[Equation], outputs: Sequence[Any]) -> dict[Var, list[int]]:
    """Return by variable the places of the equations that read it; outputs come after the last."""
    readers: dict[Var, list[int]] = {}
    for place, equation in enumerate(equations):
        for var in equation.inputs:
            readers.setdefault(var, []).append(place)
    for output in outputs:
        if type(output) is Var:
            readers.setdefault(output, []).append(len(equations))
    return readers


def _keeps_numbers(
    loop: Loop, equations: Sequence[Equation], readers: dict[Var, list[int]]
) -> bool:
    """Tell whether Python's numbers stay what they are, and give way to the dtypes of arrays.

    What is stacked becomes an array. It makes no difference to who stacks it anyway.
    """
    run = loop.run
    carried = {
        (run.trips - 1 - age, source.position, source.out)
        for step in loop.steps
        for source in step.sources
        if isinstance(source, Lagged)
        for age in range(len(source.initial))
    }
    uses = {var: places[-1] for var, places in readers.items()}
    for t, position, j in _outside(run, equations, uses):
        out = equations[run.start + t * run.period + position].outs[j]
        if not out.type.weak or (t, position, j) in carried:
            continue
        after = [p for p in readers[out] if p >= run.stop]
        if any(p == len(equations) or equations[p].primitive is not STACK for p in after):
            return False
    return True


def _rebuilt(
    equations: Sequence[Equation], outputs: Sequence[Any], loops: list[Loop]
) -> tuple[Rebuilt, Rerolled]:
    new = Rebuilt()
    uses = {var: places[-1] for var, places in _readers(equations, outputs).items()}
    starts = {loop.run.start: (number, loop) for number, loop in enumerate(loops)}
    place = 0
    while place < len(equations):
        if place not in starts:
            new.copy(equations[place])
            place += 1
            continue
        number, loop = starts[place]
        LoopWriter(loop, number, equations, new).write(_outside(loop.run, equations, uses))
        place = loop.run.stop
    outs = tuple(new.operand(o) for o in outputs)
    return new, (needed(new.equations, outs), outs)


def _outside(
    run: Run, equations: Sequence[Equation], uses: dict[Var, int]
) -> list[tuple[int, int, int]]:
    """Return (iteration, position, result) of what is used after a run."""
    return [
        (*divmod(place - run.start, run.period), j)
        for place in range(run.start, run.stop)
        for j, out in enumerate(equations[place].outs)
        if uses.get(out, -1) >= run.stop
    ]


def _inner(equation: Equation, minimum: int) -> Equation:
    """Look for loops in the bodies of loops and branches."""
    bodies = {name: v for name, v in equation.params.items() if type(v) is Body}
    if not bodies:
        return equation
    params = {name: _inner_body(body, minimum) for name, body in bodies.items()}
    if all(params[name] is body for name, body in bodies.items()):
        return equation
    return equation._replace(params=equation.params | params)


def _inner_body(body: Body, minimum: int) -> Body:
    found = _rerolled(body.equations, body.outputs, minimum)
    if found is None:
        return body
    equations, outputs = found
    captures = list(zip(body.outer, body.captured, strict=True))
    return Body(body.inputs, captures, equations, outputs, body.out_tree)
