"""Where the result of a product goes: through changes of layout, perhaps into overlapping sums."""

from __future__ import annotations

from collections.abc import Mapping

from ...program.equation import Equation, Var
from ...program.records import frozen_record
from ..sizes import bounds
from .views import MOVES, Axis, View, contiguous, whole


@frozen_record
class Overlap:
    """An axis of the result into which windows are added: element ``start + i·step + j·within``.

    ``position`` and ``window`` are the strides that the two axes have among those of the product's
    own result, ``positions`` and ``length`` their sizes, ``size`` and ``stride`` the axis.
    """

    axis: int
    start: int
    positions: int
    step: int
    length: int
    within: int
    size: int
    stride: int


@frozen_record
class Chain:
    """The variable that a product's result becomes, and where each element of it goes.

    Attributes
    ----------
    end : Var
        The variable that is written.
    axes : tuple of tuple of (int, int)
        For each axis of the product's result its factors: size, and stride in ``end``.
    overlaps : dict
        For the strides of positions and of windows (both negative numbers, in place of real ones)
        the axis that they belong to.
    """

    end: Var
    axes: tuple[Axis, ...]
    overlaps: tuple[Overlap, ...] = ()


def plain_chain(var: Var) -> Chain:
    """Return the chain without any link."""
    return Chain(var, contiguous(var.type.shape))


def chain_of(y: Var, uses: Mapping[Var, int], users: Mapping[Var, Equation]) -> Chain:
    """Follow a product's result as long as it has one user that only changes its layout."""
    view = whole(y)
    var = y
    while uses[var] == 1 and var in users:
        user = users[var]
        if user.primitive.name not in ("reshape", "transpose", "alias"):
            break
        moved = MOVES[user.primitive.name](view, user)
        if moved is None:
            break
        view, var = moved, user.out
    chain = _inverse(y, var, view, contiguous_strides(var.type.shape), ())
    if uses[var] == 1 and var in users:
        return _overlapping(y, var, view, uses, users) or chain
    return chain


def contiguous_strides(shape: tuple[int, ...]) -> list[int]:
    """Return the strides of a contiguous array, in elements."""
    strides, stride = [], 1
    for n in reversed(shape):
        strides.append(stride)
        stride *= n
    return strides[::-1]


def _inverse(
    y: Var, end: Var, view: View, strides: list[int], overlaps: tuple[Overlap, ...]
) -> Chain:
    """Turn "where an element comes from" into "where it goes"."""
    places: list[tuple[int, tuple[int, int]]] = []
    for axis, stride in zip(view.axes, strides, strict=True):
        for size, source in reversed(axis):
            places.append((source, (size, stride)))
            stride *= size
    axes = []
    for axis in contiguous(y.type.shape):
        low, high = (axis[0][1], axis[0][0] * axis[0][1]) if axis else (0, 0)
        own = sorted((p for p in places if low <= p[0] < high), reverse=True)
        axes.append(tuple(place for _, place in own))
    return Chain(end, tuple(axes), overlaps)


def _overlapping(
    y: Var, var: Var, view: View, uses: Mapping[Var, int], users: Mapping[Var, Equation]
) -> Chain | None:
    """Return the chain into a sum of overlapping windows, spread before by steps or not."""
    user = users[var]
    spread = [(0, 1)] * len(view.axes)
    if user.primitive.name == "embed":
        index = user.params["index"]
        shape = user.params["shape"]
        if len(index) != len(shape) or not all(type(p) is slice for p in index):
            return None
        spread = [bounds(p, n)[::2][:2] for p, n in zip(index, shape, strict=True)]
        var = user.out
        if uses[var] != 1 or var not in users:
            return None
        user = users[var]
    if user.primitive.name != "overlap_add":
        return None
    return _summed(y, user, view, spread)


def _summed(y: Var, user: Equation, view: View, spread: list[tuple[int, int]]) -> Chain | None:
    shape, into = user.params["shape"], user.params["axis"]
    sizes = view.shape
    if len(set(into)) < len(into) or any(step < 1 for _, step in spread):
        return None
    room = contiguous_strides(shape)
    strides = [0] * len(view.axes)
    overlaps = []
    for a, stride in enumerate(room):
        if a not in into:
            if spread[a] != (0, 1) or sizes[a] != shape[a]:
                return None
            strides[a] = stride
    for k, a in enumerate(into):
        w = len(shape) + k
        if len(view.axes[a]) > 1 or len(view.axes[w]) > 1:
            return None
        # stand-ins for the strides of the position and of the window, told by their sign
        strides[a], strides[w] = -2 * a - 1, -2 * a - 2
        start = spread[a][0] + spread[w][0]
        overlaps.append(
            Overlap(a, start, sizes[a], spread[a][1], sizes[w], spread[w][1], shape[a], room[a])
        )
    return _inverse(y, user.out, view, strides, tuple(overlaps))
