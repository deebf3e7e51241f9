"""The backward run of a while loop, with a tape of fixed size.

The interpreter keeps the states of a loop, however many there are. A program that is compiled has
memory of a known size. So the states are written to a ring: at the end it holds those of the last
block of steps, which are walked backwards first. Where each block began is kept as well, from which
the states of the blocks before are computed once more. Only loops of more steps than the square of
a block's are slower than that: their late blocks begin at the last beginning that was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program.arraytype import ArrayType, array_type
from ..program.equation import Equation, Var
from ..program.index import Hole
from ..program.primitive import call
from ..program.program import Program
from ..trace.body import Body
from ..trace.program import trace_program
from .branching import _of_smooth, _places, _while_parts, while_loop
from .linear import vjp

FEWEST, MOST = 64, 1024  # steps of a block
TAPE = 1 << 20  # bytes of states that a block should not exceed


def tape_loops(program: Program) -> Program:
    """Return the program with the backward runs of while loops written as loops.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad, while_loop
    >>> f = grad(lambda x: while_loop(lambda y: y < 100.0, lambda y: y * y, x))
    >>> program, _ = trace_program(f, np.float64(3.0), abstract=True)
    >>> taped = tape_loops(program)
    >>> {e.primitive.name for e in taped.equations} & {"while", "while_pull"}
    {'while'}
    >>> float(taped.evaluate(np.float64(3.0))[0])
    17496.0
    """
    if not any(_concerns(e) for e in program.equations):
        return program
    equations = _taped(program.equations)
    return Program.from_trace(program.inputs, equations, program.outputs, program.name)


def _concerns(equation: Equation) -> bool:
    if equation.primitive.name == "while_pull":
        return True
    bodies = (v for v in equation.params.values() if type(v) is Body)
    return any(_concerns(e) for body in bodies for e in body.equations)


def _taped(equations: Sequence[Equation]) -> list[Equation]:
    found: list[Equation] = []
    for equation in equations:
        if not _concerns(equation):
            found.append(equation)
        elif equation.primitive.name == "while_pull":
            found += _taped(_written(equation))
        else:
            bodies = {k: _taped_body(v) for k, v in equation.params.items() if type(v) is Body}
            found.append(equation._replace(params={**equation.params, **bodies}))
    return found


def _taped_body(body: Body) -> Body:
    captures: list[Any] = [(None, var) for var in body.captured]
    return Body(body.inputs, captures, _taped(body.equations), body.outputs, body.out_tree)


def _written(equation: Equation) -> list[Equation]:
    """Return the equations that a backward run is."""
    types = [o.type if type(o) is Var else array_type(o) for o in equation.operands]
    samples = [np.zeros(t.shape, t.dtype)[()] for t in types]
    written, _ = trace_program(
        lambda *given: taped_pull(*given, **equation.params), *samples, abstract=True
    )
    new: dict[Any, Any] = dict(zip(written.inputs, equation.operands, strict=True))
    copies = [
        (out, o)
        for o, out in zip(written.outputs, equation.outs, strict=True)
        if type(o) is not Var
    ]
    assert not copies, "a backward run depends on what it is handed"
    new.update(zip(written.outputs, equation.outs, strict=True))
    found = []
    for inner in written.equations:
        operands = tuple(new.get(o, o) if type(o) is Var else o for o in inner.operands)
        outs = tuple(new.setdefault(o, Var(equation.outs[0].id, None, o.type)) for o in inner.outs)
        found.append(Equation(inner.primitive, operands, inner.params, outs, equation.origin))
    return found


def _block_length(types: Sequence[ArrayType]) -> int:
    """Return how many states a block has, a power of two."""
    size = sum(int(np.prod(t.shape)) * t.dtype.itemsize for t in types)
    fitting = max(TAPE // max(size, 1), 1)
    return min(max(1 << (fitting.bit_length() - 1), FEWEST), MOST)


def _put(array: Any, place: Any, value: Any) -> Any:
    return call("setitem", array, value, place, spec=(Hole(0),))


def _row(array: Any, place: Any) -> Any:
    return call("getitem", array, place, spec=(Hole(0),))


def _forward(
    state: Any, test: Callable[[Any], Any], step: Callable[[Any], Any], types: Any, length: int
) -> Any:
    """Run the loop; return its steps and blocks, the last block's states and all beginnings."""

    def advance(carry: Any) -> Any:
        now, i, b, tape, marks = carry
        place = i & (length - 1)
        is_first = place == 0
        # beyond the last beginning that is kept: a row that nobody reads
        mark = np.where(is_first, np.minimum(b, length), length)
        b = b + np.where(is_first, 1, 0)
        tape = [_put(a, place, x) for a, x in zip(tape, now, strict=True)]
        marks = [_put(a, mark, x) for a, x in zip(marks, now, strict=True)]
        return step(now), i + 1, b, tape, marks

    tape = [np.zeros((length, *t.shape), t.dtype) for t in types]
    marks = [np.zeros((length + 1, *t.shape), t.dtype) for t in types]
    zero = np.zeros((), np.int64)
    begin = (list(state), zero, zero, tape, marks)
    _, *found = while_loop(lambda carry: test(carry[0]), advance, begin)
    return found


