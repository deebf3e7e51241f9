"""Variables and equations: what a program is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .arraytype import ArrayType, array_type

if TYPE_CHECKING:
    from types import CodeType

    from .primitive import Primitive

# Where an equation comes from: (code object, offset of the instruction), innermost frame first.
# Lines, columns and names are read out of it only when somebody asks (see `spans`).
Origin = tuple[tuple["CodeType", int], ...]


class DerivedOrigin(tuple[tuple["CodeType", int], ...]):
    """Where an equation of a derivative comes from.

    First the place of the operation that is differentiated, then the one where the derivative was
    asked for, such as ``grad(f)(x)``. Errors show the first, names are taken from the second.
    """

    __slots__ = ()


class Var:
    """A variable: the name of one value in a program.

    Variables are compared by identity. ``id`` grows with the order of creation, so that what was
    made after a given moment can be told by comparing numbers.

    Attributes
    ----------
    id : int
        Position in the order of creation within one trace.
    value : array or scalar or None
        The value, when the program was traced with values; None in an abstract trace.
    """

    __slots__ = ("_type", "id", "name", "value")

    def __init__(
        self, id: int, value: Any, type: ArrayType | None = None, name: str | None = None
    ) -> None:
        self.id = id
        self.value = value
        self._type = type
        self.name = name

    @property
    def type(self) -> ArrayType:
        """Shape and dtype of the variable."""
        if self._type is None:
            self._type = array_type(self.value)
        return self._type

    def forget(self) -> None:
        """Drop the value and keep its type."""
        self._type = self.type
        self.value = None

    def __repr__(self) -> str:
        return f"Var({self.name or f'%{self.id}'}: {self.type})"


class Equation(NamedTuple):
    """One step of a program: ``outs = primitive(*operands, **params)``.

    Attributes
    ----------
    primitive : Primitive
        The operation.
    operands : tuple
        Variables, or constants (arrays and scalars) as they are.
    params : dict
        Static parameters such as axes; never changed after construction.
    outs : tuple of Var
        The results; nearly always one.
    origin : tuple of (code, int)
        The user's source that made this equation, innermost call first; may be empty.
    """

    primitive: Primitive
    operands: tuple[Any, ...]
    params: dict[str, Any]
    outs: tuple[Var, ...]
    origin: Origin

    @property
    def out(self) -> Var:
        """The result of an equation that has just one."""
        (out,) = self.outs
        return out

    @property
    def inputs(self) -> tuple[Var, ...]:
        """The operands that are variables."""
        return tuple([o for o in self.operands if type(o) is Var])
