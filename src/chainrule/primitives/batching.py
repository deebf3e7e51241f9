"""How an operation on single examples becomes one on a whole batch.

A batching rule gets the operands, of which some carry the batch as their first axis, and returns
the result with the batch as its first axis. Families of operations share one; an operation without
a rule is applied to one example after the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..maps import Hole
from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import Primitive

Batched = tuple[bool, ...]


def one_by_one(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Apply the operation to each example by itself; right for every operation."""
    results = [
        primitive(*(o[i] if b else o for o, b in zip(operands, batched, strict=True)), **params)
        for i in range(size)
    ]
    if primitive.joint is None:
        return np.stack(results)
    return tuple(np.stack(column) for column in zip(*results, strict=True))


def elementwise(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Broadcast: the batch axis has to come before all axes of the single operands."""
    rank = max(ndim_of(o) - b for o, b in zip(operands, batched, strict=True))
    aligned = (_with_axes(o, rank) if b else o for o, b in zip(operands, batched, strict=True))
    return primitive(*aligned, **params)


def _with_axes(o: Any, rank: int) -> Any:
    """Insert axes behind the batch axis until the example has ``rank`` axes."""
    shape = shape_of(o)
    missing = rank - (len(shape) - 1)
    return o if missing <= 0 else np.reshape(o, (shape[0], *((1,) * missing), *shape[1:]))


def leading(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Do nothing: the operation treats leading axes as a stack already."""
    return primitive(*operands, **params)


def shifted_axes(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Count axes one further; ``axis`` or ``axes`` name them, all operands alike."""
    name = "axes" if "axes" in params else "axis"
    xs = [spread(o, b, size) for o, b in zip(operands, batched, strict=True)]
    axis = params[name]
    if axis is None:
        axis = tuple(range(ndim_of(xs[0]) - 1))
        if primitive.name in ("argmax", "argmin"):  # these know no tuples of axes
            xs[0], axis = np.reshape(xs[0], (size, -1)), 0
    rank = max(ndim_of(xs[0]) - 1, 1)
    moved = axis % rank + 1 if isinstance(axis, int) else tuple(a % rank + 1 for a in axis)
    return primitive(*xs, **{**params, name: moved})


def spread(o: Any, is_batched: bool, size: int) -> Any:
    """Return an operand with the batch axis, repeated where it had none."""
    return o if is_batched else np.broadcast_to(o, (size, *shape_of(o)))


def of_shape(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Put the batch before the shape that the result is to have."""
    (x,) = operands
    if primitive.name == "broadcast_to":
        x = _with_axes(x, len(params["shape"]))
    return primitive(x, **{**params, "shape": (size, *params["shape"])})


def permuted(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Leave the batch axis where it is."""
    return primitive(*operands, axes=(0, *(a + 1 for a in params["axes"])))


def joined(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Give every part the batch axis."""
    parts = (spread(o, b, size) for o, b in zip(operands, batched, strict=True))
    return primitive(*parts, axis=params["axis"] + 1)


def matmul(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Multiply stacks; vectors become matrices with one row or column for that."""
    a, b = operands
    rank_a, rank_b = (ndim_of(o) - is_b for o, is_b in zip(operands, batched, strict=True))
    if not batched[1] and rank_b <= 2:
        return _rows_times(primitive, a, b)
    if not batched[0] and rank_a == 2 and rank_b == 1:
        return primitive(b, np.transpose(a))
    if not batched[0] and rank_a <= 2 and rank_b >= 2:
        return primitive(a, b)
    if rank_a == 1:
        a = np.expand_dims(a, -2)
    if rank_b == 1:
        b = np.expand_dims(b, -1)
    rank = max(rank_a, rank_b, 2)
    a = _with_axes(a, rank) if batched[0] else a
    b = _with_axes(b, rank) if batched[1] else b
    out = primitive(a, b)
    if rank_b == 1:
        out = out[..., 0]
    return out if rank_a > 1 else out[..., 0] if rank_b == 1 else out[..., 0, :]


def _rows_times(primitive: Primitive, a: Any, b: Any) -> Any:
    """Multiply a stack by one matrix or vector: as one product, since that is the faster one."""
    shape = shape_of(a)
    if len(shape) <= 2:
        return primitive(a, b)
    rows = math.prod(shape[:-1])
    out = primitive(np.reshape(a, (rows, shape[-1])), b)
    return np.reshape(out, shape[:-1] + shape_of(b)[1:])


def einsum(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Give the batch a letter of its own."""
    left, out = params["subscripts"].split("->")
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    free = next(c for c in letters if c not in left)
    labels = [free * b + lab for lab, b in zip(left.split(","), batched, strict=True)]
    return primitive(*operands, subscripts=",".join(labels) + "->" + free + out)


def solve(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Solve a stack of systems; a stack of vectors needs a column axis."""
    a, b = operands
    rank_b = ndim_of(b) - batched[1]
    if rank_b == 1:
        return primitive(a, np.expand_dims(b, -1))[..., 0]
    rank = max(ndim_of(a) - batched[0], rank_b)
    a = _with_axes(a, rank) if batched[0] else a
    b = _with_axes(b, rank) if batched[1] else b
    return primitive(a, b)


# -- indices -------------------------------------------------------------------------------------

EVERY = slice(None)


def getitem(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Index every example alike, or each with indices of its own."""
    x, *parts = operands
    spec = params["spec"]
    if any(batched[1:]):
        if all(type(s) is Hole for s in spec) and all(p.dtype.kind in "iu" for p in parts):
            return _own_indices(primitive, x, parts, batched, size)
        return one_by_one(primitive, operands, batched, size, params)
    out = primitive(x, *parts, spec=(EVERY, *spec))
    place = _batch_place(parts, spec)
    return np.moveaxis(out, place, 0) if place else out


def _batch_place(parts: Any, spec: tuple[Any, ...]) -> int:
    """Return where the axis before an index ends up.

    NumPy puts the axes of advanced indices first when something stands between them, an integer
    counting as an advanced index beside arrays.
    """
    if not parts:
        return 0
    advanced = [i for i, s in enumerate(spec) if type(s) in (Hole, int)]
    if advanced[-1] - advanced[0] + 1 == len(advanced):
        return 0
    integer = [p for p in parts if p.dtype.kind in "iu"]
    booleans = any(p.dtype.kind == "b" for p in parts)
    return max(len(np.broadcast_shapes(*(shape_of(p) for p in integer))), int(booleans))


def _own_indices(primitive: Primitive, x: Any, parts: Any, batched: Batched, size: int) -> Any:
    rank = max(ndim_of(p) - b for p, b in zip(parts, batched[1:], strict=True))
    aligned = [_with_axes(p, rank) if b else p for p, b in zip(parts, batched[1:], strict=True)]
    if batched[0]:
        aligned.insert(0, np.arange(size).reshape((size,) + (1,) * rank))
    return primitive(x, *aligned, spec=tuple(Hole(i) for i in range(len(aligned))))


def setitem(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Assign to every example alike."""
    x, v, *parts = operands
    spec = params["spec"]
    if any(batched[2:]) or _batch_place(parts, spec):
        return one_by_one(primitive, operands, batched, size, params)
    x = spread(x, batched[0], size)
    if batched[1]:
        places = _filled((EVERY, *spec), [_anywhere(p) for p in parts])
        target = np.broadcast_to(np.zeros(()), shape_of(x))[places]
        # an assignment drops leading axes of length 1, which would now come after the batch
        v = np.reshape(v, (size, *shape_of(v)[1 + max(0, ndim_of(v) - target.ndim) :]))
        v = _with_axes(v, target.ndim - 1)
    return primitive(x, v, *parts, spec=(EVERY, *spec))


def _anywhere(part: Any) -> Any:
    """Return an index of the same shape, whose value is known."""
    return np.zeros(shape_of(part), np.intp) if part.dtype.kind in "iu" else part


def _filled(spec: tuple[Any, ...], parts: Any) -> tuple[Any, ...]:
    return tuple(parts[s] if type(s) is Hole else s for s in spec)


def embed(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Put every example at the same place."""
    index = params["index"] if isinstance(params["index"], tuple) else (params["index"],)
    return primitive(*operands, shape=(size, *params["shape"]), index=(EVERY, *index))


def scatter_add(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Add every example at the same places."""
    v, *parts = operands
    spec = params["spec"]
    if any(batched[1:]) or _batch_place(parts, spec):
        return one_by_one(primitive, operands, batched, size, params)
    return primitive(v, *parts, shape=(size, *params["shape"]), spec=(EVERY, *spec))


def overlap_add(
    primitive: Primitive, operands: Any, batched: Batched, size: int, params: dict[str, Any]
) -> Any:
    """Add the windows of every example back to that example."""
    axis = tuple(a + 1 for a in params["axis"])
    shape = (size, *params["shape"])
    return primitive(*operands, shape=shape, window=params["window"], axis=axis)
