"""Where things are in the objects of CPython and NumPy, and what of them can be relied on."""

from __future__ import annotations

import ctypes
import sys

import numpy as np

from .symbols import numpy_function

# Offsets in CPython's and NumPy's object structures (64 bit); checked by `layout_is_known`.
TYPE, DATA, NDIM, DIMENSIONS, STRIDES, DESCR, FLAGS, FLOAT = 8, 16, 24, 32, 40, 56, 64, 16
TUPLE_ITEMS = tuple.__basicsize__  # newer versions keep a hash in front
CONTIGUOUS = 0x0001
ALIGNED = 0x0100
WRITEABLE = 0x0400
METH_FASTCALL = 0x0080
# Entries of NumPy's table of C functions.
ARRAY_TYPE, ARRAY_SCALAR, ARRAY_NEW, SET_ALLOCATOR = 2, 60, 93, 304

# The frame: the first words of what memory a call has for itself.
FRAME_BYTES = 64
ALIGNMENT = 64
NEXT, ERROR, INDEX, LENGTH, THREAD, STOPPED, EVENTS = 0, 8, 16, 24, 32, 40, 48
"""Next free frame; equation that met a wrong index, that index, the length it met; the state of
the Python thread while the lock is released; whether the user interrupted; what our kernels met
that the processor's flags don't show, in the form of these."""


def layout_is_known() -> bool:
    """Tell whether array and float objects look in memory as the entry reads them."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    array = np.arange(6.0).reshape(2, 3)
    base = id(array)

    def word(at: int) -> int:
        return ctypes.c_int64.from_address(at).value

    number, pair = 1.25, (array, base)
    return bool(
        word(base + TYPE) == id(np.ndarray) == numpy_function(ARRAY_TYPE)
        and word(base + DATA) == array.__array_interface__["data"][0]
        and ctypes.c_int32.from_address(base + NDIM).value == 2
        and [word(word(base + DIMENSIONS) + 8 * k) for k in (0, 1)] == [2, 3]
        and [word(word(base + STRIDES) + 8 * k) for k in (0, 1)] == [24, 8]
        and word(base + DESCR) == id(array.dtype)
        and ctypes.c_int32.from_address(base + FLAGS).value & (ALIGNED | CONTIGUOUS)
        == (ALIGNED | CONTIGUOUS)
        and ctypes.c_double.from_address(id(number) + FLOAT).value == 1.25
        and word(id(pair) + TUPLE_ITEMS) == base
    )
