"""A program as it was recorded, by which machine code is found before anything is done to it.

What is found on disk says how arguments and results are handed on, so that a program from there is
neither lowered nor planned; it is lowered when somebody asks, for an error message or an
explanation.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program.basis import is_standard_basis
from ..program.bytecode import instruction_start
from ..program.program import Program
from .runtime import cache
from .runtime.image import Image, all_equations, constant_references


class Recorded:
    """A recorded program with all that decides about its machine code.

    Parameters
    ----------
    program : Program
        What was recorded.
    donated : frozenset of int
        Which inputs may be written over.
    nest : tuple or None
        How the results stand in tuples, if they do.

    Attributes
    ----------
    key : str or None
        Under which name its machine code is kept on disk, if it is.
    """

    def __init__(self, program: Program, donated: frozenset[int], nest: Any) -> None:
        self.program = program
        self.donated = donated
        self.key = cache.key_of(program, (sorted(donated), nest, *_beside(program)))

    @functools.cached_property
    def lowered(self) -> Program:
        """The program as it is compiled."""
        from .lowering import lowered

        return lowered(self.program)

    def found(self) -> Image | None:
        """Return the machine code that is kept."""
        return cache.find(self.key)

    def note(self, image: Image, nesting: tuple[Any, ...], parts: Sequence[str]) -> bool:
        """Write down in an image how it is called; return whether it can be called without more.

        A large constant that lowering has made is found in the lowered program only.
        """
        references = image.constants or []
        equations = list(all_equations(self.lowered)) if references else []
        arrays = [equations[r[0]].operands[r[1]] for r in references if len(r) == 2]
        given = constant_references(self.program, arrays)
        if given is None:
            return False
        found = iter(given)
        image.constants = [next(found) if len(r) == 2 else r for r in references]
        image.facts["call"] = [nesting, list(parts)]
        return True


def _beside(program: Program) -> tuple[Any, ...]:
    """Return what decides about lowering beside the program's content.

    That is which constants are bases of all directions, and which equations come from one place of
    the source code, as those do that a loop has written.
    """
    bases: list[Any] = []
    places: dict[Any, int] = {}
    starts: dict[Any, int] = {}
    order: list[int] = []
    for number, (_, operands, _, _, origin) in enumerate(all_equations(program)):
        order.append(-len(origin))
        for code, at in origin:
            place = id(code), at
            if place not in places:
                start = id(code), instruction_start(code, at)
                places[place] = starts.setdefault(start, len(starts))
            order.append(places[place])
        for k, o in enumerate(operands):
            if type(o) is np.ndarray and is_standard_basis(o):
                bases.append((number, k))
    return bases, order
