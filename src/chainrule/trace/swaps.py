"""Putting the stand-ins for functions without a hook in place, and the originals back.

``np.array([t, u])``, ``np.zeros(n)`` (into which ``t`` is assigned later), ``math.exp(t)`` and
``A.dot(t)`` never ask the traced value. So for the length of a trace these functions are replaced
by ones that look at their arguments first. The replacements act only in a thread that traces and
only for calls from user code; everybody else, NumPy's own code included, gets the originals. They
go away with the last trace, on any exit.
"""

from __future__ import annotations

import cmath
import ctypes
import functools
import importlib
import importlib.machinery
import math
import sys
import threading
import types
from typing import Any, NamedTuple

import numpy as np

from ..primitives.special import SCIPY_FUNCTIONS
from . import draws, stand_ins
from .method_calls import are_plain
from .names import forget_names, look_through
from .scalars import cmath_stand_ins, math_stand_ins

Names = dict[str, Any]


class Taken(NamedTuple):
    """What a trace has put in place.

    Attributes
    ----------
    names : list
        The names in users' modules that mean a stand-in now.
    methods : bool
        Whether the trace needs methods of NumPy's classes replaced.
    """

    names: list[tuple[Names, str]]
    methods: bool


_NEW = (
    *("zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "logspace", "geomspace"),
    *("zeros_like", "ones_like", "empty_like", "tri"),
)
_OF_LIST = (
    *("sum", "prod", "mean", "median", "std", "var", "max", "min"),
    *("cumsum", "argmax", "argmin", "sort"),
)


def _numpy_stand_ins() -> Names:
    table: Names = {name: stand_ins.create(getattr(np, name)) for name in _NEW}
    table |= {name: stand_ins.of_list(getattr(np, name)) for name in _OF_LIST}
    return table | {
        "array": stand_ins.convert(np.array, copy=True),
        "asarray": stand_ins.convert(np.asarray),
        "asanyarray": stand_ins.convert(np.asanyarray),
        "ascontiguousarray": stand_ins.convert(np.ascontiguousarray, order="C", ndmin=1),
        "asfortranarray": stand_ins.convert(np.asfortranarray, order="F", ndmin=1),
        "full": stand_ins.fill(np.full, like=False),
        "full_like": stand_ins.fill(np.full_like, like=True),
        "copy": stand_ins.copy_function(np.copy),
        "fromiter": stand_ins.from_iterable(np.fromiter),
        "isscalar": stand_ins.is_scalar(np.isscalar),
        "r_": stand_ins.Joined(np.r_, columns=False),
        "c_": stand_ins.Joined(np.c_, columns=True),
        "nditer": stand_ins.refused(np.nditer, "np.nditer", "`for row in x` or np.ndindex"),
    }


def _strided_stand_in() -> Names:
    tricks = np.lib.stride_tricks
    remedy = "np.lib.stride_tricks.sliding_window_view, or an index"
    original = tricks.as_strided
    return {"as_strided": stand_ins.refused(original, "np.lib.stride_tricks.as_strided", remedy)}


class _Swaps:
    """The replacements and how many traces need them at the moment."""

    def __init__(self) -> None:
        self.tables: list[tuple[Names, Names, Names]] = []
        for module, replacements in (
            (np, _numpy_stand_ins()),
            (np.linalg, {"norm": stand_ins.of_list(np.linalg.norm)}),
            (np.lib.stride_tricks, _strided_stand_in()),
            (math, math_stand_ins()),
            (cmath, cmath_stand_ins()),
        ):
            originals = {name: getattr(module, name) for name in replacements}
            self.tables.append((vars(module), replacements, originals))
        pairs = [(o[name], r[name]) for _, r, o in self.tables for name in r]
        self.by_original = {id(original): stand_in for original, stand_in in pairs}
        self.originals = {id(stand_in): original for original, stand_in in pairs}
        # a name that the trace of another thread has replaced already counts as well
        self.known = frozenset((*self.by_original, *self.originals))
        self.methods = stand_ins.type_dict(np.ndarray)
        self.own = {"dot": np.ndarray.dot, "copy": np.ndarray.copy}
        self.own_stand_ins = {
            "dot": stand_ins.dot_method(np.ndarray.dot),
            "copy": stand_ins.copy_method(np.ndarray.copy),
        }
        self.vectorized = np.vectorize.__call__
        self.vectorized_stand_in = stand_ins.vectorized(np.vectorize.__call__)
        self.compiled = _CompiledModules()
        self.users = self.method_users = 0
        self.knows_scipy = self.knows_random = False
        self.taken: dict[tuple[int, str], int] = {}

    def look_for_scipy(self) -> None:
        """Learn SciPy's functions that ask no protocol, once their user has imported them."""
        module = sys.modules.get("scipy.special")
        if module is None or any(name not in vars(module) for name in SCIPY_FUNCTIONS):
            return  # or the import is still under way
        originals = {name: vars(module)[name] for name in SCIPY_FUNCTIONS}
        replacements = {n: stand_ins.answered(f, SCIPY_FUNCTIONS[n]) for n, f in originals.items()}
        self.tables.append((vars(module), replacements, originals))
        self.by_original |= {id(f): replacements[name] for name, f in originals.items()}
        self.originals |= {id(f): originals[name] for name, f in replacements.items()}
        self.known = frozenset((*self.by_original, *self.originals))
        self.knows_scipy = True
        forget_names()
        if self.users:
            vars(module).update(replacements)

    def look_for_random(self) -> None:
        """Learn the functions of ``np.random``, for the modules that took them by name."""
        module = sys.modules.get("numpy.random")
        if module is None or not hasattr(module, "default_rng"):
            return  # or the import is still under way
        pairs = draws.functions()
        self.by_original |= {id(original): stand_in for original, stand_in in pairs}
        self.originals |= {id(stand_in): original for original, stand_in in pairs}
        self.known = frozenset((*self.by_original, *self.originals))
        self.knows_random = True
        forget_names()

    def install(self, methods: bool) -> None:
        if methods:
            self.method_users += 1
            if self.method_users == 1:
                self._set_methods(self.own_stand_ins)
                np.vectorize.__call__ = self.vectorized_stand_in  # type: ignore[method-assign]
        self.users += 1
        if self.users > 1:
            return
        self.compiled.use_originals()
        for target, replacements, _ in self.tables:
            target.update(replacements)

    def remove(self, methods: bool) -> None:
        if methods:
            self.method_users -= 1
            if self.method_users == 0:
                self._set_methods(self.own)
                np.vectorize.__call__ = self.vectorized  # type: ignore[method-assign]
        self.users -= 1
        if self.users:
            return
        for target, _, originals in self.tables:
            target.update(originals)
        self.compiled.restore()

    def take(self, namespace: Names, name: str) -> None:
        """Replace a name in a user's module; several traces may ask for the same one."""
        replacement = self.by_original.get(id(namespace.get(name)))
        key = id(namespace), name
        if replacement is not None:
            namespace[name] = replacement
        self.taken[key] = self.taken.get(key, 0) + 1

    def give_back(self, namespace: Names, name: str) -> None:
        key = id(namespace), name
        self.taken[key] -= 1
        if self.taken[key]:
            return
        del self.taken[key]
        original = self.originals.get(id(namespace.get(name)))
        if original is not None:  # else the user has bound the name to something else meanwhile
            namespace[name] = original

    def _set_methods(self, methods: Names) -> None:
        if self.methods is not None:
            self.methods.update(methods)
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.ndarray))


