"""All that a training run is at one moment, and what is left of it at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import random, tree
from ..data import Batches, Stream
from .checkpoint import load
from .tensors import CheckpointError, FilePath

__all__ = ["Result", "Run"]


@dataclass(frozen=True)
class Run:
    """A training run between two steps. Everything that comes after follows from it.

    Attributes
    ----------
    model : pytree
        The parameters.
    optimiser : pytree
        State of the optimiser.
    state : pytree
        Running statistics of the model, or None.
    key : array of shape (2,)
        The randomness of every step follows from it and from ``step``.
    step, epoch, batch : int
        Steps done, epochs completed, and batches done in the current epoch.
    loss_sum, loss_count : float, int
        Of the steps since the last evaluation.
    best, best_model : float, pytree
        The best value of what is monitored, with model and state at that time.
    waited : int
        Evaluations since then.
    order : str
        Describes the order of the data.
    """

    model: Any
    optimiser: Any
    state: Any
    key: Any
    step: int
    epoch: int
    batch: int
    loss_sum: float
    loss_count: int
    best: float
    best_model: Any
    waited: int
    order: str

    @classmethod
    def begin(cls, model: Any, optimiser: Any, state: Any, key: Any, source: Any) -> Run:
        """Return the run before its first step."""
        return cls(
            model=model,
            optimiser=optimiser.init(model),
            state=state,
            key=key,
            step=0,
            epoch=0,
            batch=0,
            loss_sum=0.0,
            loss_count=0,
            best=math.inf,
            best_model=(model, state),
            waited=0,
            order=_order(source),
        )

    def advanced(self, model: Any, optimiser: Any, state: Any, loss: float) -> Run:
        """Return the run after one more step."""
        return Run(  # not by `replace`, which takes longer
            model=model,
            optimiser=optimiser,
            state=state,
            key=self.key,
            step=self.step + 1,
            epoch=self.epoch,
            batch=self.batch + 1,
            loss_sum=self.loss_sum + loss,
            loss_count=self.loss_count + 1,
            best=self.best,
            best_model=self.best_model,
            waited=self.waited,
            order=self.order,
        )

    def judged(self, score: float) -> Run:
        """Return the run after an evaluation; a lower score is better."""
        judged = replace(self, loss_sum=0.0, loss_count=0, waited=self.waited + 1)
        if score < self.best:
            return replace(judged, best=score, best_model=(self.model, self.state), waited=0)
        return judged

    def next_epoch(self) -> Run:
        """Return the run at the start of its next epoch."""
        return replace(self, epoch=self.epoch + 1, batch=0)

    def resumed(self, path: FilePath) -> Run:
        """Return the run that a checkpoint holds; this one says what fits.

        Raises
        ------
        CheckpointError
            If the checkpoint is not of such a run, or of other data.
        """
        found: Run = load(path, like=self)
        if found.order != self.order:
            raise CheckpointError(
                f"{path}: trained on data with {found.order}, but now the data has {self.order}"
            )
        return found


@dataclass(frozen=True)
class Result:
    """What a training run gave.

    Attributes
    ----------
    model, state : pytree
        The parameters after the last step, and the running statistics, if the model has any.
    best_model, best_state : pytree
        Those at the evaluation with the best value of what is monitored.
    best : float
        That value.
    steps, epochs : int
        How far it went; only completed epochs are counted.
    reason : str
        Why it stopped: ``"epochs"``, ``"steps"``, ``"patience"``, ``"callback"``,
        ``"interrupted"`` or ``"diverged"``.
    history : list of dict
        The events of the evaluations.
    folder : Path or None
        Where events and checkpoints are.
    """

    model: Any
    state: Any
    best_model: Any
    best_state: Any
    best: float
    steps: int
    epochs: int
    reason: str
    history: list[dict[str, Any]]
    folder: Path | None

    def __repr__(self) -> str:
        """Leave out the numbers of the models."""
        return (
            f"Result({self.steps} steps, {self.epochs} epochs, best {self.best:.6g}, "
            f"stopped by {self.reason})"
        )


def source_of(data: Any, batch_size: int, key: Any = None) -> Any:
    """Return data as something with ``epoch(number, start)``.

    Examples
    --------
    >>> source_of((np.zeros((100, 3)), np.zeros(100)), 32)
    Batches(100 examples in 4 of 32, in order)
    """
    if hasattr(data, "epoch"):
        return data
    leaves = tree.leaves(data)
    arrays = leaves and all(isinstance(leaf, np.ndarray) and leaf.ndim for leaf in leaves)
    if arrays and not isinstance(data, list):  # a list of arrays is a list of batches
        return Batches(data, batch_size, key=key)
    return Stream(data)


@contextmanager
def reading(source: Any, epoch: int, start: int) -> Iterator[Iterator[Any]]:
    """Give an iterator over batches, and end what makes them when no more are wanted."""
    batches = iter(source.epoch(epoch, start))
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def as_key(key: Any) -> Any:
    """Return the key for a seed; a key stays what it is."""
    return random.key(key) if isinstance(key, int) else key


def _order(source: Any) -> str:
    """Describe the order of the data in words that can be compared."""
    description = source.describe() if hasattr(source, "describe") else {}
    plain = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in description.items()}
    return json.dumps(plain, sort_keys=True)
