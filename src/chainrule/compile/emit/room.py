"""Memory that operations need beside their results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ..linalg.spectral import SPECTRAL, spectral_scratch
from ..linalg.writers import solve_scratch
from ..plan.schedule import Group
from .ordering import sort_scratch

BYTES: dict[str, Callable[[Equation], int]] = {
    "lu_solve": solve_scratch,
    "argsort": sort_scratch,
    "argpartition": sort_scratch,
    **dict.fromkeys(SPECTRAL, spectral_scratch),
}


def scratch_of(group: Group) -> Var | None:
    """Return a variable for the memory that an operation needs; None if it needs none."""
    root = group.roots[0]
    measure = BYTES.get(root.primitive.name)
    size = measure(root) if measure is not None else 0
    return Var(-1, None, ArrayType((size,), np.dtype(np.int8))) if size else None
