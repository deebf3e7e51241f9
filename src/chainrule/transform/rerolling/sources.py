"""What a loop's body reads: the kinds of operands that its equations have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Var
from ...program.index import Hole
from ...program.primitive import Primitive
from .periods import Run


class Local(NamedTuple):
    """A result of an earlier equation of the same iteration."""

    position: int
    out: int


class Lagged(NamedTuple):
    """A result of ``lag`` iterations ago, or one of ``initial``, the earliest first."""

    position: int
    out: int
    initial: tuple[Any, ...]


class Fixed(NamedTuple):
    """The same variable or constant in all iterations."""

    operand: Any


class Scanned(NamedTuple):
    """Another variable or constant from outside in each iteration."""

    operands: tuple[Any, ...]
    type: ArrayType


class Row(NamedTuple):
    """An element along an axis of an array, at ``start + t * step`` in iteration ``t``."""

    array: Any
    axis: int
    start: int
    step: int


class Window(NamedTuple):
    """The indices ``starts[t] + offsets``."""

    starts: tuple[int, ...]
    offsets: tuple[int, ...]


Source = Local | Lagged | Fixed | Scanned | Row | Window


class Step(NamedTuple):
    """An equation of the body; without a primitive it is just its first source."""

    primitive: Primitive | None
    params: dict[str, Any]
    sources: tuple[Source, ...]
    equation: Equation


class Loop(NamedTuple):
    """A run that can be a loop: its body, and what its first block was."""

    run: Run
    steps: list[Step]


def type_of(operand: Any) -> ArrayType:
    """Return the type of a variable or a constant."""
    return operand.type if type(operand) is Var else array_type(operand)


def holes(spec: Sequence[Any]) -> int:
    """Count the arrays in an index."""
    return sum(type(part) is Hole for part in spec)
