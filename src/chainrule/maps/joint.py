"""Maps from several operands to several results at once: loops and branches.

A loop's derivative is a loop of the derivatives of its body, and the transpose of that is the loop
run backwards over the transposes. Both are recorded programs themselves, so that they can be
differentiated in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import LinearMap, Show

Lists = Callable[[list[Any]], list[Any]]


class Joint(LinearMap):
    """The derivative of a loop or a branch, between lists of changes; None is no change.

    Parameters
    ----------
    push, pull : callable
        The map and its transpose, as the primitive runs them.
    name : str
        What it is the derivative of.
    """

    __slots__ = ("name", "pull", "push")
    kind = "loop"
    structure = "dense"

    def __init__(self, push: Lists, pull: Lists, name: str) -> None:
        self.push = push
        self.pull = pull
        self.name = name

    def apply(self, v: Any) -> Any:
        return self.push(v)

    def transpose(self) -> LinearMap:
        return Joint(self.pull, self.push, self.name)

    def text(self, v: str, show: Show) -> str:
        return f"derivative of {self.name}({v})"
