"""A compiled program as data: machine code, and what has to be known to load and call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import field
from typing import Any

import numpy as np

from ...program.equation import Equation
from ...program.program import Program
from ...program.records import record
from ...trace.body import Body

EMBEDDED = 1 << 16  # bytes of constants, other than the program's own, that an image may hold


@record
class Image:
    """Machine code without any address of a process.

    Attributes
    ----------
    code : bytes
        The object file.
    externals : list of str
        The symbols that it refers to.
    constants : list or None
        Where each array constant is found: the equation's number and the operand's, or, for one
        that was made while compiling, dtype, shape and bytes. None if another process would not
        find what the code needs.
    notes : list of int
        The equations that may meet an index out of bounds, by number.
    workspace : int
        How many bytes of memory of its own a call needs beyond the machine's stack.
    facts : dict
        What is worth showing: sizes of memory, whether the interpreter's lock is released.
    arrays : list of ndarray
        The constants themselves, in the process that made the image.
    sizes : dict
        By symbol: numbers that the code takes as if they were addresses, see `sizes`.
    """

    code: bytes
    externals: list[str]
    constants: list[Any] | None
    notes: list[int]
    workspace: int
    facts: dict[str, Any]
    arrays: list[Any] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the image as bytes: a line of JSON, then the object file."""
        content = {k: v for k, v in vars(self).items() if k not in ("code", "arrays", "sizes")}
        return json.dumps(content).encode() + b"\n" + self.code

    @classmethod
    def from_bytes(cls, data: bytes) -> Image:
        """Return the image that :meth:`to_bytes` wrote."""
        head, _, code = data.partition(b"\n")
        return cls(code=code, **json.loads(head))


def all_equations(program: Any) -> Iterator[Equation]:
    """Return the equations of a program and of the bodies in their parameters, in order."""
    for equation in program.equations:
        yield equation
        for value in equation.params.values():
            yield from _inside(value)


def _inside(value: Any) -> Iterator[Equation]:
    if isinstance(value, Program | Body):
        yield from all_equations(value)
    elif type(value) in (tuple, list):
        for v in value:
            yield from _inside(v)
    elif type(value) is dict:
        yield from _inside(list(value.values()))


def constant_references(program: Program, constants: list[Any]) -> list[Any] | None:
    """Return how another process finds the constants; None if it would not find them."""
    places = {
        id(o): [number, k]
        for number, equation in enumerate(all_equations(program))
        for k, o in enumerate(equation.operands)
        if type(o) is np.ndarray
    }
    found = [places.get(id(array)) or _embedded(array) for array in constants]
    return None if None in found else found


def _embedded(array: np.ndarray[Any, Any]) -> list[Any] | None:
    if array.nbytes > EMBEDDED or array.dtype.kind not in "biuf":
        return None
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes().hex()]


def find_constants(program: Program, references: list[Any]) -> list[np.ndarray[Any, Any]]:
    """Return the constants that references stand for."""
    equations = list(all_equations(program)) if references else []
    found = []
    for reference in references:
        if len(reference) == 2:
            number, k = reference
            found.append(np.ascontiguousarray(equations[number].operands[k]))
        else:
            dtype, shape, data = reference
            flat = np.frombuffer(bytes.fromhex(data), np.dtype(dtype))
            found.append(flat.reshape(shape))
    return found
