"""Who writes operations that don't go element by element."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...program.equation import Equation
from .blocks import BLOCKS

if TYPE_CHECKING:
    from .codegen import Nest

Writer = Callable[["Nest", Equation], None]


def writer_of_whole(name: str) -> Writer:
    """Return what writes an operation as a whole."""
    return BLOCKS.get(name) or _rarer()[name]


@functools.cache
def _rarer() -> dict[str, Writer]:
    """Return the writers that many programs do without, and do not wait for."""
    from ..contraction.writing import CONTRACTIONS
    from ..linalg.writers import WRITERS
    from .ordering import ORDERING
    from .products import write_matmul
    from .running import RUNNING

    return {"matmul": write_matmul, **CONTRACTIONS, **WRITERS, **ORDERING, **RUNNING}
