"""Loops and branches: their bodies as schedules of their own, and where the bodies' values live.

A body is planned like a program. What it captures is the outer value itself, so that nothing is
handed in. Small values of a body are kept on the stack, where LLVM turns single numbers into
registers; large ones get memory that is planned with the program's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.program import Program
from ...program.records import record
from ...trace.body import Body
from ..contraction.forming import form_contractions
from ..sizes import is_fixed
from .schedule import Group, Schedule, UnsupportedError, reads_in_place, rows_of, schedule
from .writing import WRITERS, read_before, writers_last

SMALL = 64  # elements of a value that is kept on the stack


def is_small(type_: ArrayType) -> bool:
    """Tell whether a value is kept on the stack."""
    return is_fixed(type_.size) and type_.size <= SMALL


@record
class Block:
    """The body of a loop or a branch, in variables of its own.

    Attributes
    ----------
    inputs : tuple of Var
        What changes from one run of it to the next.
    outputs : tuple
        Variables, its own or outer ones, or constants.
    plan : Schedule
        Its loop nests.
    made : set of Var
        Its stored values.
    """

    inputs: tuple[Var, ...]
    outputs: tuple[Any, ...]
    plan: Schedule
    made: set[Var]

    def is_large(self, o: Any) -> bool:
        """Tell whether a value is computed in the block and too large for the stack."""
        return type(o) is Var and o in self.made and not is_small(o.type)

    def workspaces(self) -> Iterator[Var]:
        """Yield the variables of inner loops that need memory of the program's."""
        for group in self.plan.groups:
            if group.inner is not None:
                yield from group.inner.workspaces


def block_of(equation: Equation, body: Body, captured: Sequence[Any]) -> Block:
    """Return a body as a block of an equation that hands it these values."""
    new: dict[Var, Any] = dict(zip(body.captured, captured, strict=True))

    def fresh(var: Var) -> Var:
        new[var] = Var(var.id, None, var.type, var.name)
        return new[var]

    def operand(o: Any) -> Any:
        return new[o] if type(o) is Var else o

    inputs = tuple(map(fresh, body.inputs))
    equations = tuple(
        e._replace(operands=tuple(map(operand, e.operands)), outs=tuple(map(fresh, e.outs)))
        for e in body.equations
    )
    outputs = tuple(new[o] if type(o) is Var else np.asarray(o) for o in body.outputs)
    outer = dict.fromkeys(v for v in captured if type(v) is Var)
    program = form_contractions(Program((*inputs, *outer), equations, outputs))
    program = program.replace(equations=tuple(writers_last(program.equations)))
    try:
        plan = schedule(program, read_before(program.equations))
    except UnsupportedError as unsupported:
        raise inside(equation, unsupported) from None
    made = {out for e in program.equations for out in e.outs if out in plan.stored}
    return Block(inputs, outputs, plan, made)


def inside(equation: Equation, unsupported: UnsupportedError) -> UnsupportedError:
    """Return the error for a loop of which a part cannot be compiled."""
    name = equation.primitive.name
    reason = str(unsupported)
    whole = reason if reason.startswith("a `") else f"a `{name}` is left to NumPy: {reason}"
    return UnsupportedError(equation, whole)


def in_memory(o: Any, type_: ArrayType) -> Any:
    """Return an operand as a variable, or as an array of its type."""
    if type(o) is Var:
        return o
    return o if type(o) is np.ndarray and o.dtype == type_.dtype else np.array(o, type_.dtype)


@record
class Carry:
    """A value that a loop carries from step to step.

    Attributes
    ----------
    var, after : Var, operand
        The value before a step and after it.
    initial : Var or array
        Its first value.
    out : Var
        Its last one.
    kind : str
        Where it lives: on the ``stack``; ``in place``, where each step changes it; in the ``tape``
        of the states before each step, or in the ``rows`` of those after it; or ``moving`` between
        two buffers.
    row : int
        Which of the stacked results is that tape, or these rows.
    spare : Var or None
        The second buffer of a moving one.
    """

    var: Var
    after: Any
    initial: Any
    out: Var
    kind: str = "moving"
    row: int = -1
    spare: Var | None = None


