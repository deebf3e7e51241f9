"""Sums, means, extremes and other reductions, and running sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import Cast, Cumulative, LinearMap, compose, reduce, scale, select
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Primitive, Traced, implements
from . import batching
from .elementwise import log_share
from .families import is_complex, normalize_axes

Axis = Any


def _reduced(shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def _reduction_type(x: ArrayType, axis: Axis, keepdims: bool) -> ArrayType:
    return ArrayType(_reduced(x.shape, axis, keepdims), x.dtype)


def in_summed_type(a: Any, dtype: Any) -> Any:
    """Return an array in the type of its sum: small integers are added up in the platform's."""
    if dtype is None and a.dtype.kind in "biu":
        dtype = np.add.reduce(np.empty(0, a.dtype)).dtype
    return a if dtype is None or a.dtype == dtype else a.astype(dtype)


def _spread(y: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """Return a reduction's result in a shape that broadcasts against its input."""
    return np.reshape(y, _reduced(shape, axis, True))


# -- sum and mean --------------------------------------------------------------------------------


def _sum_rule(y: Any, x: Any, axis: Axis, keepdims: bool) -> LinearMap:
    return reduce(shape_of(x), axis, keepdims)


SUM = Primitive(
    "sum",
    lambda x, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims),
    type_rule=lambda x, axis, keepdims: ArrayType(
        _reduced(x.shape, axis, keepdims), np.add.reduce(np.empty(0, x.dtype)).dtype
    ),
    d=(_sum_rule,),
    batch=batching.shifted_axes,
    text="Σ{axis}({0})",
    symbol="sum",
)


@implements(np.sum, method="sum")
def _sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    if where is not True:
        a = np.where(where, a, 0)
    if dtype is not None:
        a = a.astype(dtype)
    total = SUM(a, axis=normalize_axes(axis, ndim_of(a)), keepdims=bool(keepdims))
    return total if type(initial) is int and initial == 0 else total + initial


def _count(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    count = 1
    for i in axis:
        count *= shape[i]
    return count


MEAN = Primitive(
    "mean",
    lambda x, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims),
    type_rule=_reduction_type,
    d=(
        lambda y, x, axis, keepdims: compose(
            scale(1.0 / max(_count(shape_of(x), axis), 1)), reduce(shape_of(x), axis, keepdims)
        ),
    ),
    batch=batching.shifted_axes,
    text="mean{axis}({0})",
    symbol="mean",
)


