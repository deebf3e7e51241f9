"""What instructions take: results of others, and constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .types import Type

Undefined = object()
"""A constant that may be anything."""


class Value:
    """The result of an instruction; ``text`` is how others refer to it."""

    __slots__ = ("text", "type")

    def __init__(self, type: Type, text: str) -> None:
        self.type = type
        self.text = text

    def __str__(self) -> str:
        return f"{self.type.text} {self.text}"


class Constant(Value):
    """A value that is known when the program is written; None is zero in any type."""

    __slots__ = ("constant",)

    def __init__(self, type: Type, constant: Any) -> None:
        self.type = type
        self.constant = constant
        if constant is Undefined:
            self.text = "undef"
        else:
            self.text = "zeroinitializer" if constant is None else type.written(constant)

    def inttoptr(self, target: Type) -> Value:
        """Return an address from its number."""
        return Value(target, f"inttoptr ({self} to {target.text})")


class Symbolic(Constant):
    """A constant that is written with the name of a symbol."""

    __slots__ = ()

    def __init__(self, type: Type, text: str) -> None:
        self.type = type
        self.constant = self.text = text
