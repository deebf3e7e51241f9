"""Sums over an axis that a product only carries along, taken before the product.

The derivative of a value that is broadcast is a sum over many rows. Where the rows are those of a
product, all but their sum is computed in vain: the sum of the rows of A B is the sum of those of A,
times B.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from .looping.parts import apply, type_of
from .simplification import simplify

Axes = tuple[int, ...]
SIGNS = frozenset({"add", "sub", "neg"})


def sum_before_products(program: Program) -> Program:
    """Return a program in which sums of products are products of sums where that is less work.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> f = lambda a, b: np.sum(-(a @ b), axis=0)
    >>> program, _ = trace_program(f, np.ones((9, 3)), np.ones((3, 4)), abstract=True)
    >>> print(*(e.out.type.shape for e in sum_before_products(program).equations))
    (3,) (4,) (4,)
    """
    pusher = _Pusher(program)
    found = False
    for equation in program.equations:
        if equation.primitive.name == "sum" and pusher.push(equation):
            found = True
        else:
            pusher.equations.append(equation)
    if not found:
        return program
    return simplify(
        Program.from_trace(program.inputs, pusher.equations, program.outputs, program.name)
    )


class _Pusher:
    """Moves sums to where the numbers that they add come from."""

    def __init__(self, program: Program) -> None:
        self.equations: list[Equation] = []
        self.producer = {out: e for e in program.equations for out in e.outs}
        self.uses = Counter(v for e in program.equations for v in e.inputs)
        self.uses.update(o for o in program.outputs if type(o) is Var)

    def push(self, equation: Equation) -> bool:
        """Write a sum as what is left of it behind products; tell whether there are any."""
        (x,) = equation.operands
        if type(x) is not Var or x.type.dtype != equation.out.type.dtype or x.type.weak:
            return False
        axes = _axes(equation.params["axis"], len(x.type.shape))
        if x.type.dtype.kind != "f" or 0 in x.type.shape or not self.meets_product(x, axes):
            return False
        total = self.summed(x, axes, equation.origin)
        shape = equation.out.type.shape  # with axes of length 1, where they are kept
        last = apply(self.equations, "reshape", (total,), equation.origin, shape=shape)
        self.equations[-1] = self.equations[-1]._replace(outs=(equation.out,))
        assert last.type == equation.out.type
        return True

    def maker(self, x: Any, *names: str) -> Equation | None:
        """Return the equation that makes what is read nowhere else."""
        if type(x) is not Var or self.uses[x] != 1 or x not in self.producer:
            return None
        found = self.producer[x]
        return found if found.primitive.name in names else None

    def meets_product(self, x: Any, axes: Axes) -> bool:
        """Tell whether there is a product that need not be computed as a whole."""
        linear = self.linear(x)
        if linear is not None:
            return any(self.meets_product(o, axes) for o in linear.operands)
        scaled = self.scaled(x, axes)
        if scaled is not None:
            return self.meets_product(scaled.operands[scaled.params["moving"]], axes)
        return self.product(x, axes) is not None

    def linear(self, x: Any) -> Equation | None:
        """Return the sum or difference of arrays of the same type that something is."""
        found = self.maker(x, *SIGNS)
        if found is None or any(type_of(o) != x.type for o in found.operands):
            return None
        return found

    def scaled(self, x: Any, axes: Axes) -> Equation | None:
        """Return the product with what is the same along some axes; and which side is not."""
        found = self.maker(x, "mul", "div")
        if found is None:
            return None
        for moving in (0, 1) if found.primitive.name == "mul" else (0,):
            other = type_of(found.operands[1 - moving])
            wide = (1,) * (len(x.type.shape) - len(other.shape)) + other.shape
            alike = type_of(found.operands[moving]) == x.type
            alike &= other.weak or other.dtype == x.type.dtype
            if alike and all(wide[a] == 1 for a in axes):
                return found._replace(params={"moving": moving, "wide": wide})
        return None

    def product(self, x: Any, axes: Axes) -> list[Axes] | None:
        """Return which axes of each operand of a product are summed over instead; or None."""
        found = self.maker(x, "matmul", "einsum")
        if found is None or any(type_of(o).dtype != x.type.dtype for o in found.operands):
            return None
        if found.primitive.name == "matmul":
            if [len(type_of(o).shape) for o in found.operands] != [2, 2]:
                return None
            return [tuple(a for a in axes if a == side) for side in (0, 1)]
        left, out = found.params["subscripts"].split("->")
        terms = left.split(",")
        labels = [out[a] for a in axes]
        if any(left.count(label) != 1 for label in labels):
            return None
        return [tuple(term.index(c) for c in labels if c in term) for term in terms]

    def summed(self, x: Any, axes: Axes, origin: Any) -> Any:
        """Write the sum of something over some axes and return it, without these axes."""
        linear, scaled, taken = self.linear(x), self.scaled(x, axes), self.product(x, axes)
        if linear is not None:
            parts = tuple(self.summed(o, axes, linear.origin) for o in linear.operands)
            return apply(self.equations, linear.primitive.name, parts, linear.origin)
        if scaled is not None:
            return self._scaled(scaled, axes)
        if taken is not None:
            return self._product(self.producer[x], axes, taken)
        return apply(self.equations, "sum", (x,), origin, axis=axes, keepdims=False)

    def _scaled(self, equation: Equation, axes: Axes) -> Any:
        moving, wide = equation.params["moving"], equation.params["wide"]
        other = equation.operands[1 - moving]
        if type_of(other).shape:
            shape = tuple(n for a, n in enumerate(wide) if a not in axes)
            other = apply(self.equations, "reshape", (other,), equation.origin, shape=shape)
        pair = [self.summed(equation.operands[moving], axes, equation.origin), other]
        name = equation.primitive.name
        return apply(self.equations, name, tuple(pair[:: -1 if moving else 1]), equation.origin)

    def _product(self, equation: Equation, axes: Axes, taken: list[Axes]) -> Any:
        origin = equation.origin
        operands = tuple(
            self.summed(o, own, origin) if own else o
            for o, own in zip(equation.operands, taken, strict=True)
        )
        if equation.primitive.name == "matmul":
            return apply(self.equations, "matmul", operands, origin)
        left, out = equation.params["subscripts"].split("->")
        gone = {out[a] for a in axes}
        subscripts = "".join(c for c in f"{left}->{out}" if c not in gone)
        return apply(self.equations, "einsum", operands, origin, subscripts=subscripts)


def _axes(axis: Any, ndim: int) -> Axes:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in ((axis,) if isinstance(axis, int) else axis)))
