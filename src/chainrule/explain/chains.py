"""The chain of one gradient in a single formula: every step put into the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .expression import Expr, Symbol, replace, size
from .notation import chain_text

if TYPE_CHECKING:
    from .steps import Step

MAX_NODES = 80


def chain_of(step: Step, steps: list[Step]) -> str:
    """Return a step's formula with the earlier steps' formulas put in.

    The first gradient keeps its symbol: what it is made of stands in its own step. So does any
    gradient that would make the formula too long to read.
    """
    earlier = {s.symbol: s for s in steps[1:] if s.index < step.index}
    expr = step.slope or step.expr
    if expr is None:
        return step.formula

    def substituted(e: Expr) -> Expr | None:
        if not (isinstance(e, Symbol) and e.gradient) or e.name not in earlier:
            return None
        other = earlier[e.name]
        inner = other.slope or other.expr
        if inner is None:
            return None
        whole = replace(inner, substituted)
        return whole if size(whole, MAX_NODES) < MAX_NODES else e

    return chain_text(replace(expr, substituted))
