"""Random bits and what is drawn with them: the same numbers as anywhere else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...random.portable import _CENTRE, _FAR_TAIL, _TAIL, polynomial
from ...random.threefry import _PARITY, _ROTATIONS, FOLD
from .registry import composed
from .specials import log_ndtr

_WORD = 1 << 32


def _hashed(key0: Any, key1: Any, counter0: Any, counter1: Any) -> tuple[Any, Any]:
    """Return the two words of Threefry, computed in 64 bits: ONNX does not add smaller words."""
    schedule = key0, key1, key0 ^ key1 ^ _PARITY
    x, y = (counter0 + key0) % _WORD, (counter1 + key1) % _WORD
    for step in range(5):
        for rotation in _ROTATIONS[step % 2]:
            x = (x + y) % _WORD
            turned = y * (1 << rotation)
            y = (turned % _WORD + turned // _WORD) ^ x
        x = (x + schedule[(step + 1) % 3]) % _WORD
        y = (y + schedule[(step + 2) % 3] + (step + 1)) % _WORD
    return x, y


@composed("random_bits")
def random_bits(key: Any, count: int, purpose: int) -> Any:
    """Return random words for keys."""
    key = key.astype(np.int64)
    low = np.arange(-(-count // 2))
    words = _hashed(key[..., 0:1], key[..., 1:2], low, np.full(1, purpose))
    flat = np.reshape(np.stack(words, -1), (*key.shape[:-1], 2 * len(low)))
    return flat[..., :count].astype(np.uint32)


@composed("fold_in")
def fold_in(key: Any, data: Any) -> Any:
    """Return keys that depend on integers."""
    single = not data.shape
    key, data = np.asarray(key, np.int64), np.atleast_1d(data.astype(np.int64))
    words = _hashed(key[..., 0:1], key[..., 1:2], data[..., None], np.full(1, FOLD))
    folded = np.concatenate(words, -1)
    return (folded[0] if single else folded).astype(np.uint32)


def _ratio(coefficients: Any, x: Any) -> Any:
    above, below = coefficients
    return polynomial(above, x) / polynomial(below, x)


def _quantile(q: Any, log_tail: Any) -> Any:
    """Return the normal quantile of ``1/2 + q``, of which exp(log_tail) is beyond."""
    inside = np.abs(q) <= 0.425
    centre = np.where(inside, q, 0.0)
    near = centre * _ratio(_CENTRE, 0.180625 - centre * centre)
    r = np.sqrt(-np.where(inside, -1.0, log_tail))
    close = r <= 5.0
    middle = _ratio(_TAIL, np.where(close, r, 5.0) - 1.6)
    far = _ratio(_FAR_TAIL, np.where(np.isfinite(r), np.where(close, 5.0, r), 5.0) - 5.0)
    size = np.where(close, middle, np.where(np.isinf(r), np.inf, far))
    found = np.where(inside, near, np.where(q < 0, -size, size))
    return np.where(np.isnan(r), np.nan, found)


@composed("normal_quantile", "ndtri")
def normal_quantile(u: Any) -> Any:
    """Return the quantile of the normal distribution."""
    return _quantile(u - 0.5, np.log(np.minimum(u, 1.0 - u)))


@composed("ndtri_exp")
def ndtri_exp(y: Any) -> Any:
    """Return the quantile of exp(y), also where that is too small a number."""
    bounded = np.maximum(y, -600.0)
    low = bounded < -math.log(2.0)
    tail = np.where(low, bounded, np.log(-np.expm1(np.where(low, -1.0, bounded))))
    x = _quantile(np.exp(bounded) - 0.5, tail)
    deep = np.where(y < -600.0, y, -600.0)
    start = -np.sqrt(-2.0 * deep - math.log(2.0 * math.pi) - np.log(-2.0 * deep))
    for _ in range(2):  # Newton's method on the logarithm of the distribution function
        value = log_ndtr(start)
        slope = np.exp(-0.5 * start * start - 0.5 * math.log(2.0 * math.pi) - value)
        start = start - (value - deep) / slope
    return np.where(y < -600.0, np.where(np.isinf(y), -np.inf, start), x)


@composed("erfinv")
def erfinv(x: Any) -> Any:
    """Return the inverse of the error function."""
    return math.sqrt(0.5) * _quantile(0.5 * x, np.log(0.5 - 0.5 * np.abs(x)))


@composed("erfcinv")
def erfcinv(x: Any) -> Any:
    """Return the inverse of its complement."""
    tail = np.minimum(0.5 * x, 1.0 - 0.5 * x)
    return -math.sqrt(0.5) * _quantile(0.5 * x - 0.5, np.log(tail))
