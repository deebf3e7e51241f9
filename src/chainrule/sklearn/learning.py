"""How an estimator learns: its loss, its optimiser, its steps, and when it has learned enough."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import errors, optim, tree
from ..train import Run, make_step, supervised
from .networks import chosen

__all__ = ["Patience", "Steps", "optimiser_of", "takes_weights", "weighted"]

OPTIMISERS: dict[str, Callable[..., Any]] = {
    "adam": optim.adam,
    "adamw": optim.adamw,
    "sgd": functools.partial(optim.sgd, momentum=0.9, nesterov=True),
    "rmsprop": optim.rmsprop,
    "adagrad": optim.adagrad,
    "nadam": optim.nadam,
    "lion": optim.lion,
}

COMPILED_FROM = 200
"""The step from which ``jit="auto"`` compiles: before it, compiling would take longer."""


def optimiser_of(optimiser: Any, learning_rate: Any, alpha: float) -> Any:
    """Return the gradient transformation of an estimator's parameters.

    Parameters
    ----------
    optimiser : str or callable
        A name, or a function that makes a transformation from a learning rate.
    learning_rate : float or schedule
    alpha : float
        Strength of the penalty on the squares of weights; biases are spared.
    """
    make = optimiser if callable(optimiser) else chosen("optimiser", optimiser, OPTIMISERS)
    rule = make(learning_rate)
    return optim.chain(optim.add_decayed_weights(alpha, mask=_weights), rule) if alpha else rule


def _weights(params: Any) -> Any:
    return tree.map(lambda p: np.ndim(p) >= 2, params)


def takes_weights(criterion: Callable[..., Any]) -> bool:
    """Whether a loss can give one number per example, so that these can be weighted."""
    return "reduction" in inspect.signature(criterion).parameters


def weighted(criterion: Callable[..., Any]) -> Callable[..., Any]:
    """Return the loss of outputs and of pairs of targets and weights.

    The weights have mean 1 over all examples, and the loss of a batch is divided by its number of
    examples. So a batch of small weights also takes a small step.

    Examples
    --------
    >>> from chainrule import nn
    >>> loss = weighted(nn.squared_error)
    >>> loss(np.array([[1.0], [3.0]]), (np.zeros((2, 1)), np.array([2.0, 0.0])))
    np.float64(1.0)
    """
    each_by_itself = takes_weights(criterion)

    def loss(outputs: Any, targets: Any) -> Any:
        y, weights = targets
        if np.ndim(outputs) == 1:
            outputs = outputs[:, np.newaxis]
        if not each_by_itself:
            return criterion(outputs, y)
        losses = criterion(outputs, y, reduction="none")
        if np.ndim(losses) > 1:
            losses = np.mean(losses, axis=tuple(range(1, np.ndim(losses))))
        return np.mean(losses * weights)

    return loss


class Steps:
    """The step of training, compiled where that pays.

    Parameters
    ----------
    criterion : callable
        The loss.
    rule : Transformation
        The optimiser.
    jit : {"auto", True, False}
        Whether to compile. ``"auto"`` does from step 200 on, if llvmlite is installed; which step
        that is does not depend on the clock, so that a run can be repeated to the last bit.
    size : int
        Examples in a full batch. Smaller ones are not worth a version of their own.
    """

    def __init__(self, criterion: Callable[..., Any], rule: Any, jit: Any, size: int) -> None:
        loss = supervised(weighted(criterion))
        self.plain = make_step(loss, rule)
        self.compiled = make_step(loss, rule, jit=True)
        self.size = size
        self.quietly = jit == "auto"
        self.begin = 0 if jit is True else COMPILED_FROM if jit == "auto" else math.inf
        if self.quietly and find_spec("llvmlite") is None:
            self.begin = math.inf

    def __call__(self, run: Run, batch: Any) -> tuple[Run, float]:
        """Return the run one batch further, and the loss."""
        if run.step < self.begin or len(batch[0]) != self.size:
            return self.plain(run, batch)
        if self.quietly:
            self._compile_quietly(run, batch)
            return self(run, batch)
        return self.compiled(run, batch)

    def _compile_quietly(self, run: Run, batch: Any) -> None:
        """Try the compiled step; what it cannot do is done as before."""
        self.quietly = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "parts of .* run in NumPy")
            try:
                self.compiled(run, batch)
            except errors.ChainruleError:  # a loss of the user that branches on values
                self.begin = math.inf

    def take_pass(self, run: Run, batches: Any) -> tuple[Run, float]:
        """Return the run after one pass over the examples, and its mean loss."""
        total = 0.0
        for batch in batches.epoch(run.epoch):
            run, value = self(run, batch)
            total += value * len(batch[0])
        return run.next_epoch(), total / batches.examples


@dataclass
class Patience:
    """Tells when a score, of which less is better, has stopped to fall.

    Examples
    --------
    >>> patience = Patience(tol=0.1, limit=2)
    >>> [patience.ends(score) for score in (1.0, 0.5, 0.45, 0.42)]
    [False, False, False, True]
    """

    tol: float
    limit: int
    best: float = math.inf
    waited: int = 0
    improved: bool = False

    def ends(self, score: float) -> bool:
        """Take one more score, and return whether it is time to stop."""
        self.waited = 0 if score < self.best - self.tol else self.waited + 1
        self.improved = score < self.best
        self.best = min(self.best, score)
        return self.waited >= self.limit
