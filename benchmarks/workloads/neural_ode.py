"""A neural ordinary differential equation: 100 steps of Runge and Kutta's method of order 4."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case
from .recurrent import looped


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return W1, b1, W2, b2, the first state and the times."""
    rng = numpy.random.default_rng(0)
    n, steps = (3, 4) if quick else (64, 100)
    W1, W2 = (rng.standard_normal((n, n)) / n**0.5 for _ in range(2))
    return (
        W1,
        0.1 * rng.standard_normal(n),
        W2,
        numpy.zeros(n),
        rng.standard_normal(n),
        (numpy.linspace(0.0, 1.0, steps, endpoint=False)),
    )


def build(np: Any, scan: Any) -> Any:
    """Return the mean square of the last state."""

    def loss(W1: Any, b1: Any, W2: Any, b2: Any, start: Any, times: Any) -> Any:
        h = 1.0 / len(times)

        def slope(t: Any, y: Any) -> Any:
            return W2 @ np.tanh(W1 @ y + b1 + t) + b2

        def step(y: Any, t: Any) -> Any:
            k1 = slope(t, y)
            k2 = slope(t + h / 2, y + h / 2 * k1)
            k3 = slope(t + h / 2, y + h / 2 * k2)
            k4 = slope(t + h, y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        last, _ = scan(step, start, times)
        return np.mean(last**2)

    return loss


def torch_function() -> Any:
    """Return the same in PyTorch."""
    import torch

    return build(torch, looped)


CASES = (
    Case(
        name="neural_ode",
        title="neural ODE, 100 steps of Runge-Kutta 4, h = 64",
        target=0.4,
        inputs=inputs,
        forms={"scan": build, "Python loop": lambda np, scan: build(np, looped)},
        wrt=4,
        torch=torch_function,
        flops=2 * 100 * 4 * 3 * 2 * 64 * 64,
    ),
)
