"""Rows of what moves, picks and orders elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .rows import A, numbers, p5, row, x5, x23, x34, x234

# -- shapes --------------------------------------------------------------------------------------

row("reshape", lambda x: np.reshape(x, (4, -1)) * x.reshape(4, 6), x234)
row("reshape F", lambda x: x.reshape((6, 4), order="F"), x234)
row("ravel", lambda x: np.ravel(x) * x.flatten() + np.ravel(x, "F"), x234)
row("squeeze", lambda x: np.squeeze(x[:, None, :, None]) * np.squeeze(x[None], 0), x23)
row("expand_dims", lambda x: np.expand_dims(x, (0, -1)) * x[None, ..., None], x23)
row("transpose", lambda x: np.transpose(x, (2, 0, 1)) + x.transpose(2, 0, 1), x234)
row("T", lambda x: x.T + x.swapaxes(0, 2), x234)
row("mT", lambda x: x.mT + np.matrix_transpose(x), x234)
row(
    "moveaxis",
    lambda x: np.moveaxis(x, 0, -1) + np.moveaxis(x, [0, 1], [-1, 0]).swapaxes(1, 2).mT.mT,
    numbers(3, 3, 3),
)
row("rollaxis", lambda x: np.rollaxis(x, 2), x234)
row("broadcast_to", lambda x: np.broadcast_to(x, (4, 2, 3)), x23)
row("broadcast_arrays", lambda a, b: np.broadcast_arrays(a, b)[0] * b, x5, x34[:, :1])
row("atleast", lambda x: np.atleast_3d(x) * np.atleast_2d(x[0]), x23)
row("concatenate", lambda a, b: np.concatenate([a, b, a], 1), x23, np.array([[1.5], [2.5]]))
row("concatenate flat", lambda a, b: np.concatenate([a, b], None), x23, x5)
row(
    "concatenate with constants", lambda a: np.concatenate([np.ones(2), a, [3.0]]), x5, single=False
)
row("stack", lambda a, b: np.stack([a, b, np.ones_like(a)], -1), x5, p5)
row("stacks", lambda a, b: np.vstack([a, b]) * np.column_stack([a, b]).T, x5, p5)
row(
    "hstack and dstack",
    lambda a, b: np.hstack([a, b])[:, 0] + np.dstack([a, b])[:, 0, 1],
    x23,
    x23 + 2,
)
row("block", lambda a: np.block([[a, a * a], [np.ones((1, 6))]]), x23, single=False)
row("append", lambda a, b: np.append(a, b), x5, 0.4)
row("np.array of values", lambda a, b: np.array([a, b * a, 1.0]), 0.4, 0.6, single=False)
row("np.array of arrays", lambda a: np.array([a, a * a]), x5)
row("filled", lambda a: np.full(3, a) * np.full_like(x5[:3], a), 0.4, single=False)
row("assigned", lambda a: _assigned(a), x5, single=False)
row("split", lambda a: np.split(a, [1, 3])[1] * np.array_split(a, 3)[0], x5)
row("hsplit", lambda a: np.hsplit(a, 2)[1] + np.vsplit(a, 3)[0][:, :2], x34)
row("flip", lambda a: np.flip(a) * np.flipud(a) + np.fliplr(a) * a[::-1, ::-1], x34)
row("rot90", lambda a: np.rot90(a) * np.rot90(a, 3), x34)
row("roll", lambda a: np.roll(a, 2) + np.roll(a, -1, 0) + np.roll(a, (1, 2), (0, 1)), x34)
row("tile", lambda a: np.tile(a, 2)[:, :3] + np.tile(a, (2, 1, 1))[1], x23)
row("repeat", lambda a: np.repeat(a, [1, 0, 2], 1) + a.repeat(2).reshape(4, 3).T[:2, :3], x23)
row(
    "pad",
    lambda a: np.pad(a, ((1, 0), (2, 1))) + np.pad(a, ((1, 0), (1, 2)), constant_values=3),
    x23,
)
for _mode in ("edge", "reflect", "symmetric", "wrap"):
    row(f"pad {_mode}", lambda a, m=_mode: np.pad(a, (1, 2), m), x34)
row("windows", lambda a: sliding_window_view(a, (2, 3), (0, 1)), x34)
row("windows of one axis", lambda a: sliding_window_view(a, (2, 2), (0, 0)), p5)
row("diagonal", lambda a: np.diagonal(a, 1) + a.diagonal(0, 0, 1)[:3], x34)
row("diag", lambda a: np.diag(np.diag(a, -1), 1) + np.diag(np.diag(a)), A)
row("diagflat", lambda a: np.diagflat(a, 1), x23)
row("triangles", lambda a: np.tril(a, -1) + np.triu(a, 1) ** 2, x34)
row("triangle of a vector", lambda a: np.tril(a), x5)
row("trace", lambda a: np.trace(a) * a.trace(1), x34)
if hasattr(np, "unstack"):  # since NumPy 2.1
    row("unstack", lambda a: np.unstack(a, axis=1)[1] * np.astype(a, a.dtype)[:, 0], x34)
row("apply_along_axis", lambda a: np.apply_along_axis(lambda v: np.outer(v, v)[1], 1, a), x234)
row("copy", lambda a: a.copy() * np.copy(a), x5)
row(
    "meshgrid",
    lambda a, b: np.meshgrid(a, b)[0] * np.meshgrid(a, b, indexing="ij")[1].T,
    x5,
    p5[:3],
)


def _assigned(a: Any) -> Any:
    r = np.zeros((2, 5))
    r[0] = a
    r[1, 1:4] = a[:3] * a[0]
    r[:, 4] = a[2]
    return r


# -- indices -------------------------------------------------------------------------------------

_MASK = np.array([True, False, True])
INDEXES: dict[str, Any] = {
    "integer": 1, "negative": -1, "slice": slice(1, None), "step": slice(None, None, -2),
    "tuple": (0, slice(None), 2), "ellipsis": (..., 1), "new axis": (None, 1, ..., None),
    "list": [1, 0, 1], "array": (np.array([[0, 1], [1, 1]]),), "two": ([0, 1, 1], [2, 2, 0]),
    "mixed": (slice(None), [2, 0, 2]), "apart": ([0, 1], slice(None), [3, 0]),
    "mask": (slice(None), _MASK), "mask alone": x234 > 0,
    "mask and list": (slice(None), _MASK, [0, 3]),
    "none": (slice(None), []), "mask of none": np.zeros((2, 3), bool), "empty slice": slice(2, 2),
    "broadcast": (np.array([[0], [1]]), np.array([0, 2, 2])),
}  # fmt: skip
for _name, _index in INDEXES.items():
    _abstract = "mask" not in _name
    row(f"x[{_name}]", lambda x, i=_index: x[i], x234, abstract=_abstract)
    _given = x234[_index]
    row(f"x[{_name}] = v", lambda x, v, i=_index: _set(x, i, v), x234, np.cos(_given),
        abstract=_abstract)  # fmt: skip
    row(f"x[{_name}] = number", lambda x, v, i=_index: _set(x, i, v), x234, 0.7,
        abstract=_abstract)  # fmt: skip
    row(f"x[{_name}] += v", lambda x, v, i=_index: _add_at(x, i, v), x234, np.cos(_given),
        abstract=_abstract)  # fmt: skip


def _set(x: Any, index: Any, value: Any) -> Any:
    r = x * 1.0
    r[index] = value
    return r


def _add_at(x: Any, index: Any, value: Any) -> Any:
    r = x * 1.0
    np.add.at(r, index, value)
    return r


row("views", lambda x: _through_views(x), x34)
row("assignment with leading ones", lambda x, v: _set(x, 0, v), x34, numbers(1, 1, 4))
row("assignment along an axis", lambda x, v: _set(x, slice(None), v), x34, numbers(3, 1))


def _through_views(x: Any) -> Any:
    r = x * 1.0
    v = r.T[1:]
    v[0] = 2.0 * v[1]
    r[0, 2:] *= r[1, :2]
    return r


# -- order, choice -------------------------------------------------------------------------------

for _axis in (0, -1, None):
    row(f"sort {_axis}", lambda x, a=_axis: np.sort(x, a), x34)
    row(f"median {_axis}", lambda x, a=_axis: np.median(x, a, keepdims=True), x34)
    row(f"argsort {_axis}", lambda x, a=_axis: x.ravel()[np.argsort(x, a)], x34)
for _method in ("linear", "lower", "higher", "midpoint", "nearest"):
    row(f"quantile {_method}", lambda x, m=_method: np.quantile(x, [0.1, 0.55], 1, method=m), x34)
row("quantile by q", lambda x, q: np.quantile(x, q), x5, 0.3)
row("percentile", lambda x: np.percentile(x, 30.0, axis=(0, 1), keepdims=True), x34)
row("nanmedian", lambda x: np.nanmedian(np.where(x34 > 1, np.nan, x)), x34, abstract=False)
row("nanquantile", lambda x: np.nanquantile(np.where(x5 > 1, np.nan, x), 0.3), x5, abstract=False)
row("partition", lambda x: np.sum(np.partition(x, 2, 1)[:, :2], 1), x34)
row("sort in place", lambda x: _sorted(x), x34)
row("searchsorted", lambda x: x * np.searchsorted(np.sort(p5), x) + np.digitize(x, [0.0, 1.0]), x5)
row("argmax", lambda x: x[np.argmax(x, 0), np.arange(4)] * x.ravel()[x.argmin()], x34)
row("nonzero", lambda x: x[np.nonzero(x > 0)] * x[np.flatnonzero(x > 0)], x5, abstract=False)
row("bincount", lambda w: np.bincount([0, 2, 2, 1, 0], w, minlength=5), x5, single=False)
row("take", lambda x: np.take(x, [[0, 1], [2, -1]], 1) * x.take([1, 2]), x34)
row("take modes", lambda x: np.take(x, [-1, 7], mode="wrap") * np.take(x, [-1, 7], mode="clip"), x5)
row("take_along_axis", lambda x: np.take_along_axis(x, np.array([[0, 2, 2]]).T, 1), x34)
row("put_along_axis", lambda x, v: _put_along(x, v), x34, numbers(3, 1))
row("put and place", lambda x: _put(x), x34)
row("compress", lambda x: np.compress([True, False, True], x, 0) + x.compress([0, 1, 1], 0), x34)
row("extract", lambda x: np.extract(x34 > 0, x), x34)
row("choose", lambda a, b: np.choose([0, 1, 1, 0, 1], [a, b]), x5, p5)
row("select", lambda x: np.select([x < -0.5, x < 0.5], [x**2, x**3], default=1.0), x5)
row(
    "piecewise",
    lambda x: np.piecewise(x, [x < 0, x > 1], [np.sin, np.exp, 2.0]),
    x5,
    abstract=False,
)
row("delete", lambda x: np.delete(x, [0, 2], 1) + np.delete(x, 1, 0)[:, :2].sum(), x34)
row("insert", lambda x, v: np.insert(x, [1, 3], v), x5, p5[:2])
row("insert rows", lambda x, v: np.insert(x, 1, v, 0), x34, numbers(4))
row("resize", lambda x: np.resize(x, (3, 4)), x5)
row("fill_diagonal", lambda x, v: _filled(x, v), A, x5[:3])


def _sorted(x: Any) -> Any:
    r = x * x
    r.sort(0)
    return r


def _put_along(x: Any, v: Any) -> Any:
    r = x * 1.0
    np.put_along_axis(r, np.array([[0], [3], [1]]), v, 1)
    return r


def _put(x: Any) -> Any:
    r, s = x * 1.0, x * 1.0
    np.put(r, [0, 5], x[1, :2])
    np.putmask(s, x34 > 0, 2.0 * x)
    np.place(s, x34 < -1, x[0])
    np.copyto(r, x[1], where=x34 > 1)
    return r * s


def _filled(x: Any, v: Any) -> Any:
    r = x * 1.0
    np.fill_diagonal(r, v)
    return r
