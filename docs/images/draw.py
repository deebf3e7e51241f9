"""Draws the pictures of this folder, for `make pages`: what a terminal shows, with its colours."""

import io
import os
import re
import sys
import tempfile
from pathlib import Path

import rich.console

from chainrule.cli.demo import Demo

HERE = Path(__file__).resolve().parent
FONTS = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


def terminal():
    """Return a console that records: no terminal, or each frame of a live bar would be drawn."""
    return rich.console.Console(record=True, width=100, file=io.StringIO(), highlight=False)


def save(console, name, title):
    """Save what a console has shown as SVG, without the fonts that Rich loads from elsewhere."""
    drawn = console.export_svg(title=title, unique_id=name)
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", FONTS).replace("Fira Code", FONTS)
    (HERE / f"{name}.svg").write_text(drawn, encoding="utf-8")


def draw(name, title, show):
    """Draw what a part of the demonstration shows."""
    console = terminal()
    demo = Demo(console, Path(), quick=False)
    show(demo)
    save(console, name, title)
    return demo.holds


def main():
    """Draw all pictures; return whether a check of the demonstration failed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        holds = [draw("explain", "chainrule explain", Demo.explain)]
        holds.append(draw("demo", "chainrule demo", Demo.run))
        os.replace("curves.png", HERE / "curves.png")
    return not all(holds)


if __name__ == "__main__":
    sys.exit(main())
