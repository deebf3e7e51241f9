"""A learning rate that falls when the loss does not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import cond
from ..tree import map as tree_map
from .scaling import zero_count
from .transformation import Transformation, check_between, need_extra, scalar

__all__ = ["PlateauState", "reduce_on_plateau"]


class PlateauState(NamedTuple):
    """What the learning rate is multiplied by, and the recent history of the loss.

    ``count`` and ``total`` are of the values that wait to be averaged; ``waited`` is the number of
    averages since the ``best`` one, ``resting`` how many more will be ignored after a reduction.
    """

    scale: Any
    best: Any
    waited: Any
    resting: Any
    count: Any
    total: Any


def reduce_on_plateau(
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    cooldown: int = 0,
    min_scale: float = 0.0,
    average_over: int = 1,
) -> Transformation:
    """Scale updates down when the loss has stopped to fall.

    It needs the loss: ``update(gradients, state, params, value=loss)``. Put it after an optimiser
    in a :func:`chain`.

    Parameters
    ----------
    factor : float
        What the scale is multiplied by, below 1.
    patience : int
        How many values in a row may bring no progress; the next one reduces the scale.
    threshold : float
        Progress is a value below ``(1 - threshold)`` of the best so far.
    cooldown : int
        How many values to ignore after a reduction.
    min_scale : float
        The least scale, relative to the learning rate.
    average_over : int
        How many steps make a value, their mean. The losses of single batches are noisy: choose
        the steps of an epoch.

    Notes
    -----
    The rules and defaults of PyTorch's ``ReduceLROnPlateau`` with ``mode="min"``, which is told one
    value per epoch, after it.

    Examples
    --------
    >>> from chainrule import optim
    >>> optimiser = optim.chain(optim.sgd(1.0), optim.reduce_on_plateau(0.5, patience=1))
    >>> state = optimiser.init(0.0)
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     updates, state = optimiser.update(1.0, state, value=loss)
    ...     print(float(updates))
    -1.0
    -1.0
    -1.0
    -0.5
    -0.5
    """
    check_between(0, 1, factor=factor, threshold=threshold, min_scale=min_scale)
    check_between(0, np.inf, patience=patience, cooldown=cooldown)
    check_between(1, np.inf, average_over=average_over)

    def judge(state: PlateauState) -> PlateauState:
        value = state.total / state.count
        better = value < state.best * (1 - threshold)
        idle = np.logical_or(better, state.resting > 0)
        waited = np.where(idle, 0, state.waited + 1)
        reduce = waited > patience
        lower = np.maximum(state.scale * factor, min_scale)
        return _start()._replace(
            scale=np.where(reduce, lower, state.scale),
            best=np.where(better, value, state.best),
            waited=np.where(reduce, 0, waited),
            resting=np.where(reduce, cooldown, np.maximum(state.resting - 1, 0)),
        )

    def update(
        gradients: Any, state: PlateauState, params: Any = None, *, value: Any = None, **extra: Any
    ) -> tuple[Any, PlateauState]:
        need_extra(value, "value", "reduce_on_plateau")
        total = state.total + np.asarray(value).astype(np.float64)
        state = state._replace(count=state.count + 1, total=total)
        state = cond(state.count >= average_over, judge, lambda state: state, state)
        return tree_map(lambda g: scalar(state.scale, np.asarray(g)) * g, gradients), state

    return Transformation(lambda params: _start(), update)


def _start() -> PlateauState:
    waited, resting, count = zero_count(), zero_count(), zero_count()
    return PlateauState(np.ones(()), np.full((), np.inf), waited, resting, count, np.zeros(()))
