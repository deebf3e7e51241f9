"""Learning rates, momentum and weight decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..tree import map as tree_map
from .transformation import (
    Transformation,
    align,
    check_between,
    masked,
    need_params,
    scalar,
    stateless,
    zeros,
)

__all__ = [
    "LearningRate",
    "Schedule",
    "ScheduleState",
    "TraceState",
    "add_decayed_weights",
    "momentum",
    "scale",
    "scale_by_learning_rate",
    "scale_by_schedule",
    "trace",
]

Schedule = Callable[[Any], Any]
LearningRate = float | Schedule


def scale(factor: float) -> Transformation:
    """Multiply the gradients by a number.

    Examples
    --------
    >>> scale(-0.5).update([2.0], ())[0]
    [-1.0]
    """
    return stateless(lambda gradients, params: tree_map(lambda g: scalar(factor, g) * g, gradients))


class ScheduleState(NamedTuple):
    """How many updates there were."""

    count: Any


def scale_by_schedule(schedule: Schedule) -> Transformation:
    """Multiply the gradients by a number that depends on the step.

    Parameters
    ----------
    schedule : callable
        Gives the factor for the number of updates that came before, so 0 at first.

    Examples
    --------
    >>> halving = scale_by_schedule(lambda step: 0.5**step)
    >>> state = halving.init(0.0)
    >>> for _ in range(3):
    ...     updates, state = halving.update(8.0, state)
    ...     print(updates)
    8.0
    4.0
    2.0
    """

    def init(params: Any) -> ScheduleState:
        return ScheduleState(zero_count())

    def update(
        gradients: Any, state: ScheduleState, params: Any = None, **extra: Any
    ) -> tuple[Any, ScheduleState]:
        factor = schedule(state.count)
        return (
            tree_map(lambda g: scalar(factor, g) * g, gradients),
            ScheduleState(state.count + 1),
        )

    return Transformation(init, update)


def scale_by_learning_rate(learning_rate: LearningRate) -> Transformation:
    """Multiply by minus the learning rate, which makes a gradient an update that descends.

    Parameters
    ----------
    learning_rate : float or callable
        A number, or a schedule: a function of the number of updates that came before.

    Examples
    --------
    >>> scale_by_learning_rate(0.5).update([2.0], ())[0]
    [-1.0]
    """
    if callable(learning_rate):
        return scale_by_schedule(lambda count: -learning_rate(count))
    check_between(0, np.inf, learning_rate=learning_rate)
    return scale(-learning_rate)


class TraceState(NamedTuple):
    """The decaying sum of the gradients."""

    trace: Any


def trace(decay: float, nesterov: bool = False) -> Transformation:
    r"""Add up gradients that decay: momentum.

    .. math:: b \leftarrow \mu b + g, \qquad u = b \ \text{ or, with Nesterov's, }\ g + \mu b

    Parameters
    ----------
    decay : float
        The momentum :math:`\mu`, from 0 to below 1.
    nesterov : bool
        Whether to look ahead by one more step.

    Notes
    -----
    As in PyTorch, without dampening; the sum grows to :math:`1 / (1 - \mu)` gradients.

    References
    ----------
    B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013 (Nesterov's in this form).

    Examples
    --------
    >>> heavy = trace(0.5)
    >>> state = heavy.init(0.0)
    >>> for _ in range(3):
    ...     updates, state = heavy.update(1.0, state)
    ...     print(float(updates))
    1.0
    1.5
    1.75
    """
    check_between(0, 1, decay=decay)

    def init(params: Any) -> TraceState:
        return TraceState(zeros(params, "trace"))

    def update(
        gradients: Any, state: TraceState, params: Any = None, **extra: Any
    ) -> tuple[Any, TraceState]:
        tree, (sums, grads) = align(trace=state.trace, gradients=gradients)
        new = [decay * b + g for b, g in zip(sums, grads, strict=True)]
        out = [g + decay * b for b, g in zip(new, grads, strict=True)] if nesterov else new
        return tree.unflatten(out), TraceState(tree.unflatten(new))

    return Transformation(init, update)


momentum = trace


def add_decayed_weights(weight_decay: float, mask: Any = None) -> Transformation:
    r"""Add :math:`\lambda p` to the gradient of each parameter :math:`p`.

    Before an optimiser's scaling this is an :math:`L_2` penalty :math:`\lambda p^2 / 2` on the
    loss; after it, it is decoupled weight decay as in AdamW.

    Parameters
    ----------
    weight_decay : float
        The strength :math:`\lambda`, at least 0.
    mask : pytree of bool, or callable, optional
        Which parameters decay; all by default. Biases and normalisation are often left out.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"W": np.array([2.0]), "b": np.array([2.0])}
    >>> decay = add_decayed_weights(0.5, mask=lambda params: {"W": True, "b": False})
    >>> decay.update({"W": np.zeros(1), "b": np.zeros(1)}, decay.init(params), params)[0]
    {'W': array([1.]), 'b': array([0.])}
    """
    check_between(0, np.inf, weight_decay=weight_decay)

    def change(gradients: Any, params: Any) -> Any:
        need_params(params, "weight decay")
        tree, (old, grads) = align(params=params, gradients=gradients)
        return tree.unflatten(g + weight_decay * p for p, g in zip(old, grads, strict=True))

    everywhere = stateless(change)
    return everywhere if mask is None else masked(everywhere, mask)


def zero_count() -> Any:
    """Return a counter: an array, so that a state holds nothing but arrays."""
    return np.zeros((), np.int64)
