"""Contractions on some rows of what they read or write."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from ...program.records import frozen_record, replaced
from ..sizes import is_fixed
from .kernel import spec_from
from .panels import panels_of
from .spec import Spec
from .tiling import NEAR, roles


@frozen_record
class Rows:
    """The label of a contraction that goes along rows.

    Attributes
    ----------
    label : int
        Which one.
    each : int
        How many of its values a row has.
    accumulates : bool
        Whether it is summed over, so that the rows' parts of the result add up.
    paneled : bool
        Whether the other operand is copied into panels before all rows.
    """

    label: int
    each: int
    accumulates: bool
    paneled: bool = False

    def height(self, spec: Spec, length: int) -> int:
        """Return how many rows the matrix has that so many rows are multiplied as."""
        own = spec.left.strides if spec.left.strides[self.label] else spec.right.strides
        pairs = zip(self.part(spec, length).sizes, spec.out, own, strict=True)
        return prod(n for n, out, stride in pairs if out and stride)

    def part(self, spec: Spec, length: int) -> Spec:
        """Return the contraction of so many rows."""
        sizes = list(spec.sizes)
        sizes[self.label] = length * self.each
        return replaced(spec, sizes=tuple(sizes))


def row_labels(root: Equation, rows: int, made: Collection[Var], near: float = NEAR) -> Rows | None:
    """Return the label along which a contraction can be cut into rows, or None.

    Of arrays in ``made`` only the same rows may be read, and the result's rows must be whole. What
    is read or written again with each strip must stay ``near``, in the cache beside it.
    """
    spec = spec_from(root)
    for label, size in enumerate(spec.sizes):
        if not is_fixed(size) or size % rows:
            continue
        each = size // rows
        out = spec.out[label]
        first = next((n for n in root.out.type.shape if n != 1), 1)
        if out and (out * each * rows != root.out.type.size or first % rows):
            continue
        operands = (spec.left, spec.right)
        if not any(o.strides[label] for o in operands):
            continue
        again = [_size(o.base) for o in operands if not o.strides[label]]
        if not out:
            again.append(root.out.type.size)
        is_near = sum(again) * root.out.type.dtype.itemsize <= near
        paneled = not is_near and _is_paneled(spec, label, root.out.type.dtype)
        if not is_near and not paneled:
            continue
        if all(_in_rows(o, label, rows, each, spec, made) for o in operands):
            return Rows(label, each, not out, paneled)
    return None


def _is_paneled(spec: Spec, label: int, dtype: np.dtype[Any]) -> bool:
    """Tell whether what rows along a label are multiplied by is copied into panels as a whole."""
    panels = panels_of(spec, dtype)
    if panels is None or roles(spec).batch:
        return False
    whole = panels.length >= panels.spec.sizes[panels.block]
    return whole and label in roles(panels.spec).rows


def _size(o: Any) -> int:
    size: int = o.type.size if type(o) is Var else o.size
    return size


def _in_rows(o: Any, label: int, rows: int, each: int, spec: Spec, made: Collection[Var]) -> bool:
    if type(o.base) is not Var or o.base not in made:
        return True
    size = o.base.type.size
    if o.strides[label] * each * rows != size:
        return False
    pairs = zip(spec.sizes, o.strides, strict=True)
    moves = [(n - 1) * s for k, (n, s) in enumerate(pairs) if k != label]
    within = (each - 1) * o.strides[label]
    low = o.offset + sum(m for m in moves if m < 0)
    high = o.offset + within + sum(m for m in moves if m > 0)
    return bool(low >= 0 and high < size // rows)
