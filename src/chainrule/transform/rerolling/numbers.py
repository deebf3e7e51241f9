"""Python's numbers as NumPy's, where that changes no dtype.

What a loop stacks or reads from an array is a NumPy scalar, which does not give way to the dtype
of an array as a Python number does. Where all arrays that it meets have its dtype anyway, the two
compute the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...program.equation import Equation, Var
from ...program.program import Program
from .sources import type_of


def hardened(program: Program) -> Program:
    """Return a program in which no equation's result is a Python number.

    The program itself is returned if that would change a dtype, or if it has none.
    """
    if not any(out.type.weak for e in program.equations for out in e.outs):
        return program
    new: dict[Var, Var] = {}
    equations = []
    for equation in program.equations:
        operands = _replaced(equation.operands, new)
        if not _same_types(equation, operands):
            return program
        outs = tuple(Var(o.id, None, o.type._replace(weak=False), o.name) for o in equation.outs)
        new.update(zip(equation.outs, outs, strict=True))
        equations.append(equation._replace(operands=operands, outs=outs))
    outputs = _replaced(program.outputs, new)
    return Program(program.inputs, tuple(equations), outputs, program.name)


def _replaced(operands: Sequence[Any], new: dict[Var, Var]) -> tuple[Any, ...]:
    return tuple(new.get(o, o) if type(o) is Var else o for o in operands)


def _same_types(equation: Equation, operands: Sequence[Any]) -> bool:
    """Tell whether an equation of other operands has results of the same shapes and dtypes."""
    changed = [o is not before for o, before in zip(operands, equation.operands, strict=True)]
    if not any(changed):
        return not _is_root(equation)
    if not any(type(o) is Var and o.type.weak for o in equation.operands):
        return True
    if _is_root(equation):
        return False
    found: Any = equation.primitive.type_rule(*map(type_of, operands), **equation.params)
    types = [found] if equation.primitive.joint is None else found
    pairs = zip(types, equation.outs, strict=True)
    return all(t[:2] == out.type[:2] for t, out in pairs)


def _is_root(equation: Equation) -> bool:
    """Tell whether a power may be a root: Python's is complex for negative numbers."""
    if equation.primitive.name != "pow" or not equation.out.type.weak:
        return False
    exponent = equation.operands[1]
    return not (isinstance(exponent, int | float) and float(exponent).is_integer())
