"""Emitters of what rearranges, joins and takes windows of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from .graph import Graph, Value
from .indexing import added_at, positions_of
from .registry import emits


@emits("reshape")
def _reshape(g: Graph, out: ArrayType, x: Value, shape: Any) -> str:
    return g.reshape(g.cast(x, out.dtype), shape)


@emits("transpose")
def _transpose(g: Graph, out: ArrayType, x: Value, axes: Any) -> str:
    return str(g.node("Transpose", g.cast(x, out.dtype), perm=axes))


@emits("broadcast_to")
def _broadcast_to(g: Graph, out: ArrayType, x: Value, shape: Any) -> str:
    return g.expand(g.cast(x, out.dtype), shape)


@emits("concatenate")
def _concatenate(g: Graph, out: ArrayType, *parts: Value, axis: int) -> str:
    return str(g.node("Concat", *(g.cast(p, out.dtype) for p in parts), axis=axis))


@emits("stack")
def _stack(g: Graph, out: ArrayType, *parts: Value, axis: int) -> str:
    names = [g.node("Unsqueeze", g.cast(p, out.dtype), g.integers(axis)) for p in parts]
    return str(g.node("Concat", *names, axis=axis))


@emits("windows")
def _windows(g: Graph, out: ArrayType, x: Value, window: Any, axis: Any) -> str:
    return windows(g, x.name, x.shape, window, axis)


def windows(g: Graph, name: str, shape: Any, window: Any, axis: Any) -> str:
    """Gather the windows of a tensor, one axis after the other."""
    sizes = list(shape)
    for width, a in zip(window, axis, strict=True):
        count = sizes[a] - width + 1
        starts = g.node("Unsqueeze", g.arange(count), g.integers(1))
        places = g.node("Add", starts, g.constant(np.arange(width)))
        name = g.node("Gather", name, places, axis=a)
        # the offsets within the window go to the end
        ndim = len(sizes) + 1
        order = [i for i in range(ndim) if i != a + 1]
        name = g.node("Transpose", name, perm=[*order, a + 1])
        sizes[a] = count
        sizes.append(width)
    return name


@emits("overlap_add")
def _overlap_add(g: Graph, out: ArrayType, v: Value, shape: Any, window: Any, axis: Any) -> str:
    """Add elements at the positions that the windows of that shape would take them from."""
    places = windows(g, positions_of(g, shape), shape, window, axis)
    return added_at(g, out, g.cast(v, out.dtype), places)
