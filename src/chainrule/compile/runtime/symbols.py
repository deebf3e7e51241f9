"""What machine code calls or refers to, by name.

Compiled code is kept on disk, so it must not hold an address of this process. Whatever lies outside
of it is an external symbol, which is looked up when the code is loaded:

===================================  ==========================================================
``PyTuple_New``, ``sin``             a function of Python or of the C library
``chainrule.dgemm``                  a routine of BLAS or LAPACK, by SciPy's table for Cython
``chainrule.special.j0``             a special function, by SciPy's table for Cython
``chainrule.numpy.93``               an entry of NumPy's table of C functions
``chainrule.dtype.<f8``              the dtype object
``chainrule.runtime.NAME``           what this package provides itself (`provide`)
===================================  ==========================================================
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import glob
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .special import capsule_of

BUNDLED = "libscipy_openblas-*.so"
PREFIX = "chainrule."
_provided: dict[str, Callable[[], int]] = {}


class UnknownSymbolError(LookupError):
    """Code refers to something that this process doesn't have."""


def provide(name: str, address: Callable[[], int]) -> None:
    """Let code refer to ``chainrule.runtime.NAME``; the address is asked for when it's needed."""
    _provided[name] = address


def address_of(symbol: str) -> int:
    """Return the address that a symbol stands for in this process.

    Raises
    ------
    UnknownSymbolError
        If there is no such thing.
    """
    if not symbol.startswith(PREFIX):
        return _of_library(symbol)
    kind, _, rest = symbol[len(PREFIX) :].partition(".")
    if kind == "dtype":
        return id(np.dtype(rest))
    if kind == "numpy":
        return numpy_function(int(rest))
    if kind == "runtime":
        return _provided[rest]()
    if kind == "special":
        return _special(rest)
    return linear_algebra(kind)


@functools.cache
def _of_library(symbol: str) -> int:
    places = [ctypes.pythonapi, *map(ctypes.CDLL, _libraries())]
    for place in places:
        try:
            return ctypes.cast(getattr(place, symbol), ctypes.c_void_p).value or 0
        except AttributeError:
            continue
    raise UnknownSymbolError(f"no library of this process has `{symbol}`")


@functools.cache
def _libraries() -> list[str | None]:
    found: list[str | None] = []
    for name in (None, "libm.so.6", "libm.so", "msvcrt"):
        try:
            ctypes.CDLL(name)
        except (OSError, TypeError):
            continue
        found.append(name)
    return found


def _capsule_pointer(capsule: Any) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer: int = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return pointer


@functools.cache
def _special(entry: str) -> int:
    capsule = capsule_of(entry)
    if capsule is None:
        raise UnknownSymbolError(f"SciPy has no special function `{entry}`")
    return _capsule_pointer(capsule)


@functools.cache
def _numpy_table() -> int:
    module = importlib.import_module("numpy._core._multiarray_umath")  # as NumPy's headers do
    return _capsule_pointer(module._ARRAY_API)


def numpy_function(index: int) -> int:
    """Return an entry of NumPy's table of C functions, whose order is part of its ABI."""
    return ctypes.c_int64.from_address(_numpy_table() + 8 * index).value


@functools.cache
def linear_algebra(name: str) -> int:
    """Return the address of a BLAS or LAPACK routine, by SciPy's public table for Cython.

    On Linux, SciPy's wheels bring the library along, and then it is asked without SciPy: to import
    the outermost package takes longer than to load the code of a program.
    """
    routine = getattr(bundled_library(), f"scipy_{name}_", None)
    if routine is not None:
        return ctypes.cast(routine, ctypes.c_void_p).value or 0
    for module in ("cython_blas", "cython_lapack"):
        table = module_of_scipy(module).__pyx_capi__
        if name in table:
            return _capsule_pointer(table[name])
    raise UnknownSymbolError(f"neither BLAS nor LAPACK has `{name}`")


@functools.cache
def bundled_library() -> ctypes.CDLL | None:
    """Return the library with BLAS and LAPACK that SciPy's wheel for Linux uses, if there is one.

    The file whose name ends so has integers of 32 bits, as SciPy's table has.
    """
    spec = importlib.util.find_spec("scipy") if sys.platform == "linux" else None
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = glob.glob(os.path.join(os.path.dirname(place), "scipy.libs", BUNDLED))
        if len(found) == 1:
            with contextlib.suppress(OSError):
                return ctypes.CDLL(found[0])
    return None


@functools.cache
def module_of_scipy(name: str) -> Any:
    """Return one of the modules with which SciPy offers BLAS and LAPACK to Cython.

    The package around these modules takes a hundred times longer to import than they do, so they
    are loaded without it where that is possible, and left for it to find as if they weren't.
    """
    full = f"scipy.linalg.{name}"
    if "scipy.linalg" not in sys.modules:
        import scipy

        folder = os.path.join(os.path.dirname(scipy.__file__), "linalg")
        spec = importlib.machinery.PathFinder.find_spec(full, [folder])
        if spec is not None and spec.loader is not None:
            with contextlib.suppress(ImportError):
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                sys.modules.pop(full, None)
                return module
    return importlib.import_module(full)
