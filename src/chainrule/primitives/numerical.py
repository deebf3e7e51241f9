"""Differences, integrals, interpolation, grids and statistics, from simpler operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..maps import LinearMap, scale
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Primitive, Traced, implements
from .choosing import take
from .elementwise import STOP
from .families import normalize_axes, unsupported


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    """Return an index that takes ``part`` along one axis."""
    return (*((slice(None),) * axis), part)


# -- differences and integrals -------------------------------------------------------------------


@implements(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    given = prepend if isinstance(prepend, Traced) else append
    a = a if hasattr(a, "dtype") else np.asarray(a) if not isinstance(given, Traced) else a
    axis = normalize_axes(axis, ndim_of(a))[0]
    if n == 0:
        return a
    parts = [_end(prepend, a, axis), a, _end(append, a, axis)]
    if prepend is not None or append is not None:
        a = np.concatenate([p for p in parts if p is not None], axis)
    for _ in range(n):
        a = a[_along(axis, slice(1, None))] - a[_along(axis, slice(None, -1))]
    return a


def _end(value: Any, a: Any, axis: int) -> Any:
    if value is None or ndim_of(value):
        return value
    shape = list(shape_of(a))
    shape[axis] = 1
    return np.broadcast_to(value, tuple(shape))


@implements(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    differences = np.diff(np.ravel(ary))
    ends = [None if e is None else np.ravel(e) for e in (to_begin, to_end)]
    parts = [p for p in (ends[0], differences, ends[1]) if p is not None]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@implements(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    axes = normalize_axes(axis, ndim_of(f))
    if isinstance(axis, tuple | list):
        axes = tuple(normalize_axes(int(i), ndim_of(f))[0] for i in axis)
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError("invalid number of arguments")
    spacings = varargs if len(varargs) == len(axes) else (varargs or (1.0,)) * len(axes)
    if f.dtype.kind not in "fc":
        f = f.astype(float)
    out = [_slope(f, h, i, edge_order) for h, i in zip(spacings, axes, strict=True)]
    return out[0] if len(out) == 1 else tuple(out)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """Return central differences along one axis, one-sided ones at its ends."""
    n = shape_of(f)[axis]
    if n < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least "
            "(edge_order + 1) elements are required."
        )
    steps = np.diff(h) if ndim_of(h) else np.multiply(h, np.ones(n - 1, f.dtype))
    if shape_of(steps)[0] != n - 1:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    lines = np.moveaxis(f, axis, -1)
    slopes = (lines[..., 1:] - lines[..., :-1]) / steps
    left, right = slopes[..., :1], slopes[..., -1:]
    before, after = steps[:-1], steps[1:]
    inner = (slopes[..., :-1] * after + slopes[..., 1:] * before) / (before + after)
    if edge_order == 2:  # follow the parabola through three points
        bend = (slopes[..., 1:] - slopes[..., :-1]) / (before + after)
        left = left - bend[..., :1] * steps[:1]
        right = right + bend[..., -1:] * steps[-1:]
    return np.moveaxis(np.concatenate([left, inner, right], -1), -1, axis)


@implements(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    axis = normalize_axes(axis, ndim_of(y))[0]
    if x is not None:
        dx = np.diff(x, axis=axis) if ndim_of(x) > 1 else np.diff(x)
        if ndim_of(dx) == 1:
            dx = np.reshape(dx, (-1,) + (1,) * (ndim_of(y) - axis - 1))
    after, before = y[_along(axis, slice(1, None))], y[_along(axis, slice(None, -1))]
    return np.sum(dx * (after + before) * 0.5, axis)


@implements(np.cross)
def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    sizes = shape_of(a)[-1], shape_of(b)[-1]
    if not set(sizes) <= {2, 3}:
        raise ValueError("incompatible dimensions for cross product")
    if sizes == (2, 2):
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a0, a1, a2 = _components(a)
    b0, b1, b2 = _components(b)
    rows = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    shape = np.broadcast_shapes(*(shape_of(r) for r in rows))
    return np.moveaxis(np.stack([np.broadcast_to(r, shape) for r in rows], -1), -1, axisc)


def _components(v: Any) -> tuple[Any, Any, Any]:
    return v[..., 0], v[..., 1], v[..., 2] if shape_of(v)[-1] == 3 else 0.0


# -- interpolation ------------------------------------------------------------------------------


@implements(np.interp)
def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Interpolate linearly: the piece is looked up, the line through its ends is traced."""
    if period is not None:
        unsupported(
            "np.interp with period=",
            why="it sorts the points anew",
            help="wrap the points yourself: np.interp(x % period, xp, fp)",
        )
    xp, fp = (a if isinstance(a, Traced) else np.asarray(a) for a in (xp, fp))
    n = shape_of(xp)[0]
    piece = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(n - 2, 0))
    x0, f0 = take(xp, piece), take(fp, piece)
    after = np.minimum(piece + 1, n - 1)
    width = take(xp, after) - x0
    # a point twice among xp is a jump, and a single point has no line at all
    safe = np.where(np.equal(width, 0), 1.0, width)
    out = f0 + (x - x0) * ((take(fp, after) - f0) / safe)
    out = np.where(np.less(x, xp[0]), fp[0] if left is None else left, out)
    out = np.where(np.greater(x, xp[-1]), fp[-1] if right is None else right, out)
    out = np.where(np.equal(x, xp[-1]), fp[-1], out)
    return out.astype(np.result_type(out.dtype, float))  # as np.interp does


def _sinc_slope(y: Any, x: Any) -> LinearMap:
    return scale(_sinc_derivative(x))


