"""Keys: where random numbers come from, and how one key becomes many."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..program.primitive import Traced
from .arguments import Shape, as_key, result_shape
from .threefry import DRAW, FOLD_IN, RANDOM_BITS, SPLIT

_WORD = 0xFFFFFFFF


def key(seed: int) -> np.ndarray[Any, Any]:
    """Return the key for a seed.

    A key is an array of two 32-bit integers and is never changed. The same function with the same
    key gives the same numbers, always and everywhere; for other numbers take another key, from
    :func:`split` or :func:`fold_in`.

    Parameters
    ----------
    seed : int
        From 0 up to, not including, 2**64.

    Examples
    --------
    >>> key(42)
    array([ 0, 42], dtype=uint32)
    """
    if isinstance(seed, Traced):
        raise TypeError("a seed is a plain integer; for a traced one use fold_in(key, seed)")
    number = operator.index(seed)
    if not 0 <= number < 1 << 64:
        raise ValueError(f"a seed lies between 0 and 2**64 - 1, not at {number}")
    return _fixed(np.array([number >> 32, number & _WORD], np.uint32))


def _fixed(keys: Any) -> Any:
    """Make a plain array read-only: a key is a value."""
    if isinstance(keys, np.ndarray) and not isinstance(keys, Traced):
        keys.flags.writeable = False
    return keys


def split(key: Any, n: int = 2) -> Any:
    """Return ``n`` new keys, independent of each other and of the draws from ``key``.

    The first keys don't depend on ``n``.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    n : int
        How many.

    Returns
    -------
    array of shape (n, 2)

    Examples
    --------
    >>> first, second = split(key(0))
    >>> first
    array([ 928981903, 3453687069], dtype=uint32)
    """
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"cannot split a key into {n} keys")
    words = RANDOM_BITS(as_key(key), count=2 * n, purpose=SPLIT)
    return _fixed(np.reshape(words, (n, 2)))


def fold_in(key: Any, data: Any) -> Any:
    """Return a new key that depends on ``key`` and on an integer, such as the number of a step.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    data : int
        From 0 up to, not including, 2**32. It may be traced, such as the counter of a loop; it is
        then taken modulo 2**32.

    Examples
    --------
    >>> fold_in(key(0), 1)
    array([1390163619, 3131650755], dtype=uint32)
    """
    as_key(key)
    if isinstance(data, Traced):
        if data.dtype.kind not in "iu" or data.shape:
            raise TypeError("fold_in takes one integer")
        return FOLD_IN(key, data.astype(np.uint32))
    number = operator.index(data)
    if not 0 <= number <= _WORD:
        raise ValueError(f"fold_in takes an integer between 0 and 2**32 - 1, not {number}")
    return _fixed(FOLD_IN(key, np.uint32(number)))


def bits(key: Any, shape: Shape = (), dtype: Any = np.uint32) -> Any:
    """Return random bits: unsigned integers that take all their values alike.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int
        Shape of the result.
    dtype : dtype
        ``uint8``, ``uint16``, ``uint32`` or ``uint64``.

    Examples
    --------
    >>> bits(key(0), 3, np.uint8)
    array([ 89, 254,  44], dtype=uint8)
    """
    shape = result_shape(shape)
    kind = np.dtype(dtype)
    if kind.kind != "u":
        raise ValueError(f"random bits are unsigned integers, not {kind}")
    if kind.itemsize == 8:
        high, low = word_pairs(key, shape)
        return (high.astype(np.uint64) << 32) | low.astype(np.uint64)
    drawn = words(key, shape)
    return drawn if kind.itemsize == 4 else drawn.astype(kind)


def words(key: Any, shape: tuple[int, ...]) -> Any:
    """Return one random word of 32 bits per element."""
    drawn = RANDOM_BITS(as_key(key), count=math.prod(shape), purpose=DRAW)
    return np.reshape(drawn, shape)


def word_pairs(key: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return two random words of 32 bits per element."""
    drawn = RANDOM_BITS(as_key(key), count=2 * math.prod(shape), purpose=DRAW)
    pairs = np.reshape(drawn, (*shape, 2))
    return pairs[..., 0], pairs[..., 1]


def fraction(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return multiples of 2**-53 (2**-24 for float32) in [0, 1), without rounding."""
    if dtype == np.float32:
        return (words(key, shape) >> 8).astype(np.float32) * 2.0**-24
    high, low = word_pairs(key, shape)
    return ((high >> 5).astype(np.float64) * 2.0**26 + (low >> 6).astype(np.float64)) * 2.0**-53


def open_fraction(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return numbers in the open interval (0, 1) in double precision, symmetric about 1/2.

    They are odd multiples of 2**-53. For results in single precision, those of 2**-33 do.
    """
    if dtype == np.float32:
        return (words(key, shape).astype(np.float64) + 0.5) * 2.0**-32
    return centred(*word_pairs(key, shape))


def centred(high: Any, low: Any) -> Any:
    """Return the middle of one of 2**52 parts of the unit interval."""
    counted = (high >> 6).astype(np.float64) * 2.0**26 + (low >> 6).astype(np.float64)
    return (counted + 0.5) * 2.0**-52