@implements(np.mean, method="mean")
def _mean(
    a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Any:
    if where is not True:
        total = np.sum(a, axis, dtype, keepdims=keepdims, where=where)
        count = np.sum(np.broadcast_to(where, shape_of(a)), axis, keepdims=keepdims)
        return total / (count.astype(total.dtype) if total.dtype.kind in "fc" else count)
    if dtype is not None or a.dtype.kind not in "fc":
        a = a.astype(dtype or float)
    return MEAN(a, axis=normalize_axes(axis, ndim_of(a)), keepdims=bool(keepdims))


@implements(np.average)
def _average(
    a: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    if weights is None:
        mean = np.mean(a, axis, keepdims=keepdims)
        count = _count(shape_of(a), normalize_axes(axis, ndim_of(a)))
        return (mean, np.full(shape_of(mean), count, mean.dtype)) if returned else mean
    if shape_of(weights) != shape_of(a):
        (where,) = normalize_axes(axis, ndim_of(a))
        shape = [1] * ndim_of(a)
        shape[where] = -1
        weights = np.reshape(weights, shape)
    weights = np.broadcast_to(weights, shape_of(a))
    total = np.sum(weights, axis, keepdims=keepdims)
    mean = np.sum(a * weights, axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


# -- variance ------------------------------------------------------------------------------------


def _centred(a: Any, axes: tuple[int, ...], mean: Any, where: Any) -> tuple[Any, Any]:
    """Return the deviations from the mean, and how many of them count."""
    if mean is None:
        mean = np.mean(a, axes, keepdims=True, where=where)
    centred = a - mean
    if where is True:
        return centred, _count(shape_of(a), axes)
    full = np.broadcast_to(where, shape_of(a))
    return np.where(full, centred, 0.0), np.sum(full, axes, keepdims=True)


def _degrees(count: Any, ddof: float, like: Any, keepdims: bool, axes: tuple[int, ...]) -> Any:
    if isinstance(count, int):
        return count - ddof
    return (count if keepdims else np.squeeze(count, axes)).astype(like.dtype) - ddof


@implements(np.var, method="var")
def _var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: Any = None,
    mean: Any = None,
    where: Any = True,
) -> Any:
    ddof = ddof if correction is None else correction
    if dtype is not None:
        a = a.astype(dtype)
    axes = normalize_axes(axis, ndim_of(a))
    centred, count = _centred(a, axes, mean, where)
    squares = np.abs(centred) ** 2 if centred.dtype.kind == "c" else centred * centred
    total = np.sum(squares, axes, keepdims=keepdims)
    return total / _degrees(count, ddof, total, keepdims, axes)


@implements(np.std, method="std")
def _std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    correction: Any = None,
    mean: Any = None,
    where: Any = True,
) -> Any:
    # a norm of the centred values: at zero spread it has the subgradient 0 of every norm
    ddof = ddof if correction is None else correction
    if dtype is not None:
        a = a.astype(dtype)
    axes = normalize_axes(axis, ndim_of(a))
    centred, count = _centred(a, axes, mean, where)
    norm = NORM(centred, axis=axes, keepdims=bool(keepdims))
    root = np.sqrt(_degrees(count, ddof, norm, keepdims, axes))
    return norm / (root.item() if isinstance(count, int) else root)


# -- the Euclidean norm --------------------------------------------------------------------------


def _norm(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    squares = (x * np.conj(x)).real if is_complex(x) else x * x
    return np.sqrt(np.sum(squares, axis=axis, keepdims=keepdims))


def _norm_rule(y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> LinearMap:
    """d‖x‖ = x·dx / ‖x‖, and the subgradient 0 at the origin."""
    shape = shape_of(x)
    full = _spread(y, shape, axis)
    origin = np.equal(full, 0)
    direction = np.where(origin, 0.0, x / np.where(origin, 1.0, full))
    total = reduce(shape, axis, keepdims)
    if is_complex(x):
        return compose(Cast(direction.dtype, y.dtype), total, scale(np.conj(direction)))
    return compose(total, scale(direction))


NORM = Primitive(
    "norm",
    _norm,
    type_rule=lambda x, axis, keepdims: ArrayType(
        _reduced(x.shape, axis, keepdims), np.empty(0, x.dtype).real.dtype
    ),
    d=(_norm_rule,),
    batch=batching.shifted_axes,
    text="‖{0}‖",
    symbol="norm",
)


# -- extremes ------------------------------------------------------------------------------------


def _extreme_rule(y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> LinearMap:
    """Select the extreme elements; several equal ones share evenly."""
    shape = shape_of(x)
    chosen = np.equal(x, _spread(y, shape, axis))
    count = np.sum(chosen, axis=axis, keepdims=True)
    maps: list[LinearMap] = [reduce(shape, axis, keepdims)]
    if isinstance(count, Traced) or np.any(count > 1):
        maps.append(scale((1.0 / np.maximum(count, 1)).astype(x.dtype)))
    return compose(*maps, select(chosen))


def _extreme_type(x: ArrayType, axis: tuple[int, ...], keepdims: bool) -> ArrayType:
    if 0 in (x.shape[i] for i in axis):
        raise ValueError("zero-size array to a maximum or minimum, which has no identity")
    return _reduction_type(x, axis, keepdims)


MAX = Primitive(
    "max",
    lambda x, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    type_rule=_extreme_type,
    d=(_extreme_rule,),
    batch=batching.shifted_axes,
    text="max{axis}({0})",
    symbol="maximum",
)
MIN = Primitive(
    "min",
    lambda x, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
    type_rule=_extreme_type,
    d=(_extreme_rule,),
    batch=batching.shifted_axes,
    text="min{axis}({0})",
    symbol="minimum",
)


def _extreme(primitive: Primitive, pair: Any, neutral: float) -> Any:
    def answer(
        a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Any:
        if where is not True:
            a = np.where(where, a, neutral)
        shape, axis, keepdims = shape_of(a), normalize_axes(axis, ndim_of(a)), bool(keepdims)
        if initial is not None and 0 in (shape[i] for i in axis):
            return np.full(_reduced(shape, axis, keepdims), initial, a.dtype)
        out = primitive(a, axis=axis, keepdims=keepdims)
        return out if initial is None else pair(out, initial)

    return answer


implements(np.max, np.amax, method="max")(_extreme(MAX, np.maximum, -np.inf))
implements(np.min, np.amin, method="min")(_extreme(MIN, np.minimum, np.inf))


@implements(np.ptp)
def _ptp(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)


def _ignoring_nan(reduction: Any, neutral: float) -> Any:
    def answer(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        return reduction(np.where(np.isnan(a), neutral, a), axis, keepdims=keepdims)

    return answer


FUNCTIONS[np.nansum] = _ignoring_nan(np.sum, 0.0)
FUNCTIONS[np.nanprod] = _ignoring_nan(np.prod, 1.0)
FUNCTIONS[np.nanmax] = _ignoring_nan(np.max, -np.inf)
FUNCTIONS[np.nanmin] = _ignoring_nan(np.min, np.inf)


@implements(np.nanmean)
def _nanmean(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return np.mean(a, axis, keepdims=keepdims, where=np.logical_not(np.isnan(a)))


# -- products and log-sum-exp --------------------------------------------------------------------


def _product_of_others(x: Any, axis: tuple[int, ...]) -> Any:
    """Return for each element the product of all others, exact where some are zero.

    Products of what stands before and after each element; no division.
    """
    moved = np.moveaxis(x, axis, range(len(axis)))
    flat = np.reshape(moved, (-1, *shape_of(moved)[len(axis) :]))
    ones = np.ones_like(flat[:1])
    before = np.cumprod(np.concatenate([ones, flat[:-1]]), axis=0)
    after = np.flip(np.cumprod(np.concatenate([ones, np.flip(flat[1:], 0)]), axis=0), 0)
    return np.moveaxis(np.reshape(before * after, shape_of(moved)), range(len(axis)), axis)


def _prod_rule(y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> LinearMap:
    shape = shape_of(x)
    if 0 in shape or not axis:
        return reduce(shape, axis, keepdims)
    return compose(reduce(shape, axis, keepdims), scale(_product_of_others(x, axis)))


PROD = Primitive(
    "prod",
    lambda x, axis, keepdims: np.multiply.reduce(x, axis=axis, keepdims=keepdims),
    type_rule=_reduction_type,
    d=(_prod_rule,),
    batch=batching.shifted_axes,
    text="Π{axis}({0})",
    symbol="product",
)


@implements(np.prod, method="prod")
def _prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    if where is not True:
        a = np.where(where, a, 1)
    a = in_summed_type(a, dtype)
    out = PROD(a, axis=normalize_axes(axis, ndim_of(a)), keepdims=bool(keepdims))
    return out if initial is None else out * initial


def _logsumexp(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return np.reshape(total, _reduced(x.shape, axis, keepdims))[()]


def _logsumexp_rule(y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> LinearMap:
    shape = shape_of(x)
    full = _spread(y, shape, axis)
    softmax = np.exp(log_share(x, full))
    return compose(reduce(shape, axis, keepdims), scale(softmax))


LOGSUMEXP = Primitive(
    "logsumexp",
    _logsumexp,
    type_rule=_reduction_type,
    d=(_logsumexp_rule,),
    batch=batching.shifted_axes,
    text="logsumexp{axis}({0})",
    symbol="log-sum-exp",
)


def log_sum_exp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Answer ``np.logaddexp.reduce``."""
    return LOGSUMEXP(a, axis=normalize_axes(axis, ndim_of(a)), keepdims=bool(keepdims))


# -- running sums -------------------------------------------------------------------


def _cumsum_impl(x: Any, axis: int, reverse: bool = False) -> Any:
    if not reverse:
        return np.cumsum(x, axis=axis)
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)


CUMSUM = Primitive(
    "cumsum",
    _cumsum_impl,
    type_rule=lambda x, axis, reverse=False: x,
    d=(lambda y, x, axis, reverse=False: Cumulative(axis, reverse),),
    batch=batching.shifted_axes,
    text="cumsum({0})",
    symbol="running sum",
)


@implements(np.cumsum, method="cumsum")
def _cumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    a = in_summed_type(a, dtype)
    if axis is None:
        a, axis = np.ravel(a), 0
    return CUMSUM(a, axis=normalize_axes(axis, ndim_of(a))[0], reverse=False)


# -- what has no derivative ----------------------------------------------------------------------


def _declare(name: str, function: Any, dtype: Any) -> None:
    primitive = Primitive(
        name,
        function,
        type_rule=lambda x, axis, keepdims: ArrayType(
            _reduced(x.shape, normalize_axes(axis, x.ndim), keepdims), dtype
        ),
        differentiable=False,
        batch=batching.shifted_axes,
        text=name + "({0})",
    )

    @implements(function, method=None if name == "count_nonzero" else name)
    def answer(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        return primitive(a, axis=axis, keepdims=bool(keepdims))


for _name, _function, _kind in (
    ("all", np.all, bool),
    ("any", np.any, bool),
    ("argmax", np.argmax, np.intp),
    ("argmin", np.argmin, np.intp),
    ("count_nonzero", np.count_nonzero, np.intp),
):
    _declare(_name, _function, np.dtype(_kind))
