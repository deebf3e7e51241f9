"""Reading and writing by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import (
    Gather,
    LinearMap,
    Pad,
    Slice,
    broadcast,
    compose,
    join_index,
    select,
    split_index,
)
from ..program.arraytype import ArrayType, shape_of
from ..program.primitive import Primitive, Traced
from . import batching

# -- reading -------------------------------------------------------------------------------------


def _getitem(x: Any, *parts: Any, spec: tuple[Any, ...]) -> Any:
    return x[join_index(parts, spec)]


def _getitem_rule(y: Any, x: Any, *parts: Any, spec: tuple[Any, ...]) -> LinearMap:
    return _reading(x.shape, parts, spec)


def _reading(shape: tuple[int, ...], parts: Any, spec: tuple[Any, ...]) -> LinearMap:
    return Gather(shape, join_index(parts, spec)) if parts else Slice(shape, spec)


def _getitem_type(x: ArrayType, *parts: ArrayType, spec: tuple[Any, ...]) -> ArrayType:
    simple = None if parts else _simple_shape(x.shape, spec)
    if simple is not None:
        return ArrayType(simple, x.dtype)
    # integer arrays select nothing out of bounds when they are all zero
    arrays = [np.zeros(p.shape, p.dtype) for p in parts]
    if any(p.dtype.kind == "b" for p in parts):
        raise TypeError("the number of True elements is not known")
    dummy = np.broadcast_to(np.zeros((), x.dtype), x.shape)
    return ArrayType(_getitem(dummy, *arrays, spec=spec).shape, x.dtype)


def _simple_shape(shape: tuple[int, ...], spec: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Return what integers within bounds and slices select; None for another index."""
    if len(spec) > len(shape):
        return None
    kept = []
    for n, part in zip(shape, spec, strict=False):
        if type(part) is slice:
            kept.append(len(range(*part.indices(n))))
        elif type(part) is not int or not -n <= part < n:
            return None
    return (*kept, *shape[len(spec) :])


GETITEM = Primitive(
    "getitem",
    _getitem,
    type_rule=_getitem_type,
    d=(_getitem_rule,),
    batch=batching.getitem,
    text="{0}[…]",
    symbol="index",
    makes_view=True,
)


def pick(x: Any, index: tuple[Any, ...]) -> Any:
    """Return ``x[index]`` where ``x`` may be a plain array and the index traced."""
    if isinstance(x, Traced):
        traced: Any = x
        return traced[index]
    parts, spec = split_index(index)
    return GETITEM(x, *parts, spec=spec)


# -- writing -------------------------------------------------------------------------------------


def _setitem(x: Any, v: Any, *parts: Any, spec: tuple[Any, ...]) -> Any:
    out = np.array(x)
    out[join_index(parts, spec)] = v
    return out


def _kept(y: Any, x: Any, v: Any, *parts: Any, spec: tuple[Any, ...]) -> LinearMap:
    return select(SETITEM(np.ones(x.shape, bool), False, *parts, spec=spec))


def _written(y: Any, x: Any, v: Any, *parts: Any, spec: tuple[Any, ...]) -> LinearMap:
    """Return the map from the assigned value to the result.

    Of elements that were assigned to the same place only the last one is seen in the result.
    """
    shape = x.shape
    writing = _reading(shape, parts, spec).transpose()
    # which elements an index names may be unknown here, but how many it names is not
    places = [np.zeros(shape_of(p), np.intp) if p.dtype.kind in "iu" else p for p in parts]
    target = np.broadcast_to(np.zeros(()), shape)[join_index(places, spec)].shape
    if any(p.dtype.kind in "iu" and shape_of(p) for p in parts):
        winners = _winners(shape, target, parts, spec)
        if isinstance(winners, Traced) or not winners.all():
            writing = compose(writing, select(winners))
    given = shape_of(v)
    while len(given) > len(target) and given[0] == 1:
        given = given[1:]  # NumPy drops leading axes of length 1 when it assigns
    if given != target:
        writing = compose(writing, broadcast(given, target))
    if given != shape_of(v):
        writing = compose(writing, Slice(shape_of(v), (0,) * (len(shape_of(v)) - len(given))))
    return writing


def _winners(
    shape: tuple[int, ...], target: tuple[int, ...], parts: Any, spec: tuple[Any, ...]
) -> Any:
    """Return which of the assigned elements no later one has overwritten."""
    order = np.arange(int(np.prod(target))).reshape(target)
    last = SETITEM(np.zeros(shape, order.dtype), order, *parts, spec=spec)
    return np.equal(GETITEM(last, *parts, spec=spec), order)


SETITEM = Primitive(
    "setitem",
    _setitem,
    type_rule=lambda x, v, *parts, spec: x,
    d=(_kept, _written),
    batch=batching.setitem,
    text="{0} with […] = {1}",
    symbol="assignment",
)


# -- the transposes of reading, as operations of their own ---------------------------------------


def _embed(v: Any, shape: tuple[int, ...], index: tuple[Any, ...]) -> Any:
    out = np.zeros(shape, v.dtype if hasattr(v, "dtype") else float)
    out[index] = v
    return out


EMBED = Primitive(
    "embed",
    _embed,
    type_rule=lambda v, shape, index: ArrayType(shape, v.dtype),
    d=(lambda y, v, shape, index: Pad(shape, index),),
    batch=batching.embed,
    text="{0} in zeros",
    symbol="pad",
)


def _scatter_add(v: Any, *parts: Any, shape: tuple[int, ...], spec: tuple[Any, ...]) -> Any:
    index = join_index(parts, spec)
    out = np.zeros(shape, v.dtype if hasattr(v, "dtype") else float)
    if any(p.dtype.kind in "iu" for p in parts):
        np.add.at(out, index, v)
    else:
        out[index] = v  # a boolean index names no element twice
    return out


SCATTER_ADD = Primitive(
    "scatter_add",
    _scatter_add,
    type_rule=lambda v, *parts, shape, spec: ArrayType(shape, v.dtype),
    d=(
        lambda y, v, *parts, shape, spec: Gather(shape, join_index(parts, spec)).transpose(),
        None,
    ),
    batch=batching.scatter_add,
    text="{0} scattered",
    symbol="scatter add",
)
