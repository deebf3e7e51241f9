"""Emitters of reading and writing by index.

Writing is done on the flat array: the positions that an index names are what reading by it gives
of an array of positions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...program.arraytype import ArrayType
from ...program.index import Hole, join_index
from .elementwise import chosen
from .graph import BOOL, END, INT64, Graph, Value
from .registry import emits
from .sizes import Dim

# -- reading -------------------------------------------------------------------------------------


class _Index(NamedTuple):
    """An index, one entry per axis of the array and one for each new axis.

    ``arrays`` are those entries that pick elements: they broadcast against each other.
    """

    entries: tuple[Any, ...]
    arrays: dict[int, Value]


def _spelled_out(g: Graph, spec: tuple[Any, ...], parts: tuple[Value, ...], ndim: int) -> _Index:
    """Return an index without dots and masks; integers beside arrays are arrays as well."""
    entries: list[Any] = []
    for part in spec:
        if type(part) is not Hole:
            entries.append(part)
            continue
        array = parts[part]
        if array.dtype == BOOL:  # only a known mask selects a known number of elements
            places = np.nonzero(np.asarray(array.data))
            entries += [g.value(p) for p in places]
        else:
            entries.append(array)
    consumed = sum(e is not None and e is not Ellipsis for e in entries)
    rest = [slice(None)] * (ndim - consumed)
    if Ellipsis in [e if e is Ellipsis else None for e in entries]:
        at = next(i for i, e in enumerate(entries) if e is Ellipsis)
        entries[at : at + 1] = rest
    else:
        entries += rest
    if any(isinstance(e, Value) for e in entries):
        entries = [_as_array(g, e) if isinstance(e, int | Dim) else e for e in entries]
    arrays = {i: e for i, e in enumerate(entries) if isinstance(e, Value)}
    return _Index(tuple(entries), arrays)


def read(g: Graph, name: str, shape: Any, spec: Any, parts: tuple[Value, ...]) -> str:
    """Return the elements of a tensor of that shape that an index names."""
    index = _spelled_out(g, spec, parts, len(shape))
    name = _sliced(g, name, shape, index)
    if not index.arrays:
        return name
    if len(index.arrays) == 1:
        ((axis, array),) = index.arrays.items()
        return str(g.node("Gather", name, g.cast(array, INT64), axis=axis))
    front = 0 if _is_split(spec) else min(index.arrays)
    return _gathered(g, name, len(index.entries), index.arrays, front)


def _as_array(g: Graph, entry: Any) -> Value:
    if not isinstance(entry, Dim):
        return g.value(np.array(entry, np.int64))
    return Value(g.node("Squeeze", g.integers(entry)), ArrayType((), INT64))


def _sliced(g: Graph, name: str, shape: Any, index: _Index) -> str:
    """Do slices, integers and new axes; the axes of arrays are left as they are."""
    old = [e for e in index.entries if e is not None]
    rows = []
    for axis, (entry, n) in enumerate(zip(old, shape, strict=True)):
        if isinstance(entry, slice) and not _takes_all(entry, n):
            rows.append((axis, *_ends(entry, n)))
        elif isinstance(entry, int | Dim):
            after: Any = entry + 1 if isinstance(entry, Dim) or entry != -1 else END
            rows.append((axis, entry, after, 1))
    if rows:
        axes, starts, stops, steps = (g.integers(*column) for column in zip(*rows, strict=True))
        name = g.node("Slice", name, starts, stops, axes, steps)
    dropped = [axis for axis, entry in enumerate(old) if isinstance(entry, int | Dim)]
    if dropped:
        name = g.node("Squeeze", name, g.integers(*dropped))
    shown = [e for e in index.entries if not isinstance(e, int | Dim)]
    added = [i for i, e in enumerate(shown) if e is None]
    return str(g.node("Unsqueeze", name, g.integers(*added))) if added else name


def _takes_all(part: slice, n: Any) -> bool:
    if part.step not in (None, 1) or part.start not in (None, 0):
        return False
    known = isinstance(n, int) and isinstance(part.stop, int)
    return part.stop is None or (part.stop >= n if known else bool(part.stop == n))


def _ends(part: slice, n: Any) -> tuple[Any, Any, int]:
    step = 1 if part.step is None else part.step
    if not any(isinstance(end, Dim) for end in (n, part.start, part.stop)):
        start, stop, step = part.indices(n)
        # ONNX reads -1 as the last element, and an end before the first one in its own way
        return (start, stop if stop >= 0 else -END, step) if range(start, stop, step) else (0, 0, 1)
    start = part.start if part.start is not None else (0 if step > 0 else END)
    stop = part.stop if part.stop is not None else (END if step > 0 else -END)
    return start, stop, step


def _is_split(spec: Any) -> bool:
    """Tell whether something that is no array stands between the arrays of an index.

    NumPy puts the axes of the arrays first in that case, else where the first array is.
    """
    picks = [isinstance(p, int | Dim) for p in spec]  # a hole is an integer, too
    first, last = picks.index(True), len(picks) - picks[::-1].index(True)
    return not all(picks[first:last])


def _gathered(g: Graph, name: str, ndim: int, picked: dict[int, Value], front: int) -> str:
    """Pick elements by several arrays, which broadcast against each other."""
    shape = np.broadcast_shapes(*(a.shape for a in picked.values())) if _all_known(picked) else None
    columns = [g.cast(a, INT64) for a in picked.values()]
    if shape is None:
        total = columns[0]
        for column in columns[1:]:
            total = g.node("Add", total, column)
        common = g.node("Shape", total)
        columns = [g.node("Expand", c, common) for c in columns]
    else:
        columns = [
            c if a.shape == shape else g.expand(c, shape)
            for c, a in zip(columns, picked.values(), strict=True)
        ]
    width = max(a.type.ndim for a in picked.values())
    table = g.node("Concat", *(g.node("Unsqueeze", c, g.integers(-1)) for c in columns), axis=-1)
    others = [axis for axis in range(ndim) if axis not in picked]
    if [*picked, *others] != list(range(ndim)):
        name = g.node("Transpose", name, perm=[*picked, *others])
    name = g.node("GatherND", name, table)
    if front and width:
        order = [
            *range(width, width + front),
            *range(width),
            *range(width + front, width + len(others)),
        ]
        name = g.node("Transpose", name, perm=order)
    return name


def _all_known(picked: dict[int, Value]) -> bool:
    return not any(isinstance(n, Dim) for a in picked.values() for n in a.shape)


@emits("getitem")
def _getitem(g: Graph, out: ArrayType, x: Value, *parts: Value, spec: Any) -> str:
    return read(g, x.name, x.shape, spec, parts)


# -- writing -------------------------------------------------------------------------------------


def _size(shape: Any) -> Any:
    size: Any = 1
    for n in shape:
        size = n * size
    return size


def positions_of(g: Graph, shape: Any) -> str:
    """Return an array of that shape, with the flat position of each element."""
    return g.reshape(g.arange(_size(shape)), shape)


def _flat(g: Graph, name: str) -> str:
    return str(g.node("Reshape", name, g.integers(-1)))


def added_at(g: Graph, out: ArrayType, v: str, places: str) -> str:
    """Return zeros with elements added at flat positions."""
    zeros = g.filled(0, out.dtype, (_size(out.shape),))
    found = g.node("ScatterElements", zeros, _flat(g, places), _flat(g, v), axis=0, reduction="add")
    return g.reshape(found, out.shape)


@emits("scatter_add")
def _scatter_add(g: Graph, out: ArrayType, v: Value, *parts: Value, shape: Any, spec: Any) -> str:
    places = read(g, positions_of(g, shape), shape, spec, parts)
    spread = g.node("Expand", g.cast(v, out.dtype), g.node("Shape", places))
    return added_at(g, out, spread, places)


@emits("embed")
def _embed(g: Graph, out: ArrayType, v: Value, shape: Any, index: Any) -> str:
    name = g.cast(v, out.dtype)
    margins = _margins(index, v.shape, shape)
    if margins is not None and not (out.dtype.kind in "iu" and out.dtype.itemsize == 2):
        return str(g.node("Pad", name, g.integers(*margins), g.scalar(0, out.dtype)))
    places = read(g, positions_of(g, shape), shape, _as_tuple(index), ())
    spread = g.node("Expand", name, g.node("Shape", places))
    return added_at(g, out, spread, places)


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _margins(index: Any, inner: Any, outer: Any) -> list[Any] | None:
    """Return what is before and after a block in an array; None for another kind of index."""
    index = _as_tuple(index)
    if len(index) > len(outer) or len(inner) != len(outer):
        return None
    before, after = [], []
    entries = [*index, *[slice(None)] * (len(outer) - len(index))]
    for entry, n, m in zip(entries, inner, outer, strict=True):
        if not isinstance(entry, slice) or entry.step not in (None, 1):
            return None
        start = 0 if entry.start is None else entry.start
        if isinstance(start, int) and start < 0:
            start = m + start
        rest = m - start - n
        if (isinstance(rest, int) and rest < 0) or (isinstance(start, int) and start < 0):
            return None  # the value is broadcast into the block
        before.append(start)
        after.append(rest)
        if isinstance(n, int) and n == 1 and not _is_one(entry, m):
            return None
    return [*before, *after]


def _is_one(entry: slice, m: Any) -> bool:
    """Tell whether a slice takes one element, so that a length of 1 is not broadcast."""
    if isinstance(m, Dim) or any(isinstance(e, Dim) for e in (entry.start, entry.stop)):
        return False
    return len(range(*entry.indices(m))) == 1


@emits("setitem")
def _setitem(g: Graph, out: ArrayType, x: Value, v: Value, *parts: Value, spec: Any) -> str:
    places = read(g, positions_of(g, x.shape), x.shape, spec, parts)
    given = g.cast(v, out.dtype)
    target = _target(spec, parts, x.type)
    extra = v.type.ndim - target
    if extra > 0:  # NumPy drops leading axes of length 1 when it assigns
        given = g.node("Squeeze", given, g.integers(*range(extra)))
    values = _flat(g, g.node("Expand", given, g.node("Shape", places)))
    flat, at = _flat(g, g.cast(x, out.dtype)), _flat(g, places)
    if _may_repeat(x.type, parts, spec):
        found = _last_written(g, out, flat, at, values, _size(x.shape))
    else:
        found = g.node("ScatterElements", flat, at, values, axis=0)
    return g.reshape(found, out.shape)


def _may_repeat(x: ArrayType, parts: tuple[Value, ...], spec: Any) -> bool:
    """Tell whether an index may name an element twice."""
    arrays = [p for p in parts if p.dtype.kind in "iu" and p.type.ndim]
    if not arrays:
        return False
    if any(p.data is None for p in parts) or any(isinstance(n, Dim) for n in x.shape):
        return True
    index = join_index([np.asarray(p.data) for p in parts], spec)
    named = np.arange(_size(x.shape)).reshape(x.shape)[index]
    return len(np.unique(named)) < named.size


def _target(spec: Any, parts: tuple[Value, ...], x: ArrayType) -> int:
    """Return how many axes the elements that an index names have."""
    keys: list[Any] = []
    for part in spec:
        if type(part) is not Hole:
            keys.append(
                slice(None)
                if isinstance(part, slice)
                else 0
                if isinstance(part, int | Dim)
                else part
            )
        elif parts[part].dtype == BOOL:
            keys.append(np.zeros((1,) * parts[part].type.ndim, bool))
        else:
            keys.append(np.zeros((1,) * parts[part].type.ndim, int))
    return int(np.zeros((1,) * x.ndim)[tuple(keys)].ndim)


def _last_written(g: Graph, out: ArrayType, flat: str, at: str, values: str, size: Any) -> str:
    """Write elements, of those at the same place the last one.

    ONNX leaves open which one that is, so it is found first: the largest number of those that
    are written to a place.
    """
    count = g.node("Squeeze", g.node("Shape", at))
    order = g.node("Range", g.scalar(0, INT64), count, g.scalar(1, INT64))
    none = g.filled(-1, INT64, (size,))
    last = g.node("ScatterElements", none, at, order, axis=0, reduction="max")
    written = g.node("GreaterOrEqual", last, g.scalar(0, INT64))
    padded = g.node("Concat", values, g.filled(0, out.dtype, (1,)), axis=0)  # if none is written
    source = g.node("Where", written, last, g.scalar(0, INT64))
    new = g.node("Gather", padded, source, axis=0)
    return chosen(g, out.dtype, written, new, flat)
