"""Operations that ONNX has no operator for, in NumPy terms of those that it has.

Also those that onnxruntime has in float32 only, for float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...program.pytree import flatten
from ...transform.branching import _recomputing_pull
from ...transform.scanning import scan
from .registry import composed, is_wide

LN2 = math.log(2.0)
PI = math.pi


def inlined(name: str, params: dict[str, Any]) -> Callable[..., Any]:
    """Return what an operation does that only calls other code."""
    if name == "while_pull":
        return lambda *operands: _recomputing_pull(*operands, **params)
    if name == "checkpoint":
        body = params["body"]
        n = len(body.inputs)
        return lambda *operands: body.run(operands[:n], operands[n:])
    run = params["run"]
    return lambda *leaves: flatten(run.custom.f(*run.in_tree.unflatten(leaves), **run.options))[0]


# -- powers, exponentials, logarithms ------------------------------------------------------------


@composed("cbrt")
def cbrt(x: Any) -> Any:
    """Return the cube root, improved by one step of Newton's method."""
    size = np.abs(x)
    safe = np.where(np.logical_and(size > 0, np.isfinite(size)), size, 1.0)
    root = safe ** (1.0 / 3.0)
    root = root - (root - safe / (root * root)) / 3.0
    return np.where(np.equal(safe, size), np.sign(x) * root, x)


@composed("exp2")
def exp2(x: Any) -> Any:
    """Return 2 to a power."""
    return np.power(2.0, x)


@composed("exp10")
def exp10(x: Any) -> Any:
    """Return 10 to a power."""
    return np.power(10.0, x)


@composed("expm1")
def expm1(x: Any) -> Any:
    """Return exp(x) - 1; near 0 by the hyperbolic tangent, which loses no digits there."""
    near = np.abs(x) < 1.0
    t = np.tanh(0.5 * np.where(near, x, 0.0))
    return np.where(near, 2.0 * t / (1.0 - t), np.exp(x) - 1.0)


@composed("log1p")
def log1p(x: Any) -> Any:
    """Return log(1 + x), with the rounding of the sum put right (Kahan)."""
    u = 1.0 + x
    plain = np.logical_or(np.equal(u, 1.0), np.logical_not(np.isfinite(u)))
    kept = np.where(plain, 2.0, u)
    right = np.log(kept) * (x / (kept - 1.0))
    return np.where(np.equal(u, 1.0), x, np.where(plain, np.log(u), right))


@composed("log2")
def log2(x: Any) -> Any:
    """Return the logarithm to the base 2."""
    return np.log(x) * (1.0 / LN2)


@composed("log10")
def log10(x: Any) -> Any:
    """Return the logarithm to the base 10."""
    return np.log(x) * (1.0 / math.log(10.0))


@composed("logaddexp")
def logaddexp(a: Any, b: Any) -> Any:
    """Return log(exp(a) + exp(b)) without overflow."""
    same = np.equal(a, b)  # also where both are infinite
    gap = np.where(same, 0.0, np.abs(a - b))
    return np.where(same, a + LN2, np.maximum(a, b) + log1p(np.exp(-gap)))


@composed("logaddexp2")
def logaddexp2(a: Any, b: Any) -> Any:
    """Return the same to the base 2."""
    return np.logaddexp(LN2 * a, LN2 * b) * (1.0 / LN2)


