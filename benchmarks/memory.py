"""Peak memory of a derivative through a long loop: all states, a budget, recomputed blocks."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

STATE = 20_000  # elements of the loop's state


@dataclass(frozen=True)
class Peak:
    """What one way of differentiating the loop needed.

    Attributes
    ----------
    peak_bytes : int
        The most memory that arrays and objects held at one time, above what was there before.
    seconds : float
        Wall time of the derivative.
    """

    way: str
    steps: int
    peak_bytes: int
    seconds: float


def _loop(steps: int, budget: int | None) -> Callable[[Any], Any]:
    from chainrule import scan

    times = np.linspace(0.0, 1.0, steps)

    def f(x: Any) -> Any:
        def step(state: Any, t: Any) -> Any:
            return np.sin(state) * 1.01 + t * x, None

        return np.sum(scan(step, x, times, budget=budget)[0] ** 2)

    return f


def _plain(steps: int) -> Callable[[Any], Any]:
    times = np.linspace(0.0, 1.0, steps)

    def f(x: Any) -> Any:
        state = x
        for t in times:
            state = np.sin(state) * 1.01 + t * x
        return np.sum(state**2)

    return f


def measure(steps: int) -> list[Peak]:
    """Measure all ways for one number of steps; their gradients are compared first."""
    from chainrule import grad

    x = np.linspace(-1.0, 1.0, STATE)
    ways = {
        "Python loop": _plain(steps),
        "scan": _loop(steps, None),
        "scan, budget of 64 states": _loop(steps, 64 * x.nbytes),
        "scan, budget of 24 states": _loop(steps, 24 * x.nbytes),
    }
    expected = grad(ways["Python loop"])(x)
    results = []
    for way, f in ways.items():
        derivative = grad(f)
        np.testing.assert_allclose(derivative(x), expected, rtol=1e-10)
        begin = time.perf_counter()
        derivative(x)
        seconds = time.perf_counter() - begin
        tracemalloc.start()
        derivative(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        results.append(Peak(way, steps, peak, seconds))
    return results


def in_states(peak: Peak) -> float:
    """Return a peak as a number of states of the loop."""
    return peak.peak_bytes / (STATE * 8)
