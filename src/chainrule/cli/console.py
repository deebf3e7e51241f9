"""The terminal: one console for all commands, and what happens when its reader goes away."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import rich.console


class Console(rich.console.Console):
    """Rich's console, without colour where that is asked for, and quiet where nobody reads."""

    def __init__(self, no_color: bool = False, width: int | None = None) -> None:
        # None leaves it to NO_COLOR in the environment.
        super().__init__(no_color=no_color or None, width=width, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the caller, who knows the exit code."""
        raise BrokenPipeError


@contextlib.contextmanager
def for_a_reader() -> Iterator[None]:
    """Print for as long as somebody reads: `head`, say, closes the pipe when it has enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and must find a place to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
