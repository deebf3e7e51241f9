"""Memory that operations need beside their results."""

from __future__ import annotations

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ..plan.schedule import Group

SORTS = frozenset(("argsort", "argpartition"))
FACTORS = frozenset(("symmetric_eigen", "singular", "orthogonal"))


def scratch_of(group: Group) -> Var | None:
    """Return a variable for the memory that an operation needs; None if it needs none."""
    size = _bytes(group.roots[0])
    return Var(-1, None, ArrayType((size,), np.dtype(np.int8))) if size else None


def _bytes(root: Equation) -> int:
    """Return how much it is, as those say who write the operation; most programs need none."""
    name = root.primitive.name
    if name == "lu_solve":
        from ..linalg.writers import solve_scratch

        return solve_scratch(root)
    if name in SORTS:
        from .ordering import sort_scratch

        return sort_scratch(root)
    if name in FACTORS:
        from ..linalg.spectral import spectral_scratch

        return spectral_scratch(root)
    return 0
