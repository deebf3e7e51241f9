"""Source files as the compiler sees them: their text, their syntax tree, and positions in both.

The compiler leaves a line and a column with every instruction. They are the place of a node of the
syntax tree, so the tree of the same source says what the instruction was written as.
"""

from __future__ import annotations

import ast
import functools
import linecache
import warnings
from collections.abc import Iterator
from itertools import islice
from types import CodeType
from typing import TypeGuard

__all__ = [
    "Node",
    "Place",
    "SourceFile",
    "first_line",
    "nodes_around",
    "nodes_at",
    "place_of",
    "position_of",
    "source_lines",
    "source_of",
]

# (line, column, last line, column after the end); columns in UTF-8 bytes, as the compiler counts.
Place = tuple[int, int, int, int]
Node = ast.expr | ast.stmt


class SourceFile:
    """Lines and syntax tree of one file, with positions as the compiler counts them."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    @functools.cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None if the text is no Python."""
        try:
            with warnings.catch_warnings():  # the user has seen them when the file was compiled
                warnings.simplefilter("ignore")
                return ast.parse("".join(self.lines))
        except (SyntaxError, ValueError, RecursionError):
            # A notebook cell with magics, or a file that was edited since it was imported.
            return None

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """Names that the file binds by importing."""
        return frozenset(
            alias.asname or alias.name.partition(".")[0]
            for node in self._nodes()
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        )

    @functools.cached_property
    def assigned(self) -> frozenset[str]:
        """Names that the file binds by assignments."""
        return frozenset(
            node.id
            for node in self._nodes()
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )

    def _nodes(self) -> Iterator[ast.AST]:
        return iter(()) if self.tree is None else ast.walk(self.tree)

    def line(self, number: int) -> str:
        """Text of one line; '' beyond the end of the file."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def char_col(self, line: int, byte_col: int) -> int:
        """Turn a column in UTF-8 bytes, as the compiler counts, into one in characters."""
        text = self.line(line)
        if text.isascii():
            return byte_col
        return len(text.encode()[:byte_col].decode(errors="ignore"))

    def text(self, line: int, col: int, end_line: int, end_col: int) -> str:
        """Source between two positions, columns in characters."""
        if not 1 <= line <= end_line <= len(self.lines):
            return ""
        if line == end_line:
            return self.lines[line - 1][col:end_col]
        middle = self.lines[line : end_line - 1]
        return "".join((self.lines[line - 1][col:], *middle, self.lines[end_line - 1][:end_col]))

    def text_of(self, node: Node) -> str:
        """Source of a node of the tree."""
        line, byte_col, end_line, end_byte_col = place_of(node)
        start, end = self.char_col(line, byte_col), self.char_col(end_line, end_byte_col)
        return self.text(line, start, end_line, end)


_FILES: dict[str, SourceFile] = {}


def source_lines(filename: str) -> list[str]:
    """Lines of a source file or of a notebook cell; empty if they cannot be read."""
    return linecache.getlines(filename)


def source_of(code: CodeType) -> SourceFile:
    """Return the file that a code object was compiled from; it is empty if it cannot be read."""
    filename = code.co_filename
    lines = source_lines(filename)
    known = _FILES.get(filename)
    # A notebook or a reload may have put other text under the same name.
    if known is None or (known.lines is not lines and known.lines != lines):
        known = _FILES[filename] = SourceFile(lines)
    return known


def place_of(node: Node) -> Place:
    """Return the place that the parser gave to a node."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None  # the parser sets both
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def position_of(code: CodeType, lasti: int) -> tuple[int, Place | None]:
    """Line of an instruction, and its whole place if the interpreter recorded columns."""
    entry = next(islice(code.co_positions(), max(lasti, 0) // 2, None), (None,) * 4)
    line, end_line, col, end_col = entry
    if not line:  # what the compiler added itself; a module begins on line 0
        return max(code.co_firstlineno, 1), None
    if end_line is None or col is None or end_col is None:
        return line, None
    return line, (line, col, end_line, end_col)


def _has_place(node: ast.AST) -> TypeGuard[Node]:
    return isinstance(node, ast.expr | ast.stmt)


def first_line(node: Node) -> int:
    """First line of a node, with the decorators that stand above a definition."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min((place.lineno for place in decorators), default=place_of(node)[0])


def _contains(node: Node, place: Place) -> bool:
    line, col, end_line, end_col = place_of(node)
    if getattr(node, "decorator_list", None):
        line, col = first_line(node), 0
    return (line, col) <= place[:2] and place[2:] <= (end_line, end_col)


def nodes_around(tree: ast.Module, place: Place) -> list[Node]:
    """Statements and expressions from the outermost down to the smallest one around a place."""
    trail: list[Node] = []
    todo: Iterator[ast.AST] = ast.iter_child_nodes(tree)
    while (inner := _next_around(todo, place)) is not None:
        trail.append(inner)
        todo = ast.iter_child_nodes(inner)
    return trail


def _next_around(nodes: Iterator[ast.AST], place: Place) -> Node | None:
    for node in nodes:
        if _has_place(node):
            if _contains(node, place):
                return node
        else:  # arguments, keywords, comprehensions, contexts...: only their parts have places
            inner = _next_around(ast.iter_child_nodes(node), place)
            if inner is not None:
                return inner
    return None


def _matches(node: Node, place: Place) -> bool:
    """Whether the compiler gives the instructions of a node this place."""
    if place_of(node) == place:
        return True
    # A method call or attribute that starts on an earlier line is placed at the attribute's name.
    attribute = node.func if isinstance(node, ast.Call) else node
    if not isinstance(attribute, ast.Attribute):
        return False
    _, _, line, end_col = place_of(attribute)
    return (line, end_col - len(attribute.attr.encode()), *place_of(node)[2:]) == place


def nodes_at(code: CodeType, lasti: int) -> tuple[SourceFile, list[Node]]:
    """Nodes from a statement of the file down to the one that the instruction belongs to.

    The list is empty when the source or the columns are missing, or when no node has exactly the
    instruction's place (the file was edited after its import, say).
    """
    source = source_of(code)
    place = position_of(code, lasti)[1]
    if source.tree is None or place is None:
        return source, []
    trail = nodes_around(source.tree, place)
    while trail and not _matches(trail[-1], place):
        trail.pop()
    return source, trail
