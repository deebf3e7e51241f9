"""Integers, choices and orders.

A small change of a parameter changes such a draw not at all or by a jump, so there is no gradient
through it: the result is a plain array also inside of a derivative. Where a gradient is wanted,
use the score function (the derivative of the logarithm of the probability, as a factor), or a
smooth distribution close by: see :func:`chainrule.random.gumbel` for Gumbel-softmax.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..program.arraytype import shape_of
from ..program.primitive import Traced
from .arguments import Shape, as_key, double, parameter, require, result_shape, scalar
from .continuous import gumbel
from .keys import bits, fraction
from .rejection import RANDOM_POISSON

_FLOAT64 = np.dtype(np.float64)
_WHOLE = 1 << 64


def bernoulli(key: Any, p: Any = 0.5, shape: Shape = None) -> Any:
    """Draw True with probability ``p``.

    There is no gradient through the draw to ``p``.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    p : float or array
        Probability of True.
    shape : int or tuple of int, optional
        Shape of the result; by default that of ``p``.

    Examples
    --------
    >>> from chainrule import random
    >>> random.bernoulli(random.key(0), 0.5, 4)
    array([ True,  True,  True, False])
    """
    p = parameter(p)
    require(lambda v: ~(np.less(v, 0) | np.greater(v, 1)), p, "p must lie between 0 and 1")
    shape = result_shape(shape, shape_of(p))
    return np.less(fraction(as_key(key), shape, _FLOAT64), p)


def randint(key: Any, shape: Shape, low: Any, high: Any, dtype: Any = np.int64) -> Any:
    """Draw integers from ``low`` up to, not including, ``high``.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, or None
        Shape of the result; None for that of the bounds.
    low, high : int or array of int
        The bounds.
    dtype : dtype
        An integer type that holds them.

    Notes
    -----
    A draw is the remainder of a random integer of 64 bits. Its probabilities differ from each
    other by less than (high − low) / 2**64 of themselves.

    Examples
    --------
    >>> from chainrule import random
    >>> random.randint(random.key(0), 5, 1, 7)
    array([1, 1, 6, 5, 6])
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        raise ValueError(f"randint draws integers, not {kind}")
    low, high = _integers(low), _integers(high)
    _check_range(low, high, kind)
    shape = result_shape(shape, shape_of(low), shape_of(high))
    with np.errstate(over="ignore"):  # 64-bit integers wrap around, which is meant
        # the last integer and not `high`, which may be 2**64
        start, last = _modulo(low), _modulo(high - 1)
        span = last - start + np.uint64(1)
        drawn = bits(key, shape, np.uint64)
        whole = np.equal(span, 0)  # all 64-bit integers
        drawn = np.where(whole, drawn, drawn % np.where(whole, np.uint64(1), span))
        return scalar((drawn + start).astype(kind))


def _integers(value: Any) -> Any:
    if isinstance(value, Traced | np.ndarray | np.generic):
        if value.dtype.kind not in "iu":
            raise TypeError(f"randint takes integers as bounds, not {value.dtype}")
        return value
    return operator.index(value) if not isinstance(value, list | tuple) else np.asarray(value, int)


def _modulo(value: Any) -> Any:
    """Return an integer modulo 2**64, as an array that wraps around."""
    return np.uint64(value % _WHOLE) if isinstance(value, int) else value.astype(np.uint64)


def _check_range(low: Any, high: Any, kind: np.dtype[Any]) -> None:
    limits = np.iinfo(kind)
    if not isinstance(low, Traced) and not isinstance(high, Traced) and np.any(low >= high):
        raise ValueError("low must be less than high")
    require(lambda v: np.greater_equal(v, limits.min), low, f"low does not fit {kind}")
    require(lambda v: np.less_equal(v, limits.max + 1), high, f"high does not fit {kind}")


def categorical(key: Any, logits: Any, axis: int = -1, shape: Shape = None) -> Any:
    """Draw from 0, 1, ..., n − 1 with probabilities proportional to exp(logits).

    There is no gradient through the draw to ``logits``.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    logits : array
        Logarithms of the probabilities, up to a constant; −inf for what is never drawn.
    axis : int
        The axis of ``logits`` that the draw is from.
    shape : int or tuple of int, optional
        Shape of the result; by default that of ``logits`` without ``axis``.

    Notes
    -----
    A draw is the argmax of ``logits + g``, with ``g`` from the Gumbel distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import random
    >>> random.categorical(random.key(0), np.log([0.2, 0.3, 0.5]), shape=5)
    array([2, 1, 0, 2, 1])
    """
    logits = np.moveaxis(parameter(logits), axis, -1)
    *batch, n = shape_of(logits)
    full = (*result_shape(shape, tuple(batch)), n)
    return np.argmax(logits + gumbel(key, full, _FLOAT64), axis=-1)


