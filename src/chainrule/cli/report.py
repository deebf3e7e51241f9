"""The written report of the demonstration: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }}
pre {{ font: 14px/1.4 ui-monospace, monospace; overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8884; }}
td {{ font-family: ui-monospace, monospace; font-size: 14px; white-space: pre; }}
img {{ max-width: 100%; background: #fff; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass
class Report:
    """Sections of text, tables and pictures; all text is escaped.

    Examples
    --------
    >>> report = Report("a < b")
    >>> report.table(["x"], [["<script>"]])
    >>> "&lt;script&gt;" in report.html(), "<script>" in report.html()
    (True, False)
    """

    title: str
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(f"<p>{escape(text)}</p>")

    def listing(self, text: str) -> None:
        """Add text whose columns matter."""
        self.parts.append(f"<pre>{escape(text)}</pre>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table."""
        self.parts.append("<table>")
        self.parts.append(_row("th", head))
        self.parts.extend(_row("td", row) for row in rows)
        self.parts.append("</table>")

    def picture(self, path: Path, text: str) -> None:
        """Add a PNG, packed into the page."""
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        self.parts.append(f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">')

    def html(self) -> str:
        """Return the whole page."""
        return _PAGE.format(title=escape(self.title), body="\n".join(self.parts))


def _row(tag: str, cells: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"
