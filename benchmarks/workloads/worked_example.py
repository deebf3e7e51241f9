"""The two-layer net with five units: value and four gradients."""

from __future__ import annotations

from typing import Any

import numpy

TITLE = "worked example, value + 4 gradients"
OPERATIONS = 12


def inputs() -> tuple[Any, ...]:
    """Return W1, b1, W2, b2."""
    return (
        numpy.array([[0.1, 0.2], [0.3, 0.4]]),
        numpy.array([0.5, 0.6]),
        numpy.array([0.7, 0.8]),
        0.9,
    )


def build(np: Any) -> Any:
    """Return the net's output as a function of its parameters."""
    x = numpy.array([0.5, 0.3])

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def net(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        a1 = sigmoid(np.dot(W1, x) + b1)
        return sigmoid(np.dot(W2, a1) + b2)

    return net