def _sinc_derivative(x: Any) -> Any:
    """Return d sinc: (cos πx - sinc x) / x, near 0 by its series, whose terms don't cancel."""
    small = np.less(np.abs(x), 0.01)
    far = np.where(small, 1.0, x)
    near = np.where(small, x, 0.0)
    z = (math.pi * near) ** 2
    series = -(math.pi**2) * near * (1 / 3 - z * (1 / 30 - z * (1 / 840 - z / 45360)))
    return np.where(small, series, (np.cos(math.pi * far) - np.sinc(far)) / far)


SINC = Primitive(
    "sinc",
    lambda x: np.sinc(x),
    type_rule=lambda x: ArrayType(x.shape, x.dtype),
    d=(_sinc_slope,),
    elementwise=True,
    text="sinc({0})",
)
FUNCTIONS[np.sinc] = SINC


@implements(np.unwrap)
def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * math.pi) -> Any:
    """Add multiples of the period, which are constant in ``p``."""
    plain = STOP(p) if isinstance(p, Traced) else p
    steps = np.diff(plain, axis=axis)
    half = 0.5 * period
    jumps = np.mod(steps + half, period) - half
    jumps = np.where(np.logical_and(np.equal(jumps, -half), np.greater(steps, 0)), half, jumps)
    limit = half if discont is None else max(discont, half)
    turns = np.where(np.less(np.abs(steps), limit), 0.0, jumps - steps)
    return p + np.cumsum(_zero_first(turns, axis), axis)


def _zero_first(x: Any, axis: int) -> Any:
    widths = [(0, 0)] * ndim_of(x)
    widths[axis] = (1, 0)
    return np.pad(x, widths)


# -- grids ---------------------------------------------------------------------------------------


@implements(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    grids = [np.reshape(x, (1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(g, 0, 1) for g in grids]
    if not sparse:
        shape = np.broadcast_shapes(*(shape_of(g) for g in grids))
        grids = [np.broadcast_to(g, shape) for g in grids]
    return tuple(np.copy(g) for g in grids) if copy else tuple(grids)


@implements(np.linspace)
def _linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    parts = num - 1 if endpoint else num
    extent = stop - start
    steps: Any = np.arange(num).reshape((-1,) + (1,) * ndim_of(extent))
    if not parts:
        steps, parts = steps * 1.0, 1
    out = start + extent * (steps / parts)
    if endpoint and num > 1:  # exactly, whatever the rounding
        last = np.arange(num).reshape(steps.shape) == num - 1
        out = np.where(last, stop, out)
    out = np.moveaxis(out, 0, axis) if axis else out
    out = out if dtype is None else out.astype(dtype)
    return (out, extent / parts) if retstep else out


@implements(np.logspace)
def _logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    out = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return out if dtype is None else out.astype(dtype)


@implements(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    ratio = np.true_divide(stop, start)
    exponents = np.linspace(np.zeros(shape_of(ratio)), np.ones(shape_of(ratio)), num, endpoint)
    out = start * ratio**exponents
    out = np.moveaxis(out, 0, axis) if axis else out
    return out if dtype is None else out.astype(dtype)


# -- statistics ----------------------------------------------------------------------------------


@implements(np.cov)
def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if fweights is not None or aweights is not None:
        unsupported(
            "np.cov with weights",
            why="only the unweighted covariance has a rule",
            help="centre the columns and write the weighted product: (w * c) @ c.T",
        )
    rows = _variables(m, rowvar)
    if y is not None:
        rows = np.concatenate([rows, _variables(y, rowvar)], 0)
    rows = rows.astype(np.result_type(rows.dtype, float) if dtype is None else dtype)
    if ddof is None:
        ddof = 0 if bias else 1
    centred = rows - np.mean(rows, 1, keepdims=True)
    other = np.conj(centred) if centred.dtype.kind == "c" else centred
    return np.squeeze((centred @ other.T) / (shape_of(rows)[1] - ddof))


def _variables(m: Any, rowvar: bool) -> Any:
    if ndim_of(m) > 2:
        raise ValueError("m has more than 2 dimensions")
    rows = np.atleast_2d(m)
    return rows.T if not rowvar and ndim_of(m) == 2 and shape_of(rows)[0] != 1 else rows


@implements(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, **kwargs: Any) -> Any:
    c = np.cov(x, y, rowvar, **kwargs)
    if not ndim_of(c):
        return c / c
    spread = np.sqrt(np.diagonal(c).real)
    return np.clip((c / spread[:, None]) / spread[None, :], -1, 1)


@implements(np.nanvar)
def _nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, **kwargs: Any
) -> Any:
    keepdims = bool(kwargs.get("keepdims", False))
    valid = np.logical_not(np.isnan(a))
    centred = np.where(valid, a - np.nanmean(a, axis, keepdims=True), 0.0)
    squares = np.sum(np.abs(centred) ** 2, axis, keepdims=keepdims)
    return squares / (np.sum(valid, axis, keepdims=keepdims) - ddof).astype(squares.dtype)


@implements(np.nanstd)
def _nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, **kwargs: Any
) -> Any:
    keepdims = bool(kwargs.get("keepdims", False))
    valid = np.logical_not(np.isnan(a))
    centred = np.where(valid, a - np.nanmean(a, axis, keepdims=True), 0.0)
    axes = normalize_axes(axis, ndim_of(a))
    norm = np.linalg.vector_norm(centred, axis=axes, keepdims=keepdims)
    return norm / np.sqrt((np.sum(valid, axis, keepdims=keepdims) - ddof).astype(norm.dtype))


@implements(np.nan_to_num)
def _nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.equal(x, np.inf), high, x)
    return np.where(np.equal(x, -np.inf), low, x)
