"""Learning rates that change: functions of the number of updates that came before.

A schedule is any such function. Those here are written in NumPy, so they take arrays of steps too,
which is how to draw one. Wherever an optimiser takes a learning rate it takes a schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .scaling import Schedule
from .transformation import check_between

__all__ = [
    "constant",
    "cosine_decay",
    "cosine_restarts",
    "exponential_decay",
    "join_schedules",
    "linear",
    "linear_warmup",
    "one_cycle",
    "piecewise_constant",
    "polynomial_decay",
    "step_decay",
    "warmup_cosine",
]


def constant(value: float) -> Schedule:
    """Stay at one value.

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    return lambda step: value


def step_decay(initial: float, every: int, factor: float = 0.1) -> Schedule:
    """Multiply by ``factor`` after each ``every`` steps (PyTorch's ``StepLR``).

    Examples
    --------
    >>> [float(step_decay(1.0, every=2, factor=0.5)(step)) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    _positive_steps(every=every)
    return lambda step: initial * np.power(factor, np.floor_divide(step, every))


def piecewise_constant(initial: float, factors: Mapping[int, float]) -> Schedule:
    """Multiply by a factor when a step is reached (PyTorch's ``MultiStepLR``).

    Parameters
    ----------
    initial : float
        The value before the first of these steps.
    factors : mapping
        From step to factor.

    Examples
    --------
    >>> schedule = piecewise_constant(1.0, {2: 0.5, 4: 0.1})
    >>> [float(schedule(step)) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.05]
    """

    def schedule(step: Any) -> Any:
        value: Any = initial
        for boundary, factor in factors.items():
            value = value * np.where(np.asarray(step) >= boundary, factor, 1.0)
        return value

    return schedule


def exponential_decay(initial: float, factor: float, every: int = 1) -> Schedule:
    r"""Decay smoothly, by ``factor`` in ``every`` steps (PyTorch's ``ExponentialLR``).

    .. math:: \eta_t = \eta_0 \, \gamma^{t / n}

    Examples
    --------
    >>> float(exponential_decay(1.0, 0.25, every=2)(1))
    0.5
    """
    _positive_steps(every=every)
    return lambda step: initial * np.power(factor, np.true_divide(step, every))


def linear(initial: float, final: float, steps: int) -> Schedule:
    """Go straight from one value to another, and stay there (PyTorch's ``LinearLR``).

    Examples
    --------
    >>> linear(0.0, 1.0, steps=4)(np.arange(6))
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    return polynomial_decay(initial, final, steps, power=1.0)


def linear_warmup(peak: float, steps: int, initial: float = 0.0) -> Schedule:
    """Rise in a straight line to ``peak``, and stay there.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.

    Examples
    --------
    >>> linear_warmup(0.5, steps=2)(np.arange(4))
    array([0.  , 0.25, 0.5 , 0.5 ])
    """
    return linear(initial, peak, steps)


def polynomial_decay(initial: float, final: float, steps: int, power: float = 1.0) -> Schedule:
    r"""Go to another value along a power of the time that is left, and stay there.

    .. math:: \eta_t = \eta_T + (\eta_0 - \eta_T) (1 - t / T)^k

    With ``final`` 0 this is PyTorch's ``PolynomialLR``.

    Examples
    --------
    >>> polynomial_decay(1.0, 0.0, steps=4, power=2.0)(np.arange(6))
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    _positive_steps(steps=steps)
    return lambda step: final + (initial - final) * np.power(1 - _fraction(step, steps), power)


def cosine_decay(initial: float, steps: int, final: float = 0.0) -> Schedule:
    r"""Fall along half a cosine, and stay there.

    .. math:: \eta_t = \eta_T + \tfrac12 (\eta_0 - \eta_T) (1 + \cos(\pi t / T))

    Parameters
    ----------
    initial, final : float
        The first and the last value.
    steps : int
        When the last value is reached. PyTorch's ``CosineAnnealingLR`` would rise again after it.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> cosine_decay(1.0, steps=4)(np.array([0, 2, 4, 6]))
    array([1. , 0.5, 0. , 0. ])
    """
    _positive_steps(steps=steps)
    return lambda step: _cosine(initial, final, _fraction(step, steps))


def cosine_restarts(initial: float, period: int, growth: int = 1, final: float = 0.0) -> Schedule:
    """Fall along half a cosine again and again (``CosineAnnealingWarmRestarts`` of PyTorch).

    Parameters
    ----------
    initial, final : float
        The first value of each period, and the one that it falls to.
    period : int
        Steps in the first period.
    growth : int
        How many times longer each period is than the one before it.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> cosine_restarts(1.0, period=2, growth=2)(np.array([0, 1, 2, 4, 6]))
    array([1. , 0.5, 1. , 0.5, 1. ])
    """
    _positive_steps(period=period, growth=growth)

    def schedule(step: Any) -> Any:
        if growth == 1:
            return _cosine(initial, final, np.mod(step, period) / period)
        # Period n begins at period * (growth**n - 1) / (growth - 1); half a step keeps the
        # rounding of the logarithm away from the borders.
        ratio = np.true_divide(np.asarray(step) + 0.5, period) * (growth - 1) + 1
        length = np.power(float(growth), np.floor(np.log(ratio) / np.log(growth)))
        start = period * (length - 1) / (growth - 1)
        return _cosine(initial, final, (step - start) / (period * length))

    return schedule


def warmup_cosine(
    peak: float, warmup: int, steps: int, initial: float = 0.0, final: float = 0.0
) -> Schedule:
    """Rise in a straight line, then fall along half a cosine.

    Parameters
    ----------
    peak : float
        The value after ``warmup`` steps.
    warmup, steps : int
        Steps of the rise, and of all.
    initial, final : float
        The first value and the last.

    Examples
    --------
    >>> warmup_cosine(1.0, warmup=2, steps=6)(np.arange(7)).round(3)
    array([0.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 0.   ])
    """
    if not 0 < warmup < steps:
        raise ValueError(f"warmup must be between 0 and steps = {steps}, not {warmup}")
    falling = cosine_decay(peak, steps - warmup, final)
    return join_schedules([linear(initial, peak, warmup), falling], [warmup])


def one_cycle(
    peak: float,
    steps: int,
    warm_fraction: float = 0.3,
    divisor: float = 25.0,
    final_divisor: float = 1e4,
) -> Schedule:
    """Rise to a high value and fall to a very low one, both along half a cosine.

    Parameters
    ----------
    peak : float
        The highest value.
    steps : int
        Steps of all.
    warm_fraction : float
        The part of the steps in which the value rises.
    divisor, final_divisor : float
        The first value is ``peak / divisor``, the last is the first over ``final_divisor``.

    Notes
    -----
    The defaults are those of PyTorch's ``OneCycleLR``, which moves the momentum as well.

    References
    ----------
    L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    Examples
    --------
    >>> one_cycle(1.0, steps=10, warm_fraction=0.5)(np.array([0, 4, 9])).round(6)
    array([4.e-02, 1.e+00, 4.e-06])
    """
    initial = peak / divisor
    turn, end = warm_fraction * steps - 1, steps - 1.0
    if not 0 < turn < end:
        raise ValueError(f"{steps} steps are too few for a cycle that rises for {warm_fraction:g}")

    def schedule(step: Any) -> Any:
        up = _cosine(initial, peak, _fraction(step, turn))
        down = _cosine(peak, initial / final_divisor, _fraction(step - turn, end - turn))
        return _choose(np.asarray(step) <= turn, up, down)

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Follow one schedule after the other; each counts from its own beginning.

    Parameters
    ----------
    schedules : sequence of callables
        One more than boundaries.
    boundaries : sequence of int
        The steps at which the next one begins (PyTorch's ``SequentialLR``).

    Examples
    --------
    >>> joined = join_schedules([constant(1.0), exponential_decay(1.0, 0.5)], [2])
    >>> joined(np.arange(5))
    array([1.  , 1.  , 1.  , 0.5 , 0.25])
    """
    if len(schedules) != len(boundaries) + 1 or list(boundaries) != sorted(boundaries):
        raise ValueError("join_schedules needs rising boundaries, one fewer than schedules")

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for following, boundary in zip(schedules[1:], boundaries, strict=True):
            # Before its beginning a schedule is asked for its first value, which is not used.
            later = following(np.maximum(np.asarray(step) - boundary, 0))
            value = _choose(np.asarray(step) < boundary, value, later)
        return value

    return schedule


def _choose(condition: Any, one: Any, other: Any) -> Any:
    """Return a choice as NumPy's functions do: a number if there is just one."""
    chosen: Any = np.where(condition, one, other)
    return chosen[()]


def _fraction(step: Any, steps: float) -> Any:
    return np.clip(np.true_divide(step, steps), 0.0, 1.0)


def _cosine(start: float, end: float, fraction: Any) -> Any:
    return end + (start - end) * (1 + np.cos(np.pi * fraction)) / 2


def _positive_steps(**numbers: float) -> None:
    check_between(1, np.inf, **numbers)
