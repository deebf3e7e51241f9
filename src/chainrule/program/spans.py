"""Where a traced operation stands in the user's source, and what the user calls its result.

A trace stores only ``(frame.f_code, frame.f_lasti)`` per operation, which costs next to nothing.
This module derives the rest from that pair when somebody asks: the compiler left line and column
of every instruction in the code object, and the syntax tree of the source line tells which
expression, statement and assignment target lie there.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import sys
import textwrap
from collections.abc import Iterator
from types import CodeType, FrameType, ModuleType
from typing import NamedTuple

import numpy as np

from .bytecode import opname_at, stored_name
from .source import (
    Node,
    Place,
    SourceFile,
    first_line,
    nodes_around,
    nodes_at,
    place_of,
    position_of,
    source_of,
)

__all__ = [
    "Span",
    "Statement",
    "argument_texts",
    "is_internal",
    "result_name",
    "span_of",
    "statement_of",
    "user_frame",
]

# Code objects hash and compare by their content without the file name, so two notebook cells with
# the same text would share an entry: every cache below has the file name in its key as well.
_CACHE_SIZE = 4096


class Statement(NamedTuple):
    """The statement around an operation; of a compound one, such as ``if``, just the header.

    Attributes
    ----------
    line, end_line : int
        First and last line, counted from 1.
    text : str
        The source, without the indentation of its first line.
    targets : tuple of str
        Sources of what it assigns to: ``("a", "params['W']")``.
    """

    line: int
    end_line: int
    text: str
    targets: tuple[str, ...]


class Span(NamedTuple):
    """A piece of the user's source.

    Attributes
    ----------
    file, function : str
        File name and qualified function name, as the code object has them.
    line, end_line : int
        First and last line, counted from 1.
    col, end_col : int or None
        First column and the column after the last one, in characters from 0; None when the
        interpreter runs without column information.
    text : str
        The source between them, or '' if it cannot be read.
    statement : Statement or None
        The smallest statement around it, or None if the source cannot be read.
    """

    file: str
    function: str
    line: int
    end_line: int
    col: int | None
    end_col: int | None
    text: str
    statement: Statement | None


# --- frames --------------------------------------------------------------------------------------

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Layers that users also read and write in their own style (nn, optim, train) count as user code.
_ROOMS = (
    *("program", "maps", "primitives", "trace", "transform", "compile", "explain", "numpy"),
    "random",
    "interop",
)
_INTERNAL_DIRS = (
    *(_PACKAGE + room + os.sep for room in _ROOMS),
    os.path.dirname(os.path.abspath(np.__file__)) + os.sep,
)
_INTERNAL_FILES = frozenset(
    os.path.abspath(module.__file__ or "") for module in (contextlib, functools)
)


class _InternalFiles(dict[str, bool]):
    """Whether a file belongs to the machinery, found out once per file name."""

    def __missing__(self, filename: str) -> bool:
        internal = self[filename] = _classify(filename)
        return internal


def _classify(filename: str) -> bool:
    if filename.startswith(("<frozen ", "<__array_function__")):
        return True
    if filename.startswith("<"):
        return False
    path = os.path.abspath(filename)
    if path in _INTERNAL_FILES or path.startswith(_INTERNAL_DIRS):
        return True
    if os.path.dirname(path) + os.sep == _PACKAGE:
        return True
    # SciPy is not imported here to keep `import chainrule` light; where a frame of it exists, it
    # has been imported by somebody else.
    scipy = getattr(sys.modules.get("scipy"), "__file__", None)
    return scipy is not None and path.startswith(os.path.dirname(os.path.abspath(scipy)) + os.sep)


INTERNAL = _InternalFiles()
"""By file name: whether its frames belong to the machinery and not to the user."""


def is_internal(filename: str) -> bool:
    """Tell whether frames of a file belong to chainrule's machinery, NumPy or SciPy.

    Examples
    --------
    >>> is_internal("<frozen importlib._bootstrap>"), is_internal("/home/me/model.py")
    (True, False)
    """
    return INTERNAL[filename]


def user_frame(depth: int = 1) -> FrameType | None:
    """Return the nearest frame of the user's code, or None if there is none.

    Parameters
    ----------
    depth : int
        Where to start: 1 is the function that calls this one, 2 its caller, and so on.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and INTERNAL[frame.f_code.co_filename]:
        frame = frame.f_back
    return frame


# --- spans ---------------------------------------------------------------------------------------


