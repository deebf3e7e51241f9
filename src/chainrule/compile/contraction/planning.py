"""Before a contraction is written: whether an operand is copied into another order first."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...program.records import replaced
from .blas import matrices_of
from .captured import Fixed
from .chains import contiguous_strides
from .panels import panels_of
from .selects import Rewriting
from .spec import Operand, Spec
from .tiling import roles, swapped, tile_of

COPY = 2.0  # cycles that an element of a copy takes
SPLIT = 1.5  # of the time of a product with a vector, if the matrix lies across lines of the cache


def pack(to: Rewriting, spec: Spec, dtype: np.dtype[Any], fixed: Fixed) -> Spec:
    """Return a contraction that reads copies of its operands where that makes up for the copy.

    A copy of what is ``fixed`` is made once for several contractions.
    """
    if panels_of(spec, dtype) is not None or matrices_of(spec, dtype) is not None:
        return spec
    options: list[tuple[float, int, tuple[int, ...]]] = []
    best = tile_of(spec, dtype).cost
    for side, one in enumerate((spec, swapped(spec))):
        right = one.right
        parts = roles(one)
        held = [k for k, s in enumerate(right.strides) if s]
        copied = COPY * prod(one.sizes[k] for k in held) * fixed.share(right.base)
        split = not parts.rows and fixed.is_given(right.base)
        best *= SPLIT if split else 1.0
        for lane in parts.columns:
            if (right.strides[lane] == 1 and not split) or one.sizes[lane] == 1:
                continue
            order = (
                *(k for k in parts.batch if right.strides[k]),
                *sorted(
                    (k for k in parts.inner if right.strides[k]),
                    key=lambda k: -abs(right.strides[k]),
                ),
                *(k for k in parts.columns if k != lane),
                lane,
            )
            strides = [0] * len(one.sizes)
            shape = tuple(one.sizes[k] for k in order)
            for k, stride in zip(order, contiguous_strides(shape), strict=True):
                strides[k] = stride
            packed = replaced(one, right=Operand(right.base, 0, tuple(strides)))
            cost = tile_of(packed, dtype).cost + copied
            options.append((cost, side, order))
    if not options:
        return spec
    cost, side, order = min(options)
    if cost >= best:
        return spec
    one = swapped(spec) if side else spec
    one = replaced(one, right=_copied(to, one, order))
    return swapped(one) if side else one


def alternating(to: Rewriting, spec: Spec, fixed: Fixed) -> Spec:
    """Return a product with a vector that begins where the last one with this matrix ended.

    What a loop reads there is still in the first cache, if not all of it fits.
    """
    for one in (spec, swapped(spec)):
        parts, right = roles(one), one.right
        source = to.defining(right.base, "repack")
        known = source.operands[0] if source is not None else right.base
        if parts.rows or parts.batch or not parts.inner or fixed.share(known) == 1.0:
            continue
        before = [e for e in to.users_of(right.base) if e.primitive.name == "contraction"]
        if len(before) % 2 == 0:
            return spec
        label = max(parts.inner, key=lambda k: abs(right.strides[k]))
        left = _reversed(spec.left, label, spec.sizes[label])
        return replaced(spec, left=left, right=_reversed(spec.right, label, spec.sizes[label]))
    return spec


def _reversed(operand: Operand, label: int, size: int) -> Operand:
    strides = list(operand.strides)
    strides[label] = -strides[label]
    first = operand.offset + (size - 1) * operand.strides[label]
    return Operand(operand.base, first, tuple(strides))


def _copied(to: Rewriting, spec: Spec, order: tuple[int, ...]) -> Operand:
    right = spec.right
    shape = tuple(spec.sizes[k] for k in order)
    params = {
        "shape": shape,
        "sizes": shape,
        "strides": tuple(right.strides[k] for k in order),
        "offset": right.offset,
        "starts": (0,) * len(order),
        "steps": (1,) * len(order),
    }
    known = (e for e in to.users_of(right.base) if e.primitive.name == "repack")
    copy = next((e.out for e in known if e.params == params), None)
    if copy is None:
        copy = to.add("repack", right.base, **params)
    strides = [0] * len(spec.sizes)
    for k, stride in zip(order, contiguous_strides(shape), strict=True):
        strides[k] = stride
    return Operand(copy, 0, tuple(strides))
