"""Order statistics: sorting, quantiles, and searching. Sorted values are gathered elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import split_index
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import Primitive, Traced, implements
from . import batching
from .choosing import take
from .families import known, normalize_axes, unsupported
from .indexing import SCATTER_ADD

INTP = np.dtype(np.intp)

# -- sorting -------------------------------------------------------------------------------------

ARGSORT = Primitive(
    "argsort",
    lambda x, axis, kind: np.argsort(x, axis, kind),
    type_rule=lambda x, axis, kind: ArrayType(x.shape, INTP),
    differentiable=False,
    batch=batching.shifted_axes,
    text="argsort({0})",
)
ARGPARTITION = Primitive(
    "argpartition",
    lambda x, kth, axis: np.argpartition(x, kth, axis),
    type_rule=lambda x, kth, axis: ArrayType(x.shape, INTP),
    differentiable=False,
    batch=batching.shifted_axes,
    text="argpartition({0})",
)


@implements(np.argsort, method="argsort")
def _argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None
) -> Any:
    a, axis = _one_axis(a, axis)
    return ARGSORT(a, axis=axis, kind="stable" if stable else kind)


@implements(np.argpartition, method="argpartition")
def _argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    a, axis = _one_axis(a, axis)
    return ARGPARTITION(a, kth=kth, axis=axis)


def _one_axis(a: Any, axis: Any) -> tuple[Any, int]:
    if axis is None:
        return np.ravel(a), 0
    return a, normalize_axes(axis, ndim_of(a))[0]


@implements(np.sort)
def _sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None
) -> Any:
    a, axis = _one_axis(a, axis)
    return np.take_along_axis(a, np.argsort(a, axis, kind, stable=stable), axis)


@implements(method="sort")
def _sort_in_place(a: Any, axis: int = -1, *args: Any, **kwargs: Any) -> None:
    a[...] = _sort(a, axis, *args, **kwargs)


@implements(np.partition)
def _partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    a, axis = _one_axis(a, axis)
    return np.take_along_axis(a, np.argpartition(a, kth, axis), axis)


@implements(method="partition")
def _partition_in_place(a: Any, kth: Any, axis: int = -1, *args: Any, **kwargs: Any) -> None:
    a[...] = _partition(a, kth, axis)


# -- median and quantiles ------------------------------------------------------------------------


def _lines(a: Any, axis: Any) -> Any:
    """Return the array with the axes that are reduced as one, at the front."""
    axes = normalize_axes(axis, ndim_of(a))
    moved = np.moveaxis(a, axes, range(len(axes)))
    return np.reshape(moved, (-1, *shape_of(moved)[len(axes) :])), axes


def _kept(out: Any, a: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if not keepdims:
        return out
    extra = ndim_of(out) - (ndim_of(a) - len(axes))
    shape = tuple(1 if i in axes else n for i, n in enumerate(shape_of(a)))
    return np.reshape(out, shape_of(out)[:extra] + shape)


def _or_nan(out: Any, lines: Any) -> Any:
    """Return the result, or NaN where there is one anywhere on the line."""
    if lines.dtype.kind in "biu":
        return out
    return np.where(np.any(np.isnan(lines), axis=0), np.nan, out)


@implements(np.median)
def _median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    lines, axes = _lines(a, axis)
    n = shape_of(lines)[0]
    ordered = np.sort(lines, 0)
    middle = ordered[n // 2] if n % 2 else np.mean(ordered[n // 2 - 1 : n // 2 + 1], 0)
    return _kept(_or_nan(middle, lines), a, axes, keepdims)


@implements(np.quantile)
def _quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Any:
    if method not in ("linear", "lower", "higher", "midpoint", "nearest") or weights is not None:
        unsupported(
            f"np.quantile with {'weights' if weights is not None else f'method={method!r}'}",
            why="only the methods that look at the two nearest elements have a rule",
            help="use method='linear' without weights",
        )
    lines, axes = _lines(a, axis)
    n = shape_of(lines)[0]
    if not isinstance(q, Traced) and not np.all(
        np.logical_and(np.less_equal(0, q), np.less_equal(q, 1))
    ):
        raise ValueError("Quantiles must be in the range [0, 1]")
    ordered = np.sort(lines, 0)
    place = np.multiply(q, n - 1.0)
    if method in ("lower", "higher", "nearest"):
        rounded = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}[method](place)
        return _kept(_or_nan(take(ordered, rounded.astype(INTP), 0), lines), a, axes, keepdims)
    if ordered.dtype.kind in "biu":
        ordered = ordered.astype(float)
    floor = np.floor(place)
    part = place - floor if method == "linear" else 0.5 * (np.ceil(place) - floor)
    if isinstance(q, int | float):
        part = part.astype(ordered.dtype)
    part = np.reshape(part, shape_of(q) + (1,) * (ndim_of(ordered) - 1))
    below = floor.astype(INTP)
    low = take(ordered, below, 0)
    step = take(ordered, np.minimum(below + 1, n - 1), 0) - low
    return _kept(_or_nan(low + step * part, lines), a, axes, keepdims)


@implements(np.percentile)
def _percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Any:
    fraction = q / 100.0 if isinstance(q, int | float) else np.true_divide(q, 100.0)
    return np.quantile(a, fraction, *args, **kwargs)


# -- searching -----------------------------------------------------------------------------------

SEARCHSORTED = Primitive(
    "searchsorted",
    lambda a, v, side, sorter: np.searchsorted(a, v, side, sorter),
    type_rule=lambda a, v, side, sorter: ArrayType(v.shape, INTP),
    differentiable=False,
    text="searchsorted({0}, {1})",
)


@implements(np.searchsorted, method="searchsorted")
def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return SEARCHSORTED(a, v, side=side, sorter=sorter)


@implements(np.digitize)
def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    edges = known(bins, "np.digitize")
    if len(edges) > 1 and edges[0] > edges[-1]:
        return len(edges) - np.searchsorted(edges[::-1], x, "left" if right is False else "right")
    return np.searchsorted(edges, x, "left" if right else "right")


def _without_nan(reduction: Any) -> Any:
    """Return the function that leaves NaN elements out; each line may lose another number."""

    def answer(a: Any, *args: Any, **kwargs: Any) -> Any:
        axis = kwargs.pop("axis", None)
        if kwargs.get("keepdims") or (axis is not None and ndim_of(a) > 1):
            unsupported(
                f"np.nan{reduction.__name__} along an axis",
                why="the lines have different numbers of elements that count",
                help="call it for each line: np.stack([np.nanmedian(row) for row in x])",
            )
        flat = np.ravel(a)
        kept = np.flatnonzero(known(np.logical_not(np.isnan(flat)), "skipping NaN"))
        return reduction(flat[kept], *args, **kwargs)

    return answer


@implements(np.nanmedian)
def _nanmedian(a: Any, axis: Any = None, out: Any = None, **kwargs: Any) -> Any:
    return _without_nan(np.median)(a, axis=axis, **kwargs)


@implements(np.nanquantile)
def _nanquantile(a: Any, q: Any, axis: Any = None, **kwargs: Any) -> Any:
    return _without_nan(np.quantile)(a, q, axis=axis, **kwargs)


@implements(np.nanpercentile)
def _nanpercentile(a: Any, q: Any, axis: Any = None, **kwargs: Any) -> Any:
    return _without_nan(np.percentile)(a, q, axis=axis, **kwargs)


@implements(np.nanargmax)
def _nanargmax(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.argmax(np.where(np.isnan(a), -np.inf, a), axis, keepdims=keepdims)


@implements(np.nanargmin)
def _nanargmin(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.argmin(np.where(np.isnan(a), np.inf, a), axis, keepdims=keepdims)


@implements(np.lexsort)
def _lexsort(keys: Any, axis: int = -1) -> Any:
    return np.lexsort(tuple(np.asarray(known(k, "np.lexsort")) for k in keys), axis)


def _plain(value: Any, what: str) -> Any:
    """Return a parameter of a histogram, which may be a constant of the trace."""
    if isinstance(value, Traced) and not value._is_constant:
        unsupported(
            f"np.histogram with {what} that are differentiated",
            why="counts jump where an element crosses the edge of a bin",
            help="use np.bincount(bins, weights=w) for sums of weights",
        )
    return known(value, "np.histogram") if isinstance(value, Traced) else value


@implements(np.histogram_bin_edges)
def _bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    bins, weights = _plain(bins, "bins"), _plain(weights, "weights")
    values = known(a, "np.histogram_bin_edges")
    if range is not None or np.ndim(bins) or not np.size(values):
        return np.histogram_bin_edges(values, bins, range, weights)
    # without a range the edges move with the smallest and the largest element
    plain = np.histogram_bin_edges(values, bins, None, weights)
    low, high = np.min(a), np.max(a)
    if np.min(values) == np.max(values):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, len(plain))


@implements(np.histogram)
def _histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Count: the counts are constant in the values, but the edges and a density are not."""
    edges = _bin_edges(a, bins, range, weights)
    values, weights = known(a, "np.histogram"), _plain(weights, "weights")
    counts, _ = np.histogram(values, _plain(bins, "bins"), range, None, weights)
    if density:
        return counts / np.diff(edges) / np.sum(counts), edges
    return counts, edges