def span_of(code: CodeType, lasti: int) -> Span:
    r"""Locate the instruction at ``lasti`` (a frame's ``f_lasti``) in the source.

    Examples
    --------
    >>> import dis, linecache
    >>> linecache.cache["<cell>"] = (0, None, ["y = 1 + -x\n"], "<cell>")
    >>> code = compile("y = 1 + -x", "<cell>", "exec")
    >>> offsets = {i.opname: i.offset for i in dis.get_instructions(code)}
    >>> span = span_of(code, offsets["UNARY_NEGATIVE"])
    >>> span.text, span.line, span.col, span.statement.text
    ('-x', 1, 8, 'y = 1 + -x')
    """
    return _span(code.co_filename, code, lasti)


@functools.lru_cache(_CACHE_SIZE)
def _span(filename: str, code: CodeType, lasti: int) -> Span:
    line, place = position_of(code, lasti)
    statement = statement_of(code, lasti)
    source, trail = nodes_at(code, lasti)
    if place is None:
        text = source.line(line).strip()
        return Span(filename, code.co_qualname, line, line, None, None, text, statement)
    if trail:
        place = _narrowed(trail[-1], place, opname_at(code, lasti))
    line, byte_col, end_line, end_byte_col = place
    col, end_col = source.char_col(line, byte_col), source.char_col(end_line, end_byte_col)
    text = source.text(line, col, end_line, end_col)
    return Span(filename, code.co_qualname, line, end_line, col, end_col, text, statement)


def _narrowed(node: Node, place: Place, opname: str) -> Place:
    """Place of the value used, where the compiler gives the whole statement around it."""
    part = _header_value(node)
    if part is None and isinstance(node, ast.IfExp) and _branches(opname):
        part = node.test
    return place if part is None else place_of(part)


def _header_value(node: Node) -> ast.expr | None:
    """Return the condition of an ``if``, the iterable of a ``for``."""
    if isinstance(node, ast.If | ast.While | ast.Assert):
        return node.test
    return node.iter if isinstance(node, ast.For | ast.AsyncFor) else None


def _branches(opname: str) -> bool:
    return opname == "TO_BOOL" or "JUMP" in opname


def statement_of(code: CodeType, lasti: int) -> Statement | None:
    """Find the smallest statement around an instruction; None if there is no source."""
    return _statement(code.co_filename, code, lasti)


@functools.lru_cache(_CACHE_SIZE)
def _statement(filename: str, code: CodeType, lasti: int) -> Statement | None:
    source = source_of(code)
    line, place = position_of(code, lasti)
    text = source.line(line)
    if source.tree is None:
        return Statement(line, line, text.strip(), ()) if text.strip() else None
    if place is None:
        indent = len(text) - len(text.lstrip())
        place = (line, indent, line, indent)
    statements = [node for node in nodes_around(source.tree, place) if isinstance(node, ast.stmt)]
    return _describe(source, statements[-1]) if statements else None


def _describe(source: SourceFile, node: ast.stmt) -> Statement:
    _, byte_col, end_line, end_byte_col = place_of(node)
    line, col = first_line(node), source.char_col(node.lineno, byte_col)
    end_col = source.char_col(end_line, end_byte_col)
    body: list[ast.stmt] = getattr(node, "body", None) or []
    if isinstance(node, ast.Match):
        end_line, end_col = node.subject.end_lineno or line, len(source.line(node.lineno))
    elif body:
        end_line = first_line(body[0])
        decorated = end_line < body[0].lineno
        end_col = 0 if decorated else source.char_col(end_line, body[0].col_offset)
    text = source.text(line, col, end_line, end_col).rstrip()
    before = source.line(line)[:col]
    if not before.strip():
        text = textwrap.dedent(before + text)
    kept = text.split("\n")
    while body and len(kept) > 1 and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
        kept.pop()
    targets = tuple(source.text_of(target) for target in _targets(node))
    return Statement(line, line + len(kept) - 1, "\n".join(kept).rstrip(), targets)


def _targets(node: ast.stmt) -> Iterator[ast.expr]:
    """Yield the single places that a statement assigns to."""
    todo: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        todo = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
        todo = [node.target]
    elif isinstance(node, ast.With | ast.AsyncWith):
        todo = [item.optional_vars for item in node.items if item.optional_vars is not None]
    while todo:
        target = todo.pop(0)
        if isinstance(target, ast.Tuple | ast.List):
            todo[:0] = target.elts
        elif isinstance(target, ast.Starred):
            todo.insert(0, target.value)
        else:
            yield target


# --- names ---------------------------------------------------------------------------------------

_STORES_ITEM = ("STORE_SUBSCR", "STORE_SLICE")


def result_name(code: CodeType, lasti: int) -> str | None:
    """Find what the user's code calls the result of the instruction at ``lasti``.

    The name is the source of the target that the result is assigned to, such as ``z``,
    ``self.h`` or ``params['W']``. An assignment to an item makes a new value of the container,
    so its result bears the container's name. A result that goes on into a further operation, or
    is returned, has no name.
    """
    return _result_name(code.co_filename, code, lasti)


