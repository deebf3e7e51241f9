"""Where in the user's program an equation comes from, and which execution of that place it was.

An equation carries all frames from its operation up to the explained function. The function's
own frame says which statement it belongs to. When a loop runs a statement again, the frames jump
back: which of them lies in a loop, by its bytecode, tells whose loop it is.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Sequence
from types import CodeType
from typing import Any

from ..program.equation import Equation
from ..program.spans import is_internal, span_of, statement_of

Frame = tuple[CodeType, int]
Path = tuple[Frame, ...]


def user_path(equation: Equation) -> Path:
    """Frames of the user's code, the outermost first."""
    return tuple(f for f in reversed(equation.origin) if not is_internal(f[0].co_filename))


def full_path(equation: Equation, depth: int) -> Path:
    """All frames below and including the user's frame at ``depth``, the outermost first."""
    path = equation.origin[::-1]
    users = [i for i, (code, _) in enumerate(path) if not is_internal(code.co_filename)]
    return path[users[depth] :] if depth < len(users) else ()


@functools.lru_cache(1024)
def _loops(filename: str, code: CodeType) -> tuple[tuple[int, int], ...]:
    """First and last offset of each loop in a function's bytecode."""
    return tuple(
        (i.argval, i.offset)
        for i in dis.get_instructions(code)
        if "JUMP_BACKWARD" in i.opname or (i.opname.startswith("JUMP") and i.argval < i.offset)
    )


def loops_around(code: CodeType, first: int, second: int) -> list[int]:
    """Offsets at which the loops begin that contain both instructions."""
    return [
        start
        for start, end in _loops(code.co_filename, code)
        if start <= min(first, second) and max(first, second) <= end
    ]


def place(frame: Frame) -> tuple[Any, ...]:
    """Return what identifies the statement of a frame."""
    code, lasti = frame
    statement = statement_of(code, lasti)
    if statement is None:
        return code.co_filename, code.co_name, span_of(code, lasti).line
    return code.co_filename, code.co_name, statement.line, statement.text


def begins_anew(previous: Path, path: Path) -> bool:
    """Whether two operations in succession, of one statement, belong to two executions of it."""
    level = 0
    shortest = min(len(previous), len(path))
    while level < shortest and previous[level] == path[level]:
        level += 1
    if level < shortest and previous[level][0] is path[level][0]:
        if path[level][1] > previous[level][1]:
            return False
    else:
        level -= 1  # the same call once more, or another function called from the same place
    while level >= 0:
        (code, before), (_, after) = previous[level], path[level]
        starts = loops_around(code, before, after)
        if level == 0:
            # the loop of a comprehension lies within the statement itself
            return any(place((code, start)) != place(path[0]) for start in starts)
        if starts:
            return False
        level -= 1
    return False


def common_depth(equations: Sequence[Equation]) -> int:
    """Depth of the frame to explain: below those that only pass a call on.

    A wrapper, a lambda around a function or a ``__call__`` has one place that everything comes
    from; the frame that it calls is the one with something to tell.
    """
    paths = [p for p in map(user_path, equations) if p]
    depth = 0
    while paths and all(len(p) > depth + 1 for p in paths):
        frames = {p[depth] for p in paths}
        if len(frames) > 1:
            break
        ((code, lasti),) = frames
        if loops_around(code, lasti, lasti) or len({p[depth + 1][0] for p in paths}) > 1:
            break
        depth += 1
    return depth
