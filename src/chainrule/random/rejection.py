"""Distributions that are drawn by rejection: candidates are tried until one is accepted.

Every element has numbers of its own for every try, from the position of the element and the
number of the try. So an element never depends on its neighbours, and a batch of keys gives the
same as the keys one by one.

References
----------
.. [1] G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM
   Transactions on Mathematical Software 26, 2000.
.. [2] W. Hörmann, "The transformed rejection method for generating Poisson random variables",
   Insurance: Mathematics and Economics 12, 1993.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..maps import scale
from ..program.arraytype import ArrayType
from ..program.primitive import Primitive
from .implicit import LOG_GAMMA_SLOPE
from .keys import centred
from .portable import exp, log, normal_quantile
from .threefry import SPLIT, for_each_key, random_words, threefry2x32


class _Streams:
    """Uniform numbers for the elements of an array, as many per element as are asked for."""

    def __init__(self, key: Any, shape: tuple[int, ...], count: int) -> None:
        lead = key.ndim - 1
        children = random_words(key, 2 * count, SPLIT).reshape(*key.shape[:-1], count, 2)
        size = math.prod(shape[lead:])
        elements = (*key.shape[:-1], size)
        self.index = np.broadcast_to(np.arange(size, dtype=np.uint32), elements).ravel()
        self.keys = [
            [np.broadcast_to(children[..., i, j, None], elements).ravel() for j in range(2)]
            for i in range(count)
        ]

    def uniform(self, stream: int, attempt: int, at: Any) -> Any:
        """Return the number of one stream for the elements ``at``, in the open (0, 1)."""
        key0, key1 = self.keys[stream]
        high = np.full(1, attempt, np.uint32)
        return centred(*threefry2x32(key0[at], key1[at], self.index[at], high))


def _reject(size: int, valid: Any, propose: Callable[[Any, int], tuple[Any, Any]]) -> Any:
    """Return accepted candidates; NaN where the parameters are not valid.

    ``propose(at, attempt)`` gives candidates for the elements ``at`` and which are accepted.
    """
    out = np.full(size, np.nan)
    pending = np.flatnonzero(valid)
    attempt = 0
    while len(pending):
        candidate, accepted = propose(pending, attempt)
        out[pending[accepted]] = candidate[accepted]
        pending = pending[~accepted]
        attempt += 1
    return out


# -- gamma ---------------------------------------------------------------------------------------


def log_gamma_draws(key: Any, a: Any) -> Any:
    """Return logarithms of draws from the gamma distribution with shape parameters ``a``.

    After [1]_; for a < 1 a draw for a + 1 is multiplied by u^(1/a), which could be too small a
    number, but its logarithm is not.
    """
    a = np.asarray(a, np.float64)
    streams, flat = _Streams(key, a.shape, 3), a.ravel()
    valid = (flat > 0.0) & np.isfinite(flat)
    small = flat < 1.0
    d = np.where(small, flat + 1.0, flat) - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * np.where(valid, d, 1.0))

    def propose(at: Any, attempt: int) -> tuple[Any, Any]:
        z = normal_quantile(streams.uniform(0, attempt, at))
        root = 1.0 + c[at] * z
        positive = root > 0.0
        v = np.where(positive, root * root * root, 1.0)
        log_v = log(v)
        bound = 0.5 * z * z + d[at] * (1.0 - v + log_v)
        return log_v, positive & (log(streams.uniform(1, attempt, at)) < bound)

    draws = log(np.where(valid, d, np.nan)) + _reject(a.size, valid, propose)
    boosted = np.flatnonzero(small & valid)
    draws[boosted] += log(streams.uniform(2, 0, boosted)) / flat[boosted]
    return draws.reshape(a.shape)[()]


RANDOM_LOG_GAMMA = Primitive(
    "random_log_gamma",
    log_gamma_draws,
    type_rule=lambda key, a: ArrayType(a.shape, np.dtype(np.float64)),
    d=(None, lambda y, key, a: scale(LOG_GAMMA_SLOPE(a, y))),
    batch=for_each_key,
    text="log of gamma({1}) drawn with {0}",
    symbol="gamma draw",
)


# -- Poisson -------------------------------------------------------------------------------------

_FEW = 10.0  # the mean from which rejection is faster than adding up probabilities


def poisson_draws(key: Any, lam: Any) -> Any:
    """Return draws from the Poisson distribution with means ``lam``, as float64."""
    lam = np.asarray(lam, np.float64)
    streams, flat = _Streams(key, lam.shape, 2), lam.ravel()
    out = _reject(
        lam.size, (flat >= _FEW) & np.isfinite(flat), lambda at, t: _ptrs(streams, flat[at], at, t)
    )
    few = np.flatnonzero((flat >= 0.0) & (flat < _FEW))
    out[few] = _count(streams.uniform(0, 0, few), flat[few])
    return out.reshape(lam.shape)[()]


def _count(u: Any, lam: Any) -> Any:
    """Return the number of probabilities that fit below ``u``."""
    probability = exp(-lam)
    total, count = probability.copy(), np.zeros_like(lam)
    for k in range(1, 100):  # beyond, the probabilities are far below the spacing of u
        above = u > total
        if not np.any(above):
            break
        count += above
        probability = probability * lam / k
        total += probability
    return count


def _ptrs(streams: _Streams, lam: Any, at: Any, attempt: int) -> tuple[Any, Any]:
    """Propose by transformed rejection: the algorithm PTRS of [2]_, with its constants."""
    b = 0.931 + 2.53 * np.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    u = streams.uniform(0, attempt, at) - 0.5
    v = streams.uniform(1, attempt, at)
    us = 0.5 - np.abs(u)
    k = np.floor((2.0 * a / us + b) * u + lam + 0.43)
    quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    possible = (k >= 0.0) & ~((us < 0.013) & (v > us))
    height = log(v * inverse_alpha / (a / (us * us) + b))
    return k, quick | (possible & (height <= _log_probability(np.maximum(k, 0.0), lam)))


def _log_probability(k: Any, lam: Any) -> Any:
    """Return log(exp(−λ) λᵏ / k!), by Stirling's series; the error is below 1e-12 for k ≥ 15."""
    x = np.maximum(k, 15.0) + 1.0
    z = 1.0 / (x * x)
    series = (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z / 1680.0))) / x
    large = (x - 0.5) * log(x) - x + 0.5 * math.log(2.0 * math.pi) + series
    log_factorial = np.where(k < 15.0, _LOG_FACTORIALS[np.minimum(k, 15.0).astype(int)], large)
    return k * log(lam) - lam - log_factorial


_LOG_FACTORIALS = np.concatenate([[0.0], np.cumsum(log(np.arange(1.0, 16.0)))])

RANDOM_POISSON = Primitive(
    "random_poisson",
    poisson_draws,
    type_rule=lambda key, lam: ArrayType(lam.shape, np.dtype(np.float64)),
    differentiable=False,
    batch=for_each_key,
    text="poisson({1}) drawn with {0}",
)
