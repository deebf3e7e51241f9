"""A program as a list of everything that it consists of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.program import Program
from ...trace.body import Body

Leaf = tuple[str, Any]


class Copy:
    """Copies a program, and lets every leaf of it be replaced on the way.

    A leaf is ``("fixed", x)``, ``("int", n)``, ``("float", x)`` or ``("array", a)``.
    """

    def __init__(self, leaf: Callable[[str, Any], Any]) -> None:
        self.leaf = leaf
        self.variables: dict[Var, Var] = {}
        self.made = 0
        self.count = 0  # of equations, in the order of `all_equations`
        self.place = (-1, 0)
        self.numbers: dict[int, int] = {}  # of equations by the identity of their new parameters
        self.fronts: list[list[Equation]] = [[]]  # what comes first, by depth of bodies

    def fixed(self, value: Any) -> Any:
        return self.leaf("fixed", value)

    def program(self, p: Program) -> Program:
        return Program(*self.parts(p.inputs, p.equations, p.outputs), p.name)

    def parts(self, inputs: Any, equations: Any, outputs: Any) -> tuple[Any, Any, Any]:
        self.fixed((len(inputs), len(equations), len(outputs)))
        taken = tuple(map(self.variable, inputs))
        made = tuple(map(self.equation, equations))
        given = self.outputs(outputs)
        return taken, (*self.fronts[-1], *made), given

    def outputs(self, outputs: Any) -> tuple[Any, ...]:
        self.place = (-1, 0)  # of no equation
        return tuple(map(self.operand, outputs))

    def body(self, body: Body) -> Body:
        self.fronts.append([])
        self.fixed(len(body.captured))
        given = (*body.inputs, *body.captured)
        inputs, equations, outputs = self.parts(given, body.equations, body.outputs)
        count = len(body.inputs)
        captures = list(zip(body.outer, inputs[count:], strict=True))
        self.fronts.pop()
        return Body(inputs[:count], captures, equations, outputs, body.out_tree)

    def variable(self, var: Var) -> Var:
        shape, dtype, weak = var.type
        self.fixed((dtype, weak, len(shape)))
        type_ = ArrayType(tuple(self.leaf("int", n) for n in shape), dtype, weak)
        new = Var(self.made, None, type_, var.name)
        self.made += 1
        self.variables[var] = new
        return new

    def equation(self, e: Equation) -> Equation:
        number = self.count
        self.count += 1
        self.fixed((e.primitive, len(e.operands), tuple(e.params), len(e.outs)))
        operands = []
        for k, o in enumerate(e.operands):
            self.place = (number, k)
            operands.append(self.operand(o))
        params = {name: self.value(value) for name, value in e.params.items()}
        self.numbers[id(params)] = number
        outs = tuple(map(self.variable, e.outs))
        return Equation(e.primitive, tuple(operands), params, outs, e.origin)

    def operand(self, o: Any) -> Any:
        if type(o) is Var:
            new = self.variables[o]
            self.fixed(("variable", new.id))
            return new
        if type(o) is np.ndarray:
            self.fixed(("array", o.dtype, o.ndim))
            for n in o.shape:
                self.leaf("int", n)
            return self.leaf("array", o)
        return self.value(o)

    def value(self, x: Any) -> Any:
        kind = type(x)
        if kind is int:
            return self.leaf("int", x)
        if kind is float or isinstance(x, np.floating):
            self.fixed(kind)
            return self.leaf("float", x)
        if kind in (tuple, list):
            self.fixed((kind, len(x)))
            return kind(map(self.value, x))
        if kind is dict:
            self.fixed(tuple(x))
            return {key: self.value(v) for key, v in x.items()}
        if kind is Body:
            return self.body(x)
        if kind is slice:
            self.fixed(kind)
            return slice(*map(self.value, (x.start, x.stop, x.step)))
        return self.fixed(x)


def leaves_of(program: Program) -> list[Leaf]:
    """Return everything that a program consists of, in order."""
    found: list[Leaf] = []

    def take(kind: str, value: Any) -> Any:
        found.append((kind, value))
        return value

    Copy(take).program(program)
    return found


def alike(kind: str, x: Any, y: Any) -> bool:
    """Tell whether two leaves are the same."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if kind == "array":
        return x.shape == y.shape and x.tobytes() == y.tobytes()
    if kind == "float":
        return repr(x) == repr(y)
    if isinstance(x, np.ndarray | Body | Program):
        return False
    try:
        return bool(x == y)
    except (TypeError, ValueError):
        return False