def poisson(key: Any, lam: Any, shape: Shape = None, dtype: Any = np.int64) -> Any:
    """Draw from the Poisson distribution: the number of events when ``lam`` are expected.

    There is no gradient through the draw to ``lam``.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    lam : float or array
        The mean, at most 2**52.
    shape : int or tuple of int, optional
        Shape of the result; by default that of ``lam``.
    dtype : dtype
        Any type that holds the numbers.

    References
    ----------
    .. [1] W. Hörmann, "The transformed rejection method for generating Poisson random variables",
       Insurance: Mathematics and Economics 12, 1993.

    Examples
    --------
    >>> from chainrule import random
    >>> random.poisson(random.key(0), 4.0, 5)
    array([1, 3, 5, 2, 6])
    """
    lam = parameter(lam)
    require(
        lambda v: np.greater_equal(v, 0) & np.less_equal(v, 2.0**52),
        lam,
        "lam must lie between 0 and 2**52",
    )
    shape = result_shape(shape, shape_of(lam))
    return RANDOM_POISSON(as_key(key), np.broadcast_to(double(lam), shape)).astype(dtype)


def permutation(key: Any, x: Any, axis: int = 0) -> Any:
    """Return a random order: of the integers below ``x``, or of an array along one axis.

    Gradients flow through it to an array that is reordered.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    x : int or array
        What to reorder; a new array is returned.
    axis : int
        The axis along which the slices of an array are reordered.

    Examples
    --------
    >>> from chainrule import random
    >>> random.permutation(random.key(0), 5)
    array([1, 2, 0, 4, 3])
    """
    if isinstance(x, int | np.integer) and not isinstance(x, Traced):
        return _order(key, operator.index(x))
    x = parameter(x)
    return np.take(x, _order(key, shape_of(x)[axis]), axis)


def _order(key: Any, n: int) -> Any:
    return np.argsort(bits(key, n, np.uint64), kind="stable")


def choice(
    key: Any, a: Any, shape: Shape = (), *, replace: bool = True, p: Any = None, axis: int = 0
) -> Any:
    """Draw elements of an array, or integers below ``a``.

    Gradients flow to the elements that were drawn, but not to the probabilities.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    a : int or array
        What to draw from.
    shape : int or tuple of int
        How many to draw.
    replace : bool
        Whether an element can be drawn again. Without it and with ``p``, each draw is made with
        the probabilities of what is left.
    p : array, optional
        Probabilities, or numbers proportional to them; equal by default.
    axis : int
        The axis of an array whose slices are drawn.

    Examples
    --------
    >>> from chainrule import random
    >>> random.choice(random.key(0), 10, 3, replace=False)
    array([7, 8, 9])
    """
    shape = result_shape(shape)
    integers = isinstance(a, int | np.integer) and not isinstance(a, Traced)
    if not integers:
        a = parameter(a)
    n = operator.index(a) if integers else shape_of(a)[axis]
    if n <= 0 and 0 not in shape:
        raise ValueError("cannot draw from nothing")
    if p is not None:
        p = parameter(p)
        if shape_of(p) != (n,):
            raise ValueError(f"p has shape {shape_of(p)} for {n} elements")
        require(lambda v: np.greater_equal(v, 0), p, "p must not be negative")
    chosen = _with_replacement(key, n, shape, p) if replace else _without(key, n, shape, p)
    return chosen if integers else np.take(a, chosen, axis)


def _with_replacement(key: Any, n: int, shape: tuple[int, ...], p: Any) -> Any:
    if p is None:
        return randint(key, shape, 0, max(n, 1))
    heights = np.cumsum(double(p))
    found = np.searchsorted(heights, fraction(key, shape, _FLOAT64) * heights[-1], side="right")
    # rounding may lead to the upper end itself, behind the last element that can be drawn
    last = np.max(np.where(np.greater(p, 0), np.arange(n), 0))
    return np.minimum(found, last)


def _without(key: Any, n: int, shape: tuple[int, ...], p: Any) -> Any:
    count = int(np.prod(shape))
    if count > n:
        raise ValueError(f"cannot draw {count} of {n} elements without replacement")
    if p is None:
        order = _order(key, n)
    else:
        require(lambda v: np.count_nonzero(v) >= count, p, "fewer elements with p > 0 than draws")
        with np.errstate(divide="ignore"):  # log 0 = -inf: never drawn
            order = np.argsort(-(np.log(double(p)) + gumbel(key, n, _FLOAT64)), kind="stable")
    return np.reshape(order[:count], shape)
