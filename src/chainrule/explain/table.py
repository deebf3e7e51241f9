"""An explanation as a table for Rich, which brings colour; every meaning is in the text too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .text import GAP, HEADINGS, abridged, fit, footer, header, table_rows

if TYPE_CHECKING:
    from .explanation import Explanation
    from .steps import Step

TURNS = 6  # of a loop with more turns the middle ones are left out


def to_rich(explanation: Explanation, width: int) -> Any:
    """Return what Rich prints for an explanation at some width."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    items = list(abridged(explanation.steps, TURNS))
    rows = table_rows(explanation, TURNS)
    shown = fit(rows, width)
    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style="bold")
    for heading, columns in shown.items():
        justify: Any = "right" if heading == "#" else "left"
        table.add_column(heading, justify=justify, width=columns, overflow="fold")
    for item, cells in zip(items, rows[1:], strict=True):
        styles = ("dim",) * len(HEADINGS) if isinstance(item, tuple) else _styles(item)
        named = zip(HEADINGS, cells, styles, strict=True)
        table.add_row(*(Text(cell, style=style) for h, cell, style in named if h in shown))
    head = Text(header(explanation), style="bold")
    below = [Text(line, style="dim") for line in footer(explanation)]
    return Group(head, table, *below)


def _styles(step: Step) -> tuple[str, ...]:
    check = "green" if step.verified else "bold red"
    if not step.smooth:
        check = "yellow"
    symbol = "bold cyan" if step.leaf else "cyan"
    return ("dim", symbol, "", "", "dim", "dim", "", "dim" if step.leaf else "", check)
