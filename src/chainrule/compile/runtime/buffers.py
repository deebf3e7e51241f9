"""Memory of large results, which is used again when their arrays are gone.

NumPy lets an array have an allocator of its own (NEP 49), so such a result is an ordinary array
that owns its memory. The allocator itself is machine code (``buffers.ll``).
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import Any

from . import support
from .symbols import provide

LEAST = 1 << 20  # bytes from which a result is worth keeping the memory of
SLOTS = 16
MOST = 256 << 20  # bytes, or a sixteenth of the computer's memory, if that is less
_HUGE_PAGES = (
    "declare i32 @madvise(ptr, i64, i32)",
    """
define internal void @advise(ptr %start, i64 %size) nounwind {
entry:
  %some = icmp ne ptr %start, null
  br i1 %some, label %whole, label %end
whole:
  %number = ptrtoint ptr %start to i64
  %up = add i64 %number, 4095
  %first = and i64 %up, -4096
  %skipped = sub i64 %first, %number
  %rest = sub i64 %size, %skipped
  %page = inttoptr i64 %first to ptr
  %ignored = call i32 @madvise(ptr %page, i64 %rest, i32 14)
  br label %end
end:
  ret void
}
""",
)
_NO_HUGE_PAGES = ("", "define internal void @advise(ptr %start, i64 %size) { ret void }")


def _text() -> str:
    declared, defined = _HUGE_PAGES if sys.platform == "linux" else _NO_HUGE_PAGES
    words = {
        "HUGE_DECLARED": declared,
        "HUGE_DEFINED": defined,
        "SLOTS": str(SLOTS),
        "LEAST": str(LEAST),
        "ZEROS": r"\00" * (127 - len("chainrule")),
    }
    return support.read("buffers.ll", words)


@functools.cache
def _code() -> Any:
    code = support.load(_text())
    ctypes.c_int64.from_address(code.address("most")).value = _most()
    return code


def _most() -> int:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return MOST
    return min(MOST, memory // 16)


@functools.cache
def _handler() -> Any:
    """Return the allocator as the object that NumPy takes."""
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(_code().address("handler"), b"mem_handler", None)


def provide_buffers() -> None:
    """Let machine code find the allocator."""
    provide("buffers", lambda: id(_handler()))


def bytes_kept() -> int:
    """Return how much memory of results that are gone is kept for new ones."""
    return ctypes.c_int64.from_address(_code().address("total")).value


def clear_buffers() -> None:
    """Give the memory that is kept for large results back to the system.

    Examples
    --------
    >>> clear_buffers()
    >>> bytes_kept()
    0
    """
    ctypes.PYFUNCTYPE(None)(_code().address("clear"))()
