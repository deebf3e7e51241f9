"""Code of its own for a shape that is called often, made in the background.

Code for all lengths is there at once for every shape, but does without what wants exact lengths:
strips, panels, products that threads share. A :class:`Watch` adds up how long the calls of one
shape take. When that is twice as long as it took to make the code, one thread of this process
makes code for exactly this shape, and hands it over. It has the recorded program, and traces
nothing.

``CHAINRULE_BACKGROUND=0`` says that no code is made in the background.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from .native import Native
from .runtime import turns

WORTH = 2.0  # times the time of compilation that calls must have taken
SHORT = 10e-6  # seconds of a call that has nothing to gain
FIRST = 16  # calls after which this is judged
MOST_WAITING = 32
MOST_OWN = 8  # shapes of one function with code that was made in the background
PAUSE = 0.01  # seconds, at most, for which the worker rests after as much work
_OFF = ("0", "off", "no", "false")

WATCHED, SHORT_CALLS, WAITING, SAME, FAILED, MADE = range(6)


class _AbandonedError(BaseException):
    """The process ends, and nobody waits for the code."""


def is_wanted() -> bool:
    """Tell whether code may be made in the background."""
    return os.environ.get("CHAINRULE_BACKGROUND", "").strip().lower() not in _OFF


class Watch:
    """How long the calls of one shape have taken, and what came of it.

    Parameters
    ----------
    native : Native
        The code for all lengths, as it is loaded for this shape.
    deliver : callable
        Is handed the code for exactly this shape, in another thread.

    Attributes
    ----------
    calls, spent : int, float
        How many there were, and how many seconds they took; threads at the same time may lose some.
    limit : float
        The seconds after which code is made.
    state : int
        WATCHED, or what was decided.
    failure : str
        What went wrong while code was made.
    """

    def __init__(self, native: Native, deliver: Callable[[Native], None]) -> None:
        self.native = native
        self.deliver = deliver
        self.calls = 0
        self.spent = 0.0
        self.limit = WORTH * native.facts["seconds"]
        self.state = WATCHED
        self.failure = ""

    def add(self, seconds: float) -> bool:
        """Count a call; return whether there is nothing to wait for any more."""
        if self.state != WATCHED:
            return True
        self.calls += 1
        self.spent += seconds
        if self.calls >= FIRST and self.spent < self.calls * SHORT:
            self.state = SHORT_CALLS
        elif self.spent > self.limit:
            _submit(self)
        return self.state != WATCHED

    def make(self) -> None:
        """Make code for this shape, in the background, and hand it over if it's another one."""
        given = self.native
        try:
            recorded = given.recorded
            native = None if recorded is None else Native.found(recorded)
            if native is None:
                nesting = given.nesting
                native = Native(given.program, given.donated, nesting, recorded=recorded)
                if not native.cached and native.build.ways == given.facts["ways"]:
                    self.state = SAME
                    return
                native.compile()
            self.state = MADE
            self.deliver(native)
        except Exception as error:
            self.state, self.failure = FAILED, f"{type(error).__name__}: {error}"

    def __str__(self) -> str:
        spent = f"{self.calls} calls took {self.spent:.2f} s"
        return {
            WATCHED: f"code of its own is made when calls have taken {self.limit:.2f} s ({spent})",
            SHORT_CALLS: "code of its own is not made for such short calls",
            WAITING: f"code of its own is being made in the background ({spent})",
            SAME: "code of its own would do the same",
            FAILED: f"code of its own could not be made: {self.failure}",
            MADE: f"made in the background after {spent} with code for all lengths",
        }[self.state]


# -- the thread ----------------------------------------------------------------------------------

_lock = threading.Lock()  # of all that follows
_waiting: deque[Watch] = deque()
_making: list[Watch] = []
_worker: threading.Thread | None = None
_at_work = threading.Lock()  # the worker has it wherever a fork, or the end, must wait for it
_ends = False


def _submit(watch: Watch) -> None:
    """Have code made for a shape, unless there is too much to do already."""
    global _worker
    with _lock:
        if watch.state != WATCHED or _ends:
            return
        if len(_waiting) >= MOST_WAITING:
            watch.limit *= 2
            return
        watch.state = WAITING
        _waiting.append(watch)
        if _worker is None:
            _worker = threading.Thread(target=_work, name="chainrule-compile", daemon=True)
            try:
                _worker.start()
            except RuntimeError as error:  # the system has no thread for us
                _worker = None
                _waiting.remove(watch)
                watch.state, watch.failure = FAILED, str(error)


def _work() -> None:
    """Make code for those that wait; the thread ends when nobody does."""
    global _worker
    with contextlib.suppress(_AbandonedError), _at_work:
        turns.work_in_background(_Pauses())
        while True:
            with _lock:
                if not _waiting or _ends:
                    _worker = None
                    return
                _making[:] = [_waiting.popleft()]
            _making[0].make()
            _making.clear()
    with _lock:
        _worker = None


class _Pauses:
    """Lets the others go first: who waits for a compilation, and who runs Python's code."""

    def __init__(self) -> None:
        self.since = time.perf_counter()

    def __call__(self) -> None:
        worked = time.perf_counter() - self.since
        _at_work.release()
        try:
            time.sleep(min(worked, PAUSE))
            while turns.is_hurry() and not _ends:
                time.sleep(PAUSE)
        finally:
            _at_work.acquire()
        if _ends:
            raise _AbandonedError
        self.since = time.perf_counter()


def wait(seconds: float = 60.0) -> bool:
    """Wait until all code is made that was asked for; return whether it is."""
    end = time.perf_counter() + seconds
    while _worker is not None and time.perf_counter() < end:
        time.sleep(0.002)
    return _worker is None


def _end() -> None:
    """Have the worker end before the interpreter does, at most after one call of LLVM."""
    global _ends
    _ends = True
    worker = _worker
    if worker is not None:
        worker.join()


def _before_fork() -> None:
    _at_work.acquire()  # in the midst of a call, the worker may have locks that the child needs
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()
    _at_work.release()


def _in_child() -> None:
    """Begin anew, without the thread: who waited for code is watched further."""
    global _worker
    for watch in (*_waiting, *_making):
        watch.state = WATCHED
    _waiting.clear()
    _making.clear()
    _worker = None
    _after_fork()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
