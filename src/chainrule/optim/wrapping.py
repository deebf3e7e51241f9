"""Transformations around an optimiser: accumulation, averages of parameters, lookahead."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import cond
from ..tree import map as tree_map
from .scaling import zero_count
from .transformation import (
    Transformation,
    align,
    apply,
    check_between,
    need_params,
    scalar,
    zeros,
)

__all__ = [
    "AccumulateState",
    "EmaState",
    "LookaheadState",
    "accumulate",
    "averaged_parameters",
    "ema_of_parameters",
    "lookahead",
]


class AccumulateState(NamedTuple):
    """Gradients since the last update: how many, and their sum; the state of the optimiser."""

    count: Any
    total: Any
    inner: Any


def accumulate(inner: Transformation, steps: int) -> Transformation:
    """Gather the gradients of several small batches, and update with their mean.

    Parameters
    ----------
    inner : Transformation
        The optimiser. It sees one gradient for every ``steps`` of them; its schedule counts those.
    steps : int
        How many gradients make an update. In between, the updates are zero.

    Examples
    --------
    >>> from chainrule import optim
    >>> optimiser = optim.accumulate(optim.sgd(0.1), steps=2)
    >>> state = optimiser.init(1.0)
    >>> for gradient in (1.0, 3.0, 5.0, 5.0):
    ...     updates, state = optimiser.update(gradient, state, 1.0)
    ...     print(round(float(updates), 6))
    0.0
    -0.2
    0.0
    -0.5
    """
    check_between(1, np.inf, steps=steps)

    def init(params: Any) -> AccumulateState:
        return AccumulateState(zero_count(), zeros(params, "accumulate"), inner.init(params))

    def update(
        gradients: Any, state: AccumulateState, params: Any = None, **extra: Any
    ) -> tuple[Any, AccumulateState]:
        tree, (sums, grads) = align(total=state.total, gradients=gradients)
        total = tree.unflatten(s + g for s, g in zip(sums, grads, strict=True))
        nothing = tree_map(np.zeros_like, total)

        def step(total: Any, state: AccumulateState) -> tuple[Any, AccumulateState]:
            mean = tree_map(lambda s: s / steps, total)
            updates, after = inner.update(mean, state.inner, params, **extra)
            return updates, AccumulateState(0 * state.count, nothing, after)

        def wait(total: Any, state: AccumulateState) -> tuple[Any, AccumulateState]:
            return nothing, AccumulateState(state.count + 1, total, state.inner)

        return cond(state.count + 1 >= steps, step, wait, total, state)

    return Transformation(init, update)


class EmaState(NamedTuple):
    """Number of updates, and the running mean of the parameters."""

    count: Any
    average: Any


def ema_of_parameters(decay: float = 0.999, warm_up: bool = False) -> Transformation:
    r"""Keep a running mean of the parameters, which often generalises better than the last ones.

    .. math:: a \leftarrow \beta a + (1 - \beta) p

    It passes updates on as they are, so it belongs at the end of a :func:`chain`.

    Parameters
    ----------
    decay : float
        The decay :math:`\beta`; the mean is over about :math:`1 / (1 - \beta)` steps. It begins
        at the first parameters.
    warm_up : bool
        Whether to decay by at most :math:`(1 + t) / (10 + t)` in step t, to forget these sooner.

    See Also
    --------
    averaged_parameters : finds the mean in a state.

    References
    ----------
    B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    Examples
    --------
    >>> from chainrule import optim
    >>> optimiser = optim.chain(optim.sgd(1.0), optim.ema_of_parameters(0.5))
    >>> params = 0.0
    >>> state = optimiser.init(params)
    >>> for _ in range(2):
    ...     updates, state = optimiser.update(-1.0, state, params)
    ...     params = optim.apply(params, updates)
    >>> float(params), float(optim.averaged_parameters(state))
    (2.0, 1.25)
    """
    check_between(0, 1, decay=decay)

    def init(params: Any) -> EmaState:
        return EmaState(zero_count(), tree_map(np.array, params))

    def update(
        gradients: Any, state: EmaState, params: Any = None, **extra: Any
    ) -> tuple[Any, EmaState]:
        new = apply(need_params(params, "ema_of_parameters"), gradients)
        tree, (averages, values) = align(average=state.average, params=new)
        count = state.count + 1
        keep = np.minimum(decay, (1 + count) / (10 + count)) if warm_up else decay
        averages = [
            scalar(keep, a) * a + scalar(1 - keep, a) * p
            for a, p in zip(averages, values, strict=True)
        ]
        return gradients, EmaState(count, tree.unflatten(averages))

    return Transformation(init, update)


def averaged_parameters(state: Any) -> Any:
    """Return the running mean of the parameters from the state of an optimiser.

    Raises
    ------
    ValueError
        If :func:`ema_of_parameters` has no part in the optimiser.

    Examples
    --------
    >>> from chainrule import optim
    >>> optimiser = optim.chain(optim.adam(), optim.ema_of_parameters())
    >>> averaged_parameters(optimiser.init({"w": 2.0}))
    {'w': array(2.)}
    """
    found = _find(state)
    if found is None:
        raise ValueError(
            "this state holds no average: put ema_of_parameters() at the end of the chain"
        )
    return found.average


def _find(state: Any) -> EmaState | None:
    if isinstance(state, EmaState):
        return state
    parts = state if isinstance(state, tuple) else ()
    return next((found for part in parts if (found := _find(part)) is not None), None)


class LookaheadState(NamedTuple):
    """Number of updates, the slow parameters, and the state of the optimiser."""

    count: Any
    slow: Any
    inner: Any


def lookahead(inner: Transformation, period: int = 5, step: float = 0.5) -> Transformation:
    r"""Let an optimiser run ahead, and follow it a part of the way.

    After each ``period`` updates of the fast parameters :math:`p`,

    .. math:: s \leftarrow s + \alpha (p - s), \qquad p \leftarrow s

    Parameters
    ----------
    inner : Transformation
        The optimiser of the fast parameters.
    period : int
        Updates from one slow step to the next.
    step : float
        The part :math:`\alpha` of the way.

    References
    ----------
    M. Zhang, J. Lucas, G. Hinton, J. Ba, "Lookahead optimizer: k steps forward, 1 step back",
    NeurIPS 2019.

    Examples
    --------
    >>> from chainrule import optim
    >>> optimiser = optim.lookahead(optim.sgd(1.0), period=2, step=0.5)
    >>> params = 0.0
    >>> state = optimiser.init(params)
    >>> for _ in range(4):
    ...     updates, state = optimiser.update(-1.0, state, params)
    ...     params = optim.apply(params, updates)
    ...     print(float(params))
    1.0
    1.0
    2.0
    2.0
    """
    check_between(1, np.inf, period=period)
    check_between(0, np.inf, step=step)

    def init(params: Any) -> LookaheadState:
        return LookaheadState(zero_count(), tree_map(np.array, params), inner.init(params))

    def update(
        gradients: Any, state: LookaheadState, params: Any = None, **extra: Any
    ) -> tuple[Any, LookaheadState]:
        need_params(params, "lookahead")
        updates, after = inner.update(gradients, state.inner, params, **extra)
        tree, (slows, olds, changes) = align(slow=state.slow, params=params, updates=updates)

        def follow(slows: list[Any]) -> tuple[list[Any], list[Any]]:
            new = [s + step * (p + u - s) for s, p, u in zip(slows, olds, changes, strict=True)]
            return [s - p for s, p in zip(new, olds, strict=True)], new

        def run_ahead(slows: list[Any]) -> tuple[list[Any], list[Any]]:
            return changes, slows

        count = state.count + 1
        changes, slows = cond(count % period == 0, follow, run_ahead, slows)
        return tree.unflatten(changes), LookaheadState(count, tree.unflatten(slows), after)

    return Transformation(init, update)
