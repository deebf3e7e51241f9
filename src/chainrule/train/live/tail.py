"""Files that grow by lines, read further at each look."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Line", "Tail"]


class Line(NamedTuple):
    """A line of a file: its content, and where it is."""

    content: dict[str, Any]
    offset: int
    size: int


class Tail:
    r"""Reads the lines that a file of JSON objects has got since the last look.

    Attributes
    ----------
    unreadable : int
        Lines so far that are no JSON object with the fields ``event`` and ``step``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "events.jsonl")
    >>> tail = Tail(path)
    >>> _ = path.write_text('{"event": "step", "step": 1}\n{"event": "st')
    >>> anew, lines = tail.read()
    >>> [line.content["step"] for line in lines]
    [1]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable = 0
        self._offset = 0
        self._identity: tuple[int, int] | None = None

    def read(self) -> tuple[bool, list[Line]]:
        """Return whether the file is another than before, and its new complete lines."""
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - closed below; missing is no error
        except FileNotFoundError:
            anew = self._identity is not None
            self._forget()
            return anew, []
        with file:
            status = os.fstat(file.fileno())
            identity = (status.st_dev, status.st_ino)
            anew = self._identity is not None and (
                identity != self._identity or status.st_size < self._offset
            )
            if anew:
                self._forget()
            self._identity = identity
            file.seek(self._offset)
            content = file.read()
        lines = []
        for text in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
            try:
                parsed = json.loads(text)
                valid = isinstance(parsed["event"], str) and isinstance(parsed["step"], int)
            except (ValueError, TypeError, KeyError, RecursionError):
                valid = False
            if valid:
                lines.append(Line(parsed, self._offset, len(text)))
            else:
                self.unreadable += 1
            self._offset += len(text)
        return anew, lines

    def at(self, offset: int, size: int) -> dict[str, Any]:
        """Read a line again."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            parsed: dict[str, Any] = json.loads(file.read(size))
        return parsed

    def _forget(self) -> None:
        self._offset = self.unreadable = 0
        self._identity = None
