"""A scan taken apart, so that a pass can change one of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Origin, Var
from ...program.primitive import PRIMITIVES, Primitive
from ...program.pytree import flatten
from ...program.records import record
from ...trace.body import Body
from ..scanning import SCAN


@record
class Carried:
    """A value that goes from step to step: in the body before and after it, and outside of it."""

    initial: Any
    var: Var
    after: Any
    out: Var


@record
class Scan:
    """The parts of a scan.

    Attributes
    ----------
    carried : list of Carried
        What goes from step to step.
    rows : dict
        By variable of the body: the array of which it is the current row.
    captured : dict
        By variable of the body: the value outside.
    equations : list of Equation
        The body.
    stacked : list of (value, Var)
        A value of the body, and the array of all of them outside.
    """

    carried: list[Carried]
    rows: dict[Var, Any]
    captured: dict[Var, Any]
    equations: list[Equation]
    stacked: list[tuple[Any, Var]]
    steps: int
    reverse: bool
    origin: Origin

    @classmethod
    def of(cls, equation: Equation) -> Scan:
        """Take an equation apart."""
        params, operands, outs = equation.params, equation.operands, equation.outs
        body, n, m = params["body"], params["carries"], params["scanned"]
        carried = [
            Carried(*c)
            for c in zip(operands[:n], body.inputs[:n], body.outputs[:n], outs[:n], strict=True)
        ]
        rows = dict(zip(body.inputs[n:], operands[n : n + m], strict=True))
        captured = dict(zip(body.captured, operands[n + m :], strict=True))
        stacked = list(zip(body.outputs[n:], outs[n:], strict=True))
        equations = list(body.equations)
        steps, reverse = params["steps"], params["reverse"]
        return cls(carried, rows, captured, equations, stacked, steps, reverse, equation.origin)

    def equation(self) -> Equation:
        """Put the parts together."""
        inputs = (*(c.var for c in self.carried), *self.rows)
        outputs = (*(c.after for c in self.carried), *(value for value, _ in self.stacked))
        body = body_of(inputs, self.captured, self.equations, outputs)
        captured = [self.captured[var] for var in body.captured]
        operands = (*(c.initial for c in self.carried), *self.rows.values(), *captured)
        params = {
            "body": body,
            "carries": len(self.carried),
            "scanned": len(self.rows),
            "steps": self.steps,
            "reverse": self.reverse,
        }
        outs = (*(c.out for c in self.carried), *(out for _, out in self.stacked))
        return Equation(SCAN, operands, params, outs, self.origin)

    def stack(self, value: Any) -> Var:
        """Return the array of a value in all steps; it becomes a result of the loop."""
        for known, out in self.stacked:
            if known is value:
                return out
        type_ = type_of(value)
        out = Var(-1, None, ArrayType((self.steps, *type_.shape), type_.dtype))
        self.stacked.append((value, out))
        return out

    def column(self, value: Any) -> Any:
        """Return the array of a value in all steps: one that is read, or one that is written."""
        return self.rows[value] if value in self.rows else self.stack(value)

    def row(self, array: Any) -> Var:
        """Return the current row of an array as a variable of the body."""
        for var, known in self.rows.items():
            if known is array:
                return var
        type_ = type_of(array)
        var = Var(-1, None, ArrayType(type_.shape[1:], type_.dtype))
        self.rows[var] = array
        return var

    def readers(self) -> dict[Var, int]:
        """Return how often each value of the body is used."""
        counts: dict[Var, int] = {}
        for equation in self.equations:
            for var in equation.inputs:
                counts[var] = counts.get(var, 0) + 1
        for value in (*(c.after for c in self.carried), *(value for value, _ in self.stacked)):
            if type(value) is Var:
                counts[value] = counts.get(value, 0) + 1
        return counts

    def replace(self, new: dict[Var, Any]) -> None:
        """Put other values in the place of some in the body."""
        if not new:
            return
        self.equations = [replaced(e, new) for e in self.equations]
        for c in self.carried:
            c.after = other(c.after, new)
        self.stacked = [(other(value, new), out) for value, out in self.stacked]


def body_of(
    inputs: Sequence[Var],
    captured: Iterable[Var],
    equations: Sequence[Equation],
    outputs: Sequence[Any],
) -> Body:
    """Return a body; of what it captures, what it reads."""
    read = {v for e in equations for v in e.inputs}
    read.update(o for o in outputs if type(o) is Var)
    captures: list[Any] = [(None, var) for var in captured if var in read]
    tree = flatten(list(outputs))[1]
    return Body(tuple(inputs), captures, equations, tuple(outputs), tree)


def type_of(operand: Any) -> ArrayType:
    """Return the type of a variable or a constant."""
    return operand.type if type(operand) is Var else array_type(operand)


def other(operand: Any, new: dict[Var, Any]) -> Any:
    """Return what is put in the place of an operand."""
    return new.get(operand, operand) if type(operand) is Var else operand


def replaced(equation: Equation, new: dict[Var, Any]) -> Equation:
    """Return an equation of other operands."""
    return equation._replace(operands=tuple(other(o, new) for o in equation.operands))


def apply(
    into: list[Equation], name: str, operands: tuple[Any, ...], origin: Origin, **params: Any
) -> Var:
    """Write an equation and return its result."""
    primitive: Primitive = PRIMITIVES[name]
    type_: Any = primitive.type_rule(*map(type_of, operands), **params)
    out = Var(-1, None, type_._replace(weak=False))
    into.append(Equation(primitive, operands, params, (out,), origin))
    return out
