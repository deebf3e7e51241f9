"""The two-layer net with two hidden units and one output: value and four gradients."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case

X = numpy.array([0.5, 0.3])


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return W1, b1, W2, b2."""
    return (
        numpy.array([[0.1, 0.2], [0.3, 0.4]]),
        numpy.array([0.5, 0.6]),
        numpy.array([0.7, 0.8]),
        0.9,
    )


def build(np: Any, scan: Any, x: Any = X) -> Any:
    """Return the net's output as a function of its parameters."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def net(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        a1 = sigmoid(W1 @ x + b1)
        return sigmoid(W2 @ a1 + b2)

    return net


def torch_function() -> Any:
    """Return the net in PyTorch."""
    import torch

    x = torch.from_numpy(X)

    def net(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        return torch.sigmoid(W2 @ torch.sigmoid(W1 @ x + b1) + b2)

    return net


def by_hand(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """Return value and gradients as one derives them on paper."""
    a1 = 1 / (1 + numpy.exp(-(W1 @ X + b1)))
    y = 1 / (1 + numpy.exp(-(W2 @ a1 + b2)))
    d2 = y * (1 - y)
    d1 = d2 * W2 * (a1 * (1 - a1))
    return y, d1[:, None] * X, d1, d2 * a1, d2


CASES = (
    Case(
        name="worked_example",
        title="worked example, value and 4 gradients",
        target=0.06,
        inputs=inputs,
        forms={"NumPy": build},
        torch=torch_function,
        by_hand=by_hand,
        c="worked_example",
    ),
)