@functools.lru_cache(_CACHE_SIZE)
def _result_name(filename: str, code: CodeType, lasti: int) -> str | None:
    opname = opname_at(code, lasti)
    if opname == "FOR_ITER":  # placed at the iterable, but what it gives is the loop's variable
        return stored_name(code, lasti)
    if opname in ("GET_ITER", "UNPACK_SEQUENCE", "UNPACK_EX") or _branches(opname):
        return None
    source, trail = nodes_at(code, lasti)
    if not trail:
        return stored_name(code, lasti)
    target = _target_of(trail, opname)
    return None if target is None else source.text_of(target)


def _target_of(trail: list[Node], opname: str) -> ast.expr | None:
    """Find the target that the value of the last node is assigned to."""
    node = trail[-1]
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Subscript) and opname in _STORES_ITEM:
        return node.value
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        return None  # `a < b < c` is two comparisons, and neither is the result
    indices: list[int] = []
    for parent in reversed(trail[:-1]):
        if _passes_on(parent, node):
            node = parent
        elif isinstance(parent, ast.Tuple | ast.List) and isinstance(node, ast.expr):
            indices.append(parent.elts.index(node))
            node = parent
        elif isinstance(parent, ast.NamedExpr):
            return None if indices else parent.target
        elif isinstance(parent, ast.Assign | ast.AnnAssign) and node is parent.value:
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            found = (_unpacked(target, indices[::-1], node) for target in targets)
            return next((target for target in found if target is not None), None)
        else:
            return None
    return None


def _passes_on(parent: Node, node: Node) -> bool:
    """Tell whether the value of a node, once computed, is its parent's value as well."""
    if isinstance(parent, ast.IfExp):
        return node is not parent.test
    return isinstance(parent, ast.BoolOp) and node is parent.values[-1]


def _unpacked(target: ast.expr, indices: list[int], value: ast.AST | None) -> ast.expr | None:
    """Find the target in a nest of targets that receives one element of a nest of values."""
    for index in indices:
        if not isinstance(target, ast.Tuple | ast.List) or not isinstance(
            value, ast.Tuple | ast.List
        ):
            return None
        parts = (*target.elts, *value.elts)
        if any(isinstance(part, ast.Starred) for part in parts):
            return None
        target, value = target.elts[index], value.elts[index]
    return None if isinstance(target, ast.Tuple | ast.List | ast.Starred) else target


def argument_texts(code: CodeType, lasti: int) -> list[str]:
    """Return the sources of the operands of the operation at ``lasti``, as far as is known.

    A method call gives the object first. What only consumes a value, such as an iteration or a
    condition, gives the source of that value.
    """
    return list(_argument_texts(code.co_filename, code, lasti))


@functools.lru_cache(_CACHE_SIZE)
def _argument_texts(filename: str, code: CodeType, lasti: int) -> tuple[str, ...]:
    source, trail = nodes_at(code, lasti)
    if not trail:
        return ()
    operands = _operands(source, trail, opname_at(code, lasti), code)
    return tuple(source.text_of(operand) for operand in operands)


def _operands(source: SourceFile, trail: list[Node], opname: str, code: CodeType) -> list[ast.expr]:
    node = trail[-1]
    value = _header_value(node)
    if value is not None:
        return [value]
    if opname in ("UNPACK_SEQUENCE", "UNPACK_EX"):
        parent = trail[-2] if len(trail) > 1 else None
        return [parent.value] if isinstance(parent, ast.Assign) else []
    if opname in ("GET_ITER", "FOR_ITER") or _branches(opname):
        return [node] if isinstance(node, ast.expr) else []
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            operands = [*args, *(keyword.value for keyword in keywords)]
            if isinstance(func, ast.Attribute) and _is_value(source, func.value, code):
                operands.insert(0, func.value)
            return operands
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.AugAssign(target=left, value=right) | ast.Subscript(value=left, slice=right):
            return [left, right]
        case ast.UnaryOp(operand=operand) | ast.Attribute(value=operand):
            return [operand]
        case ast.Compare(left=left, comparators=comparators):
            return [left, *comparators]
        case ast.Name():
            return [node]
    return []


def _is_value(source: SourceFile, owner: ast.expr, code: CodeType) -> bool:
    """Tell whether a function is called as the method of a value, rather than of a module."""
    while isinstance(owner, ast.Attribute):
        owner = owner.value
    if not isinstance(owner, ast.Name):
        return True
    if owner.id in source.modules:
        return False
    local = owner.id in code.co_varnames + code.co_cellvars + code.co_freevars
    if local or owner.id in source.assigned:
        return True
    # A notebook may have imported the module in an earlier cell.
    main = sys.modules.get("__main__")
    return not isinstance(getattr(main, owner.id, None), ModuleType)
