"""Before a contraction is written: whether an operand is copied into another order first."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .blas import matrices_of
from .chains import contiguous_strides
from .selects import Rewriting
from .spec import Operand, Spec
from .tiling import roles, swapped, tile_of

COPY = 2.0  # cycles that an element of a copy takes


def pack(to: Rewriting, spec: Spec, dtype: np.dtype[Any]) -> Spec:
    """Return a contraction that reads copies of its operands where that makes up for the copy."""
    if matrices_of(spec, dtype) is not None:
        return spec
    options: list[tuple[float, int, tuple[int, ...]]] = []
    best = tile_of(spec, dtype).cost
    for side, one in enumerate((spec, swapped(spec))):
        right = one.right
        parts = roles(one)
        held = [k for k, s in enumerate(right.strides) if s]
        count = prod(one.sizes[k] for k in held)
        for lane in parts.columns:
            if right.strides[lane] == 1 or one.sizes[lane] == 1:
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
            packed = replace(one, right=Operand(right.base, 0, tuple(strides)))
            cost = tile_of(packed, dtype).cost + COPY * count
            options.append((cost, side, order))
    if not options:
        return spec
    cost, side, order = min(options)
    if cost >= best:
        return spec
    one = swapped(spec) if side else spec
    one = replace(one, right=_copied(to, one, order))
    return swapped(one) if side else one


def _copied(to: Rewriting, spec: Spec, order: tuple[int, ...]) -> Operand:
    right = spec.right
    shape = tuple(spec.sizes[k] for k in order)
    copy = to.add(
        "repack",
        right.base,
        shape=shape,
        sizes=shape,
        strides=tuple(right.strides[k] for k in order),
        offset=right.offset,
        starts=(0,) * len(order),
        steps=(1,) * len(order),
    )
    strides = [0] * len(spec.sizes)
    for k, stride in zip(order, contiguous_strides(shape), strict=True):
        strides[k] = stride
    return Operand(copy, 0, tuple(strides))