@record
class LoopPlan:
    """A scan, or a while loop: then ``test`` is the block that decides whether to go on.

    Attributes
    ----------
    carries : list of Carry
        What goes from step to step.
    arrays : list of (Var or array, int, int)
        What is read row by row, the row of step 0 and the distance to the next one.
    stacked : tuple of Var
        The results that are written row by row.
    homes : dict
        By a value of the body: the number of the stacked result into which it is computed.
    workspaces : list of Var
        What needs memory.
    chained : list of Var
        What is computed on the way over the value before.
    """

    block: Block
    carries: list[Carry]
    arrays: list[Any] = field(default_factory=list)
    stacked: tuple[Var, ...] = ()
    steps: int = 0
    reverse: bool = False
    test: Block | None = None
    homes: dict[Var, int] = field(default_factory=dict)
    workspaces: list[Var] = field(default_factory=list)
    chained: list[Var] = field(default_factory=list)

    @property
    def blocks(self) -> list[Block]:
        """The blocks in it."""
        return [self.block] if self.test is None else [self.block, self.test]

    def settle(self) -> LoopPlan:
        """Decide where the carried values live, and what needs memory."""
        rows = self.block.outputs[len(self.carries) :]
        moved = {c.after for c in self.carries if type(c.after) is Var}
        for carry in self.carries:
            self._place(carry, rows, moved)
        for j, row in enumerate(rows):
            if self.block.is_large(row) and row not in self.homes and not self._is_carried(row):
                self.homes[row] = j
        kept = {c.after for c in self.carries if c.kind != "stack" and self._lands(c)}
        for block in self.blocks:
            free = (v for v in block.made if block.is_large(v) and v not in self.chained)
            self.workspaces += (v for v in free if v not in self.homes and v not in kept)
            self.workspaces += block.workspaces()
        self.workspaces += (c.spare for c in self.carries if c.spare is not None)
        return self

    def _lands(self, carry: Carry) -> bool:
        """Tell whether a carried value is computed where it will live."""
        first = next(c for c in self.carries if c.after is carry.after)
        return self.block.is_large(carry.after) and first is carry

    def lands(self, carry: Carry) -> bool:
        """Tell whether a carried value is computed where it will live; else it is copied."""
        return carry.kind != "stack" and self._lands(carry)

    def _is_carried(self, row: Any) -> bool:
        return any(
            c.after is row and c.kind in ("tape", "moving", "in place") for c in self.carries
        )

    def _place(self, carry: Carry, rows: Sequence[Any], moved: set[Var]) -> None:
        if is_small(carry.var.type):
            carry.kind = "stack"
            return
        if carry.after is carry.var and carry.var not in rows:
            carry.kind = "in place"
            return
        if self._lands(carry):
            for kind, value in (("rows", carry.after), ("tape", carry.var)):
                if any(row is value for row in rows):
                    carry.kind, carry.row = kind, [r is value for r in rows].index(True)
                    if kind == "rows":
                        self.homes[carry.after] = carry.row
                    return
            if carry.var not in moved and self._overwrites(carry):
                carry.kind = "in place"
                return
        carry.spare = Var(-1, None, carry.var.type)

    def _overwrites(self, carry: Carry) -> bool:
        """Tell whether a step may compute a value over the one before; arrange it if so."""
        plan = self.block.plan
        maker = {out: (i, r) for i, g in enumerate(plan.groups) for r in g.roots for out in r.outs}
        reuse: list[tuple[int, Var, Var]] = []
        value = carry.after
        while value is not carry.var:
            if value not in maker or value in self.homes:  # an array made in pieces, say
                return False
            place, root = maker[value]
            chained = root.primitive.name in WRITERS and root.operands[0] is not carry.var
            before = root.operands[0] if chained else carry.var
            if type(before) is not Var or any(before is o for o in self.block.outputs):
                return False
            if any(before in group.reads(plan) for group in plan.groups[place + 1 :]):
                return False
            if not reads_in_place(plan.groups[place], value, before, plan):
                return False
            reuse.append((place, value, before))
            value = before
        for place, value, before in reuse:
            plan.groups[place].reuse[value] = before
        self.chained += (value for _, value, _ in reuse[1:])
        return True


