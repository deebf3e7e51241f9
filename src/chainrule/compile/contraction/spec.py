"""A contraction of two operands: labels with sizes, and per array the stride of each label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.records import frozen_record, replaced
from .chains import Chain, Overlap, contiguous_strides, plain_chain
from .selects import Rewriting
from .views import View, refined, view_of, whole

Ints = tuple[int, ...]


@frozen_record
class Operand:
    """An array that a contraction reads, from an offset, by strides in elements."""

    base: Any
    offset: int
    strides: Ints


@frozen_record
class Spec:
    """``end[out·i] = Σ left[l·i] right[r·i]``; a label is summed over if its stride in out is 0."""

    sizes: Ints
    out: Ints
    left: Operand
    right: Operand

    def merged(self) -> Spec:
        """Return the same with neighbouring labels made one wherever memory allows."""
        columns = list(
            zip(self.sizes, self.out, self.left.strides, self.right.strides, strict=True)
        )
        again = True
        while again:
            again = False
            for a in range(len(columns)):
                for b in range(len(columns)):
                    outer, inner = columns[a], columns[b]
                    if a != b and all(
                        x == y * inner[0] for x, y in zip(outer[1:], inner[1:], strict=True)
                    ):
                        columns[b] = (outer[0] * inner[0], *inner[1:])
                        del columns[a]
                        again = True
                        break
                if again:
                    break
        columns.sort(key=lambda c: (c[1], c[2] + c[3]), reverse=True)
        sizes, out, left, right = zip(*columns, strict=True) if columns else ((), (), (), ())
        return Spec(
            sizes,
            out,
            replaced(self.left, strides=left),
            replaced(self.right, strides=right),
        )

    def params(self, shape: Ints) -> dict[str, Any]:
        """Return the parameters of the equation."""
        return {
            "shape": shape,
            "sizes": self.sizes,
            "strides": (self.out, self.left.strides, self.right.strides),
            "offsets": (self.left.offset, self.right.offset),
        }


def terms_of(equation: Equation) -> tuple[list[list[int]], list[int]]:
    """Return the labels of the operands' axes, and those of the result."""
    if equation.primitive.name == "einsum":
        left, out = equation.params["subscripts"].split("->")
        return [list(map(ord, term)) for term in left.split(",")], list(map(ord, out))
    ndims = [len(_shape(o)) for o in equation.operands]
    batch = len(equation.out.type.shape) - (ndims[0] > 1) - (ndims[1] > 1)
    i, j, k = -1, -2, -3
    leading = list(range(batch))
    left_term = [*leading[batch - max(ndims[0] - 2, 0) :], i, k] if ndims[0] > 1 else [k]
    right_term = [*leading[batch - max(ndims[1] - 2, 0) :], k, j] if ndims[1] > 1 else [k]
    return [left_term, right_term], [*leading, *[i] * (ndims[0] > 1), *[j] * (ndims[1] > 1)]


def _shape(o: Any) -> Ints:
    return o.type.shape if type(o) is Var else np.shape(o)


def spec_of(
    equation: Equation, producer: Mapping[Var, Equation], chain: Chain
) -> tuple[Chain, Spec, tuple[Overlap, ...]] | None:
    """Return an equation as a contraction, reading and writing through views where they fit."""
    a, b = equation.operands
    plain = plain_chain(equation.out)
    views, wholes = [view_of(o, producer) for o in (a, b)], [whole(a), whole(b)]
    for ending, left, right in (
        (chain, views[0], views[1]),
        (plain, views[0], views[1]),
        (chain, wholes[0], views[1]),
        (chain, views[0], wholes[1]),
        (plain, wholes[0], wholes[1]),
    ):
        spec = _matched(equation, ending, (left, right))
        if spec is not None and _resolvable(spec, ending.overlaps):
            return ending, spec, ending.overlaps
    return None


def _matched(equation: Equation, chain: Chain, views: Iterable[View]) -> Spec | None:
    terms, out = terms_of(equation)
    places: dict[int, list[Any]] = {}
    axes_of = [dict[int, Any]() for _ in range(3)]
    for number, (term, axes) in enumerate(
        [(out, chain.axes), *((t, v.axes) for t, v in zip(terms, views, strict=True))]
    ):
        for label, axis in zip(term, axes, strict=True):
            if axis:
                axes_of[number][label] = axis
                places.setdefault(label, []).append([size for size, _ in axis])
    columns: list[tuple[int, ...]] = []
    for label, systems in places.items():
        sizes = refined(systems)
        if sizes is None:
            return None
        strides = [_split(own.get(label, ()), sizes) for own in axes_of]
        columns.extend(zip(sizes, *strides, strict=True))
    if any(left == 0 == right for _, _, left, right in columns):
        return None
    sizes_, out_, left_, right_ = zip(*columns, strict=True) if columns else ((), (), (), ())
    a, b = views
    return Spec(sizes_, out_, Operand(a.base, a.offset, left_), Operand(b.base, b.offset, right_))


