"""Real values and pairs of them, while the equations about them are being written.

They have operators, so that the meaning of an operation on complex numbers reads like its formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...program.equation import Equation, Origin, Var
from ...program.primitive import PRIMITIVES
from ...transform.looping.parts import apply, type_of

Operand = Any


class Writer:
    """Where equations are written, and which of the user's they stand for."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.origin: Origin = ()

    def apply(self, name: str, *operands: Operand, **params: Any) -> Real:
        """Write an equation of real operands, or compute it if all of them are known."""
        if not any(type(o) is Var for o in operands):
            return Real(self, _computed(name, operands, params))
        return Real(self, apply(self.equations, name, operands, self.origin, **params))


def _computed(name: str, operands: Sequence[Operand], params: dict[str, Any]) -> Operand:
    """Return a result of constants; one of Python's numbers is such a number again."""
    plain = all(isinstance(o, bool | int | float) for o in operands)
    given = [np.float64(o) if type(o) in (int, float) else o for o in operands]
    with np.errstate(all="ignore"):
        result = PRIMITIVES[name].impl(*given, **params)
    return result.item() if plain and isinstance(result, np.generic | np.ndarray) else result


class Real:
    """A real value: a variable or a constant."""

    __slots__ = ("operand", "writer")

    def __init__(self, writer: Writer, operand: Operand) -> None:
        self.writer = writer
        self.operand = operand

    def apply(self, name: str, *others: Any, **params: Any) -> Real:
        """Write an operation of which this is the first operand."""
        given = (o.operand if isinstance(o, Real) else o for o in others)
        return self.writer.apply(name, self.operand, *given, **params)

    def constant(self, value: float) -> Real:
        """Return a number."""
        return Real(self.writer, value)

    def __add__(self, other: Real | float) -> Real:
        return self.apply("add", other)

    def __radd__(self, other: float) -> Real:
        return self.constant(other) + self

    def __sub__(self, other: Real | float) -> Real:
        return self.apply("sub", other)

    def __rsub__(self, other: float) -> Real:
        return self.constant(other) - self

    def __mul__(self, other: Real | float) -> Real:
        return self.apply("mul", other)

    def __rmul__(self, other: float) -> Real:
        return self.constant(other) * self

    def __truediv__(self, other: Real | float) -> Real:
        return self.apply("div", other)

    def __rtruediv__(self, other: float) -> Real:
        return self.constant(other) / self

    def __neg__(self) -> Real:
        return self.apply("neg")

    def __abs__(self) -> Real:
        return self.apply("abs")

    def is_(self, name: str, other: Real | float) -> Real:
        """Compare with something; ``name`` is that of the comparison."""
        return self.apply(name, other)

    def __and__(self, other: Real) -> Real:
        return self.apply("logical_and", other)

    def __or__(self, other: Real) -> Real:
        return self.apply("logical_or", other)

    def choose(self, yes: Real | float, no: Real | float) -> Real:
        """Return ``yes`` where this holds, else ``no``."""
        if isinstance(self.operand, bool):
            chosen = yes if self.operand else no
            return chosen if isinstance(chosen, Real) else self.constant(chosen)
        return self.apply("where", yes, no)

    def at_most(self, bound: float) -> Real:
        """Return the smaller of both."""
        return self.apply("minimum", bound)

    def at_least(self, bound: float) -> Real:
        """Return the greater of both."""
        return self.apply("maximum", bound)

    def cast(self, dtype: np.dtype[Any]) -> Real:
        """Return this in a dtype; Python's numbers take that of what they meet."""
        o = self.operand
        if isinstance(o, bool | int | float) or type_of(o).dtype == dtype:
            return self
        if type(o) is not Var:
            return Real(self.writer, np.asarray(o).astype(dtype))
        return self.apply("cast", dtype=dtype)

    @property
    def bytes(self) -> int:
        """How many bytes a number takes."""
        return type_of(self.operand).dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return type_of(self.operand).shape


class Pair(NamedTuple):
    """A complex value; without an imaginary part it is a real one as a complex one."""

    re: Real
    maybe_im: Real | None

    @property
    def im(self) -> Real:
        """The imaginary part."""
        return self.re.constant(0.0) if self.maybe_im is None else self.maybe_im

    @property
    def dense(self) -> Real:
        """The imaginary part as an array of the shape of the real one."""
        if self.maybe_im is not None:
            return self.maybe_im
        type_ = type_of(self.re.operand)
        return Real(self.re.writer, np.zeros(type_.shape, type_.dtype))

    def each(self, f: Callable[[Real], Real]) -> Pair:
        """Do the same to both parts, something that leaves zeros as they are."""
        return Pair(f(self.re), None if self.maybe_im is None else f(self.maybe_im))
