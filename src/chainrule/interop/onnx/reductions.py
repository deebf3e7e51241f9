"""Emitters of reductions, running sums and orders."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from .elementwise import truth
from .graph import BOOL, INT64, Graph, Value
from .registry import emits

# -- reductions ----------------------------------------------------------------------------------

_REDUCTIONS = {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "norm": "ReduceL2",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
}
_EXTREMES = ("ReduceMax", "ReduceMin")


def _reduction(op: str) -> Any:
    def emit(g: Graph, out: ArrayType, x: Value, axis: Any, keepdims: bool) -> str:
        name = g.cast(x, out.dtype)
        if not axis:
            return str(g.node("Abs" if op == "ReduceL2" else "Identity", name))
        axes = g.integers(*axis)
        if not _is_narrow(out.dtype) or (out.dtype == np.uint64 and op in _EXTREMES):
            return str(g.node(op, name, axes, keepdims=int(keepdims)))
        wide = _wide(out.dtype)
        found = g.node(op, g.cast(name, wide), axes, keepdims=int(keepdims))
        return g.cast(found, out.dtype)

    return emit


for _name, _op in _REDUCTIONS.items():
    emits(_name)(_reduction(_op))


def _is_narrow(dtype: np.dtype[Any]) -> bool:
    """Tell whether onnxruntime reduces values of ``dtype`` only in a wider type."""
    return dtype == BOOL or dtype.kind == "u" or dtype.itemsize < 4


def _all_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(int(a) % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))


def _count(g: Graph, flags: str, axes: tuple[int, ...], keepdims: bool) -> str:
    numbers = g.cast(flags, INT64)
    if not axes:
        return numbers
    return str(g.node("ReduceSum", numbers, g.integers(*axes), keepdims=int(keepdims)))


@emits("count_nonzero")
def _count_nonzero(g: Graph, out: ArrayType, x: Value, axis: Any, keepdims: bool) -> str:
    return _count(g, truth(g, x), _all_axes(axis, x.type.ndim), keepdims)


@emits("any")
def _any(g: Graph, out: ArrayType, x: Value, axis: Any, keepdims: bool) -> str:
    found = _count(g, truth(g, x), _all_axes(axis, x.type.ndim), keepdims)
    return str(g.node("Greater", found, g.scalar(0, INT64)))


@emits("all")
def _all(g: Graph, out: ArrayType, x: Value, axis: Any, keepdims: bool) -> str:
    missing = g.node("Not", truth(g, x))
    found = _count(g, missing, _all_axes(axis, x.type.ndim), keepdims)
    return str(g.node("Equal", found, g.scalar(0, INT64)))


def _place(op: str) -> Any:
    def emit(g: Graph, out: ArrayType, x: Value, axis: Any, keepdims: bool) -> str:
        name = _ordered(g, x)
        if axis is None:
            flat = g.node("Reshape", name, g.integers(-1))
            return g.reshape(g.node(op, flat, axis=0, keepdims=0), out.shape)
        return str(g.node(op, name, axis=int(axis) % x.type.ndim, keepdims=int(keepdims)))

    return emit


def _ordered(g: Graph, x: Value) -> str:
    """Return values in a type that onnxruntime orders, in the same order."""
    if x.dtype == np.uint64:  # large numbers would become negative: the small ones shall
        turned = g.node("BitwiseXor", x.name, g.scalar(1 << 63, np.uint64))
        return g.cast(turned, INT64)
    return g.cast(x, _wide(x.dtype) if _is_narrow(x.dtype) else x.dtype)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype.kind == "f" else INT64


emits("argmax")(_place("ArgMax"))
emits("argmin")(_place("ArgMin"))


# -- running sums and orders -----------------------------------------------------------------------


@emits("cumsum")
def _cumsum(g: Graph, out: ArrayType, x: Value, axis: int, reverse: bool = False) -> str:
    along = g.scalar(axis, INT64)
    wide = _wide(out.dtype) if _is_narrow(out.dtype) else out.dtype
    found = g.node("CumSum", g.cast(x, wide), along, reverse=int(reverse))
    return g.cast(found, out.dtype, wide)


@emits("argsort", "argpartition")
def _argsort(
    g: Graph, out: ArrayType, x: Value, axis: int, kind: Any = None, kth: Any = None
) -> str:
    """Order by TopK of all elements, which keeps equal ones in their order.

    A partition is a complete order here: its elements are as they should be around ``kth``.
    """
    name = _ordered(g, x)
    count = g.integers(x.shape[axis])
    return str(g.node("TopK", name, count, outputs=2, axis=axis, largest=0, sorted=1)[1])


@emits("searchsorted")
def _searchsorted(
    g: Graph, out: ArrayType, a: Value, v: Value, side: str, sorter: Any = None
) -> str:
    """Count the elements before each value."""
    dtype = np.result_type(a.dtype, v.dtype)
    edges = g.cast(a, dtype)
    if sorter is not None:
        edges = g.node("Gather", edges, g.constant(np.asarray(sorter, np.int64)), axis=0)
    values = g.node("Unsqueeze", g.cast(v, dtype), g.integers(-1))
    before = g.node("Less" if side == "left" else "LessOrEqual", edges, values)
    return str(g.node("ReduceSum", g.cast(before, INT64), g.integers(-1), keepdims=0))
