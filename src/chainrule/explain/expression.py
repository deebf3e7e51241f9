"""Formulas as trees: what a cotangent or a coefficient is, in the names of the user's program.

A tree keeps the meaning of each node, so it can be evaluated: a formula that was simplified for
the reader is shown only if it still gives the number that the gradient was computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..program.primitive import PRIMITIVES

Shape = tuple[int, ...]


class Expr:
    """A node of a formula. Two nodes with the same ``key`` mean the same."""

    __slots__ = ("key", "shape")

    key: str
    shape: Shape

    @property
    def children(self) -> tuple[Expr, ...]:
        """The nodes right below this one."""
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"


class Symbol(Expr):
    """A named value.

    Attributes
    ----------
    name : str
        What the reader sees.
    value : array or scalar
        What it stands for.
    gradient : bool
        Whether it is a cotangent, ``∂L/∂x``, rather than a value of the program.
    atomic : bool
        False for a piece of source such as ``x + 1``, which needs parentheses.
    hidden : bool
        Whether the program has no name for it, because a rule made it up.
    """

    __slots__ = ("atomic", "gradient", "hidden", "name", "value")

    def __init__(
        self,
        name: str,
        value: Any,
        gradient: bool = False,
        atomic: bool = True,
        hidden: bool = False,
    ) -> None:
        self.hidden = hidden
        self.name = name
        self.value = value
        self.gradient = gradient
        self.atomic = atomic
        self.shape = np.shape(value)
        self.key = name


class Number(Expr):
    """A constant number."""

    __slots__ = ("value",)

    def __init__(self, value: float | complex) -> None:
        self.value = value
        self.shape = ()
        self.key = repr(value)


class Apply(Expr):
    """An operation applied to operands."""

    __slots__ = ("args", "op", "params")

    def __init__(
        self,
        op: str,
        args: tuple[Expr, ...],
        params: dict[str, Any] | None = None,
        shape: Shape = (),
    ) -> None:
        self.op = op
        self.args = args
        self.params = params or {}
        self.shape = shape
        inner = ",".join(a.key for a in args)
        self.key = f"{op}({inner};{self.params!r})" if self.params else f"{op}({inner})"

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args


Factor = tuple[Expr, float]


class Product(Expr):
    """A number times element-wise powers of factors: ``coefficient · Π factor^exponent``."""

    __slots__ = ("coefficient", "factors")

    def __init__(self, coefficient: float, factors: tuple[Factor, ...]) -> None:
        self.coefficient = coefficient
        self.factors = factors
        self.shape = np.broadcast_shapes(*(f.shape for f, _ in factors))
        inner = ",".join(sorted(f"{f.key}^{e:g}" for f, e in factors))
        self.key = f"product({coefficient!r};{inner})"

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(f for f, _ in self.factors)


Term = tuple[float, Expr]


class Total(Expr):
    """A sum of multiples: ``Σ coefficient · term``."""

    __slots__ = ("terms",)

    def __init__(self, terms: tuple[Term, ...]) -> None:
        self.terms = terms
        self.shape = np.broadcast_shapes(*(t.shape for _, t in terms))
        inner = ",".join(sorted(f"{c!r}*{t.key}" for c, t in terms))
        self.key = f"total({inner})"

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(t for _, t in self.terms)


# -- functions that programs spell out and readers know by name -----------------------------------


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softmax(x: Any, axis: Any) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.logaddexp(0, x),
    "outer": np.multiply.outer,
    "softmax": _softmax,
    "select": lambda x, mask: np.where(mask, x, 0),
}
"""What these operations mean that are no primitives."""

ELEMENTWISE = frozenset({"sigmoid", "relu", "softplus", "select"})
"""Those of them that work on each element by itself."""


def evaluate(expr: Expr, known: dict[int, Any] | None = None) -> Any:
    """Return the value of a formula."""
    known = {} if known is None else known
    found = known.get(id(expr))
    if found is None:
        with np.errstate(all="ignore"):
            found = known[id(expr)] = _evaluate(expr, known)
    return found


def _evaluate(expr: Expr, known: dict[int, Any]) -> Any:
    if isinstance(expr, Symbol):
        return expr.value
    if isinstance(expr, Number):  # as a NumPy scalar, which can be indexed and reshaped
        return np.float64(expr.value) if isinstance(expr.value, int | float) else expr.value
    if isinstance(expr, Product):
        result: Any = expr.coefficient
        for factor, exponent in expr.factors:
            value = evaluate(factor, known)
            result = result * (value if exponent == 1 else np.float_power(value, exponent))
        return result
    if isinstance(expr, Total):
        return sum(c * evaluate(t, known) for c, t in expr.terms)
    assert isinstance(expr, Apply)
    values = [evaluate(a, known) for a in expr.args]
    meaning = FUNCTIONS.get(expr.op) or PRIMITIVES[expr.op].impl
    return meaning(*values, **expr.params)


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield a node and all below it, a shared one each time that it occurs."""
    yield expr
    for child in expr.children:
        yield from walk(child)


def size(expr: Expr, limit: int) -> int:
    """Count the nodes of a tree; give ``limit`` if it has at least so many."""
    count = 0
    for _ in walk(expr):
        count += 1
        if count >= limit:
            break
    return count


def has_gradient(expr: Expr) -> bool:
    """Whether a cotangent occurs in a formula."""
    return any(isinstance(e, Symbol) and e.gradient for e in walk(expr))


def replace(expr: Expr, by: Callable[[Expr], Expr | None]) -> Expr:
    """Return a formula in which every node that ``by`` has an answer for is that answer."""
    answer = by(expr)
    if answer is not None:
        return answer
    if isinstance(expr, Apply):
        args = tuple(replace(a, by) for a in expr.args)
        return expr if args == expr.args else Apply(expr.op, args, expr.params, expr.shape)
    if isinstance(expr, Product):
        return Product(expr.coefficient, tuple((replace(f, by), e) for f, e in expr.factors))
    if isinstance(expr, Total):
        return Total(tuple((c, replace(t, by)) for c, t in expr.terms))
    return expr
