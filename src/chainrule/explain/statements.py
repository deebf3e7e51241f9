"""The forward computation in pieces that a reader knows: executions of statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..program.equation import Equation, Var
from .collect import Collected, Flow
from .frames import Frame, Path, begins_anew, common_depth, full_path, place, user_path


@dataclass(slots=True, eq=False)
class Block:
    """Equations that are shown as one step of the computation.

    Attributes
    ----------
    equations : list of Equation
        In program order.
    depth : int
        Which of the user's frames the block is a piece of.
    frame : (code, offset) or None
        Where it is in the user's program.
    flows : list of Flow
        The edges of its equations, in the order of the pull.
    repetition : int
        How many times the same place has run before.
    """

    equations: list[Equation]
    depth: int
    frame: Frame | None
    flows: list[Flow] = field(default_factory=list)
    repetition: int = 0

    @property
    def made(self) -> list[Var]:
        """The variables that the block computes."""
        return [out for equation in self.equations for out in equation.outs]


def divide(found: Collected, level: str) -> list[Block]:
    """Divide the forward computation into blocks, in program order."""
    depth = common_depth(found.equations)
    if level == "primitive":
        blocks = [Block([e], depth, _frame(e, depth)) for e in found.equations]
    else:
        blocks = list(_by_statement(found.equations, depth))
    _add_flows(blocks, found.flows)
    seen: dict[Any, int] = {}
    for block in blocks:
        if block.frame is not None:
            key = place(block.frame)
            block.repetition = seen.get(key, 0)
            seen[key] = block.repetition + 1
    return blocks


def _by_statement(equations: Iterable[Equation], depth: int) -> Iterable[Block]:
    block: Block | None = None
    previous: Path = ()
    for equation in equations:
        path = full_path(equation, depth)
        frame = path[0] if path else None
        if block is None or _separates(previous, path):
            if block is not None:
                yield block
            block = Block([], depth, frame)
        block.equations.append(equation)
        previous = path
    if block is not None:
        yield block


def _separates(previous: Path, path: Path) -> bool:
    if not previous or not path:
        return bool(previous) != bool(path)
    return place(previous[0]) != place(path[0]) or begins_anew(previous, path)


def _frame(equation: Equation, depth: int) -> Frame | None:
    path = user_path(equation)
    return path[min(depth, len(path) - 1)] if path else None


def _add_flows(blocks: list[Block], flows: list[Flow]) -> None:
    of = {out: block for block in blocks for out in block.made}
    for flow in flows:
        of[flow.equation.outs[0]].flows.append(flow)
