"""When to record: often enough to see, seldom enough not to be felt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Pace"]


class Pace:
    """Says when it is time for another record.

    Two records are ``floor`` seconds apart or a fixed part of the time so far, whichever is more:
    a short run is recorded closely, and the records of a long one do not outgrow the disk. On top
    of that, all records together may cost a ``share`` of the time so far. The first is always
    due, unless it is known what it will cost.

    Parameters
    ----------
    share : float
        Largest part of the time that recording may take.
    floor : float
        Fewest seconds between two records.
    density : float
        Records that are ``elapsed / density`` seconds apart number about ``density`` for each
        factor of e in the length of the run.
    clock : callable
        Gives the time in seconds.

    Examples
    --------
    >>> now = 0.0
    >>> pace = Pace(share=0.1, floor=1.0, density=100.0, clock=lambda: now)
    >>> pace.due()
    True
    >>> with pace.recording():
    ...     now = 0.5
    >>> now = 4.0
    >>> pace.due()  # 0.5 s were spent, and as much would be again: that is 10 % of 10 s
    False
    >>> now = 10.0
    >>> pace.due()
    True
    """

    def __init__(
        self,
        share: float,
        floor: float,
        density: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share, self.floor, self.density, self.clock = share, floor, density, clock
        self._began = clock()
        self._next = self._began
        self._spent = 0.0

    def due(self, expected: float = 0.0) -> bool:
        """Whether it is time for another record, which is expected to take so many seconds."""
        now = self.clock()
        return now >= self._next and expected <= self.share * (now - self._began)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Measure what a record costs, and put off the next accordingly."""
        before = self.clock()
        try:
            yield
        finally:
            now = self.clock()
            cost = now - before
            self._spent += cost
            apart = max(self.floor, (now - self._began) / self.density)
            affordable = self._began + (self._spent + cost) / self.share
            self._next = max(now + apart, affordable)
