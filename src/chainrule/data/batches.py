"""Batches of arrays in an order that a key determines, from any place in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import random, tree

__all__ = ["Batches"]

_LAST = ("keep", "drop", "fill")


class Batches:
    """Examples in batches; the order of every epoch follows from a key and the epoch's number.

    Since nothing else determines a batch, training can go on at any place of any epoch without
    reading what comes before.

    Parameters
    ----------
    arrays : pytree of arrays
        One example per element of the first axis. Arrays may be memory-mapped files: only the
        examples of a batch are read.
    size : int
        Examples per batch.
    key : array of shape (2,) or int, optional
        Shuffles the examples anew in each epoch; without it they keep their order.
    last : {"keep", "drop", "fill"}
        What becomes of a last batch that is not full: it is kept smaller, left out, or filled up
        with the first examples of the epoch.
    augment : callable, optional
        ``augment(key, batch)`` gives the batch that is used in the place of ``batch``, which has
        the structure of ``arrays``. The key is another one for each batch.

    Examples
    --------
    >>> x, y = np.arange(5) / 10, np.arange(5)
    >>> batches = Batches((x, y), 2, key=0)
    >>> for inputs, targets in batches.epoch(0):
    ...     print(inputs, targets)
    [0.3 0.1] [3 1]
    [0.2 0. ] [2 0]
    [0.4] [4]
    >>> [targets for _, targets in batches.epoch(1, start=1)]
    [array([3, 2]), array([1])]
    """

    def __init__(
        self,
        arrays: Any,
        size: int,
        *,
        key: Any = None,
        last: str = "keep",
        augment: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"a batch holds at least one example, not {size}")
        if last not in _LAST:
            raise ValueError(f"last is one of {', '.join(map(repr, _LAST))}, not {last!r}")
        if augment is not None and key is None:
            raise ValueError("augmentation is random, so it needs a key: give `key=`")
        self.examples = count_examples(arrays)
        if not self.examples:
            raise ValueError("there are no examples")
        self.arrays = arrays
        self.size = size
        self.key = random.key(key) if isinstance(key, int) else key
        self.last = last
        self.augment = augment
        if not len(self):
            raise ValueError(
                f"{self.examples} examples fill no batch of {size}; with last='keep' there is one"
            )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole = self.examples // self.size
        return whole if self.last == "drop" else math.ceil(self.examples / self.size)

    def __iter__(self) -> Iterator[Any]:
        return self.epoch(0)

    def __repr__(self) -> str:
        shuffled = "in order" if self.key is None else "shuffled"
        return f"Batches({self.examples} examples in {len(self)} of {self.size}, {shuffled})"

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Return an iterator over the batches of one epoch.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.
        start : int
            The first batch that is wanted, from 0.
        """
        order, augment_key = self.order(number)
        for index in range(start, len(self)):
            picked = order[index * self.size : (index + 1) * self.size]
            missing = self.size - len(picked)
            if missing and self.last == "fill":
                picked = np.concatenate([picked, np.resize(order, missing)])
            batch = tree.map(lambda array, i=picked: np.asarray(array[i]), self.arrays)
            if self.augment is not None:
                batch = self.augment(random.fold_in(augment_key, index), batch)
            yield batch

    def order(self, number: int) -> tuple[Any, Any]:
        """Return the order of the examples in an epoch, and the key of its augmentation."""
        if self.key is None:
            return np.arange(self.examples), None
        order_key, augment_key = random.split(random.fold_in(self.key, number))
        return random.permutation(order_key, self.examples), augment_key

    def describe(self) -> dict[str, Any]:
        """Return what determines the order, to be saved with a checkpoint.

        Examples
        --------
        >>> Batches(np.zeros(7), 2).describe()
        {'examples': 7, 'size': 2, 'last': 'keep', 'key': None}
        """
        key = None if self.key is None else np.asarray(self.key)
        return {"examples": self.examples, "size": self.size, "last": self.last, "key": key}


def count_examples(arrays: Any) -> int:
    """Return the common length of the first axes.

    Examples
    --------
    >>> count_examples({"x": np.zeros((4, 2)), "y": np.zeros(4)})
    4
    >>> count_examples({"x": np.zeros((4, 2)), "y": np.zeros(3)})
    Traceback (most recent call last):
        ...
    ValueError: data['x'] holds 4 examples, but data['y'] holds 3
    """
    leaves = tree.leaves(arrays)
    paths = tree.paths(arrays, "data")
    if not leaves:
        raise ValueError("there are no arrays")
    for path, leaf in zip(paths, leaves, strict=True):
        if not isinstance(leaf, np.ndarray) or leaf.ndim == 0:
            kind = "an array without axes" if isinstance(leaf, np.ndarray) else type(leaf).__name__
            raise TypeError(f"{path} is {kind}; examples are the rows of NumPy arrays")
        if len(leaf) != len(leaves[0]):
            raise ValueError(
                f"{paths[0]} holds {len(leaves[0])} examples, but {path} holds {len(leaf)}"
            )
    return len(leaves[0])
