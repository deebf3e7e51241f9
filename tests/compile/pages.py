"""Memory that ends, or begins, at a page which nobody may touch."""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
_LIBRARY = ctypes.CDLL(None, use_errno=True)
_KEPT: list[mmap.mmap] = []


def region(size: int, alignment: int = 1, front: bool = False) -> int:
    """Return the address of so many bytes right before such a page, or right behind one."""
    pages = -(-size // PAGE) * PAGE
    memory = mmap.mmap(-1, pages + 2 * PAGE)
    _KEPT.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + PAGE + pages):
        assert _LIBRARY.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0
    if front:
        return start + PAGE
    return (start + PAGE + pages - size) // alignment * alignment


def empty(shape: tuple[int, ...], dtype: Any, front: bool = False) -> np.ndarray:
    """Return an array in such memory."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = (ctypes.c_char * size).from_address(region(size, front=front))
    return np.frombuffer(raw, dtype).reshape(shape)


def copied(array: np.ndarray, front: bool = False) -> np.ndarray:
    """Return a copy of an array in such memory."""
    copy = empty(array.shape, array.dtype, front)
    copy[...] = array
    return copy
