"""The record of a run: one JSON object per line and event."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import IO, Any

from .tensors import FilePath

__all__ = ["EventLog", "read_events"]

Event = dict[str, Any]

_encode = json.JSONEncoder(allow_nan=False).encode
_STEP_FIELDS = ("event", "time", "step", "epoch", "batch", "loss", "seconds_per_step")
_STEP = (
    '{"event": "%(event)s", "time": %(time)r, "step": %(step)d, "epoch": %(epoch)d, '
    '"batch": %(batch)d, "loss": %(loss)r, "seconds_per_step": %(seconds_per_step).4g}\n'
)


class EventLog:
    """Writes events to a file, each at once, so that a crash loses none that has happened.

    Parameters
    ----------
    path : str or Path, optional
        The file, which is continued; without it, events go nowhere.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/events.jsonl"
    >>> with EventLog(file) as log:
    ...     event = log.write("step", step=1, loss=0.5)
    >>> read_events(file)[0]["loss"]
    0.5
    """

    def __init__(self, path: FilePath | None = None) -> None:
        self._file: IO[str] | None = None
        if path is not None:
            _drop_torn_line(Path(path))
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - kept open

    def write(self, kind: str, **fields: Any) -> Event:
        """Write one event with the time, and return it."""
        event: Event = {"event": kind, "time": time.time(), **fields}
        self.write_all([event])
        return event

    def write_all(self, events: list[Event]) -> None:
        """Write events that have their times."""
        if self._file is not None:
            self._file.write("".join(map(_line, events)))
            self._file.flush()  # to the system, which keeps it whatever becomes of this process

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_events(path: FilePath) -> list[Event]:
    """Read the events of a run in which each step happened once.

    A run that was killed and resumed did some steps twice; the first of them are left out, as is
    a last line that was not completed. ``"nan"``, ``"inf"`` and ``"-inf"``, which stand as texts
    since JSON has no such numbers, become floats again.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/events.jsonl"
    >>> with EventLog(file) as log:
    ...     for step in (1, 2, 3):
    ...         _ = log.write("step", step=step, loss=1 / step)
    ...     _ = log.write("resume", step=1, evaluated=False)
    ...     _ = log.write("step", step=2, loss=math.nan)
    >>> [(e["event"], e["step"]) for e in read_events(file)]
    [('step', 1), ('resume', 1), ('step', 2)]
    """
    events: list[Event] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                break
            event = _numbers(json.loads(line))
            if event["event"] == "resume":
                events = [e for e in events if _stays(e, event)]
            events.append(event)
    return events


def _stays(event: Event, resume: Event) -> bool:
    """Whether an event is part of the checkpoint from which a run was resumed."""
    if event["step"] == resume["step"] and event["event"] == "evaluation":
        return bool(resume["evaluated"])  # else it comes again
    return bool(event["step"] <= resume["step"])


def _drop_torn_line(path: Path) -> None:
    """Cut off what follows the last end of a line: a killed process was writing it."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())


def _line(event: Event) -> str:
    if tuple(event) == _STEP_FIELDS and math.isfinite(event["loss"]):
        return _STEP % event  # there are many of these, and the encoder takes twice as long
    try:
        return _encode(event) + "\n"
    except ValueError:
        return _encode(_finite(event)) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return float(value) if value in ("nan", "inf", "-inf") else value
