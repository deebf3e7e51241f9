"""What two programs have in common: one program with symbols where their numbers differ."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from ...program.program import Program
from ...program.records import record
from ..sizes import LEAST, Parameter, Scope, Size
from .leaves import Copy, Leaf, alike, leaves_of


@record
class Generic:
    """A program with symbols, and how another program is seen to be an instance of it.

    Attributes
    ----------
    program : Program
        With a :class:`Size` or :class:`Parameter` for each number that differs, and an input more
        for each array constant that differs.
    instance : Program
        The second of the two programs.
    scope : Scope
        Its symbols; that program is the example.
    first : list
        The numbers of the first one.
    leaves : list of (str, object)
        By leaf: what it must be: of kind "symbol" the number of one; of kind "filled" an array full
        of a number; of kind "any" any array.
    captured : dict
        By additional input: the number of the equation, and of the operand, where it is found.
    numbers_of : dict
        By the identity of an equation's parameters: the number of the equation in the two programs.
    """

    program: Program
    instance: Program
    scope: Scope
    first: list[Any]
    leaves: list[Leaf]
    captured: dict[Var, list[int]]
    numbers_of: dict[int, int]

    def numbers(self, program: Program) -> list[Any] | None:
        """Return what the symbols are in a program; None if it isn't an instance of this one."""
        given = leaves_of(program)
        if len(given) != len(self.leaves):
            return None
        numbers: list[Any] = [None] * len(self.first)
        for (kind, expected), (own, value) in zip(self.leaves, given, strict=True):
            if kind == "symbol":
                if not _suits(own, value, self.first[expected]):
                    return None
                if numbers[expected] is None:
                    numbers[expected] = value
                elif not alike(own, numbers[expected], value):
                    return None
            elif kind == "filled":
                filling = _filling(value)
                if filling is None or not alike("float", filling, expected):
                    return None
            elif kind != "any" and not (kind == own and alike(kind, expected, value)):
                return None
        return numbers


def _suits(kind: str, value: Any, other: Any) -> bool:
    """Tell whether a symbol can stand for a number."""
    if type(value) is not type(other):
        return False
    return value >= LEAST if kind == "int" else kind == "float" and isfinite(value)


def unified(a: Program, b: Program) -> Generic | None:
    """Return a program of which two programs are instances, or None."""
    ours, theirs = leaves_of(a), leaves_of(b)
    if len(ours) != len(theirs):
        return None
    symbols: dict[Any, int] = {}
    pattern: list[Leaf] = []
    first: list[Any] = []
    example: list[Any] = []
    for (kind, x), (other, y) in zip(ours, theirs, strict=True):
        if kind != other:
            return None
        if alike(kind, x, y):
            pattern.append((kind, y))
        elif kind == "array":
            pattern.append(_common(x, y))
        elif _suits(kind, x, y) and _suits(kind, y, x):
            key = (type(x), repr(x), repr(y))
            if key not in symbols:
                symbols[key] = len(symbols)
                first.append(x)
                example.append(y)
            pattern.append(("symbol", symbols[key]))
        else:
            return None
    return _assembled(b, pattern, first, example) if symbols else None


def _assembled(
    b: Program, pattern: list[Leaf], first: list[Any], example: list[Any]
) -> Generic | None:
    scope = Scope(example)
    waiting = iter(pattern)
    shape: list[Any] = []  # of the array constant that comes next
    captured: dict[Var, list[int]] = {}
    stray: list[Any] = []  # arrays where they cannot be replaced

    def leaf(kind: str, value: Any) -> Any:
        what, x = next(waiting)
        if what == "symbol":
            if kind == "float":
                return Parameter(scope, x, value, np.asarray(value).dtype)
            value = Size(scope, ("n", x), value)
        if kind == "int":
            shape.append(value)
        elif kind == "array" and what in ("filled", "any"):
            inside = len(copy.fronts) > 1
            if copy.place[0] < 0 and not inside:
                return value  # it is returned as it is, and not by the machine code
            lengths = tuple(shape[len(shape) - value.ndim :])
            var = Var(-1, None, ArrayType(lengths, value.dtype))
            if what == "filled":
                full = PRIMITIVES["broadcast_to"]
                copy.fronts[-1].append(Equation(full, (x,), {"shape": lengths}, (var,), ()))
            elif inside:
                stray.append(var)
            else:
                captured[var] = list(copy.place)
            return var
        return value

    copy = Copy(leaf)
    inputs, equations, outputs = copy.parts(b.inputs, b.equations, b.outputs)
    if stray:
        return None
    program = Program((*inputs, *captured), equations, outputs, b.name)
    return Generic(program, b, scope, first, pattern, captured, copy.numbers)


# -- arrays that differ --------------------------------------------------------------------------


def _common(x: Any, y: Any) -> Leaf:
    """Return what two arrays that differ have in common."""
    filling = _filling(y)
    if filling is not None and alike("float", filling, _filling(x)):
        return "filled", filling
    return "any", None


def _filling(array: Any) -> Any:
    """Return the number of which an array is full, or None."""
    if not array.size:
        return None
    flat = array.reshape(-1)
    first = flat[:1]
    return flat[0] if flat.tobytes() == first.tobytes() * flat.size else None
