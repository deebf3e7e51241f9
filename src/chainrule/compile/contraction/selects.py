"""Masks moved out of the way of contractions.

A derivative carries masks along: whether anything is left of it at all (a scalar), and which
elements are zero by structure. Between a product and the sum that it feeds, the scalar ones would
keep the two apart, and elements' masks change their layout as numbers. Both are moved here: a
choice between an array and zeros by a scalar commutes with every change of layout, and a change of
layout of a mask is one of the mask itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from ...program.program import Program, needed

LAYOUT = frozenset({"reshape", "transpose", "getitem", "windows", "broadcast_to", "stop_gradient"})
LINEAR = LAYOUT | {"overlap_add", "embed"}


class Rewriting:
    """Equations in the making: fresh variables, and who defines what."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.equations: list[Equation] = []
        self.producer: dict[Var, Equation] = {}
        self._users: dict[Var, list[Equation]] = {}
        every = [*program.inputs, *(o for e in program.equations for o in e.outs)]
        self._next = max((v.id for v in every), default=0) + 1

    def variable(self, type_: Any) -> Var:
        """Return a new variable."""
        self._next += 1
        return Var(self._next, None, type_)

    def emit(self, equation: Equation) -> None:
        """Take an equation over as it is."""
        self.equations.append(equation)
        self.producer.update((out, equation) for out in equation.outs)
        for var in equation.inputs:
            self._users.setdefault(var, []).append(equation)

    def users_of(self, o: Any) -> list[Equation]:
        """Return the equations that read a variable, so far."""
        return self._users.get(o, []) if type(o) is Var else []

    def add(
        self, name: str, *operands: Any, origin: Any = (), out: Any = None, **params: Any
    ) -> Any:
        """Write an operation down and return its result."""
        primitive = PRIMITIVES[name]
        if out is None:
            types = [o.type if type(o) is Var else _type_of(o) for o in operands]
            out = self.variable(primitive.type_rule(*types, **params))
        self.emit(Equation(primitive, operands, params, (out,), origin))
        return out

    def defining(self, o: Any, *names: str) -> Equation | None:
        """Return the equation that makes an operand, if it is one of these operations."""
        equation = self.producer.get(o) if type(o) is Var else None
        return equation if equation is not None and equation.primitive.name in names else None

    def finish(self) -> Program:
        """Return the new program, without what nobody needs."""
        p = self.program
        return Program(p.inputs, tuple(needed(self.equations, p.outputs)), p.outputs, p.name)


def _type_of(o: Any) -> Any:
    from ...program.arraytype import array_type

    return array_type(o)


def move_selects(program: Program) -> Program:
    """Return the program with the masks of scalars moved behind changes of layout."""
    to = Rewriting(program)
    for equation in program.equations:
        if len(equation.outs) != 1 or not _moved(to, equation):
            to.emit(equation)
    return to.finish()


def _moved(to: Rewriting, equation: Equation) -> bool:
    name = equation.primitive.name
    if name in LINEAR and len(equation.operands) == 1:
        return _behind(to, equation)
    if name == "not_equal":
        return _mask_of_number(to, equation)
    if name in ("any", "all"):
        return _mask_reduced(to, equation)
    return False


def _behind(to: Rewriting, equation: Equation) -> bool:
    """Write ``layout(where(c, x, 0))`` as ``where(c, layout(x), 0)`` for a scalar c."""
    select = to.defining(equation.operands[0], "where")
    if select is None:
        return False
    condition, x, zero = select.operands
    scalar = type(condition) is Var and condition.type.shape == ()
    same = type(x) is Var and x.type == select.out.type
    if not (scalar and same and _is_zero(zero)):
        return False
    moved = to.add(equation.primitive.name, x, origin=equation.origin, **equation.params)
    to.emit(select._replace(operands=(condition, moved, zero), outs=equation.outs))
    return True


def _is_zero(o: Any) -> bool:
    return type(o) is not Var and np.shape(o) == () and o == 0 and not np.signbit(o)


def _mask_of_number(to: Rewriting, equation: Equation) -> bool:
    """Write ``layout(cast(mask)) != 0`` as the layout of the mask."""
    x, zero = equation.operands
    if not _is_zero(zero):
        return False
    moves: list[Equation] = []
    while (move := to.defining(x, *LAYOUT)) is not None and len(move.operands) == 1:
        moves.append(move)
        x = move.operands[0]
    cast = to.defining(x, "cast")
    if cast is None or type(cast.operands[0]) is not Var:
        return False
    mask = cast.operands[0]
    if mask.type.dtype != bool or mask.type.shape != cast.out.type.shape:
        return False
    for move in reversed(moves):
        mask = to.add(move.primitive.name, mask, origin=equation.origin, **move.params)
    to.add("alias", mask, origin=equation.origin, out=equation.out)
    return True


def _mask_reduced(to: Rewriting, equation: Equation) -> bool:
    """Write ``any(layout(mask))`` over all axes as ``any(mask)``."""
    (x,) = equation.operands
    if type(x) is not Var or equation.out.type.shape != ():
        return False
    start = x
    while (move := to.defining(x, "reshape", "transpose", "alias")) is not None:
        x = move.operands[0]
    if x is start or type(x) is not Var:
        return False
    params = {**equation.params, "axis": None}
    to.emit(equation._replace(operands=(x,), params=params))
    return True
