"""Ctrl-C ends long native work, and the call with it."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from chainrule import jit, scan, while_loop
from chainrule.compile.native import Native
from tests.compile.interrupting import interrupted, sent_soon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def endless(x: Any) -> Any:
    return while_loop(lambda c: np.sum(c) > -1.0, lambda c: np.sin(c) ** 2, x)


def endless_number(x: Any) -> Any:
    return while_loop(lambda c: c > -1.0, lambda c: c + 1.0, x)


def long_scan(x: Any) -> Any:
    return scan(lambda c, _: (np.sin(c * 1.5), None), x, None, length=2_000_000_000)[0]


CASES = {
    "while": (endless, np.ones(50)),
    "while of a number": (endless_number, 1.0),
    "scan": (long_scan, np.ones(20)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_interrupt_ends_a_loop(name):
    f, x = CASES[name]
    compiled = jit(f)
    assert type(compiled.lower(x).native) is Native
    with interrupted():
        compiled(x)


def test_what_a_handler_does_not_raise_goes_on(monkeypatch):
    heard: list[int] = []
    f = jit(lambda x: scan(lambda c, _: (np.sin(c * 1.5), None), x, None, length=1_000_000)[0])
    x = np.ones(20)
    expected = f(x)
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        with sent_soon(signal.SIGUSR1, 0.01):
            np.testing.assert_array_equal(f(x), expected)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard


def test_other_threads_run_during_an_endless_loop():
    compiled = jit(endless)
    compiled.lower(np.ones(50))
    main = threading.main_thread().ident
    ticks: list[float] = []

    def tick() -> None:
        for _ in range(20):
            ticks.append(time.monotonic())
            time.sleep(0.005)
        signal.pthread_kill(main, signal.SIGINT)

    other = threading.Thread(target=tick)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        compiled(np.ones(50))
    other.join()
    assert len(ticks) == 20
