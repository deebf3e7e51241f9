"""Operations that write their result in steps: joins, assignments, scatters, running sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.index import Hole
from .. import ir
from ..plan.schedule import UnsupportedError, size_of
from ..sizes import Size, bounds, is_fixed
from .scalar import I64, constant, convert

if TYPE_CHECKING:
    from .codegen import Nest

Index = tuple[Any, ...]
Place = Callable[[Index], Index]


def full_spec(spec: Any, ndim: int, parts: Sequence[Any] = ()) -> list[Any]:
    """Return an index with a part for every axis."""
    spec = spec if isinstance(spec, tuple) else (spec,)
    used = sum(p is not None and p is not Ellipsis for p in spec)
    rest = [slice(None)] * (ndim - used)
    full: list[Any] = []
    for part in spec:
        full.extend(rest if part is Ellipsis else [part])
    return full if any(p is Ellipsis for p in spec) else full + rest


def source_index(
    nest: Nest, equation: Equation, spec: Any, shape: Sequence[int], parts: Any, index: Index
) -> Index:
    """Return which element of an array of ``shape`` an element of ``array[spec]`` is.

    NumPy puts the axes of index arrays where they stand, or first if something stands between
    them; an integer beside arrays counts as one of them.
    """
    full = full_spec(spec, len(shape))
    holes = [p for p in full if type(p) is Hole]
    if not holes:
        return _basic_index(nest, full, shape, index)
    advanced = [k for k, p in enumerate(full) if _is_advanced(p)]
    rank = max(len(nest.buffers.shape_of(parts[p])) for p in holes)
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    before = advanced[0] if adjacent else 0
    inner = index[before : before + rank]
    others = iter(
        _basic_index(
            nest,
            [p for p in full if not _is_advanced(p)],
            [n for n, p in zip(shape, _no_none(full), strict=True) if not _is_advanced(p)],
            index[:before] + index[before + rank :],
        )
    )
    place: list[Any] = []
    for n, part in zip(shape, _no_none(full), strict=True):
        if type(part) is Hole:
            place.append(_taken(nest, equation, parts[part], inner, n))
        else:
            place.append(_counted(part, n) if _is_advanced(part) else next(others))
    return tuple(place)


def _is_advanced(part: Any) -> bool:
    return isinstance(part, Hole | int | Size)


def _counted(part: Any, n: int) -> Any:
    """Return an integer of an index as a place, from the end if it's negative."""
    return I64((part + n if part < 0 else part) if n else 0)


def _no_none(full: list[Any]) -> list[Any]:
    return [p for p in full if p is not None]


@contextmanager
def _outside(nest: Nest, index: Index) -> Iterator[None]:
    """Write before the loops in which an index is the same in each step.

    LLVM would take a condition out of a loop with the most expensive of its passes only.
    """
    counters = {i.text: depth for depth, (i, _) in enumerate(nest.loops)}
    variable = [i for i in index if not isinstance(i, ir.Constant)]
    inner = max((counters.get(i.text, len(nest.loops)) + 1 for i in variable), default=0)
    if inner >= len(nest.loops):
        yield
        return
    counter, before = nest.loops[inner]
    # what is known within the loops isn't known before them
    memo, nest.memo = nest.memo, {}
    with nest.b.goto_end(before) as end:
        yield
    nest.memo = memo
    counter.incoming = [(x, end() if b is before else b) for x, b in counter.incoming]
    nest.loops[inner] = counter, end()


def _taken(nest: Nest, equation: Equation, part: Any, inner: Index, n: int) -> Any:
    """Return the element of an index array, from the end if it's negative, checked."""
    dtype = nest.buffers.dtype_of(part)
    if dtype.kind not in "iu":
        raise UnsupportedError(equation, "an index with a mask is not compiled yet")
    shape = nest.buffers.shape_of(part)
    last = inner[len(inner) - len(shape) :]
    own = tuple(I64(0) if m == 1 else i for m, i in zip(shape, last, strict=True))
    with _outside(nest, own):
        i = convert(nest.b, nest.value(part, own), dtype, np.dtype(np.int64))
        b = nest.b
        i = b.select(b.icmp_signed("<", i, I64(0)), b.add(i, I64(n)), i)
        if (
            type(part) is Var
            or not is_fixed(n)
            or ((np.asarray(part) >= n) | (np.asarray(part) < -n)).any()
        ):
            i = nest.checked(equation, i, n)
    return i


