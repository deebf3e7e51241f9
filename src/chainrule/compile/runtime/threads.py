"""The threads that share large loop nests: how many, and how native code reaches them.

The pool itself is machine code (``pool.ll``). Its threads are made when there is first work for
them; they are no threads of Python's and never hold its lock.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
import sys
import threading
from typing import Any

from . import support
from .imports import when_imported
from .symbols import provide

_FLAGS_OF_X86 = (
    """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
""",
    """
define internal i32 @control() nounwind {
  %slot = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %slot)
  %word = load i32, ptr %slot
  ret i32 %word
}
define internal void @clear_flags() nounwind {
  %slot = alloca i32
  %word = call i32 @control()
  %clear = and i32 %word, -64
  store i32 %clear, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  ret void
}
define internal i32 @read_flags() nounwind {
  %word = call i32 @control()
  %met = and i32 %word, 63
  ret i32 %met
}
define internal void @add_flags(i32 %met) nounwind {
  %slot = alloca i32
  %word = call i32 @control()
  %all = or i32 %word, %met
  store i32 %all, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  ret void
}
""",
)
_NO_FLAGS = (
    "",
    """
define internal void @clear_flags() { ret void }
define internal i32 @read_flags() { ret i32 0 }
define internal void @add_flags(i32 %met) { ret void }
""",
)
_lock = threading.Lock()


def default_num_threads() -> int:
    """Return how many threads may work if nobody says otherwise.

    That is ``CHAINRULE_NUM_THREADS``, or else the number of cores that this process may use:
    at most ``OMP_NUM_THREADS``, which many tools set to keep libraries small.
    """
    own = _number(os.environ.get("CHAINRULE_NUM_THREADS"))
    if own is not None:
        return own
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    general = _number((os.environ.get("OMP_NUM_THREADS") or "").partition(",")[0])
    return max(1, min(cores, _quota(), general or cores))


def _number(text: str | None) -> int | None:
    try:
        return max(1, int(text or ""))
    except ValueError:
        return None


def _quota() -> int:
    """Return how many cores a container may use."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # there is no limit
        return 1 << 20


def _text() -> str:
    declared, defined = _FLAGS_OF_X86 if platform.machine() in ("x86_64", "AMD64") else _NO_FLAGS
    block, setmask = ("1", "3") if sys.platform == "darwin" else ("0", "2")
    words = {
        "FLAGS_DECLARED": declared,
        "FLAGS_DEFINED": defined,
        "SIG_BLOCK": block,
        "SIG_SETMASK": setmask,
    }
    return support.read("pool.ll", words)


@functools.cache
def _pool() -> Any:
    """Return the pool's machine code."""
    pool = support.load(_text())
    reset = ctypes.PYFUNCTYPE(None)(pool.address("reset"))
    reset()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset)
    return pool


def _limit() -> ctypes.c_int64:
    return ctypes.c_int64.from_address(_pool().address("limit"))


@functools.cache
def _started() -> bool:
    _limit().value = default_num_threads() if has_threads() else 1
    when_imported("threadpoolctl", _register)  # which takes longer than to load a small program
    return True


def has_threads() -> bool:
    """Tell whether there are threads as the pool knows them."""
    return sys.platform != "win32"


def num_threads() -> int:
    """Return how many threads may share the work of a compiled function.

    Examples
    --------
    >>> num_threads() >= 1
    True
    """
    with _lock:
        _started()
        return _limit().value


def set_num_threads(n: int) -> None:
    """Let at most ``n`` threads share the work of a compiled function.

    The results are the same, to the last bit, for every number.

    Parameters
    ----------
    n : int
        At least 1.

    Examples
    --------
    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    if n < 1:
        raise ValueError(f"there must be at least one thread, not {n}")
    with _lock:
        _started()
        _limit().value = n if has_threads() else 1


def _parallel() -> int:
    """Return the address of the function that shares work."""
    with _lock:
        _started()
        address: int = _pool().address("parallel")
        return address


def provide_pool() -> None:
    """Let machine code find the pool."""
    provide("parallel", _parallel)


def _register(threadpoolctl: Any) -> None:
    """Let threadpoolctl limit these threads as it does those of BLAS and OpenMP."""

    class ChainruleController(threadpoolctl.LibController):
        """The threads of compiled functions, for which NumPy's library stands."""

        user_api = "chainrule"
        internal_api = "chainrule"
        filename_prefixes = ("_multiarray_umath",)

        def get_num_threads(self) -> int:
            return _limit().value

        def set_num_threads(self, num_threads: int) -> None:
            _limit().value = max(1, num_threads)

        def get_version(self) -> str | None:
            return None

    threadpoolctl.register(ChainruleController)
