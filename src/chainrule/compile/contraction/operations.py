"""The operations that contractions are rewritten to, over strides into contiguous arrays.

They exist in programs that are about to be compiled only. Their meaning in NumPy is stated with
them, so that the rewriting can be tested by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...primitives.families import made_late
from ...program.arraytype import ArrayType
from ...program.primitive import Primitive

Ints = tuple[int, ...]


def _strided(x: Any, offset: int, sizes: Any, strides: Any) -> Any:
    """Return elements of a contiguous array, by strides counted in elements."""
    flat = np.ascontiguousarray(x).reshape(-1)[offset:]
    return as_strided(flat, tuple(sizes), tuple(s * x.itemsize for s in strides), writeable=False)


def _contraction(
    left: Any, right: Any, *, shape: Ints, sizes: Ints, strides: Any, offsets: Ints
) -> Any:
    out_strides, *given = strides
    labels = range(len(sizes))
    terms: list[Any] = []
    for x, offset, own in zip((left, right), offsets, given, strict=True):
        used = [label for label in labels if own[label]]
        view = _strided(x, offset, [sizes[u] for u in used], [own[u] for u in used])
        terms += [view, used]
    out = np.zeros(shape, np.result_type(left, right))
    kept = [label for label in labels if out_strides[label]]
    place = as_strided(out, [sizes[k] for k in kept], [out_strides[k] * out.itemsize for k in kept])
    place[...] = np.einsum(*terms, kept, optimize=True)
    return out


CONTRACTION = Primitive(
    "contraction",
    _contraction,
    type_rule=lambda a, b, shape, **_: ArrayType(shape, np.result_type(a.dtype, b.dtype)),
    d=(made_late, made_late),
    text="contraction({0}, {1})",
)
"""``out[o·i] = Σ left[l·i] right[r·i]`` over all indices i, where o·i is the sum of i's digits
times strides; the labels with stride 0 in the result are summed over.

``sizes`` has the number of values per label, ``strides`` those of the result and the operands,
``offsets`` where the operands start.
"""


def _repack(
    x: Any, *, shape: Ints, sizes: Ints, strides: Ints, offset: int, starts: Ints, steps: Ints
) -> Any:
    out = np.zeros(shape, x.dtype)
    index = tuple(
        slice(start, start + (n - 1) * step + 1, step)
        for start, n, step in zip(starts, sizes, steps, strict=True)
    )
    out[index] = _strided(x, offset, sizes, strides)
    return out


REPACK = Primitive(
    "repack",
    _repack,
    type_rule=lambda x, shape, **_: ArrayType(shape, x.dtype),
    d=(made_late,),
    text="repack({0})",
)
"""A view copied into a contiguous array, from ``starts`` in ``steps``, with zeros around it."""
