"""Places at which a thread that works in the background lets others go first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_local = threading.local()
_hurried: set[object] = set()


def work_in_background(pause: Callable[[], None]) -> None:
    """Have this thread call a function wherever it can wait, or end."""
    _local.pause = pause


def give_way() -> None:
    """Let others go first if this thread works in the background; no lock is held here."""
    pause = getattr(_local, "pause", None)
    if pause is not None:
        pause()


@contextlib.contextmanager
def in_a_hurry() -> Iterator[None]:
    """Say that somebody waits for what is done here."""
    mark = object()
    _hurried.add(mark)
    try:
        yield
    finally:
        _hurried.discard(mark)


def is_hurry() -> bool:
    """Tell whether somebody waits for a compilation."""
    return bool(_hurried)
