"""Quotients that are divided once more by the same divisor.

The derivative of ``y = a / b`` by b is ``-y / b``, and that by a is ``1 / b``. Where both are
computed, the first one is a product with the second one: one division less for each element.
"""

from __future__ import annotations

from typing import Any

from ..program.equation import Equation, Var
from ..program.primitive import PRIMITIVES
from ..program.program import Program


def multiply_by_reciprocals(program: Program) -> Program:
    """Return a program that multiplies quotients by reciprocals of divisors that it has anyway.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> def f(a, b):
    ...     y = a / b
    ...     return 1.0 / b, -y / b
    >>> program, _ = trace_program(f, np.ones((2, 3)), np.ones((2, 1)), abstract=True)
    >>> [e.primitive.name for e in multiply_by_reciprocals(program).equations]
    ['div', 'div', 'neg', 'mul']
    """
    producer: dict[Any, Equation] = {}
    reciprocals: dict[Var, Var] = {}
    equations = []
    for equation in program.equations:
        if equation.primitive.name == "div":
            equation = _multiplied(equation, producer, reciprocals)
        equations.append(equation)
        producer.update((out, equation) for out in equation.outs)
    return program.replace(equations=tuple(equations))


def _multiplied(
    equation: Equation, producer: dict[Any, Equation], reciprocals: dict[Var, Var]
) -> Equation:
    """Return a division, or the product in its place, and note it if it is a reciprocal."""
    x, divisor = equation.operands
    if type(divisor) is not Var:
        return equation
    if type(x) in (int, float) and x == 1 and equation.out.type == divisor.type:
        reciprocals[divisor] = equation.out
        return equation
    known = reciprocals.get(divisor)
    quotient = producer.get(x)
    if quotient is not None and quotient.primitive.name == "neg":
        quotient = producer.get(quotient.operands[0])
    if known is None or quotient is None or quotient.primitive.name != "div":
        return equation
    if quotient.operands[1] is not divisor:
        return equation
    return equation._replace(primitive=PRIMITIVES["mul"], operands=(x, known))
