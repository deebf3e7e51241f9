"""Holding examples out, so that what was learned is judged by what was never seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import random
from ..tree import map as tree_map
from .batches import count_examples

__all__ = ["Split", "hold_out"]


class Split(NamedTuple):
    """Examples to learn from, and examples to judge by.

    Attributes
    ----------
    train, test : pytree of arrays
        Usually pairs of inputs and targets.
    """

    train: Any
    test: Any


def hold_out(arrays: Any, share: float = 0.25, *, key: Any = 0, stratify: Any = None) -> Split:
    """Set a share of the examples apart, by chance.

    Parameters
    ----------
    arrays : pytree of arrays
        One example per element of the first axis.
    share : float
        How much is held out, between 0 and 1.
    key : array of shape (2,) or int
        Determines which.
    stratify : array of labels, optional
        Each label then has the same share of the examples held out, up to rounding.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> train, test = hold_out((np.arange(8), labels), 0.25, stratify=labels)
    >>> test
    (array([1, 7]), array([0, 1]))
    """
    if not 0 < share < 1:
        raise ValueError(f"the share lies between 0 and 1, not at {share}")
    count = count_examples(arrays)
    key = random.key(key) if isinstance(key, int) else key
    order = random.permutation(key, count)
    if stratify is None:
        held = order[: round(share * count)]
    else:
        held = _stratified(np.asarray(stratify), order, share)
    if not 0 < len(held) < count:
        raise ValueError(f"a share of {share} of {count} examples leaves one side empty")
    chosen = np.zeros(count, bool)
    chosen[held] = True
    return Split(tree_map(lambda a: a[~chosen], arrays), tree_map(lambda a: a[chosen], arrays))


def _stratified(labels: Any, order: Any, share: float) -> Any:
    """Return the first examples of each label, in a random order.

    The labels' counts are rounded such that they add up to the rounded total: those with the
    largest remainders are rounded up.
    """
    if labels.shape != order.shape:
        raise ValueError(f"{len(order)} examples, but labels of shape {labels.shape}")
    _, kinds = np.unique(labels, return_inverse=True)
    wanted = share * np.bincount(kinds)
    counts = np.floor(wanted).astype(int)
    missing = round(share * len(labels)) - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1
    shuffled = kinds[order]
    return np.concatenate([order[shuffled == kind][:n] for kind, n in enumerate(counts)])
