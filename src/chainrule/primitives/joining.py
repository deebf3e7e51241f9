"""Operations that put arrays together, take them apart, turn, repeat and pad them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..maps import LinearMap, Pad
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import Primitive, Traced, implements
from . import batching
from .families import normalize_axes, unsupported
from .indexing import EMBED, SETITEM

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
    batch=batching.joined,
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
    batch=batching.joined,
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
    return [ary[(*before, slice(a, b))] for a, b in pairwise(cuts)]


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


if hasattr(np, "unstack"):  # NumPy 2.1

    @implements(np.unstack)
    def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        return tuple(np.moveaxis(x, axis, 0))


@implements(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    lines = np.moveaxis(arr, axis, -1)
    outer = shape_of(lines)[:-1]
    results = [func1d(lines[i], *args, **kwargs) for i in np.ndindex(*outer)]
    inner = shape_of(results[0])
    stacked = np.reshape(np.stack(results), outer + inner)
    # the axes of the results stand where the axis was
    axis = normalize_axes(axis, ndim_of(arr))[0]
    order = [*range(axis), *range(len(outer), len(outer) + len(inner)), *range(axis, len(outer))]
    return np.transpose(stacked, order)


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
    tiled = np.reshape(spread, tuple(r * n for r, n in zip(reps, shape, strict=True)))
    return np.copy(tiled)  # never a view


@implements(np.repeat, method="repeat")
def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axes(axis, ndim_of(a))[0]
    index = np.repeat(np.arange(shape_of(a)[axis]), np.asarray(repeats))
    return a[(*((slice(None),) * axis), index)]


@implements(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    ndim = ndim_of(array)
    if isinstance(pad_width, dict):
        given = {i % ndim: w for i, w in pad_width.items()}
        pad_width = [given.get(i, (0, 0)) for i in range(ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    widths: Any = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
    if mode != "constant":
        # every other mode copies elements: where from is the same for any array of that shape
        places = np.arange(array.size).reshape(shape_of(array))
        odd = kwargs.get("reflect_type", "even") != "even"
        if mode not in ("edge", "reflect", "symmetric", "wrap", "empty") or odd:
            unsupported(
                f"np.pad with mode={mode!r}" + (" and reflect_type='odd'" if odd else ""),
                why="only the modes that repeat elements or a constant have a rule",
                help="make the border yourself and join it with np.concatenate",
            )
        if mode != "empty":
            return np.ravel(array)[np.pad(places, widths, mode)]
    index = tuple(slice(a, a + n) for (a, _), n in zip(widths, shape_of(array), strict=True))
    shape = tuple(a + n + b for (a, b), n in zip(widths, shape_of(array), strict=True))
    fill = kwargs.get("constant_values", 0)
    if isinstance(fill, int | float) and fill == 0:
        return EMBED(array, shape=shape, index=index)
    out = np.pad(np.zeros(shape_of(array), array.dtype), widths, mode, constant_values=fill)
    return SETITEM(out, array, spec=index)
