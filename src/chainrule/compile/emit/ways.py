"""In which ways the loop nests of a plan are run, to compare two plans for the same program."""

from __future__ import annotations

from ..contraction.blas import matrices_of
from ..contraction.kernel import spec_from
from ..contraction.panels import panels_of
from ..contraction.tiling import tile_of
from ..plan.control import LoopPlan
from ..plan.loop_rows import rows_of_loop
from ..plan.schedule import Group, Schedule
from ..plan.strips import StripPlan
from .parallel import is_shared
from .shared import shared_cut


def ways_of(plan: Schedule) -> list[str]:
    """Return for each loop nest what its speed depends on beside the lengths of its loops."""
    return [_way_of(group, plan) for group in plan.groups]


def _way_of(group: Group, plan: Schedule) -> str:
    if group.inner is None:
        shared = is_shared(group, plan) or shared_cut(group) is not None
        return f"{'shared ' if shared else ''}{_product(group)}"
    if isinstance(group.inner, StripPlan):
        shared = group.inner.chunks > 1
        return f"{'shared ' if shared else ''}strips of {len(group.inner.groups)}"
    by_rows = isinstance(group.inner, LoopPlan) and rows_of_loop(group.inner) is not None
    inside = "; ".join(way for block in group.inner.blocks for way in ways_of(block.plan))
    return f"{'by rows: ' if by_rows else ''}{inside}"


def _product(group: Group) -> str:
    root = group.roots[0]
    if root.primitive.name != "contraction":
        return "loops"
    spec, dtype = spec_from(root), root.out.type.dtype
    if panels_of(spec, dtype) is not None:
        return "panels"
    if matrices_of(spec, dtype) is not None:
        return "BLAS"
    tile = tile_of(spec, dtype)
    shape = [tile.vectors, *(n for _, n in (*tile.rows, *tile.columns))]
    return f"{tile.mode} tiles {'swapped ' if tile.swapped else ''}{shape}"
