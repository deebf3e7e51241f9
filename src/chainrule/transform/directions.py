"""Derivatives along the standard basis, without the products with zeros.

A Jacobian moves all rows of an identity matrix at once. As long as each element is only scaled,
what becomes of it is a diagonal matrix: n numbers, and not n². The first product with another
matrix scales its rows or columns, and need not be a product at all.

The zeros beside the diagonal are zeros by structure, which is known of a basis that was made here,
and not of an identity matrix that a user multiplies with: there 0 * inf is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..program.basis import is_standard_basis
from ..program.equation import Equation, Var
from ..program.primitive import PRIMITIVES
from ..program.program import Program
from .looping.parts import apply, type_of


def along_directions(program: Program) -> Program:
    """Return a program that computes with diagonals where it computed with diagonal matrices.

    Examples
    --------
    >>> from chainrule import jacobian
    >>> from chainrule.trace.program import trace_program
    >>> f = jacobian(lambda x, A: A @ np.sin(x), mode="forward")
    >>> program, _ = trace_program(f, np.ones(5), np.ones((5, 5)), abstract=True)
    >>> shorter = along_directions(program)
    >>> [e.primitive.name for e in shorter.equations if e.primitive.name in ("matmul", "mul")]
    ['mul']
    """
    if not any(is_standard_basis(o) for e in program.equations for o in e.operands):
        return program
    writer = _Writer()
    for equation in program.equations:
        writer.add(equation)
    outputs = [writer.whole(o) for o in program.outputs]
    return Program.from_trace(program.inputs, writer.equations, outputs, program.name)


class _Writer:
    """Goes through a program; what is known to be a diagonal matrix is written when it is read."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.diagonals: dict[Var, Any] = {}
        self.same: dict[Var, Any] = {}
        self.masks: dict[int, Any] = {}
        self.makers: dict[Var, Equation] = {}

    def add(self, equation: Equation) -> None:
        """Take an equation over, or write it for diagonals."""
        operands = tuple(self.same.get(o, o) if type(o) is Var else o for o in equation.operands)
        equation = equation._replace(operands=operands)
        rule = RULES.get(equation.primitive.name)
        if (
            rule
            and (rule is _where or any(map(self.is_diagonal, operands)))
            and rule(self, equation)
        ):
            return
        self.makers.update((out, equation) for out in equation.outs)
        self.equations.append(equation._replace(operands=tuple(map(self.whole, operands))))

    def is_diagonal(self, o: Any) -> bool:
        """Tell whether an operand is known to be zero beside its diagonal."""
        return o in self.diagonals if type(o) is Var else is_standard_basis(o)

    def diagonal(self, o: Any) -> Any:
        """Return the diagonal of an operand as a vector."""
        return self.diagonals[o] if type(o) is Var else np.ascontiguousarray(np.diagonal(o))

    def keep(self, out: Var, diagonal: Any) -> bool:
        """Note that a result is a diagonal matrix."""
        if type_of(diagonal) != out.type._replace(shape=out.type.shape[:1]):
            return False
        self.diagonals[out] = diagonal
        return True

    def become(self, out: Var, value: Any) -> bool:
        """Let a result be another value."""
        if type_of(value) != out.type:
            return False
        self.same[out] = value
        return True

    def whole(self, o: Any) -> Any:
        """Return an operand for those who read it as a matrix."""
        if type(o) is not Var:
            return o
        o = self.same.get(o, o)
        if type(o) is Var and o in self.diagonals:
            mask = self.mask(o.type.shape[0])
            operands = mask, self.diagonals.pop(o), 0
            self.equations.append(Equation(PRIMITIVES["where"], operands, {}, (o,), ()))
        return o

    def mask(self, size: int) -> Any:
        """Return where the diagonal is."""
        if size not in self.masks:
            self.masks[size] = np.eye(size, dtype=bool)
        return self.masks[size]

    def vector(self, o: Any, size: int, masked: bool = False) -> Any:
        """Return what the diagonal of a result is computed from; None if that isn't known.

        If all else is ``masked`` away, nothing need be known of the elements beside the diagonal.
        """
        constant = masked and type(o) is np.ndarray and o.shape == (size, size)
        if constant or self.is_diagonal(o):
            return self.diagonal(o)
        return o if type_of(o).shape in ((), (size,)) else None

    def write(self, name: str, *operands: Any, origin: Any, **params: Any) -> Any:
        """Write an equation and return its result."""
        return apply(self.equations, name, operands, origin, **params)


# -- what keeps the zeros: each rule tells whether it has written the equation ------------------


