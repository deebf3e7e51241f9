"""The forward computation in pieces that a reader knows: executions of statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    outer : Block or None
        The block that it is a part of.
    """

    equations: list[Equation]
    depth: int
    frame: Frame | None
    flows: list[Flow] = field(default_factory=list)
    repetition: int = 0
    outer: Block | None = None

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
        blocks = [
            part for block in _by_statement(found.equations, depth) for part in _descended(block)
        ]
    return finish(found, blocks)


def refine(found: Collected, blocks: list[Block], coarse: set[int]) -> list[Block]:
    """Divide some blocks further, into parts whose derivatives can be written down."""
    parts: list[Block] = []
    for i, block in enumerate(blocks):
        parts.extend(_parts(block) if i in coarse else [block])
    return finish(found, parts)


def finish(found: Collected, blocks: list[Block]) -> list[Block]:
    """Tell the blocks their edges, and how often the same place ran before."""
    of = {out: block for block in blocks for out in block.made}
    for block in blocks:
        block.flows = []
    for flow in found.flows:
        of[flow.equation.outs[0]].flows.append(flow)
    seen: dict[Any, int] = {}
    for block in blocks:
        if block.frame is not None:
            first = block.equations[0].origin
            key = place(block.frame), first
            block.repetition = seen.get(key, 0)
            seen[key] = block.repetition + 1
    return blocks


def _by_statement(equations: Iterable[Equation], depth: int) -> Iterator[Block]:
    block: Block | None = None
    previous: Path = ()
    waiting: list[Equation] = []
    for equation in equations:
        path = full_path(equation, depth)
        if not path:  # what a transformation adds on the way in belongs to what follows
            waiting.append(equation)
            continue
        if block is None or _separates(previous, path):
            if block is not None:
                yield block
            block = Block([], depth, path[0])
        block.equations.extend([*waiting, equation])
        waiting.clear()
        previous = path
    if block is None:
        block = Block([], depth, None)
    block.equations.extend(waiting)
    if block.equations:
        yield block


def _separates(previous: Path, path: Path) -> bool:
    return place(previous[0]) != place(path[0]) or begins_anew(previous, path)


def _frame(equation: Equation, depth: int) -> Frame | None:
    path = user_path(equation)
    return path[min(depth, len(path) - 1)] if path else None


# -- finer parts ---------------------------------------------------------------------------------

_PRODUCTS = frozenset({"matmul", "einsum", "solve", "windows", "convolve"})
MAX_PRODUCTS = 1


def _descended(block: Block) -> list[Block]:
    """Go into helpers that are programs of their own, such as the layers of a network.

    A helper that does one thing belongs to the statement that calls it.
    """
    inner = [e for e in block.equations if len(user_path(e)) > block.depth + 1]
    products = [e for e in inner if e.primitive.name in _PRODUCTS]
    if len(products) <= MAX_PRODUCTS:
        return [block]
    pieces = _by_call(block)
    return [part for piece in pieces for part in _descended(piece)] if pieces else [block]


def _by_call(block: Block) -> list[Block]:
    """Divide a block at the calls of helpers; if it is one call, by the helper's statements."""
    depth = block.depth
    runs: list[list[Equation]] = []
    previous: Any = None
    for equation in block.equations:
        path = user_path(equation)
        call = path[: depth + 1] if len(path) > depth + 1 else None
        if not runs or call != previous:
            runs.append([])
        runs[-1].append(equation)
        previous = call
    if len(runs) > 1:
        return list(_within(block, (Block(r, depth, _frame(r[-1], depth)) for r in runs)))
    if previous is None:
        return []
    return list(_within(block, _by_statement(block.equations, depth + 1)))


def _parts(block: Block) -> list[Block]:
    """Divide a block at its helpers, or else at operations that are not element-wise."""
    pieces = _by_call(block)
    if len(pieces) > 1:
        return pieces
    if len(pieces) == 1:
        return _parts(pieces[0])
    runs: list[list[Equation]] = []
    previous: bool | None = None
    for equation in block.equations:
        elementwise = equation.primitive.elementwise
        if not (runs and elementwise and previous):
            runs.append([])
        runs[-1].append(equation)
        previous = elementwise
    if len(runs) == 1:
        runs = [[equation] for equation in block.equations]
    made = [Block(run, block.depth, _frame(run[-1], block.depth)) for run in runs]
    return list(_within(block, made))


def _within(outer: Block, parts: Iterable[Block]) -> Iterable[Block]:
    for part in parts:
        part.outer = outer
        yield part
