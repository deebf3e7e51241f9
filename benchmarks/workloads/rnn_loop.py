"""A recurrent net as a Python loop over 200 time steps, batch size 1."""

from __future__ import annotations

from typing import Any

import numpy

TITLE = "RNN, Python loop of 200 steps, h = 32"
STEPS, HIDDEN, FEATURES = 200, 32, 4
OPERATIONS = STEPS * 5 + 2


def inputs() -> tuple[Any, ...]:
    """Return Wx, Wh, b."""
    rng = numpy.random.default_rng(0)
    return (
        0.1 * rng.standard_normal((HIDDEN, FEATURES)),
        0.1 * rng.standard_normal((HIDDEN, HIDDEN)),
        numpy.zeros(HIDDEN),
    )


def build(np: Any) -> Any:
    """Return the squared norm of the last state as a function of the parameters."""
    xs = numpy.random.default_rng(1).standard_normal((STEPS, FEATURES))

    def loss(Wx: Any, Wh: Any, b: Any) -> Any:
        h = np.zeros(HIDDEN)
        for t in range(STEPS):
            h = np.tanh(np.dot(Wx, xs[t]) + np.dot(Wh, h) + b)
        return np.sum(h**2)

    return loss
