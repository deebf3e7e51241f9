"""Derivatives of ``1 / d`` by the value that is known, without another division.

The derivative of ``y = a / d`` by d is ``-y / d``. Where a is 1 that is ``-y · y``, which a sigmoid
written as ``1 / (1 + exp(-z))`` has in each of its gradients.
"""

from __future__ import annotations

from typing import Any

from ..program.equation import Equation, Var
from ..program.primitive import PRIMITIVES
from ..program.program import Program
from ..trace.body import Body


def without_second_divisions(program: Program) -> Program:
    """Return a program that multiplies where it divided the inverse of a number by it again.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> from chainrule.trace.program import trace_program
    >>> program, _ = trace_program(grad(lambda x: 1 / (1 + np.exp(-x))), 0.5, abstract=True)
    >>> names = lambda p: [e.primitive.name for e in p.equations]
    >>> names(program).count("div"), names(without_second_divisions(program)).count("div")
    (2, 1)
    """
    equations = _changed(program.equations)
    return program if equations is None else program.replace(equations=tuple(equations))


def _changed(equations: Any) -> list[Equation] | None:
    """Return equations with multiplications, in loops as well; None if nothing changes."""
    found: list[Equation] = []
    made: dict[Var, Equation] = {}
    same = True
    for equation in equations:
        bodies = {k: v for k, v in equation.params.items() if type(v) is Body}
        new = {k: body for k, v in bodies.items() if (body := _changed_body(v)) is not None}
        if new:
            same = False
            equation = equation._replace(params={**equation.params, **new})
        known = _known_inverse(equation, made)
        if known is not None:
            same = False
            square = Var(-1, None, equation.out.type)
            found.append(Equation(PRIMITIVES["mul"], (known,) * 2, {}, (square,), equation.origin))
            equation = equation._replace(primitive=PRIMITIVES["neg"], operands=(square,))
        found.append(equation)
        made.update((out, equation) for out in equation.outs)
    return None if same else found


def _changed_body(body: Body) -> Body | None:
    equations = _changed(body.equations)
    if equations is None:
        return None
    captures: list[Any] = [(None, var) for var in body.captured]
    return Body(body.inputs, captures, equations, body.outputs, body.out_tree)


def _known_inverse(equation: Equation, made: dict[Var, Equation]) -> Var | None:
    """Return y if an equation is ``-y / d`` for ``y = 1 / d``."""
    if equation.primitive.name != "div" or equation.out.type.dtype.kind != "f":
        return None
    minus_y, d = equation.operands
    negative = made.get(minus_y) if type(minus_y) is Var else None
    if negative is None or negative.primitive.name != "neg":
        return None
    (y,) = negative.operands
    quotient = made.get(y) if type(y) is Var else None
    if quotient is None or quotient.primitive.name != "div" or y.type != equation.out.type:
        return None
    one, divisor = quotient.operands
    return y if type(one) in (int, float) and one == 1 and divisor is d else None
