"""A gradient, explained."""

from __future__ import annotations

import os
from typing import Any

from ..program.errors import GradientError
from ..program.spans import Span
from ..transform.arguments import definition, name_of
from .chains import chain_of
from .collect import Collected
from .formulas import Formulas
from .naming import Names
from .statements import Block, divide, refine
from .steps import Step, build_steps

MAX_REFINEMENTS = 4
LEVELS = ("statement", "primitive")


class Explanation:
    """How a gradient came about: its steps, each with its formula, its numbers and its check.

    Attributes
    ----------
    function : str
        Name of the explained function.
    output : str
        What the function's result is called: ``L``.
    value : scalar
        The function's result.
    gradient : pytree
        What ``grad`` gives for the same arguments.
    steps : list of Step
        From the result back to the arguments.
    span : Span or None
        Where the function is defined.
    legend : dict
        What the symbols mean that are not the program's own.
    """

    def __init__(self, found: Collected, level: str) -> None:
        blocks = divide(found, level)
        for _ in range(MAX_REFINEMENTS):
            names = Names(found, blocks)
            formulas = Formulas(found, names, blocks)
            steps = build_steps(found, blocks, formulas)
            coarse = _without_formula(blocks, steps)
            if not coarse:
                break
            blocks = refine(found, blocks, coarse)
        formulas.write_legend([s.expr for s in steps if s.expr is not None])
        self.level = level
        self.function = name_of(found.arguments.f).strip("`")
        self.output = names.output
        self.value = found.value
        self.gradient = found.gradient
        self.steps: list[Step] = steps
        self.span: Span | None = definition(found.arguments.f)
        self.legend = formulas.legend
        self.unused = [
            names.ensure(v)
            for v in found.inputs
            if v is not found.output and not any(s.operand is v for s in self.steps)
        ]

    # -- reading it ------------------------------------------------------------------------------

    @property
    def edges(self) -> tuple[int, int]:
        """How many edges are certified, of how many."""
        certificates = [e.certificate for s in self.steps for e in s.edges]
        return sum(c.verified for c in certificates), len(certificates)

    @property
    def verified(self) -> bool:
        """Whether every edge is certified."""
        good, all_ = self.edges
        return good == all_

    def step(self, name: str) -> Step:
        """Return the step of a variable, by its name (``W2``) or symbol (``∂L/∂W2``)."""
        for step in self.steps:
            if name in (step.name, step.symbol):
                return step
        raise KeyError(f"no step for {name!r}; there are {', '.join(s.name for s in self.steps)}")

    def path(self, name: str) -> str:
        """Return the whole chain of factors from the first gradient to that by ``name``."""
        step = self.step(name)
        return f"{step.symbol} = {chain_of(step, self.steps)}"

    @property
    def place(self) -> str:
        """File and line of the function."""
        if self.span is None:
            return ""
        return f"{os.path.basename(self.span.file)}:{self.span.line}"

    # -- showing it ------------------------------------------------------------------------------

    def to_text(self, width: int | None = None, turns: int | None = 6) -> str:
        """Return the explanation as plain text.

        Parameters
        ----------
        width : int, optional
            Columns that it may take; by default those of the terminal.
        turns : int or None
            A loop with more turns than this is shown by its first and last ones; None shows all.
        """
        from .text import to_text

        return to_text(self, width, turns)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        good, all_ = self.edges
        return (
            f"<Explanation of {self.function}: {self.output} = {self.value:.6g}, "
            f"{len(self.steps)} steps, {good}/{all_} edges verified>"
        )

    def to_html(self) -> str:
        """Return the explanation as a table in HTML that needs nothing else."""
        from .html import to_html

        return to_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain numbers, texts and lists, ready for JSON."""
        from .data import to_dict

        return to_dict(self)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from .table import to_rich

        yield to_rich(self, options.max_width)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": self.to_text(100), "text/html": self.to_html()}


def _without_formula(blocks: list[Block], steps: list[Step]) -> set[int]:
    """Return which blocks have an edge that no formula was found for, though parts may have."""
    number = {id(block): i for i, block in enumerate(blocks)}
    return {
        number[id(edge.block)]
        for step in steps
        for edge in step.edges
        if edge.expr is None and len(edge.block.equations) > 1
    }


def check_level(level: str) -> None:
    """Refuse an unknown level."""
    if level not in LEVELS:
        raise GradientError(
            f"explain knows no level {level!r}", help=f"one of {', '.join(map(repr, LEVELS))}"
        )
