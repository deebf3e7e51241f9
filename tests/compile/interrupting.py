"""Ctrl-C in the middle of what a test does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def sent_soon(number: int, seconds: float) -> Iterator[None]:
    """Send a signal to this thread after some seconds; leave when it has been sent."""
    ident = threading.get_ident()
    timer = threading.Timer(seconds, lambda: signal.pthread_kill(ident, number))
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def interrupted() -> Iterator[None]:
    """Interrupt what is done within; fail if that does not end it, by ``KeyboardInterrupt``."""
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), sent_soon(signal.SIGINT, 0.2):
        yield
    assert time.monotonic() - begin < 20.0
