"""Random integers: the hash function Threefry, and the operations that call it with a key.

A key and a counter go in, and bits that nothing simpler than the key explains come out. Only
additions, exclusive ors and rotations of 32-bit integers are used, so that the bits are the same
on every platform, and any of them can be had without those before it.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy
   as 1, 2, 3", SC'11.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitives import batching
from ..program.arraytype import ArrayType
from ..program.primitive import Primitive

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA  # keeps the third word of the key schedule from being zero for all keys
_MASK = 0xFFFFFFFF
_CHUNK = 1 << 14  # counters hashed at a time, so that the intermediate results stay in the cache

# The second word of the counter says what the bits are for, so that the keys that `split` makes
# are not the numbers that a draw with the same key gives.
DRAW, SPLIT, FOLD = 0, 1, 2

UINT32 = np.dtype(np.uint32)


def threefry2x32(key0: Any, key1: Any, counter0: Any, counter1: Any) -> tuple[Any, Any]:
    """Return the two words of Threefry-2x32 with 20 rounds; the arguments broadcast.

    All are arrays of uint32, which wrap around silently. (A NumPy scalar would warn.)

    Examples
    --------
    >>> zero = np.zeros(1, np.uint32)
    >>> [f"{int(word[0]):08x}" for word in threefry2x32(zero, zero, zero, zero)]
    ['6b200159', '99ba4efe']
    """
    schedule = key0, key1, key0 ^ key1 ^ _PARITY
    x, y = counter0 + key0, counter1 + key1
    for step in range(5):
        for rotation in _ROTATIONS[step % 2]:
            x = x + y
            y = ((y << rotation) | (y >> (32 - rotation))) ^ x
        x = x + schedule[(step + 1) % 3]
        y = y + schedule[(step + 2) % 3] + (step + 1)
    return x, y


def hashed(key0: int, key1: int, counter0: int, counter1: int) -> tuple[int, int]:
    """Return what :func:`threefry2x32` does, of Python's integers: a tenth of the time for one.

    Examples
    --------
    >>> [f"{word:08x}" for word in hashed(0, 0, 0, 0)]
    ['6b200159', '99ba4efe']
    """
    schedule = key0, key1, key0 ^ key1 ^ _PARITY
    x, y = (counter0 + key0) & _MASK, (counter1 + key1) & _MASK
    for step in range(5):
        for rotation in _ROTATIONS[step % 2]:
            x = (x + y) & _MASK
            y = ((y << rotation) & _MASK | (y >> (32 - rotation))) ^ x
        x = (x + schedule[(step + 1) % 3]) & _MASK
        y = (y + schedule[(step + 2) % 3] + (step + 1)) & _MASK
    return x, y


def random_words(key: Any, count: int, purpose: int) -> Any:
    """Return ``count`` words for a key of shape (..., 2); the first ones don't depend on it."""
    blocks = -(-count // 2)
    if blocks > 1 << 32:
        raise ValueError(f"one key gives at most 2**33 words of 32 bits, not {count}")
    words = np.empty((*key.shape[:-1], blocks, 2), np.uint32)
    key0, key1 = key[..., 0:1], key[..., 1:2]
    high = np.full(1, purpose, np.uint32)
    for start in range(0, blocks, _CHUNK):
        part = slice(start, min(start + _CHUNK, blocks))
        low = np.arange(part.start, part.stop, dtype=np.uint32)
        words[..., part, 0], words[..., part, 1] = threefry2x32(key0, key1, low, high)
    return words.reshape(*key.shape[:-1], 2 * blocks)[..., :count]


RANDOM_BITS = Primitive(
    "random_bits",
    random_words,
    type_rule=lambda key, count, purpose: ArrayType((*key.shape[:-1], count), UINT32),
    differentiable=False,
    batch=batching.leading,
    text="random bits of {0}",
)


def _fold_in(key: Any, data: Any) -> Any:
    if np.ndim(key) == 1 and np.ndim(data) == 0:
        return np.array(hashed(int(key[0]), int(key[1]), int(data), FOLD), UINT32)
    high = np.full(1, FOLD, np.uint32)
    words = threefry2x32(key[..., 0:1], key[..., 1:2], data[..., np.newaxis], high)
    return np.concatenate(words, axis=-1)


def for_each_key(
    primitive: Primitive, operands: Any, batched: Any, size: int, params: dict[str, Any]
) -> Any:
    """Give every operand the batch: the implementations take a whole batch of keys."""
    return primitive(*(batching.spread(o, b, size) for o, b in zip(operands, batched, strict=True)))


FOLD_IN = Primitive(
    "fold_in",
    _fold_in,
    type_rule=lambda key, data: ArrayType((*data.shape, 2), UINT32),
    differentiable=False,
    batch=for_each_key,
    text="fold {1} into {0}",
)