def _split(axis: Any, sizes: list[int]) -> list[int]:
    """Return the strides of an axis whose factors are divided further into ``sizes``."""
    strides: list[int] = []
    given = list(axis)
    for size in reversed(sizes):
        if not given:
            strides.append(0)
            continue
        n, stride = given.pop()
        strides.append(stride)
        if n > size:
            given.append((n // size, stride * size))
    return strides[::-1]


# -- overlapping sums ----------------------------------------------------------------------------


def _label(spec: Spec, stride: int) -> int | None:
    return next((k for k, s in enumerate(spec.out) if s == stride), None)


def _resolvable(spec: Spec, overlaps: tuple[Overlap, ...]) -> bool:
    """Tell whether positions are an axis of one operand and windows one of the other, each."""
    moving: set[int] = set()
    for overlap in overlaps:
        p, q = (_label(spec, -2 * overlap.axis - k) for k in (1, 2))
        if p is None or q is None:
            if (
                overlap.step != 1
                or overlap.start
                or overlap.size != overlap.positions + (overlap.length - 1) * overlap.within
            ):
                return False
            continue
        if spec.sizes[p] != overlap.positions or spec.sizes[q] != overlap.length:
            return False
        of_p = [bool(o.strides[p]) for o in (spec.left, spec.right)]
        of_q = [bool(o.strides[q]) for o in (spec.left, spec.right)]
        if sum(of_p) != 1 or sum(of_q) != 1 or of_p == of_q:
            return False
        moving.add(of_p.index(True))
    return len(moving) <= 1


def resolve_overlaps(to: Rewriting, spec: Spec, overlaps: tuple[Overlap, ...]) -> Spec:
    """Return the sum of overlapping windows as a contraction over windows of a padded operand.

    Element s of the result is the sum over j of ``a[i] w[j]`` with s = start + i·step + j·within:
    the other way round, a sum over j of ``a'[s - j·within]``, where a' has the elements of a in
    steps with zeros around and between them.
    """
    real = [o for o in overlaps if None not in pair_of(spec, o)]
    out = list(spec.out)
    for overlap in overlaps:
        for k in pair_of(spec, overlap):
            if k is not None and overlap not in real:
                first = out[k] == -2 * overlap.axis - 1
                out[k] = overlap.stride * (overlap.step if first else overlap.within)
    spec = replaced(spec, out=tuple(out))
    return _padded(to, spec, real) if real else spec


def pair_of(spec: Spec, overlap: Overlap) -> tuple[int | None, int | None]:
    """Return the labels of positions and of windows; None for one of length 1."""
    return _label(spec, -2 * overlap.axis - 1), _label(spec, -2 * overlap.axis - 2)


def _padded(to: Rewriting, spec: Spec, overlaps: list[Overlap]) -> Spec:
    first = pair_of(spec, overlaps[0])[0]
    moving = spec.left if spec.left.strides[first] else spec.right  # type: ignore[index]
    labels = [k for k, s in enumerate(moving.strides) if s]
    labels.sort(key=lambda k: -abs(moving.strides[k]))
    around = {pair_of(spec, o)[0]: o for o in overlaps}
    shape, starts, steps = [], [], []
    for k in labels:
        o = around.get(k)
        before = (o.length - 1) * o.within if o else 0
        shape.append(o.size + before if o else spec.sizes[k])
        starts.append(o.start + before if o else 0)
        steps.append(o.step if o else 1)
    packed = to.add(
        "repack",
        moving.base,
        shape=tuple(shape),
        sizes=tuple(spec.sizes[k] for k in labels),
        strides=tuple(moving.strides[k] for k in labels),
        offset=moving.offset,
        starts=tuple(starts),
        steps=tuple(steps),
    )
    rows = dict(zip(labels, contiguous_strides(tuple(shape)), strict=True))
    sizes, out, strides, offset = list(spec.sizes), list(spec.out), [0] * len(spec.sizes), 0
    for k, stride in rows.items():
        strides[k] = stride
    for p, o in around.items():
        q = pair_of(spec, o)[1]
        assert p is not None
        assert q is not None
        sizes[p], out[p], out[q] = o.size, o.stride, 0
        strides[q] = -o.within * rows[p]
        offset += (o.length - 1) * o.within * rows[p]
    padded = Operand(packed, offset, tuple(strides))
    left, right = (padded, spec.right) if moving is spec.left else (spec.left, padded)
    return Spec(tuple(sizes), tuple(out), left, right)
