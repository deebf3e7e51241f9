"""Divisions of many elements by few numbers, and products with what was divided.

A division takes as long as ten products. Where rows are divided by a number each, they are
multiplied by its reciprocal instead; only where that neither over- nor underflows for any divisor
that there can be: a root, or the sum of exponentials of differences from their maximum.

In derivatives reciprocals come up anyway. The one of ``y = a / b`` by b is ``-y / b`` and that by a
is ``1 / b``: so the first one is a product with the second one. And where a product with ``a`` has
a factor ``1 / b`` that can be taken out of the sums in the other factor, it is one with ``y``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from .looping.parts import apply, type_of

VIEWS = frozenset({"reshape", "broadcast_to", "alias", "getitem"})


def multiply_by_reciprocals(program: Program) -> Program:
    """Return a program that divides less, and whose results differ by rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> f = lambda a: a / np.sqrt(np.sum(a * a, axis=1, keepdims=True))
    >>> program, _ = trace_program(f, np.ones((2, 8)), abstract=True)
    >>> [e.primitive.name for e in multiply_by_reciprocals(program).equations]
    ['mul', 'sum', 'sqrt', 'div', 'mul']
    """
    if all(e.primitive.name != "div" for e in program.equations):
        return program
    writer = _Writer(program)
    for equation in program.equations:
        writer.write(equation)
    if not writer.changed:
        return program
    return Program.from_trace(program.inputs, writer.equations, program.outputs, program.name)


class _Writer:
    """Writes a program again, with products in the place of divisions."""

    def __init__(self, program: Program) -> None:
        self.equations: list[Equation] = []
        self.producer: dict[Any, Equation] = {}
        self.reciprocals: dict[Any, Var] = {}
        self.quotients: dict[Any, tuple[Var, Var]] = {}  # by a dividend: divisor, quotient
        self.uses = Counter(v for e in program.equations for v in e.inputs)
        self.uses.update(o for o in program.outputs if type(o) is Var)
        self.same: dict[Any, Var] = {}
        self.changed = False

    def write(self, equation: Equation) -> None:
        """Write an equation, or what takes its place."""
        operands = (self.same.get(o, o) if type(o) is Var else o for o in equation.operands)
        equation = equation._replace(operands=tuple(operands))
        name = equation.primitive.name
        before = len(self.equations)
        if not (name == "div" and self._divided(equation)) and not (
            name == "mul" and self._with_quotient(equation)
        ):
            self.equations.append(equation)
        else:
            self.changed = True
            self.equations[-1] = self.equations[-1]._replace(outs=equation.outs)
        for e in self.equations[before:]:
            self.producer.update((out, e) for out in e.outs)

    # -- divisions -----------------------------------------------------------------------------

    def _divided(self, equation: Equation) -> bool:
        """Write a division as a product, if there is a reciprocal or should be."""
        x, divisor = equation.operands
        out = equation.out.type
        if type(divisor) is not Var or divisor.type.dtype != out.dtype or out.dtype.kind != "f":
            return False
        known = self.reciprocals.get(divisor)
        if type(x) in (int, float) and x == 1:
            self.reciprocals.setdefault(divisor, equation.out)
            if known is not None:
                apply(self.equations, "alias", (known,), equation.origin)
                self.same[equation.out] = known
            return known is not None
        if type(x) is Var:
            self.quotients[x] = divisor, equation.out
        if known is None and self._is_few(divisor, out) and self._is_ordinary(divisor):
            known = apply(self.equations, "div", (1.0, divisor), equation.origin)
            self.producer[known] = self.equations[-1]
            self.reciprocals[divisor] = known
        elif known is None or not (self._is_quotient(x, divisor) or self._is_ordinary(divisor)):
            return False
        made = apply(self.equations, "mul", (x, known), equation.origin)
        if made.type == out:
            return True
        self.equations.pop()
        return False

    @staticmethod
    def _is_few(divisor: Var, out: Any) -> bool:
        return 0 < 4 * divisor.type.size <= out.size

    def _is_quotient(self, x: Any, divisor: Var) -> bool:
        """Tell whether something was divided by a divisor before."""
        made = self.producer.get(x) if type(x) is Var else None
        if made is not None and made.primitive.name == "neg":
            x = made.operands[0]
        return type(x) is Var and (divisor, x) in self.quotients.values()

    def _is_ordinary(self, divisor: Any) -> bool:
        """Tell whether the reciprocal is exact to rounding whatever the divisor is."""
        made = self._maker(divisor)
        if made is None or made.primitive.name == "sqrt":
            return made is not None
        if made.primitive.name != "sum":
            return False
        power = self.producer.get(made.operands[0])
        if power is None or power.primitive.name != "exp":
            return False
        difference = self.producer.get(power.operands[0])
        if difference is None or difference.primitive.name != "sub":
            return False
        x, m = difference.operands
        extreme = self._maker(m)
        if extreme is None or extreme.primitive.name != "max" or extreme.operands[0] is not x:
            return False
        ndim = len(type_of(x).shape)
        return _axes(extreme, ndim) == _axes(made, ndim) and difference.out.type == type_of(x)

    def _maker(self, o: Any) -> Equation | None:
        """Return what made a number, whose place in memory may have changed."""
        while (made := self.producer.get(o)) is not None and made.primitive.name in VIEWS:
            if len(made.operands) > 1:
                return None
            (o,) = made.operands
        return made

    # -- products ------------------------------------------------------------------------------

    def _with_quotient(self, equation: Equation) -> bool:
        """Write a product with a dividend as one with the quotient."""
        for k, x in enumerate(equation.operands):
            other = equation.operands[1 - k]
            if type(x) is not Var or x not in self.quotients or type(other) is not Var:
                continue
            divisor, quotient = self.quotients[x]
            reciprocal = self.reciprocals.get(divisor)
            if reciprocal is None or quotient is equation.out or not self._has(other, reciprocal):
                continue
            pair = (self._without(other, reciprocal), quotient)
            if apply(self.equations, "mul", pair, equation.origin).type == equation.out.type:
                return True
            self.equations.pop()
        return False

    def _own(self, o: Any) -> Equation | None:
        return self.producer.get(o) if self.uses[o] == 1 else None

    def _has(self, o: Any, factor: Var) -> bool:
        """Tell whether something is a product with a factor, or linear in such products."""
        made = self._own(o) if type(o) is Var else None
        if made is None:
            return False
        name, operands = made.primitive.name, made.operands
        if name == "mul":
            return any(p is factor or self._has(p, factor) for p in operands)
        if name in ("add", "sub"):
            return all(self._has(p, factor) for p in operands)
        if name == "sum":
            ndim = len(made.inputs[0].type.shape)
            if not made.params["keepdims"] or len(factor.type.shape) != ndim:
                return False
            if any(factor.type.shape[a] != 1 for a in _axes(made, ndim)):
                return False
        return name in ("neg", "sum", "broadcast_to") and self._has(operands[0], factor)

    def _without(self, o: Any, factor: Var) -> Any:
        """Write the same without the factor."""
        made = self.producer[o]
        name, operands = made.primitive.name, made.operands
        if name != "mul":
            parts = tuple(self._without(p, factor) for p in operands)
            return apply(self.equations, name, parts, made.origin, **made.params)
        for k, p in enumerate(operands):
            if p is factor:
                return operands[1 - k]
        k = next(k for k, p in enumerate(operands) if self._has(p, factor))
        pair = list(operands)
        pair[k] = self._without(pair[k], factor)
        return apply(self.equations, "mul", tuple(pair), made.origin)


def _axes(equation: Equation, ndim: int) -> tuple[int, ...]:
    axis = equation.params["axis"]
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in ((axis,) if isinstance(axis, int) else axis)))
