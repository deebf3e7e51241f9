"""Constant arrays that repeat their elements, as ``np.broadcast_to`` makes them.

The derivative of a sum begins with one such array. It stays one when it is kept, so that it takes
no more memory than its elements do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGE = 4096  # bytes from which it matters
Array = np.ndarray[Any, Any]
_array, _broadcast_to = np.array, np.broadcast_to  # a trace replaces these functions


def essence(array: Array) -> Array:
    """Return the elements without repetitions, each repeated axis with length 1.

    Examples
    --------
    >>> essence(np.broadcast_to(np.arange(3.0), (1000, 3))).shape
    (1, 3)
    """
    if array.nbytes < LARGE or 0 not in array.strides:
        return array
    return array[tuple([slice(0, 1 if step == 0 else None) for step in array.strides])]


def is_repeated(array: Array) -> bool:
    """Tell whether an array is large by repetitions."""
    return essence(array) is not array


def repeated(elements: Array, like: Array) -> Array:
    """Return elements repeated as they are in another array."""
    return _broadcast_to(elements, like.shape)


def frozen_array(array: Array) -> Array:
    """Return an array with the same content that nobody can change any more.

    Examples
    --------
    >>> ones = frozen_array(np.broadcast_to(1.0, (1000, 1000)))
    >>> ones.strides, ones.flags.writeable
    ((0, 0), False)
    """
    if not array.flags.writeable:
        owner = array.base
        if owner is None or (_is_fixed(owner) and is_repeated(array)):
            return array
    elements = essence(array)
    copy = _array(elements)
    copy.flags.writeable = False
    return copy if elements is array else repeated(copy, array)


def _is_fixed(owner: Any) -> bool:
    return type(owner) is np.ndarray and owner.base is None and not owner.flags.writeable
