"""Iterables as data: what is not a tree of arrays, read from its start in each epoch."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..tree import map as tree_map

__all__ = ["Stream", "stack"]


class Stream:
    """Batches from an iterable, such as a list or a generator function.

    Parameters
    ----------
    source : iterable or callable
        Either an object that can be iterated again and again, or a function that gives an
        iterator: it is called with the number of the epoch if it takes an argument.

    Notes
    -----
    To go on in the middle of an epoch, the batches before are read and dropped. So a run that is
    resumed is equal to the unbroken one if the source gives the same batches again.

    Examples
    --------
    >>> def numbers(epoch):
    ...     return (10 * epoch + i for i in range(3))
    >>> list(Stream(numbers).epoch(2, start=1))
    [21, 22]
    """

    def __init__(self, source: Iterable[Any] | Callable[..., Iterable[Any]]) -> None:
        if not callable(source) and iter(source) is source:
            raise TypeError(
                f"a {type(source).__name__} is used up after one epoch; "
                "give the function that makes it, or a list"
            )
        self.source = source
        self.takes_epoch = callable(source) and bool(inspect.signature(source).parameters)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch(0)

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Return an iterator over the batches of one epoch, from batch ``start`` on."""
        source = self.source
        if callable(source):
            source = source(number) if self.takes_epoch else source()
        items = iter(source)
        try:
            yield from itertools.islice(items, start, None)
        finally:
            close = getattr(items, "close", None)  # a generator may hold files open
            if close is not None:
                close()


def stack(examples: Iterable[Any], size: int, last: str = "keep") -> Iterator[Any]:
    """Put examples together to batches.

    Parameters
    ----------
    examples : iterable of pytrees
        All of one structure.
    size : int
        Examples per batch.
    last : {"keep", "drop"}
        What becomes of a last batch that is not full.

    Examples
    --------
    >>> pairs = ((i / 10, i) for i in range(3))
    >>> for x, y in stack(pairs, 2):
    ...     print(x, y)
    [0.  0.1] [0 1]
    [0.2] [2]
    """
    if size < 1:
        raise ValueError(f"a batch holds at least one example, not {size}")
    if last not in ("keep", "drop"):
        raise ValueError(f"last is 'keep' or 'drop', not {last!r}")
    remaining = iter(examples)
    while group := list(itertools.islice(remaining, size)):
        if len(group) == size or last == "keep":
            yield tree_map(lambda *leaves: np.stack(leaves), *group)
