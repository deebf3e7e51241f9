"""What a tracer needs beside its variable: the cell it is, and the array that it is a view of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..program.primitive import Primitive

if TYPE_CHECKING:
    from .tracer import Tracer

_READ_ONLY = frozenset(("broadcast_to", "windows"))


class View:
    """How a tracer was taken from another one, so that both can be kept in step.

    ``certain`` is False for a reshape of which only shapes are known: it is a view for some memory
    layouts and a copy for others.
    """

    __slots__ = ("base", "certain", "params", "parts", "primitive", "version", "writeable")

    def __init__(
        self, base: Tracer, primitive: Primitive, parts: tuple[Any, ...], params: dict[str, Any]
    ) -> None:
        self.base = base
        self.primitive = primitive
        self.parts = parts
        self.params = params
        self.certain = True
        self.writeable = primitive.name not in _READ_ONLY
        state = base._state()
        state.viewed = True
        self.version = state.version


class Cell:
    """What only some tracers need: those that are constant, are views or were assigned to.

    Attributes
    ----------
    buffer : array or None
        The value of a constant.
    shared : bool
        Whether somebody else may read the buffer, so that it must be copied before a write.
    version : int
        Grows with each assignment.
    view : View or None
        Where the tracer was taken from.
    viewed : bool
        Whether other tracers are views of this one.
    is_array : bool
        Whether a value without axes is known to be an array, which an assignment changes in place,
        and no number. Only needed where the value itself is not known.
    """

    __slots__ = ("buffer", "is_array", "shared", "version", "view", "viewed")

    def __init__(self, buffer: Any = None, view: View | None = None) -> None:
        self.buffer = buffer
        self.shared = view is not None
        self.version = 0
        self.view = view
        self.viewed = False
        self.is_array = view is not None


def moves_unit_axes(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Tell whether a reshape only adds or drops axes of length 1, which always gives a view."""
    return [n for n in before if n != 1] == [n for n in after if n != 1]
