"""Errors that show the user's source, underline the place, and say what to write instead."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence

from .source import source_lines
from .spans import Span

__all__ = [
    "ChainruleError",
    "GradientError",
    "ProgramError",
    "ShapeError",
    "TraceError",
    "UnsupportedError",
    "picture",
]

_WIDTH = 100  # columns of source shown; longer lines are clipped around the span
_TAB = 4
_CONTEXT = 30  # columns kept before the span when a line is clipped


class ChainruleError(Exception):
    """Base of the errors that chainrule raises about the user's code.

    Parameters
    ----------
    title : str
        What is wrong, in one line.
    span : Span, optional
        Where.
    label : str, optional
        What the underlined text is.
    why : str, optional
        Why it cannot work.
    help : str, optional
        One rewrite that works.
    notes : sequence of str
        Further facts.

    Examples
    --------
    >>> error = ShapeError("`a @ b` needs matching sizes", help="transpose `b`: `a @ b.T`")
    >>> print(error)
    `a @ b` needs matching sizes
      = help: transpose `b`: `a @ b.T`
    >>> isinstance(error, ValueError)
    True
    """

    def __init__(
        self,
        title: str,
        *,
        span: Span | None = None,
        label: str | None = None,
        why: str | None = None,
        help: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(title)
        self.title = title
        self.span = span
        self.label = label
        self.why = why
        self.help = help
        self.notes = tuple(notes)

    def __str__(self) -> str:
        return picture(self.title, self.span, self.label, self.why, self.help, self.notes)


class TraceError(ChainruleError, TypeError):
    """Something was done to a traced value that a derivative cannot follow."""


class ShapeError(ChainruleError, ValueError):
    """Arrays whose shapes do not fit together."""


class BoundsError(ChainruleError, IndexError):
    """An index that lies outside of what it is to pick from."""


class GradientError(ChainruleError, ValueError):
    """A transformation was used on something it is not defined for."""


class ProgramError(ChainruleError, ValueError):
    """A program that is not well formed, or is given what it does not take."""


class UnsupportedError(ChainruleError, NotImplementedError):
    """An operation that has no rule here yet."""


def picture(
    title: str,
    span: Span | None,
    label: str | None = None,
    why: str | None = None,
    help: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Draw an error: its title, the source with the span underlined, the reason and a remedy.

    Examples
    --------
    >>> print(picture("`t` is traced", None, why="its value is not known yet"))
    `t` is traced
      = why:  its value is not known yet
    """
    gutter = 1
    out = [title]
    if span is not None:
        lines = source_lines(span.file)
        source = lines[span.line - 1] if 1 <= span.line <= len(lines) else ""
        gutter = len(str(span.line)) + 1
        out.append(f"{' ' * gutter}--> {_location(span)}")
        if source.strip():
            out.extend(_underlined(span, source, gutter, label))
        elif label:
            notes = (label, *notes)
    for name, text in (("why", why), ("help", help), *(("note", note) for note in notes)):
        if text:
            out.append(_remark(name, text, gutter))
    return "\n".join(out)


def _location(span: Span) -> str:
    # Columns are counted from 1 here, as compilers and editors do.
    column = "" if span.col is None else f":{span.col + 1}"
    function = span.function.replace(".<locals>", "")
    inside = "" if function == "<module>" else f" in {function}"
    return f"{_short_path(span.file)}:{span.line}{column}{inside}"


def _short_path(file: str) -> str:
    """Path below the working directory, or else the file with its folder."""
    if file.startswith("<"):
        return file
    path = os.path.abspath(file)
    try:
        below = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a working directory that is gone
        below = os.pardir
    if below.split(os.sep)[0] != os.pardir:
        return below
    return os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))


def _remark(name: str, text: str, gutter: int) -> str:
    """Draw a line such as ``= help: ...``, with further lines of the text below its first."""
    head = f"{' ' * gutter} = {name + ':':<5} "
    return head + text.replace("\n", "\n" + " " * len(head))


def _underlined(span: Span, source: str, gutter: int, label: str | None) -> Iterator[str]:
    """Draw the first line of a span, and the line that marks it."""
    cells, start, end = _clip(_cells(source.rstrip()), *_marked(span, source))
    text = "".join(shown for shown, _ in cells)
    before = sum(width for _, width in cells[:start])
    marks = max(1, sum(width for _, width in cells[start:end]))
    yield f"{span.line:>{gutter}} | {text}"
    remarks = [label] if label else []
    if span.end_line > span.line:
        remarks.append(f"(goes on to line {span.end_line})")
    yield f"{' ' * gutter} | {' ' * before}{'^' * marks} {' '.join(remarks)}".rstrip()


def _marked(span: Span, source: str) -> tuple[int, int]:
    """Columns to underline in the first line of a span."""
    last = len(source.rstrip())
    if span.col is None:
        return len(source) - len(source.lstrip()), last
    if span.end_line > span.line or span.end_col is None:
        return span.col, last
    return span.col, span.end_col


_Cell = tuple[str, int]  # what is shown for one character, and the columns it takes


def _cells(source: str) -> list[_Cell]:
    cells: list[_Cell] = []
    column = 0
    for char in source:
        if char == "\t":
            width = _TAB - column % _TAB
            cells.append((" " * width, width))
        else:
            cells.append(_cell(char))
        column += cells[-1][1]
    return cells


def _cell(char: str) -> _Cell:
    if char < " " or char == "\x7f":  # a terminal must not obey what a source file contains
        return chr(0x2400 + ord(char)) if char < " " else "\u2421", 1
    if unicodedata.bidirectional(char) in _REORDERING:
        return "\ufffd", 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1


# Controls that make a terminal show the text in another order than the compiler reads it.
_REORDERING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def _clip(cells: list[_Cell], start: int, end: int) -> tuple[list[_Cell], int, int]:
    """Cut a long line down to the part around columns ``start`` to ``end``."""
    if len(cells) <= _WIDTH:
        return cells, start, end
    left = 0 if end <= _WIDTH else max(0, start - _CONTEXT)
    right = min(len(cells), left + _WIDTH)
    ellipsis = [("…", 1)]
    shown = (
        (ellipsis if left else []) + cells[left:right] + (ellipsis if right < len(cells) else [])
    )
    shift = 1 - left if left else 0
    return shown, start + shift, min(end, right) + shift