@composed("logsumexp")
def logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    """Return the logarithm of a sum of exponentials without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis)


@composed("hypot")
def hypot(a: Any, b: Any) -> Any:
    """Return the length of a vector without overflow."""
    a, b = np.abs(a), np.abs(b)
    long, short = np.maximum(a, b), np.minimum(a, b)
    scale = np.where(np.logical_and(long > 0, np.isfinite(long)), long, 1.0)
    ratio = np.where(np.isfinite(long), short / scale, 0.0)
    endless = np.logical_or(np.isinf(a), np.isinf(b))
    return np.where(endless, np.inf, long * np.sqrt(1.0 + ratio * ratio))


@composed("sinc")
def sinc(x: Any) -> Any:
    """Return sin(πx) / πx."""
    y = PI * np.where(np.equal(x, 0), 1.0, x)
    return np.where(np.equal(x, 0), 1.0, np.sin(y) / y)


# -- angles --------------------------------------------------------------------------------------


@composed("tan", when=is_wide)
def tan(x: Any) -> Any:
    """Return the tangent."""
    return np.sin(x) / np.cos(x)


@composed("arctan", when=is_wide)
def arctan(x: Any) -> Any:
    """Return the angle of a tangent: halved three times, then by its series."""
    size = np.abs(x)
    t = np.where(size > 1.0, 1.0 / np.where(size > 1.0, size, 1.0), size)
    for _ in range(3):
        t = t / (1.0 + np.sqrt(1.0 + t * t))
    square = t * t
    total = 0.0 * t
    for k in range(13, -1, -1):
        total = (-1.0) ** k / (2 * k + 1) + square * total
    angle = 8.0 * t * total
    return np.where(np.signbit(x), -1.0, 1.0) * np.where(size > 1.0, 0.5 * PI - angle, angle)


@composed("arcsin", when=is_wide)
def arcsin(x: Any) -> Any:
    """Return the angle of a sine."""
    return np.arctan(x / np.sqrt((1.0 - x) * (1.0 + x)))


@composed("arccos", when=is_wide)
def arccos(x: Any) -> Any:
    """Return the angle of a cosine."""
    return 2.0 * np.arctan(np.sqrt((1.0 - x) / (1.0 + x)))


@composed("arctan2")
def arctan2(y: Any, x: Any) -> Any:
    """Return the angle of a vector."""
    both = np.logical_and(np.isinf(y), np.isinf(x))
    y, x = np.where(both, np.sign(y), y), np.where(both, np.sign(x), x)
    left, below = np.signbit(x), np.signbit(y)
    origin = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    slope = np.where(origin, 0.0, np.abs(y) / np.abs(np.where(origin, 1.0, x)))
    angle = np.arctan(slope)
    angle = np.where(left, PI - angle, angle)
    return np.where(below, -angle, angle)


@composed("sinh", when=is_wide)
def sinh(x: Any) -> Any:
    """Return the hyperbolic sine."""
    near = np.abs(x) < 1.0
    e = np.expm1(np.where(near, x, 0.0))
    return np.where(near, 0.5 * (e + e / (e + 1.0)), 0.5 * np.exp(x) - 0.5 * np.exp(-x))


@composed("cosh", when=is_wide)
def cosh(x: Any) -> Any:
    """Return the hyperbolic cosine."""
    return 0.5 * np.exp(x) + 0.5 * np.exp(-x)


@composed("arcsinh", when=is_wide)
def arcsinh(x: Any) -> Any:
    """Return the inverse hyperbolic sine."""
    size = np.abs(x)
    small = np.where(size < 1e8, size, 0.0)
    near = np.log1p(small + small * small / (1.0 + np.sqrt(1.0 + small * small)))
    far = np.log(np.where(size < 1e8, 1.0, size)) + LN2
    return np.where(np.isnan(x), x, np.sign(x) * np.where(size < 1e8, near, far))


@composed("arccosh", when=is_wide)
def arccosh(x: Any) -> Any:
    """Return the inverse hyperbolic cosine."""
    large = x > 1e8
    more = np.where(large, 1.0, x) - 1.0
    return np.where(large, np.log(x) + LN2, np.log1p(more + np.sqrt(more * (more + 2.0))))


@composed("arctanh", when=is_wide)
def arctanh(x: Any) -> Any:
    """Return the inverse hyperbolic tangent."""
    return 0.5 * (np.log1p(x) - np.log1p(-x))


# -- signs and remainders ------------------------------------------------------------------------


@composed("signbit")
def signbit(x: Any) -> Any:
    """Tell a negative number; of the two zeros by their reciprocals."""
    if x.dtype.kind != "f":
        return np.less(x, 0)
    # not 1 / np.where(...): in onnxruntime a Where loses the sign of a zero
    return np.logical_or(x < 0, np.logical_and(np.equal(x, 0), 1.0 / x < 0))


@composed("copysign")
def copysign(a: Any, b: Any) -> Any:
    """Return a number with the sign of another one."""
    size = np.abs(a) * 1.0
    return np.where(np.less(b, 0) if isinstance(b, int | float) else np.signbit(b), -size, size)


@composed("heaviside")
def heaviside(x: Any, at_zero: Any) -> Any:
    """Return the unit step."""
    step = np.where(x > 0, 1.0, 0.0)
    return np.where(np.isnan(x), np.nan, np.where(np.equal(x, 0), at_zero, step))


@composed("trunc")
def trunc(x: Any) -> Any:
    """Round towards zero."""
    return np.where(x < 0, np.ceil(x), np.floor(x))


def _is_float(out: Any, *operands: Any, **params: Any) -> bool:
    return bool(out.dtype.kind == "f")


@composed("mod", when=_is_float)
def mod(a: Any, b: Any) -> Any:
    """Return the remainder with the sign of the divisor."""
    rest = np.fmod(a, b)
    turned = np.logical_and(np.not_equal(rest, 0), np.not_equal(np.less(rest, 0), np.less(b, 0)))
    return np.where(turned, rest + b, rest)


@composed("floor_divide", when=_is_float)
def floor_divide(a: Any, b: Any) -> Any:
    """Return the whole part of a quotient, as it fits the remainder."""
    whole = np.rint((a - np.remainder(a, b)) / b)
    return np.where(np.logical_or(np.equal(b, 0), np.isinf(a)), a / b, whole)


# -- running results -----------------------------------------------------------------------------


def _running(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Any:
    rows = np.moveaxis(x, axis, 0)
    if rows.shape[0] < 2:
        return x

    def step(total: Any, row: Any) -> tuple[Any, Any]:
        total = combine(total, row)
        return total, total

    _, rest = scan(step, rows[0], rows[1:])
    return np.moveaxis(np.concatenate([rows[:1], rest]), 0, axis)


@composed("cumprod")
def cumprod(x: Any, axis: int) -> Any:
    """Return running products."""
    return _running(np.multiply, x, axis)


@composed("cummax")
def cummax(x: Any, axis: int) -> Any:
    """Return running maxima."""
    return _running(np.maximum, x, axis)


@composed("cummin")
def cummin(x: Any, axis: int) -> Any:
    """Return running minima."""
    return _running(np.minimum, x, axis)


@composed("linear_recurrence")
def linear_recurrence(a: Any, v: Any, axis: int, reverse: bool) -> Any:
    """Return y with y[i] = a[i] y[i-1] + v[i]; the first has nothing before it."""
    dtype = np.result_type(a, v)
    factors, terms = (np.moveaxis(np.asarray(x, dtype), axis, 0) for x in (a, v))
    if terms.shape[0] < 2:
        return np.asarray(v, dtype)
    first, rest = (-1, slice(0, -1)) if reverse else (0, slice(1, None))

    def step(before: Any, row: Any) -> tuple[Any, Any]:
        factor, term = row
        after = factor * before + term
        return after, after

    start = terms[first]
    _, found = scan(step, start, (factors[rest], terms[rest]), reverse=reverse)
    parts = [found, start[None]] if reverse else [start[None], found]
    return np.moveaxis(np.concatenate(parts), 0, axis)


def _shifted(a: Any, b: Any, shift: Callable[[Any, Any], Any]) -> Any:
    """Shift in 64 bits, in which no power of 2 is negative."""
    wide = [x if isinstance(x, int) else x.astype(np.int64) for x in (a, b)]
    return shift(wide[0], np.power(2, wide[1])).astype(np.result_type(a, b))


@composed("left_shift")
def left_shift(a: Any, b: Any) -> Any:
    """Return integers times powers of 2."""
    return _shifted(a, b, lambda x, power: x * power)


@composed("right_shift")
def right_shift(a: Any, b: Any) -> Any:
    """Return integers divided by powers of 2."""
    return _shifted(a, b, lambda x, power: x // power)
