"""Complex numbers as pairs of real ones, since ONNX's operators take nothing else.

An operation on complex values is replaced by NumPy code on their real and imaginary parts, which
is recorded in its place. The inputs and outputs of a model stay real.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...program.arraytype import shape_of
from ...program.primitive import PRIMITIVES, Traced
from .matrices import solve as solve_real


class Pair(NamedTuple):
    """A complex array by its parts."""

    re: Any
    im: Any


PAIRED: dict[str, Callable[..., Any]] = {}
"""By name of the primitive: the NumPy code on pairs. Real operands come as pairs as well."""


def paired(*names: str) -> Callable[[Any], Any]:
    """Say that the decorated code does these primitives on pairs."""

    def register(f: Any) -> Any:
        PAIRED.update(dict.fromkeys(names, f))
        return f

    return register


def as_pair(x: Any) -> Pair:
    """Return anything as a pair."""
    if isinstance(x, Pair):
        return x
    if isinstance(x, Traced) or not np.iscomplexobj(x):
        zero = 0.0 if isinstance(x, int | float) else np.zeros_like(x)
        return Pair(x, zero)
    return Pair(x.real, x.imag)


# -- arithmetic ----------------------------------------------------------------------------------


@paired("add")
def add(a: Pair, b: Pair) -> Pair:
    """Return a sum."""
    return Pair(a.re + b.re, a.im + b.im)


@paired("sub")
def sub(a: Pair, b: Pair) -> Pair:
    """Return a difference."""
    return Pair(a.re - b.re, a.im - b.im)


@paired("neg")
def neg(a: Pair) -> Pair:
    """Return the negative."""
    return Pair(-a.re, -a.im)


@paired("mul")
def mul(a: Pair, b: Pair) -> Pair:
    """Return a product."""
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


@paired("square")
def square(a: Pair) -> Pair:
    """Return a square."""
    return mul(a, a)


@paired("reciprocal")
def reciprocal(a: Pair) -> Pair:
    """Return 1 / a, scaled so that no square overflows."""
    size = np.maximum(np.abs(a.re), np.abs(a.im))
    size = np.where(np.equal(size, 0), 1.0, size)
    re, im = a.re / size, a.im / size
    total = (re * re + im * im) * size
    return Pair(re / total, -im / total)


@paired("div")
def div(a: Pair, b: Pair) -> Pair:
    """Return a quotient."""
    return mul(a, reciprocal(b))


@paired("conj")
def conj(a: Pair) -> Pair:
    """Return the conjugate."""
    return Pair(a.re, -a.im)


@paired("real")
def real(a: Pair) -> Any:
    """Return the real part."""
    return a.re


@paired("imag")
def imag(a: Pair) -> Any:
    """Return the imaginary part."""
    return a.im


@paired("abs")
def size(a: Pair) -> Any:
    """Return the absolute value."""
    return np.hypot(a.re, a.im)


def _angle(a: Pair) -> Any:
    return np.arctan2(a.im, a.re)


# -- functions -----------------------------------------------------------------------------------


@paired("exp", "portable_exp")
def exp(a: Pair) -> Pair:
    """Return the exponential."""
    length = np.exp(a.re)
    return Pair(length * np.cos(a.im), length * np.sin(a.im))


@paired("log")
def log(a: Pair) -> Pair:
    """Return the principal logarithm."""
    return Pair(np.log(size(a)), _angle(a))


@paired("log10")
def log10(a: Pair) -> Pair:
    """Return the logarithm to the base 10."""
    return _scaled(log(a), 1.0 / math.log(10.0))


@paired("expm1")
def expm1(a: Pair) -> Pair:
    """Return exp(a) - 1 without cancellation near 0."""
    half = np.sin(0.5 * a.im)
    less = np.expm1(a.re)
    re = less * np.cos(a.im) - 2.0 * half * half
    return Pair(re, np.exp(a.re) * np.sin(a.im))


@paired("log1p")
def log1p(a: Pair) -> Pair:
    """Return log(1 + a) without cancellation near 0."""
    near = np.log1p(2.0 * a.re + a.re * a.re + a.im * a.im)
    return Pair(0.5 * near, np.arctan2(a.im, 1.0 + a.re))


def _scaled(a: Pair, factor: Any) -> Pair:
    return Pair(a.re * factor, a.im * factor)


@paired("sqrt")
def sqrt(a: Pair) -> Pair:
    """Return the principal root."""
    length = size(a)
    large = np.sqrt(0.5 * (length + np.abs(a.re)))
    small = np.where(np.equal(large, 0), 0.0, 0.5 * np.abs(a.im)) / np.where(large > 0, large, 1.0)
    right = a.re >= 0
    im = np.where(right, small, large)
    return Pair(np.where(right, large, small), np.where(np.signbit(a.im), -im, im))


@paired("pow")
def power(a: Pair, b: Pair) -> Pair:
    """Return a power; of 0 it is 0, and 1 for the exponent 0."""
    if _is_whole(b):
        return _product([a] * int(b.re), a)
    zero = np.logical_and(np.equal(a.re, 0), np.equal(a.im, 0))
    found = exp(mul(b, log(Pair(np.where(zero, 1.0, a.re), a.im))))
    one = np.logical_and(np.equal(b.re, 0), np.equal(b.im, 0))
    at_zero = np.where(one, 1.0, 0.0)
    return Pair(np.where(zero, at_zero, found.re), np.where(zero, 0.0, found.im))


def _is_whole(b: Pair) -> bool:
    """Tell an exponent for which a power is best taken by products."""
    if not (isinstance(b.re, int | float) and isinstance(b.im, int | float)):
        return False
    return b.im == 0 and float(b.re).is_integer() and 0 <= b.re <= 8


def _product(factors: list[Pair], like: Pair) -> Pair:
    total = Pair(np.ones_like(like.re), np.zeros_like(like.re))
    for factor in factors:
        total = mul(total, factor)
    return total


@paired("sin")
def sin(a: Pair) -> Pair:
    """Return the sine."""
    return Pair(np.sin(a.re) * np.cosh(a.im), np.cos(a.re) * np.sinh(a.im))


@paired("cos")
def cos(a: Pair) -> Pair:
    """Return the cosine."""
    return Pair(np.cos(a.re) * np.cosh(a.im), -np.sin(a.re) * np.sinh(a.im))


@paired("sinh")
def sinh(a: Pair) -> Pair:
    """Return the hyperbolic sine."""
    return Pair(np.sinh(a.re) * np.cos(a.im), np.cosh(a.re) * np.sin(a.im))


@paired("cosh")
def cosh(a: Pair) -> Pair:
    """Return the hyperbolic cosine."""
    return Pair(np.cosh(a.re) * np.cos(a.im), np.sinh(a.re) * np.sin(a.im))


@paired("tanh")
def tanh(a: Pair) -> Pair:
    """Return the hyperbolic tangent: by that of the real part, so that nothing overflows."""
    t, slope = np.tanh(a.re), np.tan(a.im)
    below = 1.0 + t * t * slope * slope
    return Pair(t * (1.0 + slope * slope) / below, slope * (1.0 - t * t) / below)


# -- comparisons and choices ---------------------------------------------------------------------


@paired("equal")
def equal(a: Pair, b: Pair) -> Any:
    """Tell where both parts are the same."""
    return np.logical_and(np.equal(a.re, b.re), np.equal(a.im, b.im))


@paired("not_equal")
def not_equal(a: Pair, b: Pair) -> Any:
    """Tell where one part differs."""
    return np.logical_or(np.not_equal(a.re, b.re), np.not_equal(a.im, b.im))


@paired("isfinite")
def isfinite(a: Pair) -> Any:
    """Tell where both parts are finite."""
    return np.logical_and(np.isfinite(a.re), np.isfinite(a.im))


@paired("isnan")
def isnan(a: Pair) -> Any:
    """Tell where a part is NaN."""
    return np.logical_or(np.isnan(a.re), np.isnan(a.im))


@paired("where")
def where(condition: Pair, a: Pair, b: Pair) -> Pair:
    """Choose between values."""
    chosen = condition.re
    return Pair(np.where(chosen, a.re, b.re), np.where(chosen, a.im, b.im))


@paired("cast")
def cast(a: Pair, dtype: Any) -> Any:
    """Change the precision, or drop or add an imaginary part."""
    kind = np.empty(0, dtype).real.dtype
    if np.dtype(dtype).kind != "c":
        return np.asarray(a.re).astype(kind)
    return Pair(np.asarray(a.re).astype(kind), np.asarray(a.im).astype(kind))


# -- what does the same to both parts ------------------------------------------------------------


def _on_both(name: str, count: int | None) -> Any:
    """Return the operation on the parts of its first ``count`` operands, or of all."""

    def apply(*operands: Any, **params: Any) -> Pair:
        moved = [as_pair(o) for o in operands[:count]]
        rest = [o.re if isinstance(o, Pair) else o for o in (operands[count:] if count else ())]
        primitive = PRIMITIVES[name]
        parts = ([m[side] for m in moved] for side in (0, 1))
        return Pair(*(primitive(*_arrays(part), *rest, **params) for part in parts))

    return apply


def _arrays(parts: list[Any]) -> list[Any]:
    return [np.asarray(p) if isinstance(p, int | float) else p for p in parts]


for _name in (
    *("reshape", "transpose", "broadcast_to", "getitem", "embed", "scatter_add", "windows"),
    *("overlap_add", "sum", "mean", "cumsum", "alias", "stop_gradient"),
):
    PAIRED[_name] = _on_both(_name, 1)
PAIRED["setitem"] = _on_both("setitem", 2)
PAIRED["concatenate"] = _on_both("concatenate", None)
PAIRED["stack"] = _on_both("stack", None)


@paired("norm")
def norm(a: Pair, axis: Any, keepdims: bool) -> Any:
    """Return the Euclidean norm."""
    total = np.sum(a.re * a.re + a.im * a.im, axis=axis, keepdims=keepdims)
    return np.sqrt(total)


@paired("prod")
def prod(a: Pair, axis: Any, keepdims: bool) -> Pair:
    """Return a product along axes, factor by factor."""
    lines = [np.moveaxis(part, axis, range(len(axis))) for part in a]
    rest = shape_of(lines[0])[len(axis) :]
    re, im = (np.reshape(line, (-1, *rest)) for line in lines)
    count = shape_of(re)[0]
    like = Pair(np.sum(re, 0), np.sum(im, 0))
    total = _product([Pair(re[i], im[i]) for i in range(count)], like)
    if not keepdims:
        return total
    shape = tuple(1 if i in axis else n for i, n in enumerate(shape_of(a.re)))
    return Pair(np.reshape(total.re, shape), np.reshape(total.im, shape))


@paired("cumprod")
def cumprod(a: Pair, axis: int) -> Pair:
    """Return running products, factor by factor."""
    rows = [np.moveaxis(part, axis, 0) for part in a]
    found: list[Pair] = []
    for i in range(shape_of(rows[0])[0]):
        row = Pair(rows[0][i], rows[1][i])
        found.append(mul(found[-1], row) if found else row)
    return Pair(*(np.moveaxis(np.stack(side), 0, axis) for side in zip(*found, strict=True)))


# -- products and linear systems -----------------------------------------------------------------


@paired("matmul")
def matmul(a: Pair, b: Pair) -> Pair:
    """Return a product of matrices."""
    return Pair(a.re @ b.re - a.im @ b.im, a.re @ b.im + a.im @ b.re)


@paired("einsum")
def einsum(*operands: Pair, subscripts: str) -> Pair:
    """Return a contraction: over all ways to take one part of each operand."""
    totals: list[Any] = [0.0, 0.0]
    for choice in range(1 << len(operands)):
        sides = [choice >> i & 1 for i in range(len(operands))]
        term = np.einsum(subscripts, *(o[s] for o, s in zip(operands, sides, strict=True)))
        turns = sum(sides)  # a factor i for each imaginary part
        sign = -1.0 if turns % 4 in (2, 3) else 1.0
        totals[turns % 2] = totals[turns % 2] + sign * term
    return Pair(*totals)


@paired("solve")
def solve(a: Pair, b: Pair) -> Pair:
    """Solve linear systems of twice the size."""
    is_vector = len(shape_of(b.re)) == 1
    right = [part[:, None] if is_vector else part for part in b]
    top = np.concatenate([a.re, -a.im], -1)
    matrix = np.concatenate([top, np.concatenate([a.im, a.re], -1)], -2)
    n = shape_of(a.re)[-1]
    found = solve_real(matrix, np.concatenate(right, -2))
    parts = found[..., :n, :], found[..., n:, :]
    return Pair(*(part[..., 0] if is_vector else part for part in parts))


@paired("inv")
def inv(a: Pair) -> Pair:
    """Invert matrices."""
    unit = np.broadcast_to(np.eye(shape_of(a.re)[-1], dtype=a.re.dtype), shape_of(a.re))
    return solve(a, Pair(unit, np.zeros_like(unit)))


# -- Fourier transforms --------------------------------------------------------------------------


def _turns(rows: int, columns: int, n: int, sign: float, dtype: Any) -> Pair:
    """Return exp(2πi sign jk / n) for rows j and columns k."""
    angle = (2.0 * math.pi / n) * (np.outer(np.arange(rows), np.arange(columns)) % n)
    return Pair(np.cos(angle).astype(dtype), sign * np.sin(angle).astype(dtype))


def _transform(a: Pair, sign: float) -> Pair:
    """Transform along the last axis, by the smallest prime factor of its length each time."""
    *lead, n = shape_of(a.re)
    dtype = a.re.dtype
    p = next((k for k in range(2, int(n**0.5) + 1) if n % k == 0), n)
    if p == n:
        return matmul(a, _turns(n, n, n, sign, dtype))
    m = n // p
    parts = (np.swapaxes(np.reshape(x, (*lead, m, p)), -1, -2) for x in a)
    inner = mul(_transform(Pair(*parts), sign), _turns(p, m, n, sign, dtype))
    outer = matmul(_turns(p, p, p, sign, dtype), inner)
    return Pair(*(np.reshape(x, (*lead, n)) for x in outer))


def _normalised(a: Pair, n: int, inverse: bool, norm: str) -> Pair:
    powers = {"backward": float(inverse), "forward": float(not inverse), "ortho": 0.5}
    return a if powers[norm] == 0.0 else _scaled(a, float(n) ** -powers[norm])


@paired("fourier")
def fourier(a: Pair, axes: Any, inverse: bool, norm: str) -> Pair:
    """Return the Fourier transform along axes."""
    dtype = np.result_type(a.re.dtype, np.float32)
    a = Pair(a.re.astype(dtype), a.im.astype(dtype))
    for axis in axes:
        n = shape_of(a.re)[axis]
        moved = Pair(*(np.moveaxis(x, axis, -1) for x in a))
        found = _normalised(_transform(moved, 1.0 if inverse else -1.0), n, inverse, norm)
        a = Pair(*(np.moveaxis(x, -1, axis) for x in found))
    return a


@paired("real_fourier")
def real_fourier(a: Pair, axis: int, norm: str) -> Pair:
    """Return the half of the Fourier transform of real numbers."""
    count = shape_of(a.re)[axis] // 2 + 1
    found = fourier(a, (axis,), False, norm)
    half = (*((slice(None),) * axis), slice(0, count))
    return Pair(found.re[half], found.im[half])


@paired("inverse_real_fourier")
def inverse_real_fourier(a: Pair, n: int, axis: int, norm: str) -> Any:
    """Return the real numbers that have this half of a Fourier transform."""
    rows = [np.moveaxis(x, axis, 0) for x in a]
    m = n - shape_of(rows[0])[0]  # the rest is the conjugate of what is there, in reverse
    mirrored = [
        np.concatenate([x, s * x[1 : m + 1][::-1]]) for x, s in zip(rows, (1.0, -1.0), strict=True)
    ]
    # of the frequencies that are their own mirror image the imaginary part has no meaning
    own = np.zeros((n, *(1,) * (len(shape_of(rows[0])) - 1)), bool)
    own[0] = True
    own[n // 2] = n % 2 == 0 or n == 1
    im = np.where(own, 0.0, mirrored[1])
    found = fourier(Pair(mirrored[0], im), (0,), True, norm)
    return np.moveaxis(found.re, 0, axis)