class _CompiledModules:
    """Extension modules, which go on seeing NumPy's own functions during a trace.

    Compiled code such as ``numpy.random`` calls ``np.empty`` without a frame of its own, so a
    stand-in would take its calls for the user's. It gets a NumPy module without stand-ins.
    """

    def __init__(self) -> None:
        self.numpy = types.ModuleType("numpy")
        self.numpy.__dict__.update(vars(np))
        self.numpy.__getattr__ = np.__getattr__  # type: ignore[method-assign]
        self.found: list[tuple[Names, str]] = []
        self.seen: set[str] = set()
        self.suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)

    def use_originals(self) -> None:
        if not self.seen:
            importlib.import_module("numpy.random")  # NumPy itself loads it at its first use
        if len(sys.modules) != len(self.seen):
            self._look()
        for namespace, name in self.found:
            namespace[name] = self.numpy

    def restore(self) -> None:
        for namespace, name in self.found:
            namespace[name] = np

    def _look(self) -> None:
        for key, module in list(sys.modules.items()):
            if key in self.seen:
                continue
            self.seen.add(key)
            if (getattr(module, "__file__", None) or "").endswith(self.suffixes):
                names = [name for name, value in vars(module).items() if value is np]
                self.found.extend((vars(module), name) for name in names)
        self.seen.intersection_update(sys.modules)


_LOCK = threading.Lock()


@functools.cache
def _the_swaps() -> _Swaps:
    return _Swaps()


def swap_in(f: Any, args: tuple[Any, ...] | None) -> Taken:
    """Put the replacements in place for a trace of ``f``; the result goes to :func:`swap_out`.

    Where the code of ``f`` and its arguments show that it takes no method of plain arrays, those
    are left alone; ``args`` is None where the arguments are not known.

    Names that the modules of ``f`` and of the functions it calls took with
    ``from numpy import zeros`` are replaced as well.
    """
    with _LOCK:
        swaps = _the_swaps()
        if not swaps.knows_scipy:
            swaps.look_for_scipy()
        if not swaps.knows_random:
            swaps.look_for_random()
        names, transparent = look_through(f, swaps.known)
        methods = not (transparent and args is not None and are_plain(args))
        swaps.install(methods)
        for namespace, name in names:
            swaps.take(namespace, name)
    return Taken(names, methods)


def swap_out(taken: Taken) -> None:
    """Bring the originals back, unless another trace still needs the replacements."""
    with _LOCK:
        swaps = _the_swaps()
        for namespace, name in taken.names:
            swaps.give_back(namespace, name)
        swaps.remove(taken.methods)