def _elementwise(writer: _Writer, e: Equation) -> bool:
    (size, *_) = e.out.type.shape
    is_linear = {"mul": any, "div": lambda zero: zero[0], "add": all, "sub": all}
    zero = [writer.is_diagonal(o) for o in e.operands]
    if not is_linear.get(e.primitive.name, all)(zero):
        return False
    vectors = [writer.vector(o, size) for o in e.operands]
    if any(v is None for v in vectors):
        return False
    if e.primitive.name == "mul":
        for one, other in (vectors, vectors[::-1]):
            if type(one) is np.ndarray and np.all(one == 1) and writer.keep(e.out, other):
                return True
    found = writer.write(e.primitive.name, *vectors, origin=e.origin, **e.params)
    return writer.keep(e.out, found)


def _where(writer: _Writer, e: Equation) -> bool:
    condition, x, zero = e.operands
    if type(zero) is Var or np.any(zero) or len(e.out.type.shape) != 2:
        return False
    if writer.is_diagonal(x):
        return _chosen(writer, e)
    size, other = e.out.type.shape
    if size != other or type(condition) is Var or not np.array_equal(condition, np.eye(size)):
        return False
    maker = writer.makers.get(x) if type(x) is Var else None
    if maker is None or not maker.primitive.elementwise:
        return False
    vectors = [writer.vector(o, size, masked=True) for o in maker.operands]
    if any(v is None for v in vectors):
        return False
    found = writer.write(maker.primitive.name, *vectors, origin=maker.origin, **maker.params)
    return writer.keep(e.out, found)


def _chosen(writer: _Writer, e: Equation) -> bool:
    """Choose among the elements of a diagonal."""
    condition, x, zero = e.operands
    size = e.out.type.shape[0]
    if type(condition) is np.ndarray:
        if np.broadcast_to(condition, e.out.type.shape)[np.diag_indices(size)].all():
            return writer.keep(e.out, writer.diagonal(x))
        return False
    if type_of(condition).shape not in ((), (size,)):
        return False
    chosen = writer.write("where", condition, writer.diagonal(x), zero, origin=e.origin)
    return writer.keep(e.out, chosen)


def _transpose(writer: _Writer, e: Equation) -> bool:
    return writer.keep(e.out, writer.diagonal(e.operands[0]))


def _sum(writer: _Writer, e: Equation) -> bool:
    axis = e.params["axis"]
    if axis not in (0, 1, -1, (0,), (1,), (-1,)) or e.params["keepdims"]:
        return False
    return writer.become(e.out, writer.diagonal(e.operands[0]))


def _matmul(writer: _Writer, e: Equation) -> bool:
    a, b = e.operands
    shapes = [type_of(o).shape for o in (a, b)]
    if max(map(len, shapes)) > 2:
        return False
    if writer.is_diagonal(a) and writer.is_diagonal(b):
        product = writer.write("mul", *map(writer.diagonal, (a, b)), origin=e.origin)
        return writer.keep(e.out, product)
    if writer.is_diagonal(a):
        return _scaled(writer, e, b, writer.diagonal(a), 0)
    return _scaled(writer, e, a, writer.diagonal(b), len(shapes[0]) - 1)


def _scaled(writer: _Writer, e: Equation, x: Any, factors: Any, axis: int) -> bool:
    """Multiply along an axis; what has been written for it is dropped if it doesn't fit."""
    if type(factors) is np.ndarray and np.all(factors == 1) and writer.become(e.out, x):
        return True
    shape = type_of(x).shape
    if axis < len(shape) - 1:
        wide = (shape[axis], *(1,) * (len(shape) - 1 - axis))
        factors = writer.write("reshape", factors, origin=e.origin, shape=wide)
    return writer.become(e.out, writer.write("mul", x, factors, origin=e.origin))


def _einsum(writer: _Writer, e: Equation) -> bool:
    left, out = e.params["subscripts"].split("->")
    terms = left.split(",")
    if len(terms) != 2:
        return False
    side = 0 if writer.is_diagonal(e.operands[0]) else 1
    (kept, summed), other = terms[side], terms[1 - side]
    if summed in out:
        kept, summed = summed, kept
    if kept not in out or summed in out or kept in other or other.count(summed) != 1:
        return False
    other = other.replace(summed, kept)
    if sorted(other) != sorted(out) or len(set(other)) < len(other):
        return False
    x = e.operands[1 - side]
    if other != out:
        axes = tuple(map(other.index, out))
        x = writer.write("transpose", x, origin=e.origin, axes=axes)
    return _scaled(writer, e, x, writer.diagonal(e.operands[side]), out.index(kept))


Rule = Callable[[_Writer, Equation], bool]

RULES: dict[str, Rule] = {
    **dict.fromkeys(("mul", "div", "add", "sub", "neg", "cast", "alias"), _elementwise),
    "where": _where,
    "transpose": _transpose,
    "sum": _sum,
    "matmul": _matmul,
    "einsum": _einsum,
}
