"""BLAS on one thread while compiled code calls it.

The threads of BLAS spin while they wait for the next product, which is long in a loop that calls
it again and again, and they know nothing of the threads that share the other work. So large
products are cut into chunks here, and BLAS does each on the thread that asks for it. How many
threads it uses elsewhere is nobody's business but the user's.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

from . import support
from .symbols import bundled_library, module_of_scipy, provide

_NAMES = ("scipy_openblas_{}_num_threads", "openblas_{}_num_threads")
_SUFFIXES = ("", "64_", "_64", "_64_")


def library_functions() -> tuple[int, int] | None:
    """Return the addresses at which SciPy's BLAS tells and takes its number of threads, or None.

    They are found by way of that through which BLAS is called, so that they are those of the very
    library that is called, however many others the process has.
    """
    library = bundled_library()
    try:
        library = library or ctypes.CDLL(module_of_scipy("cython_blas").__file__)
    except OSError:
        return None
    for name in _NAMES:
        for suffix in _SUFFIXES:
            try:
                get, set_ = (getattr(library, name.format(x) + suffix) for x in ("get", "set"))
            except AttributeError:
                continue
            return _address(get), _address(set_)
    return None


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@functools.cache
def _code() -> Any:
    """Return the machine code that counts who calls."""
    code = support.load(support.read("blas_threads.ll", {}))
    found = library_functions()
    for name, address in zip(("get", "set"), found or (), strict=False):
        ctypes.c_int64.from_address(code.address(name)).value = address
    reset = ctypes.PYFUNCTYPE(None)(code.address("reset"))
    reset()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
    return code


def _begin() -> int:
    address: int = _code().address("begin")
    return address


def _end() -> int:
    address: int = _code().address("end")
    return address


def provide_blas_threads() -> None:
    """Let machine code say where it begins to call BLAS, and where it ends."""
    provide("blas_begin", _begin)
    provide("blas_end", _end)
