"""The local derivatives: a closed set of linear maps that one can look at."""

from .base import Compose, LinearMap, Masked, add, bare, compose, power_iteration, push
from .diagonal import Cast, Conjugate, Identity, Scale, Select, Zero
from .layout import (
    Broadcast,
    Cumulative,
    Gather,
    Hole,
    OverlapAdd,
    Pad,
    Permute,
    Reduce,
    Reshape,
    ScatterAdd,
    Slice,
    Windows,
    broadcast,
    join_index,
    reduce,
    split_index,
)
from .product import Contract, Left, LeftOuter, Right, RightOuter, Solve, adjoint

IDENTITY = Identity()
scale = Scale
select = Select

__all__ = [
    "IDENTITY",
    "Broadcast",
    "Cast",
    "Compose",
    "Conjugate",
    "Contract",
    "Cumulative",
    "Gather",
    "Hole",
    "Identity",
    "Left",
    "LeftOuter",
    "LinearMap",
    "Masked",
    "OverlapAdd",
    "Pad",
    "Permute",
    "Reduce",
    "Reshape",
    "Right",
    "RightOuter",
    "Scale",
    "ScatterAdd",
    "Select",
    "Slice",
    "Solve",
    "Windows",
    "Zero",
    "add",
    "adjoint",
    "bare",
    "broadcast",
    "compose",
    "join_index",
    "power_iteration",
    "push",
    "reduce",
    "scale",
    "select",
    "split_index",
]
