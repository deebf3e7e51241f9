"""Operations that move elements: shapes, axes, joining, repeating, windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from ..maps import (
    LinearMap,
    Pad,
    Permute,
    Reshape,
    Windows,
    broadcast,
    split_index,
)
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import PRIMITIVES, Primitive, Traced, implements
from .families import normalize_axes
from .indexing import EMBED, SETITEM

# -- shape ---------------------------------------------------------------------------------------

RESHAPE = Primitive(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    d=(lambda y, x, shape: Reshape(shape_of(x), shape),),
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
    shape = np.broadcast_shapes(*(shape_of(a) for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


# -- joining -------------------------------------------------------------------------------------


def _concatenate_type(*types: ArrayType, axis: int) -> ArrayType:
    first = types[0].shape
    for t in types:
        if len(t.shape) != len(first) or any(
            i != axis and n != m for i, (n, m) in enumerate(zip(t.shape, first, strict=True))
        ):
            raise ValueError(f"cannot concatenate shapes {[t.shape for t in types]}, axis {axis}")
    total = sum(t.shape[axis] for t in types)
    shape = (*first[:axis], total, *first[axis + 1 :])
    return ArrayType(shape, np.result_type(*(t.dtype for t in types)))


def _concatenate_rule(y: Any, *parts: Any, position: int, axis: int) -> LinearMap:
    start = sum(shape_of(p)[axis] for p in parts[:position])
    stop = start + shape_of(parts[position])[axis]
    return Pad(shape_of(y), (*((slice(None),) * axis), slice(start, stop)))


CONCATENATE = Primitive(
    "concatenate",
    lambda *parts, axis: np.concatenate(parts, axis=axis),
    type_rule=_concatenate_type,
    d=(_concatenate_rule,),
    text="[{all}]",
    symbol="concatenation",
    variadic=True,
)


@implements(np.concatenate)
def _concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None, casting: str = "") -> Any:
    parts = _sequence(arrays)
    if axis is None:
        parts, axis = [np.ravel(p) for p in parts], 0
    out = CONCATENATE(*parts, axis=normalize_axes(axis, ndim_of(parts[0]))[0])
    return out if dtype is None else out.astype(dtype)


def _sequence(arrays: Any) -> list[Any]:
    return [a if isinstance(a, Traced) else np.asarray(a) for a in arrays]


def _stack_type(*types: ArrayType, axis: int) -> ArrayType:
    shape = types[0].shape
    if any(t.shape != shape for t in types):
        raise ValueError("all input arrays must have the same shape")
    dtype = np.result_type(*(t.dtype.type(0).item() if t.weak else t.dtype for t in types))
    return ArrayType((*shape[:axis], len(types), *shape[axis:]), np.dtype(dtype))


def _stack_rule(y: Any, *parts: Any, position: int, axis: int) -> LinearMap:
    return Pad(shape_of(y), (*((slice(None),) * axis), position))


STACK = Primitive(
    "stack",
    lambda *parts, axis: np.stack(parts, axis=axis),
    type_rule=_stack_type,
    d=(_stack_rule,),
    text="[{all}]",
    symbol="stack",
    variadic=True,
)


@implements(np.stack)
def _stack(arrays: Any, axis: int = 0, *, dtype: Any = None, casting: str = "") -> Any:
    parts = list(arrays)
    if len({shape_of(p) for p in parts}) > 1:
        raise ValueError("all input arrays must have the same shape")
    out = STACK(*parts, axis=normalize_axes(axis, ndim_of(parts[0]) + 1)[0])
    return out if dtype is None else out.astype(dtype)


@implements(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "") -> Any:
    return np.concatenate([np.atleast_2d(p) for p in tup], 0, dtype=dtype)


@implements(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "") -> Any:
    parts = [np.atleast_1d(p) for p in tup]
    return np.concatenate(parts, 0 if ndim_of(parts[0]) == 1 else 1, dtype=dtype)


@implements(np.dstack)
def _dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(p) for p in tup], 2)


@implements(np.column_stack)
def _column_stack(tup: Any) -> Any:
    return np.concatenate([np.reshape(p, (-1, 1)) if ndim_of(p) < 2 else p for p in tup], 1)


@implements(np.block)
def _block(arrays: Any) -> Any:
    def depth(part: Any) -> int:
        return 1 + max(depth(p) for p in part) if isinstance(part, list) else 0

    levels = depth(arrays)

    def build(part: Any, level: int, ndim: int) -> Any:
        if not isinstance(part, list):
            return np.reshape(part, (1,) * (ndim - ndim_of(part)) + shape_of(part))
        return np.concatenate([build(p, level + 1, ndim) for p in part], level - levels)

    def widest(part: Any) -> int:
        return max(widest(p) for p in part) if isinstance(part, list) else ndim_of(part)

    return build(arrays, 0, max(levels, widest(arrays)))


@implements(np.append)
def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return np.concatenate([arr, values], axis)


# -- splitting -----------------------------------------------------------------------------------


@implements(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis = normalize_axes(axis, ndim_of(ary))[0]
    n = shape_of(ary)[axis]
    if isinstance(indices_or_sections, int | np.integer):
        pieces = int(indices_or_sections)
        sizes = [n // pieces + (i < n % pieces) for i in range(pieces)]
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *(int(i) for i in indices_or_sections), n]
    before = (slice(None),) * axis
    return [ary[(*before, slice(a, b))] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


@implements(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if isinstance(indices_or_sections, int | np.integer):
        n = shape_of(ary)[normalize_axes(axis, ndim_of(ary))[0]]
        if n % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
    return _array_split(ary, indices_or_sections, axis)


implements(np.vsplit)(lambda ary, sections: np.split(ary, sections, 0))
implements(np.hsplit)(lambda ary, sections: np.split(ary, sections, 1 if ndim_of(ary) > 1 else 0))
implements(np.dsplit)(lambda ary, sections: np.split(ary, sections, 2))


# -- turning, repeating, padding -----------------------------------------------------------------


@implements(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    axes = normalize_axes(axis, ndim_of(m))
    return m[tuple(slice(None, None, -1 if i in axes else None) for i in range(ndim_of(m)))]


implements(np.flipud)(lambda m: np.flip(m, 0))
implements(np.fliplr)(lambda m: np.flip(m, 1))


@implements(np.rot90)
def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    for _ in range(k % 4):
        m = np.flip(np.swapaxes(m, *axes), axes[0])
    return m


@implements(np.roll)
def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(np.roll(np.ravel(a), shift, 0), shape_of(a))
    shifts = np.broadcast_to(shift, shape_of(axis)).ravel()
    for s, i in zip(shifts, np.atleast_1d(np.asarray(axis)), strict=True):
        i = normalize_axes(int(i), ndim_of(a))[0]
        n = shape_of(a)[i]
        if n:
            before = (slice(None),) * i
            cut = n - int(s) % n
            a = np.concatenate([a[(*before, slice(cut, n))], a[(*before, slice(0, cut))]], i)
    return a


@implements(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    reps = (reps,) if isinstance(reps, int | np.integer) else tuple(int(r) for r in reps)
    ndim = max(len(reps), ndim_of(A))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - ndim_of(A)) + shape_of(A)
    spread = np.broadcast_to(
        np.reshape(A, tuple(k for n in shape for k in (1, n))),
        tuple(k for r, n in zip(reps, shape, strict=True) for k in (r, n)),
    )
    return np.reshape(spread, tuple(r * n for r, n in zip(reps, shape, strict=True)))


@implements(np.repeat, method="repeat")
def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axes(axis, ndim_of(a))[0]
    index = np.repeat(np.arange(shape_of(a)[axis]), np.asarray(repeats))
    return a[(*((slice(None),) * axis), index)]


@implements(np.pad)
def _pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    ndim = ndim_of(array)
    if isinstance(pad_width, dict):
        given = {i % ndim: w for i, w in pad_width.items()}
        pad_width = [given.get(i, (0, 0)) for i in range(ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
    if mode != "constant":
        # every other mode copies elements: where from is the same for any array of that shape
        places = np.arange(array.size).reshape(shape_of(array))
        if mode not in ("edge", "reflect", "symmetric", "wrap") or kwargs:
            raise NotImplementedError(f"np.pad with mode={mode!r} has no derivative rule here")
        return np.ravel(array)[np.pad(places, widths, mode=mode)]
    index = tuple(slice(a, a + n) for (a, _), n in zip(widths, shape_of(array), strict=True))
    shape = tuple(a + n + b for (a, b), n in zip(widths, shape_of(array), strict=True))
    fill = kwargs.get("constant_values", 0)
    if isinstance(fill, int | float) and fill == 0:
        return EMBED(array, shape=shape, index=index)
    out = np.pad(np.zeros(shape_of(array), array.dtype), widths, mode, constant_values=fill)
    return SETITEM(out, array, spec=index)


# -- windows -------------------------------------------------------------------------------------


def _windows(x: Any, window: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    return sliding_window_view(x, window, axis)


def _windows_type(x: ArrayType, window: tuple[int, ...], axis: tuple[int, ...]) -> ArrayType:
    shape = list(x.shape)
    for w, a in zip(window, axis, strict=True):
        shape[a] -= w - 1
        if shape[a] < 0:
            raise ValueError(f"a window of {w} is longer than the axis {a} of shape {x.shape}")
    return ArrayType((*shape, *window), x.dtype)


WINDOWS = Primitive(
    "windows",
    _windows,
    type_rule=_windows_type,
    d=(lambda y, x, window, axis: Windows(shape_of(x), window, axis),),
    text="windows({0})",
    symbol="sliding windows",
    makes_view=True,
)


@implements(sliding_window_view)
def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    window = tuple(int(w) for w in np.atleast_1d(np.asarray(window_shape)))
    if axis is None:
        axes = tuple(range(ndim_of(x)))
    else:
        axes = tuple(int(a) % ndim_of(x) for a in np.atleast_1d(np.asarray(axis)))
    if len(window) != len(axes):
        raise ValueError(f"window_shape has {len(window)} entries for {len(axes)} axes")
    return WINDOWS(x, window=window, axis=axes)


def _overlap_add(
    v: Any, shape: tuple[int, ...], window: tuple[int, ...], axis: tuple[int, ...]
) -> Any:
    out = np.zeros(shape, v.dtype)
    counts = v.shape[: len(shape)]
    for offset in np.ndindex(*window):
        index = [slice(None)] * len(shape)
        # an axis may carry several windows, one within the other
        starts = dict.fromkeys(axis, 0)
        for a, k in zip(axis, offset, strict=True):
            starts[a] += k
        for a, start in starts.items():
            index[a] = slice(start, start + counts[a])
        out[tuple(index)] += v[(..., *offset)]
    return out


OVERLAP_ADD = Primitive(
    "overlap_add",
    _overlap_add,
    type_rule=lambda v, shape, window, axis: ArrayType(shape, v.dtype),
    d=(lambda y, v, shape, window, axis: Windows(shape, window, axis).transpose(),),
    text="overlap-add({0})",
    symbol="overlap add",
)


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


@implements(np.tril)
def _tril(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*shape_of(m)[-2:], k=k, dtype=bool), m, 0)


@implements(np.triu)
def _triu(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*shape_of(m)[-2:], k=k - 1, dtype=bool), 0, m)


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


_PLAIN_CAST = Primitive(
    "cast_to_integer",
    lambda x, dtype: np.asarray(x).astype(dtype)[()],
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    differentiable=False,
    text="{0}",
)
