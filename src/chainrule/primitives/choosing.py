"""NumPy's functions that pick, replace, insert and delete elements, in terms of indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import Traced, implements
from .families import known, normalize_axes
from .indexing import pick

# -- picking -------------------------------------------------------------------------------------


def _in_range(indices: Any, n: int, mode: str) -> Any:
    if mode == "wrap":
        return np.mod(indices, n)
    if mode == "clip":
        return np.clip(indices, 0, n - 1)
    return indices


@implements(np.take, method="take")
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Answer ``np.take``, which NumPy dispatches on ``a`` alone."""
    indices = indices if isinstance(indices, Traced) else np.asarray(indices)
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axes(axis, ndim_of(a))[0]
    return pick(a, (*((slice(None),) * axis), _in_range(indices, shape_of(a)[axis], mode)))


def _along_axis(a: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the index that NumPy's ``*_along_axis`` functions mean."""
    ndim = ndim_of(a)
    if ndim_of(indices) != ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if ndim == 1:
        return (indices,)
    index: list[Any] = []
    for i, n in enumerate(shape_of(a)):
        places = np.arange(n).reshape((1,) * i + (-1,) + (1,) * (ndim - i - 1))
        index.append(indices if i == axis else places)
    return tuple(index)


@implements(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axes(axis, ndim_of(arr))[0]
    return pick(arr, _along_axis(arr, indices, axis))


@implements(np.compress)
def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    chosen = np.flatnonzero(known(condition, "np.compress"))
    return np.take(a, chosen, axis)


@implements(method="compress")
def _compress_method(a: Any, condition: Any, axis: int | None = None) -> Any:
    return _compress(condition, a, axis)


@implements(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    return np.ravel(arr)[np.flatnonzero(known(condition, "np.extract"))]


@implements(np.choose)
def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    a = np.asarray(known(a, "np.choose"))
    if mode == "raise" and np.any((a < 0) | (a >= len(choices))):
        raise ValueError("invalid entry in choice array")
    chosen = _in_range(a, len(choices), mode)
    shape = np.broadcast_shapes(a.shape, *(shape_of(c) for c in choices))
    out = np.broadcast_to(choices[0], shape)
    for i, choice in enumerate(choices[1:], 1):
        out = np.where(np.equal(chosen, i), choice, out)
    return out


@implements(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = np.where(condition, choice, out)
    return out


@implements(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    """Evaluate each function on its own elements only, as NumPy does."""
    conditions = [np.asarray(known(c, "np.piecewise"), bool) for c in _conditions(condlist)]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    elif len(funclist) != len(conditions):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected"
        )
    y = np.zeros_like(x)
    for condition, f in zip(conditions, funclist, strict=True):
        y[condition] = f(x[condition], *args, **kwargs) if callable(f) else f
    return y


def _conditions(condlist: Any) -> list[Any]:
    if isinstance(condlist, list | tuple) and condlist and not np.isscalar(condlist[0]):
        return list(condlist)
    array = np.asarray(condlist)
    return list(array) if array.ndim > 1 else [array]


# -- replacing in place --------------------------------------------------------------------------


@implements(np.put_along_axis)
def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    if axis is None:
        _put(arr, indices, values)
        return
    axis = normalize_axes(axis, ndim_of(arr))[0]
    arr[_along_axis(arr, indices, axis)] = values


@implements(np.put)
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    places = np.ravel(np.asarray(known(ind, "np.put")))
    if mode == "raise":
        size = int(a.size)
        if np.any((places < -size) | (places >= size)):
            raise IndexError(f"index out of bounds for an array of size {size}")
    places = _in_range(places, a.size, mode) % a.size
    values = np.ravel(v) if isinstance(v, Traced) else np.ravel(np.asarray(v))
    a[np.unravel_index(places, shape_of(a))] = values[np.arange(len(places)) % shape_of(values)[0]]


@implements(method="put")
def _put_method(a: Any, indices: Any, values: Any, mode: str = "raise") -> None:
    _put(a, indices, values, mode)


@implements(np.putmask)
def _putmask(a: Any, mask: Any, values: Any) -> None:
    flat = np.flatnonzero(known(mask, "np.putmask"))
    if not ndim_of(values):
        a[...] = np.where(mask, values, a)
        return
    values = np.ravel(values)
    a[np.unravel_index(flat, shape_of(a))] = values[flat % shape_of(values)[0]]


@implements(np.place)
def _place(arr: Any, mask: Any, vals: Any) -> None:
    flat = np.flatnonzero(known(mask, "np.place"))
    values = np.ravel(vals)
    arr[np.unravel_index(flat, shape_of(arr))] = values[np.arange(len(flat)) % shape_of(values)[0]]


@implements(np.fill_diagonal)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    shape = shape_of(a)
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(shape) == 2:
        step, end = shape[1] + 1, None if wrap else shape[1] * shape[1]
    else:
        if len(set(shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step, end = 1 + int(np.cumprod(shape[:0:-1]).sum()), None
    flat = np.arange(a.size)[:end:step]
    values = np.ravel(val) if ndim_of(val) else val
    if ndim_of(values):
        values = values[np.arange(len(flat)) % shape_of(values)[0]]
    a[np.unravel_index(flat, shape)] = values


# -- deleting and inserting ----------------------------------------------------------------------


@implements(np.delete)
def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axes(axis, ndim_of(arr))[0]
    kept = np.delete(np.arange(shape_of(arr)[axis]), known(obj, "np.delete"))
    return np.take(arr, kept, axis)


@implements(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axes(axis, ndim_of(arr))[0]
    n = shape_of(arr)[axis]
    # where NumPy puts what is inserted is read off its own answer on positions
    order = np.insert(np.arange(n), known(obj, "np.insert"), -1)
    added = len(order) - n
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        # a scalar position takes any number of rows
        values = np.moveaxis(_at_least(values, ndim_of(arr)), 0, axis)
        added = shape_of(values)[axis] if ndim_of(values) == ndim_of(arr) else 1
        order = np.insert(np.arange(n), obj, np.full(added, -1))
    shape = list(shape_of(arr))
    shape[axis] = added
    values = np.broadcast_to(values, tuple(shape))
    places = np.where(order < 0, n + np.cumsum(order < 0) - 1, order)
    return np.take(np.concatenate([arr, values.astype(arr.dtype)], axis), places, axis)


def _at_least(values: Any, ndim: int) -> Any:
    return np.reshape(values, (1,) * (ndim - ndim_of(values)) + shape_of(values))


@implements(np.resize)
def _resize(a: Any, new_shape: Any) -> Any:
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    size = int(np.prod(shape))
    if not a.size or not size:
        return np.zeros(shape, a.dtype)
    return np.reshape(np.ravel(a)[np.arange(size) % a.size], shape)