@record
class BranchPlan:
    """A choice between two blocks.

    Attributes
    ----------
    predicate : Var or array
        What decides.
    given : list of tuple
        By block: what its inputs are outside.
    """

    predicate: Any
    outs: tuple[Var, ...]
    blocks: list[Block]
    given: list[Any]
    workspaces: list[Var] = field(default_factory=list)

    def settle(self) -> BranchPlan:
        """Decide what needs memory."""
        for block in self.blocks:
            for v in block.made:
                if block.is_large(v) and not any(o is v for o in block.outputs):
                    self.workspaces.append(v)
            self.workspaces += block.workspaces()
        return self


def plan_control(equation: Equation, producer: dict[Var, Equation]) -> Group:
    """Return a loop or a branch as a group."""
    if equation.primitive.name == "scan":
        return Group((), False, [equation], inner=_scan_plan(equation, producer))
    plan = PLANS[equation.primitive.name](equation)
    return Group((), False, [equation], inner=plan)


def _scan_plan(equation: Equation, producer: dict[Var, Equation]) -> LoopPlan:
    params, operands = equation.params, equation.operands
    n, m = params["carries"], params["scanned"]
    block = block_of(equation, params["body"], operands[n + m :])
    carries = [
        Carry(var, after, in_memory(initial, var.type), out)
        for var, after, initial, out in zip(
            block.inputs, block.outputs, operands[:n], equation.outs, strict=False
        )
    ]
    arrays = []
    for o, v in zip(operands[n:], block.inputs[n:], strict=False):
        array, first, step = rows_of(o, producer)
        arrays.append((in_memory(array, v.type), first, step))
    return LoopPlan(
        block, carries, arrays, equation.outs[n:], params["steps"], params["reverse"]
    ).settle()


def _while_plan(equation: Equation) -> LoopPlan:
    test, body, operands = equation.params["test"], equation.params["body"], equation.operands
    n, k = len(body.inputs), len(test.captured)
    block = block_of(equation, body, operands[n + k :])
    carries = [
        Carry(var, after, in_memory(initial, var.type), out)
        for var, after, initial, out in zip(
            block.inputs, block.outputs, operands[:n], equation.outs, strict=True
        )
    ]
    decide = block_of(equation, test, operands[n : n + k])
    _check_truth(equation, decide.outputs[0])
    return LoopPlan(block, carries, test=decide).settle()


def _cond_plan(equation: Equation) -> BranchPlan:
    yes, no = equation.params["yes"], equation.params["no"]
    shared = equation.params["shared"]
    predicate, *rest = equation.operands
    _check_truth(equation, predicate)
    given, of_yes = rest[:shared], rest[shared : shared + len(yes.captured)]
    blocks = [
        block_of(equation, yes, of_yes),
        block_of(equation, no, rest[shared + len(yes.captured) :]),
    ]
    values = [in_memory(o, v.type) for o, v in zip(given, blocks[0].inputs, strict=True)]
    decides = predicate if type(predicate) is Var else np.asarray(predicate)
    return BranchPlan(decides, equation.outs, blocks, values).settle()


def _check_truth(equation: Equation, decision: Any) -> None:
    dtype = decision.type.dtype if type(decision) is Var else np.asarray(decision).dtype
    if dtype.kind != "b":
        raise UnsupportedError(equation, f"a decision by a {dtype} is not compiled yet")


PLANS = {"while": _while_plan, "cond": _cond_plan}
