"""Arrays that are joined and then laid out anew: their parts are laid out, and joined then.

So each part can be computed where it belongs in the end, and what is joined need not be copied once
more.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from .looping.parts import apply, type_of

Shape = tuple[int, ...]


def join_last(program: Program) -> Program:
    """Return a program in which arrays are joined after changes of their layout.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> f = lambda x: np.transpose(np.concatenate([x, -x]))
    >>> program, _ = trace_program(f, np.ones((4, 2)), abstract=True)
    >>> print(*(e.primitive.name for e in join_last(program).equations))
    neg transpose transpose concatenate
    """
    names = Counter(e.primitive.name for e in program.equations)
    if not names["concatenate"] or not (names["transpose"] or names["reshape"]):
        return program
    uses = Counter(o for e in program.equations for o in e.inputs)
    uses.update(o for o in program.outputs if type(o) is Var)
    joined: dict[Any, tuple[list[Any], int]] = {}
    equations: list[Equation] = []
    for equation in program.equations:
        made = _laid_out(equation, joined, uses, equations)
        if equation.primitive.name == "concatenate":
            made = list(equation.operands), equation.params["axis"]
        if made is None:
            equations.append(equation)
            continue
        joined[equation.out] = made
        parts, axis = made
        apply(equations, "concatenate", tuple(parts), equation.origin, axis=axis)
        equations[-1] = equations[-1]._replace(outs=equation.outs)
    return Program.from_trace(program.inputs, equations, program.outputs, program.name)


def _laid_out(
    equation: Equation,
    joined: dict[Any, tuple[list[Any], int]],
    uses: Counter[Any],
    equations: list[Equation],
) -> tuple[list[Any], int] | None:
    """Write a change of layout of parts instead of what they are joined to."""
    name = equation.primitive.name
    if name not in ("transpose", "reshape"):
        return None
    (x,) = equation.operands
    if type(x) is not Var or x not in joined or uses[x] != 1:
        return None
    parts, axis = joined[x]
    if name == "transpose":
        axes = equation.params["axes"]
        moved = [apply(equations, "transpose", (p,), equation.origin, axes=axes) for p in parts]
        return moved, axes.index(axis)
    found = _axis_after(x.type.shape, axis, equation.out.type.shape, parts)
    if found is None:
        return None
    place, shapes = found
    pairs = zip(parts, shapes, strict=True)
    moved = [apply(equations, "reshape", (p,), equation.origin, shape=s) for p, s in pairs]
    return moved, place


def _axis_after(
    before: Shape, axis: int, after: Shape, parts: list[Any]
) -> tuple[int, list[Shape]] | None:
    """Return the axis along which parts are joined in another shape, and their shapes there."""
    outer = prod(before[:axis])
    for place in range(len(after)):
        inner = prod(after[place + 1 :])
        sizes = [prod(type_of(p).shape[axis:]) for p in parts]
        if prod(after[:place]) == outer and inner and all(n % inner == 0 for n in sizes):
            return place, [(*after[:place], n // inner, *after[place + 1 :]) for n in sizes]
    return None
