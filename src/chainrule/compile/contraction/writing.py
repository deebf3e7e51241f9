"""Contractions as code: over panels, by BLAS, or over tiles of the operands as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from ..emit.scalar import I64
from .blas import matrices_of, write_products
from .copying import write_repack
from .kernel import Writer, spec_from
from .paneled import PanelWriter
from .panels import panels_of
from .spec import Spec
from .tiling import tile_of

if TYPE_CHECKING:
    from ..emit.codegen import Nest


def write_contraction(nest: Nest, root: Equation) -> None:
    """Write a contraction."""
    spec = spec_from(root)
    slots = (root.out, *(nest.buffers.slot(o.base) for o in (spec.left, spec.right)))
    write_part(nest, root, spec, [nest.pointer[slot] for slot in slots], False)


def write_part(
    nest: Nest, root: Equation, spec: Spec, bases: list[Any], adds: bool, room: Any = None
) -> None:
    """Write a contraction from where the result and the operands start; perhaps add to a result.

    Panels are put into ``room``, or where the nest has room for them.
    """
    _say_done(nest)
    dtype = root.out.type.dtype
    panels = panels_of(spec, dtype)
    if panels is not None:
        room = nest.pointer[nest.buffers.room(root)] if room is None else room
        PanelWriter(nest, root, panels, bases, room, adds).write()
        return
    matrices = matrices_of(spec, dtype)
    if matrices is None:
        Writer(nest, root, spec, tile_of(spec, dtype), bases, adds).write()
        return
    if matrices.exchanged:
        bases = [bases[0], bases[2], bases[1]]
    write_products(nest, root, matrices, bases, adds)


def _say_done(nest: Nest) -> None:
    """Note that a function's loops are over vectors, and tiles unrolled, as they are written."""
    nest.function.attributes.add("optsize")
    nest.function.effort = "little"


def write_panels(nest: Nest, root: Equation, bases: list[Any], room: Any) -> None:
    """Write the copy of an operand into panels, for all rows of the other one."""
    _say_done(nest)
    spec = spec_from(root)
    panels = panels_of(spec, root.out.type.dtype)
    assert panels is not None
    writer = PanelWriter(nest, root, panels, bases, room)
    writer.pack(writer.bases[2])


def write_rows(
    nest: Nest,
    root: Equation,
    part: Spec,
    bases: list[Any],
    room: Any,
    number: Any,
    ahead: list[Any],
) -> None:
    """Write a contraction for some rows, whose other operand is in panels.

    The chunk of rows has a number, by which it has memory of its own behind the panels. Meanwhile
    the same places of the arrays at ``ahead`` are fetched into the cache.
    """
    _say_done(nest)
    dtype = root.out.type.dtype
    panels = panels_of(spec_from(root), dtype)
    assert panels is not None
    writer = PanelWriter(nest, root, panels.part(part, dtype), bases, room)
    writer.row_room = writer.moved(writer.row_room, nest.b.mul(number, I64(panels.aside)))
    writer.ahead = ahead
    writer.rows(writer.bases)


def scratch_size(spec: Spec, dtype: np.dtype[Any], chunks: int = 1) -> int:
    """Return how many elements of memory a contraction needs beside its operands and result.

    Several chunks of rows share the panels.
    """
    panels = panels_of(spec, dtype)
    return 0 if panels is None else panels.area + chunks * panels.aside


CONTRACTIONS: dict[str, Callable[[Nest, Equation], None]] = {
    "contraction": write_contraction,
    "repack": write_repack,
}
