"""An explanation as one HTML table for notebooks: no scripts, nothing loaded from anywhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .text import HEADINGS, footer, header, row

if TYPE_CHECKING:
    from .explanation import Explanation
    from .steps import Step

_TABLE = "border-collapse:collapse;font-size:90%"
_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"
_FORMULA = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap"


def to_html(explanation: Explanation) -> str:
    """Return the explanation as a table that needs nothing else."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(h)}</th>' for h in HEADINGS)
    body = "".join(_row(step) for step in explanation.steps)
    below = "".join(f"<div>{escape(line)}</div>" for line in footer(explanation))
    return (
        f'<div class="chainrule-explanation"><div><b>{escape(header(explanation))}</b></div>'
        f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"{below}</div>"
    )


def _row(step: Step) -> str:
    cells = []
    for heading, cell in zip(HEADINGS, row(step), strict=True):
        style = f"{_CELL};{_FORMULA}" if heading in ("step", "formula", "shape") else _CELL
        title = ""
        if heading == "line" and step.span is not None and step.span.statement is not None:
            title = f' title="{escape(step.span.statement.text, quote=True)}"'
        cells.append(f'<td style="{style}"{title}>{escape(cell)}</td>')
    return f"<tr>{''.join(cells)}</tr>"
