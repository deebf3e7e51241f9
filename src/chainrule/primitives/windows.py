"""Sliding windows, and adding windows back to where they were taken from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..maps import Windows
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import Primitive, implements
from . import batching

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
    batch=batching.shifted_axes,
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
    batch=batching.overlap_add,
    text="overlap-add({0})",
    symbol="overlap add",
)
