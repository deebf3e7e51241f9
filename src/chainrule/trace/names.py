"""Finding the names under which a user's modules keep NumPy's functions.

``from numpy import zeros`` puts the function itself into the module, where replacing
``numpy.zeros`` doesn't reach it. So the modules of the traced function and of what it can call are
looked through. What was looked at is remembered with the answer; a name that means something else
by the next trace brings a new search.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Container, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..program.spans import is_internal
from .method_calls import is_transparent, may_call_methods

Place = tuple[dict[str, Any], str]
_Witness = tuple[dict[str, Any], str, int]


class Findings(NamedTuple):
    """What a look through a function, and through all that it can call, has found.

    Attributes
    ----------
    places : list
        The names in user's modules under which NumPy's functions stand.
    witnesses : list
        All names that were looked at and what they meant.
    transparent : bool
        Whether the look has seen all code that can run, and none of it takes a method of plain
        arrays that a trace would have to replace.
    code : CodeType
        The function's code at that time.
    """

    places: list[Place]
    witnesses: list[_Witness]
    transparent: bool
    code: types.CodeType


_LIMIT = 500  # functions looked through, the nearest first
_REMEMBERED = 2000
_DATA = frozenset({np.ndarray, float, int, complex, bool, str, type(None)})
_known: dict[tuple[int, ...], Findings] = {}


def look_through(f: Any, originals: Container[int]) -> tuple[list[Place], bool]:
    """Return where ``f``, and what it can call, keep originals under names of their own.

    The second result tells whether the code is seen to do without ``dot`` and ``copy`` of plain
    arrays (see ``method_calls``).

    Parameters
    ----------
    f : callable
        The user's function.
    originals : container of int
        The ``id`` of each thing to look for.
    """
    if isinstance(f, types.FunctionType) and not hasattr(f, "__wrapped__"):
        found = _findings(f, originals)
        return found.places, found.transparent
    functions = _functions_in(f)
    return [p for function in functions for p in _findings(function, originals).places], False


def forget_names() -> None:
    """Forget all answers, because there is something else to look for."""
    _known.clear()


def _findings(function: types.FunctionType, originals: Container[int]) -> Findings:
    code = function.__code__
    key: tuple[int, ...] = (id(code), id(function.__globals__))
    if function.__closure__ or function.__defaults__:
        key += tuple(id(v) for v in _captured(function) if type(v) not in _DATA)
    known = _known.get(key)
    if known is None or known.code is not code or not _still_holds(known.witnesses):
        if len(_known) > _REMEMBERED:
            _known.clear()
        known = _known[key] = _search(function, originals)
    return known


def _still_holds(witnesses: list[_Witness]) -> bool:
    for namespace, name, seen in witnesses:  # noqa: SIM110 - twice as fast as all()
        if id(namespace.get(name)) != seen:
            return False
    return True


def _search(function: types.FunctionType, originals: Container[int]) -> Findings:
    found: list[Place] = []
    witnesses: list[_Witness] = []
    seen: set[int] = set()
    waiting = deque([function])
    transparent = True
    while waiting and len(seen) < _LIMIT:
        current = waiting.popleft()
        if id(current) in seen or _is_library(current.__globals__, current.__code__.co_filename):
            continue
        seen.add(id(current))
        names = tuple(_names(current.__code__))
        captured = list(_captured(current))
        places = [*_places(current.__globals__, names), *_inside(captured, names)]
        for namespace, name in places:
            value = namespace[name]
            witnesses.append((namespace, name, id(value)))
            if id(value) in originals:
                found.append((namespace, name))
            waiting.extend(_functions_in(value))
            transparent = transparent and is_transparent(value)
        for value in captured:
            waiting.extend(_functions_in(value))
            transparent = transparent and is_transparent(value)
        transparent = transparent and not may_call_methods(current)
    return Findings(found, witnesses, transparent and not waiting, function.__code__)


def _places(namespace: dict[str, Any], names: tuple[str, ...]) -> Iterator[Place]:
    """Yield the global names that a function uses, and those in the modules that it names."""
    used = [name for name in names if name in namespace]
    yield from ((namespace, name) for name in used)
    yield from _inside([namespace[name] for name in used], names)


def _inside(values: list[Any], names: tuple[str, ...]) -> Iterator[Place]:
    for module in values:
        if isinstance(module, types.ModuleType):
            inside = vars(module)
            if not _is_library(inside, inside.get("__file__") or "<"):
                yield from ((inside, n) for n in names if n in inside)


def _is_library(namespace: dict[str, Any], file: str) -> bool:
    top = str(namespace.get("__name__")).partition(".")[0]
    return top in sys.stdlib_module_names or is_internal(file)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def _captured(function: types.FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # a cell that is still empty


def _functions_in(value: Any) -> list[types.FunctionType]:
    """Return the Python functions that calling a value, or a method of it, may run."""
    if isinstance(value, types.FunctionType):
        wrapped = getattr(value, "__wrapped__", None)
        return [value] if wrapped is None else [value, *_functions_in(wrapped)]
    if isinstance(value, functools.partial):
        return [f for v in (value.func, *value.args) for f in _functions_in(v)]
    if isinstance(value, types.MethodType):
        return _functions_in(value.__func__) + _functions_in(value.__self__)
    if isinstance(value, list | tuple | dict) and len(value) < 100:
        parts = value.values() if isinstance(value, dict) else value
        return [f for v in parts if callable(v) for f in _functions_in(v)]
    cls = value if isinstance(value, type) else type(value)
    if cls.__module__ == "builtins" or isinstance(value, types.ModuleType):
        return []
    members = (v for base in cls.__mro__[:-1] for v in vars(base).values())
    return [f for v in members if (f := _method(v)) is not None]


def _method(member: Any) -> types.FunctionType | None:
    member = getattr(member, "fget", getattr(member, "__func__", member))
    return member if isinstance(member, types.FunctionType) else None