@implements(np.nonzero, method="nonzero")
def _nonzero(a: Any) -> Any:
    return np.nonzero(known(a, "np.nonzero"))


@implements(np.argwhere)
def _argwhere(a: Any) -> Any:
    return np.argwhere(known(a, "np.argwhere"))


@implements(np.flatnonzero)
def _flatnonzero(a: Any) -> Any:
    return np.flatnonzero(known(a, "np.flatnonzero"))


def _refuse_sets(*args: Any, **kwargs: Any) -> Any:
    unsupported(
        "a set operation",
        why="equal elements become one, and which of them carries the derivative is undefined",
        help="take the set of stop_gradient(x), or index x with np.unique(..., return_index=True)",
    )


implements(
    np.unique,
    np.unique_all,
    np.unique_counts,
    np.unique_inverse,
    np.unique_values,
    np.union1d,
    np.intersect1d,
    np.setdiff1d,
    np.setxor1d,
)(_refuse_sets)


@implements(np.isin)
def _isin(element: Any, test_elements: Any, *args: Any, **kwargs: Any) -> Any:
    return np.isin(known(element, "np.isin"), known(test_elements, "np.isin"), *args, **kwargs)


@implements(np.bincount)
def _bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    x = np.asarray(known(x, "np.bincount"))
    if not isinstance(weights, Traced):
        return np.bincount(x, weights, minlength)
    size = max(int(np.max(x, initial=-1)) + 1, minlength)
    parts, spec = split_index(x)
    return SCATTER_ADD(weights, *parts, shape=(size,), spec=spec)
