"""Telling that a function calls no method of plain objects that a trace would have to answer.

``A.dot(t)`` and ``A.copy()`` on a plain array and the call of an ``np.vectorize`` ask no hook of
NumPy's, so a trace replaces these methods in their classes. That costs every attribute of every
array its place in the interpreter's caches. A function whose code shows that it does not need it
is spared that; a function with the slightest doubt is not.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

METHODS = frozenset({"dot", "copy"})
"""The methods of ``ndarray`` that a trace replaces."""

# What could reach a method under a name that the code does not show.
_INDIRECT = frozenset({"getattr", "eval", "exec", "vars", "globals", "locals", "__import__"})
_VECTORIZE = "vectorize"
_PLAIN = (
    *(int, float, complex, bool, str, bytes, type(None), type(Ellipsis), slice, range),
    *(np.ndarray, np.generic, np.dtype, np.ufunc, types.ModuleType),
    types.FunctionType,
)
_LOADS_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def is_transparent(value: Any) -> bool:
    """Tell whether whatever a call can reach through a value is seen by a look at the value.

    An object may hold anything, and a list may hold something else tomorrow.
    """
    if isinstance(value, type):
        return value.__module__ in ("builtins", "numpy")
    if type(value) is tuple:
        return all(map(is_transparent, value))
    if isinstance(value, np.vectorize):
        return False
    if isinstance(value, types.BuiltinFunctionType):
        return value.__name__ not in _INDIRECT
    return isinstance(value, _PLAIN) or getattr(type(value), "__module__", None) == "numpy"


def are_plain(args: Iterable[Any]) -> bool:
    """Tell whether arguments are arrays and numbers, or flat containers of them."""
    for arg in args:
        kind = type(arg)
        if kind is np.ndarray or kind is float or kind is int:
            continue
        if kind is dict:
            arg = tuple(arg.values())
        elif kind is list:
            arg = tuple(arg)
        if callable(arg) or not is_transparent(arg):
            return False
    return True


def may_call_methods(function: types.FunctionType) -> bool:
    """Tell whether the code of a function may call what a trace replaces in a class."""
    return any(_takes_method(code, function) for code in _codes(function.__code__))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _takes_method(code: types.CodeType, function: types.FunctionType) -> bool:
    if not METHODS.isdisjoint(c for c in code.co_consts if type(c) is str):
        return True  # as in getattr(a, "dot")
    if not _INDIRECT.isdisjoint(code.co_names) or _VECTORIZE in code.co_names:
        return True
    previous = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            return True  # what is imported now was not looked through
        takes = instruction.opname in _LOADS_ATTRIBUTE and instruction.argval in METHODS
        if takes and not (previous is not None and _loads_module(previous, function)):
            return True
        previous = instruction
    return False


def _loads_module(instruction: dis.Instruction, function: types.FunctionType) -> bool:
    """Tell whether an instruction loads a module: ``np.dot`` is no method."""
    name = instruction.argval
    if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        return isinstance(function.__globals__.get(name), types.ModuleType)
    free = function.__code__.co_freevars
    if instruction.opname == "LOAD_DEREF" and name in free and function.__closure__:
        try:
            value = function.__closure__[free.index(name)].cell_contents
        except ValueError:
            return False
        return isinstance(value, types.ModuleType)
    return False
