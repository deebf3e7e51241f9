"""The chain of one gradient in a single formula: every step put into the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .expression import Expr, Symbol, replace, size
from .notation import chain_text

if TYPE_CHECKING:
    from .steps import Step

MAX_NODES = 80
MAX_TERMS = 4


def chain_of(step: Step, steps: list[Step]) -> str:
    """Return a step's formula with the earlier steps' formulas put in.

    The first gradient keeps its symbol: what it is made of stands in its own step. So does any
    gradient that would make the formula too long to read.
    """
    earlier = {s.symbol: s for s in steps[1:] if s.index < step.index}
    whole = step.slope or step.expr
    if whole is None or len(step.edges) > MAX_TERMS:
        return step.formula
    while True:
        longer = replace(whole, lambda e: _formula_of(e, earlier))
        if longer == whole or size(longer, MAX_NODES) >= MAX_NODES:
            return chain_text(whole)
        whole = longer


def _formula_of(expr: Expr, steps: dict[str, Step]) -> Expr | None:
    step = steps.get(expr.name) if isinstance(expr, Symbol) and expr.gradient else None
    return None if step is None else step.slope or step.expr