def _basic_index(nest: Nest, full: list[Any], shape: Sequence[int], index: Index) -> Index:
    given = iter(index)
    sizes = iter(shape)
    place: list[Any] = []
    for part in full:
        if part is None:
            next(given)
            continue
        n = next(sizes)
        if isinstance(part, int | Size):
            place.append(_counted(part, n))
            continue
        start, _, step, _ = bounds(part, n)
        i = next(given)
        i = i if step == 1 else nest.b.mul(i, I64(step), flags=["nsw"])
        place.append(i if start == 0 else nest.b.add(i, I64(start), flags=["nsw"]))
    return tuple(place)


# -- loops over an array -----------------------------------------------------------------------


def over(nest: Nest, shape: Sequence[int], body: Callable[[Index], None]) -> None:
    """Write nested loops over a shape around what ``body`` writes."""

    def level(depth: int, index: Index) -> None:
        if depth == len(shape):
            nest.memo.clear()
            body(index)
        elif shape[depth] == 1:
            level(depth + 1, (*index, I64(0)))
        else:
            with nest.loop(I64(shape[depth])) as i:
                level(depth + 1, (*index, i))

    level(0, ())


def _copy(nest: Nest, root: Equation, o: Any, shape: Sequence[int], target: Place) -> None:
    """Write an operand, broadcast to ``shape``, to places of the result."""
    dtype = root.out.type.dtype
    given = nest.buffers.shape_of(o)
    if len(given) > len(shape):  # an assignment drops leading axes of length 1
        raise UnsupportedError(root, "an assignment of more axes than its place has")

    def body(index: Index) -> None:
        last = index[len(index) - len(given) :]
        own = tuple(I64(0) if n == 1 else i for n, i in zip(given, last, strict=True))
        x = convert(nest.b, nest.value(o, own), nest.buffers.dtype_of(o), dtype)
        nest.store(root.out, dtype, nest.linear(root.out.type.shape, target(index)), x)

    over(nest, shape, body)


def _zeros(nest: Nest, root: Equation) -> None:
    dtype = root.out.type.dtype
    with nest.loop(I64(root.out.type.size)) as i:
        nest.store(root.out, dtype, i, constant(0, dtype))


def _shifted(nest: Nest, index: Index, axis: int, start: int) -> Index:
    moved = nest.b.add(index[axis], I64(start), flags=["nsw"]) if start else index[axis]
    return (*index[:axis], moved, *index[axis + 1 :])


def _concatenate(nest: Nest, root: Equation) -> None:
    axis, start = root.params["axis"], 0
    for o in root.operands:
        shape = nest.buffers.shape_of(o)
        _copy(nest, root, o, shape, lambda i, start=start: _shifted(nest, i, axis, start))  # type: ignore[misc]
        start += shape[axis]


def _stack(nest: Nest, root: Equation) -> None:
    axis = root.params["axis"]
    for k, o in enumerate(root.operands):
        shape = nest.buffers.shape_of(o)
        _copy(nest, root, o, shape, lambda i, k=k: (*i[:axis], I64(k), *i[axis:]))  # type: ignore[misc]


def _embed(nest: Nest, root: Equation) -> None:
    _zeros(nest, root)
    shape, spec = root.out.type.shape, root.params["index"]
    (v,) = root.operands
    given = nest.buffers.shape_of(v)
    _copy(nest, root, v, given, lambda i: source_index(nest, root, spec, shape, (), i))


def _target_shape(root: Equation, spec: Any, parts: Any, nest: Nest) -> tuple[int, ...]:
    """Return the shape of ``array[spec]``; see `source_index` for where the axes stand."""
    shape = root.out.type.shape
    full = full_spec(spec, len(shape))
    lengths = iter(shape)
    basic: list[tuple[int, Any]] = []  # by place in the index
    for k, part in enumerate(full):
        if part is None:
            basic.append((k, 1))
            continue
        n = next(lengths)
        if type(part) is slice:
            basic.append((k, bounds(part, n)[3]))
    advanced = [k for k, p in enumerate(full) if type(p) is Hole]
    if not advanced:
        return tuple(n for _, n in basic)
    block = _broadcast_shapes([nest.buffers.shape_of(parts[full[k]]) for k in advanced])
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    first = advanced[0] if adjacent else 0
    before, after = ([n for k, n in basic if (k < first) is side] for side in (True, False))
    return (*before, *block, *after)


def _broadcast_shapes(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Do what NumPy's function does, for shapes that fit together, and with sizes."""
    rank = max(map(len, shapes))
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((n for n in axis if n != 1), 1) for axis in zip(*aligned, strict=True))


