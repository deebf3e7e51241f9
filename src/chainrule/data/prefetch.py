"""Reading ahead: the next batches are made in the background while the current one is used."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Prefetch", "Prefetched"]


class Prefetched:
    """An iterator whose items are computed ahead of time, in a thread of their own.

    An exception that the items' source raises arrives at the place in the sequence where it
    happened. The thread ends with the source, with :meth:`close`, or when the iterator is
    forgotten.

    Parameters
    ----------
    items : iterable
        The source.
    depth : int
        How many items wait at most.

    Examples
    --------
    >>> with Prefetched(range(3), depth=2) as numbers:
    ...     print(list(numbers))
    [0, 1, 2]
    """

    def __init__(self, items: Iterable[Any], depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"depth is at least 1, not {depth}")
        self._buffer = _Buffer(depth)
        # The thread holds the buffer and not this object, which can so be collected.
        self._thread = threading.Thread(
            target=_read_ahead, args=(items, self._buffer), name="prefetch", daemon=True
        )
        self._finalizer = weakref.finalize(self, self._buffer.stop)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._buffer.take()

    def close(self) -> None:
        """Stop reading ahead, and wait until the item that is being made is done."""
        self._buffer.stop()
        self._thread.join()

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class Prefetch:
    """Data whose batches are made in the background.

    Parameters
    ----------
    data : Batches or Stream
        Anything with ``epoch(number, start)``.
    depth : int
        How many batches wait at most.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import data
    >>> batches = data.Prefetch(data.Batches(np.arange(4), 2))
    >>> len(batches), list(batches.epoch(0))
    (2, [array([0, 1]), array([2, 3])])
    """

    def __init__(self, data: Any, depth: int = 2) -> None:
        if not hasattr(data, "epoch"):
            raise TypeError(f"a {type(data).__name__} has no epochs; use data.Batches or Stream")
        if depth < 1:
            raise ValueError(f"depth is at least 1, not {depth}")
        self.data = data
        self.depth = depth

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Return an iterator over the batches of one epoch, from batch ``start`` on."""
        with Prefetched(self.data.epoch(number, start), self.depth) as batches:
            yield from batches

    def describe(self) -> dict[str, Any]:
        """Return what determines the order of the data."""
        description: dict[str, Any] = self.data.describe() if hasattr(self.data, "describe") else {}
        return description


class _Buffer:
    """Items on their way from one thread to another."""

    def __init__(self, depth: int) -> None:
        self.items: deque[Any] = deque()
        self.depth = depth
        self.changed = threading.Condition()
        self.finished = False  # the source has no more
        self.stopped = False  # nobody wants more
        self.error: BaseException | None = None

    def put(self, item: Any) -> bool:
        """Add an item when there is room; False if nobody wants it."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or len(self.items) < self.depth)
            if not self.stopped:
                self.items.append(item)
                self.changed.notify_all()
            return not self.stopped

    def finish(self, error: BaseException | None = None) -> None:
        with self.changed:
            self.finished, self.error = True, error
            self.changed.notify_all()

    def take(self) -> Any:
        with self.changed:
            self.changed.wait_for(lambda: self.items or self.finished or self.stopped)
            if self.items and not self.stopped:
                item = self.items.popleft()
                self.changed.notify_all()
                return item
            error, self.error = self.error, None
            if error is not None and not self.stopped:
                raise error
            raise StopIteration

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.items.clear()
            self.changed.notify_all()


def _read_ahead(items: Iterable[Any], buffer: _Buffer) -> None:
    source: Iterator[Any] = iter(())  # what is closed if making the iterator itself fails
    try:
        source = iter(items)
        for item in source:
            if not buffer.put(item):
                break
        buffer.finish()
    except BaseException as error:
        buffer.finish(error)
    finally:
        close = getattr(source, "close", None)  # a generator may hold files open
        if close is not None:
            close()
