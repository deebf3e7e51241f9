"""Matrices that a loop multiplies with in every step, in the order in which it reads them best.

A copy in another order pays within a loop if it is made once before it. What a loop captures
through a change of layout is captured as it lies in memory, so that the products see both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Var
from ...program.program import Program
from ...program.records import frozen_record
from ...trace.body import Body
from .selects import Rewriting


@frozen_record
class Fixed:
    """What is the same for several runs of a program.

    Attributes
    ----------
    runs : int
        How many there are.
    made, given : set of Var
        Values in memory of our own, where vectors begin with a line of the cache, and others.
    """

    runs: int = 1
    made: frozenset[Var] = frozenset()
    given: frozenset[Var] = frozenset()

    def share(self, o: Any) -> float:
        """Return which part of the cost of a copy each run bears."""
        return 1 / self.runs if type(o) is Var and (o in self.made or o in self.given) else 1.0

    def is_given(self, o: Any) -> bool:
        """Tell whether a value may lie anywhere in memory."""
        return type(o) is Var and o in self.given


NOTHING = Fixed()
Form = Callable[[Program, Fixed], Program]


def form_within(to: Rewriting, equation: Equation, form: Form) -> None:
    """Write a loop whose products are contractions, with what they read copied before it."""
    params, operands = equation.params, equation.operands
    body, n = params["body"], params["carries"] + params["scanned"]
    captured = dict(zip(body.captured, operands[n:], strict=True))
    moves = _looked_through(to, body, captured)
    inner = Program((*body.inputs, *captured), (*moves, *body.equations), body.outputs)
    formed = form(inner, Fixed(params["steps"], *_by_home(to, captured)))
    kept: list[Equation] = []
    for e in formed.equations:
        if e.primitive.name == "repack" and e.operands[0] in captured:
            source = captured[e.operands[0]]
            captured[e.out] = to.add("repack", source, origin=e.origin, **e.params)
        else:
            kept.append(e)
    read = {v for e in kept for v in e.inputs} | {o for o in formed.outputs if type(o) is Var}
    captures: list[Any] = [(None, var) for var in captured if var in read]
    made = Body(body.inputs, captures, kept, formed.outputs, body.out_tree)
    given = (*operands[:n], *(captured[var] for var in made.captured))
    to.emit(equation._replace(operands=given, params={**params, "body": made}))


def _by_home(to: Rewriting, captured: dict[Var, Any]) -> tuple[frozenset[Var], frozenset[Var]]:
    made = frozenset(v for v, o in captured.items() if type(o) is Var and o in to.producer)
    return made, frozenset(captured) - made


def _looked_through(to: Rewriting, body: Body, captured: dict[Var, Any]) -> list[Equation]:
    """Capture the matrices behind transposes that only vectors are multiplied with.

    Returns the transposes. For products of matrices a copy is the better start.
    """
    others = {v for e in body.equations if not _is_with_vector(e) for v in e.inputs}
    others.update(o for o in body.outputs if type(o) is Var)
    moves: list[Equation] = []
    for var, outer in list(captured.items()):
        made = to.defining(outer, "transpose")
        if made is None or var in others or type(made.operands[0]) is not Var:
            continue
        behind = to.variable(made.operands[0].type)
        del captured[var]
        captured[behind] = made.operands[0]
        moves.append(made._replace(operands=(behind,), outs=(var,)))
    return moves


def _is_with_vector(equation: Equation) -> bool:
    if equation.primitive.name != "matmul":
        return False
    return sorted(len(_type_of(o).shape) for o in equation.operands) == [1, 2]


def _type_of(o: Any) -> ArrayType:
    return o.type if type(o) is Var else array_type(o)
