"""Large contractions in chunks that several threads share.

A label of the result is cut, so each chunk writes elements of its own, and into the same chunks for
every number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from ...program.equation import Equation
from ..contraction.blas import matrices_of
from ..contraction.kernel import spec_from, write_part
from ..contraction.rows import Rows
from ..contraction.tiling import tile_of
from ..plan.cost import SHARED_FROM
from ..plan.schedule import Group, Schedule
from .codegen import Buffers, Nest
from .parallel import ParallelNest, Part
from .scalar import I64, register_type

CHUNKS = 4  # few, as each has a smaller tile at its end
CYCLE = 0.33  # ns


def shared_cut(group: Group) -> tuple[Rows, int] | None:
    """Return the label along which a contraction is shared, and into how many chunks it is cut."""
    root = group.roots[0]
    if root.primitive.name != "contraction":
        return None
    dtype: np.dtype[Any] = root.out.type.dtype
    spec = spec_from(root)
    if matrices_of(spec, dtype) is not None:
        return None  # BLAS has threads of its own
    tile = tile_of(spec, dtype)
    if tile.cost * CYCLE < SHARED_FROM:
        return None
    for label, (size, out) in enumerate(zip(spec.sizes, spec.out, strict=True)):
        count = next((c for c in range(CHUNKS, 1, -1) if size % c == 0), 1)
        if out and label != tile.lane and count > 1 and size // count >= 8:
            return Rows(label, 1, False), count
    return None


class _Chunk(Part):
    """Writes a contraction for some values of the label that is cut."""

    cut: Rows
    length: int

    def write(self) -> ir.Function:
        root: Equation = self.group.roots[0]
        spec, b = spec_from(root), self.b
        kind = register_type(root.out.type.dtype)
        strides = (spec.out, spec.left.strides, spec.right.strides)
        slots = (root.out, *(self.buffers.slot(o.base) for o in (spec.left, spec.right)))
        bases = []
        for slot, own in zip(slots, strides, strict=True):
            moved = b.mul(self.extra[0], I64(own[self.cut.label]), flags=["nsw"])
            bases.append(b.gep(self.pointer[slot], [moved], source_etype=kind))
        write_part(self, root, self.cut.part(spec, self.length), bases, False)
        b.ret_void()
        return self.function


class SharedContraction(ParallelNest):
    """Writes a contraction that hands its chunks to the pool of threads."""

    def __init__(
        self, module: ir.Module, name: str, group: Group, plan: Schedule, buffers: Buffers
    ) -> None:
        Nest.__init__(self, module, name, group, plan, buffers)
        found = shared_cut(group)
        assert found is not None
        cut, count = found
        self.module = module
        self.is_small = False
        self.steps = spec_from(group.roots[0]).sizes[cut.label]
        self.length = self.steps // count
        self.part = _Chunk(module, f"{name}.part", group, plan, buffers)
        self.part.cut, self.part.length = cut, self.length
