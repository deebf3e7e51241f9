"""Operations that rearrange one array: its shape, its axes, its diagonals, its dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..maps import (
    Permute,
    Reshape,
    broadcast,
    split_index,
)
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import PRIMITIVES, Primitive, implements
from . import batching
from .families import normalize_axes
from .indexing import SETITEM

# -- shape ---------------------------------------------------------------------------------------

RESHAPE = Primitive(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    d=(lambda y, x, shape: Reshape(shape_of(x), shape),),
    batch=batching.of_shape,
    text="reshape({0})",
    symbol="reshape",
    makes_view=True,
)


def _full_shape(shape: Any, size: int) -> tuple[int, ...]:
    """Return a shape without -1."""
    sizes = [int(n) for n in (shape if isinstance(shape, tuple | list) else (shape,))]
    if sizes.count(-1) == 1:
        known = 1
        for n in sizes:
            known *= n if n != -1 else 1
        sizes[sizes.index(-1)] = size // known if known else 0
    total = 1
    for n in sizes:
        total *= n
    if total != size or min(sizes, default=0) < 0:
        raise ValueError(f"cannot reshape array of size {size} into shape {tuple(shape)}")
    return tuple(sizes)


@implements(np.reshape)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    full = _full_shape(shape if isinstance(shape, tuple | list) else (shape,), a.size)
    if order == "F":
        reversed_ = RESHAPE(np.transpose(a), shape=full[::-1])
        return np.transpose(reversed_)
    return RESHAPE(a, shape=full)


@implements(method="reshape")
def _reshape_method(a: Any, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return _reshape(a, shape[0] if len(shape) == 1 else shape, order)


@implements(np.ravel, method="ravel")
def _ravel(a: Any, order: str = "C") -> Any:
    return _reshape(a, (-1,), "F" if order == "F" else "C")


@implements(method="flatten")
def _flatten(a: Any, order: str = "C") -> Any:
    return np.copy(_ravel(a, order))


@implements(np.squeeze, method="squeeze")
def _squeeze(a: Any, axis: Any = None) -> Any:
    shape = shape_of(a)
    if axis is None:
        return RESHAPE(a, shape=tuple(n for n in shape if n != 1))
    axes = normalize_axes(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return RESHAPE(a, shape=tuple(n for i, n in enumerate(shape) if i not in axes))


@implements(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    count = len(axis) if isinstance(axis, tuple | list) else 1
    ndim = ndim_of(a) + count
    axes = normalize_axes(axis, ndim)
    sizes = iter(shape_of(a))
    return RESHAPE(a, shape=tuple(1 if i in axes else next(sizes) for i in range(ndim)))


def _at_least(ndim: int) -> Any:
    def answer(*arrays: Any) -> Any:
        results = []
        for a in arrays:
            missing = ndim - ndim_of(a)
            if missing <= 0:
                results.append(a)
            elif ndim == 3 and ndim_of(a) in (1, 2):
                results.append(np.reshape(a, (*((1,) * (missing - 1)), *shape_of(a), 1)))
            else:
                results.append(np.reshape(a, (1,) * missing + shape_of(a)))
        return results[0] if len(results) == 1 else tuple(results)

    return answer


implements(np.atleast_1d)(_at_least(1))
implements(np.atleast_2d)(_at_least(2))
implements(np.atleast_3d)(_at_least(3))


# -- axes ----------------------------------------------------------------------------------------

TRANSPOSE = Primitive(
    "transpose",
    lambda x, axes: np.transpose(x, axes),
    type_rule=lambda x, axes: ArrayType(tuple(x.shape[a] for a in axes), x.dtype),
    d=(lambda y, x, axes: Permute(axes),),
    batch=batching.permuted,
    text="{0}ᵀ",
    symbol="transpose",
    makes_view=True,
)


@implements(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    ndim = ndim_of(a)
    if axes is None:
        return TRANSPOSE(a, axes=tuple(range(ndim))[::-1])
    order = tuple(int(i) % ndim for i in axes)
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"axes {tuple(axes)} don't match an array with {ndim} axes")
    return TRANSPOSE(a, axes=order)


@implements(method="transpose")
def _transpose_method(a: Any, *axes: Any) -> Any:
    if not axes or axes == (None,):
        return _transpose(a)
    return _transpose(a, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


@implements(np.matrix_transpose)
def _matrix_transpose(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


@implements(np.swapaxes, method="swapaxes")
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    order = list(range(ndim_of(a)))
    i, j = normalize_axes(axis1, len(order))[0], normalize_axes(axis2, len(order))[0]
    order[i], order[j] = order[j], order[i]
    return TRANSPOSE(a, axes=tuple(order))


@implements(np.moveaxis)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    ndim = ndim_of(a)
    sources = [int(s) % ndim for s in np.atleast_1d(np.asarray(source))]
    targets = [int(d) % ndim for d in np.atleast_1d(np.asarray(destination))]
    order = [i for i in range(ndim) if i not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return TRANSPOSE(a, axes=tuple(order))


@implements(np.rollaxis)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis, ndim = axis % ndim_of(a), ndim_of(a)
    start = start + ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


# -- broadcasting --------------------------------------------------------------------------------


def _broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    x = np.asarray(x)
    if x.shape == shape:
        return x
    # as np.broadcast_to, which takes several microseconds to check what is known here
    offset = len(shape) - x.ndim
    strides = [0] * offset + [0 if n == 1 else s for n, s in zip(x.shape, x.strides, strict=True)]
    return as_strided(x, shape, strides, writeable=False)


BROADCAST_TO = Primitive(
    "broadcast_to",
    _broadcast_to,
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    d=(lambda y, x, shape: broadcast(shape_of(x), shape),),
    batch=batching.of_shape,
    text="{0}",
    symbol="broadcast",
    makes_view=True,
)


@implements(np.broadcast_to)
def _broadcast_call(array: Any, shape: Any, subok: bool = False) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if np.broadcast_shapes(shape_of(array), shape) != shape:
        raise ValueError(f"shape {shape_of(array)} cannot be broadcast to {shape}")
    return BROADCAST_TO(array, shape=shape)


@implements(np.broadcast_arrays)
def _broadcast_arrays(*arrays: Any, subok: bool = False) -> Any:
    shapes = {shape_of(a) for a in arrays}
    if len(shapes) == 1:
        return arrays
    shape = np.broadcast_shapes(*shapes)
    return tuple(np.broadcast_to(a, shape) for a in arrays)


# -- diagonals, triangles ------------------------------------------------------------------------


@implements(np.diagonal, method="diagonal")
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    moved = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = shape_of(moved)[-2:]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    i = np.arange(n)
    return moved[..., i - min(offset, 0), i + max(offset, 0)]


@implements(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if ndim_of(v) == 2:
        return np.diagonal(v, k)
    if ndim_of(v) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = shape_of(v)[0] + abs(k)
    i = np.arange(shape_of(v)[0])
    parts, spec = split_index((i - min(k, 0), i + max(k, 0)))
    return SETITEM(np.zeros((n, n), v.dtype), v, *parts, spec=spec)


implements(np.diagflat)(lambda v, k=0: np.diag(np.ravel(v), k))


def _triangle(m: Any, k: int) -> Any:
    if ndim_of(m) == 1:  # NumPy makes a matrix of equal rows out of a vector
        return np.tri(m.shape[0], k=k, dtype=bool)
    rows, columns = shape_of(m)[-2:]
    return np.tri(rows, columns, k, bool)


@implements(np.tril)
def _tril(m: Any, k: int = 0) -> Any:
    return np.where(_triangle(m, k), m, 0)


@implements(np.triu)
def _triu(m: Any, k: int = 0) -> Any:
    return np.where(_triangle(m, k - 1), 0, m)


# -- copies and casts ----------------------------------------------------------------------------


@implements(np.copy, method="copy")
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.__copy__()


@implements(method="astype")
def _astype(a: Any, dtype: Any, *args: Any, copy: bool = True, **kwargs: Any) -> Any:
    dtype = np.dtype(dtype)
    if dtype == a.dtype:
        return _copy(a) if copy else a
    if dtype.kind not in "fc":
        return _PLAIN_CAST(a, dtype=dtype)
    return PRIMITIVES["cast"](a, dtype=dtype)


@implements(np.astype)
def _astype_call(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return _astype(x, dtype, copy=copy)


_PLAIN_CAST = Primitive(
    "cast_to_integer",
    lambda x, dtype: np.asarray(x).astype(dtype)[()],
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    differentiable=False,
    batch=batching.leading,
    text="{0}",
)