def taped_pull(*operands: Any, test: Body, body: Body) -> tuple[Any, ...]:
    """Return what ``while_pull`` does, by loops and arrays of fixed size alone."""
    n = len(body.inputs)
    state, of_test, of_body = _while_parts(operands[: len(operands) - n], test, body)
    types = [v.type for v in (*body.inputs, *body.captured)]
    smooth = _places(types)
    fixed = [p for p in smooth if p >= n]
    length = _block_length(types[:n])

    def step(now: Any) -> Any:
        return body.run(now, of_body)

    steps, blocks, tape, marks = _forward(
        state, lambda now: test.run(now, of_test)[0], step, types[:n], length
    )
    last = blocks - 1

    def back(carry: Any) -> Any:
        k, cotangents, total, tape = carry
        k = k - 1
        full = [*(_row(a, k) for a in tape), *of_body]
        _, pull = vjp(_of_smooth(body, full, smooth), *(full[p] for p in smooth))
        found = dict(zip(smooth, pull(cotangents), strict=True))
        after = [found.get(i, ct) for i, ct in enumerate(cotangents)]
        return k, after, [t + found[p] for t, p in zip(total, fixed, strict=True)], tape

    def block(carry: Any) -> Any:
        b, cotangents, total, tape = carry
        first = b * length
        end = np.minimum(first + length, steps)
        mark = np.minimum(b, length - 1)
        begin = np.where(b == last, end, mark * length)  # whose states are there already
        tape = _again([_row(a, mark) for a in marks], begin, end, step, tape)
        given = (end - first, cotangents, total, tape)
        _, cotangents, total, tape = while_loop(lambda carry: carry[0] > 0, back, given)
        return b - 1, cotangents, total, tape

    nothing = [np.zeros(types[p].shape, types[p].dtype)[()] for p in fixed]
    given = (last, list(operands[len(operands) - n :]), nothing, tape)
    _, cotangents, total, _ = while_loop(lambda carry: carry[0] >= 0, block, given)
    return (*(cotangents[p] for p in smooth if p < n), *total)


def _again(now: Any, begin: Any, end: Any, step: Callable[[Any], Any], tape: Any) -> Any:
    """Run steps once more, and return the tape with the states before them."""

    def advance(carry: Any) -> Any:
        now, i, tape = carry
        place = i & (tape[0].shape[0] - 1)
        tape = [_put(a, place, x) for a, x in zip(tape, now, strict=True)]
        return step(now), i + 1, tape

    _, _, tape = while_loop(lambda carry: carry[1] < end, advance, (now, begin, tape))
    return tape