def _setitem(nest: Nest, root: Equation) -> None:
    x, v, *parts = root.operands
    shape, spec = root.out.type.shape, root.params["spec"]
    if root.out not in nest.group.reuse:
        _copy(nest, root, x, shape, lambda index: index)
    target = _target_shape(root, spec, parts, nest)
    _copy(nest, root, v, target, lambda i: source_index(nest, root, spec, shape, parts, i))


def _add_at(nest: Nest, root: Equation) -> None:
    x, v, *parts = root.operands
    shape, spec = root.out.type.shape, root.params["spec"]
    dtype = root.out.type.dtype
    if root.out not in nest.group.reuse:
        _copy(nest, root, x, shape, lambda index: index)
    target = _target_shape(root, spec, parts, nest)
    given = nest.buffers.shape_of(v)
    if len(given) > len(target):
        raise UnsupportedError(root, "an addition of more axes than its place has")

    def body(index: Index) -> None:
        last = index[len(index) - len(given) :]
        own = tuple(I64(0) if n == 1 else i for n, i in zip(given, last, strict=True))
        added = convert(nest.b, nest.value(v, own), nest.buffers.dtype_of(v), dtype)
        place = nest.linear(shape, source_index(nest, root, spec, shape, parts, index))
        so_far = nest.load(root.out, dtype, place)
        nest.store(root.out, dtype, place, nest.added(dtype, so_far, added))

    over(nest, target, body)


def _scatter_add(nest: Nest, root: Equation) -> None:
    v, *parts = root.operands
    shape, spec = root.out.type.shape, root.params["spec"]
    dtype = root.out.type.dtype
    _zeros(nest, root)

    def body(index: Index) -> None:
        x = convert(nest.b, nest.value(v, index), nest.buffers.dtype_of(v), dtype)
        place = nest.linear(shape, source_index(nest, root, spec, shape, parts, index))
        so_far = nest.load(root.out, dtype, place)
        nest.store(root.out, dtype, place, nest.added(dtype, so_far, x))

    over(nest, nest.buffers.shape_of(v), body)


def _overlap_add(nest: Nest, root: Equation) -> None:
    (v,) = root.operands
    dtype, shape = root.out.type.dtype, root.out.type.shape
    axes = root.params["axis"]
    _zeros(nest, root)

    def body(index: Index) -> None:
        place = list(index[: len(shape)])
        for k, axis in enumerate(axes):
            place[axis] = nest.b.add(place[axis], index[len(shape) + k], flags=["nsw"])
        at = nest.linear(shape, tuple(place))
        x = nest.value(v, index)
        nest.store(root.out, dtype, at, nest.added(dtype, nest.load(root.out, dtype, at), x))

    # the windows outermost, so that the innermost loop runs along memory
    given = nest.buffers.shape_of(v)
    window = given[len(shape) :]
    over(nest, (*window, *given[: len(shape)]), lambda i: body(i[len(window) :] + i[: len(window)]))


def _einsum(nest: Nest, root: Equation) -> None:
    """Write a contraction as plain loops, for small ones."""
    left, out = root.params["subscripts"].split("->")
    labels = left.split(",")
    sizes: dict[str, int] = {}
    for label, o in zip(labels, root.operands, strict=True):
        for letter, n in zip(label, nest.buffers.shape_of(o), strict=True):
            if sizes.get(letter, 1) == 1:  # which stretches, to no elements too
                sizes[letter] = n
    if size_of(sizes.values()) > 1 << 20:
        raise UnsupportedError(root, "a large einsum is left to NumPy, which calls BLAS")
    summed = [c for c in dict.fromkeys(left.replace(",", "")) if c not in out]
    dtype = root.out.type.dtype
    _zeros(nest, root)

    def body(index: Index) -> None:
        at = dict(zip([*out, *summed], index, strict=True))
        product = None
        for label, o in zip(labels, root.operands, strict=True):
            shape = nest.buffers.shape_of(o)
            own = tuple(I64(0) if n == 1 else at[c] for c, n in zip(label, shape, strict=True))
            x = convert(nest.b, nest.value(o, own), nest.buffers.dtype_of(o), dtype)
            product = x if product is None else nest.multiplied(dtype, product, x)
        place = nest.linear(root.out.type.shape, index[: len(out)])
        so_far = nest.load(root.out, dtype, place)
        nest.store(root.out, dtype, place, nest.added(dtype, so_far, product))

    over(nest, [sizes[c] for c in (*out, *summed)], body)


BLOCKS: dict[str, Callable[[Nest, Equation], None]] = {
    "concatenate": _concatenate,
    "stack": _stack,
    "embed": _embed,
    "setitem": _setitem,
    "add_at": _add_at,
    "scatter_add": _scatter_add,
    "overlap_add": _overlap_add,
    "einsum": _einsum,
}
