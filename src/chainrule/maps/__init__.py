"""The local derivatives: a closed set of linear maps that one can look at.

Each kind knows how to apply itself, its transpose, its structure, its gain (largest singular
value) and how a person writes it. What they are, with their transposes:

==================================  =========================================================
zero, identity, scale, select       themselves (scale with the conjugate coefficients)
conjugate                           itself
cast                                cast back
broadcast                           reduce
reshape, permute                    the inverse of each
slice, gather, windows              pad, scatter add, overlap add
cumulative, recurrence              the same from the other end
left, right product                 with the adjoint matrix; with a vector: outer products
contract, solve                     with the conjugate operands, with the adjoint matrix
fourier                             the opposite exponent
sum, composition                    the sum, the reversed composition of transposes
joint                               the loop, or branch, of transposes
==================================  =========================================================
"""

from ..program.index import Hole, join_index, split_index
from .base import Compose, LinearMap, Masked, add, bare, compose, power_iteration, push
from .diagonal import Cast, Conjugate, Identity, Scale, Select, Zero
from .fourier import Fourier
from .joint import Joint
from .layout import (
    Broadcast,
    Cumulative,
    Gather,
    OverlapAdd,
    Pad,
    Permute,
    Reduce,
    Reshape,
    ScatterAdd,
    Slice,
    Windows,
    broadcast,
    reduce,
)
from .product import Contract, Left, LeftOuter, Right, RightOuter, Solve, adjoint
from .recurrence import Recurrence, shifted
from .sum import Sum, adjoint_of, hermitian_part, skew_from_lower, swap

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
    "Fourier",
    "Gather",
    "Hole",
    "Identity",
    "Joint",
    "Left",
    "LeftOuter",
    "LinearMap",
    "Masked",
    "OverlapAdd",
    "Pad",
    "Permute",
    "Recurrence",
    "Reduce",
    "Reshape",
    "Right",
    "RightOuter",
    "Scale",
    "ScatterAdd",
    "Select",
    "Slice",
    "Solve",
    "Sum",
    "Windows",
    "Zero",
    "add",
    "adjoint",
    "adjoint_of",
    "bare",
    "broadcast",
    "compose",
    "hermitian_part",
    "join_index",
    "power_iteration",
    "push",
    "reduce",
    "scale",
    "select",
    "shifted",
    "skew_from_lower",
    "split_index",
    "swap",
]
