"""ADBench's LSTM: each gate sees one element of the input and one of the state, in two layers.

A sequence of characters, each a vector of 14 bits, is predicted; value and gradient by all
parameters. The data are random ones of ADBench's size.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from ..case import Case
from .recurrent import looped

LAYERS, BITS = 2, 14


def inputs(length: int, quick: bool) -> tuple[Any, ...]:
    """Return weights and biases of the layers, extra parameters, first states and the sequence."""
    rng = numpy.random.default_rng(0)
    length = 5 if quick else length
    return (
        rng.standard_normal((LAYERS, 2, 4 * BITS)),
        rng.standard_normal((3, BITS)),
        rng.standard_normal((LAYERS, 2, BITS)),
        (rng.random((length, BITS)) < 0.5).astype(float),
    )


def build(np: Any, scan: Any) -> Any:
    """Return the mean loss of predicting each character from those before it."""

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def layer(parameters: Any, hidden: Any, cell: Any, x: Any) -> Any:
        given = np.concatenate([x, hidden, x, hidden])
        gates = np.reshape(given * parameters[0] + parameters[1], (4, BITS))
        forget, write, out = sigmoid(gates[0]), sigmoid(gates[1]), sigmoid(gates[2])
        cell = cell * forget + write * np.tanh(gates[3])
        return out * np.tanh(cell), cell

    def loss(main: Any, extra: Any, start: Any, sequence: Any) -> Any:
        def step(state: Any, pair: Any) -> Any:
            x, total = pair[0] * extra[0], state[-1]
            after = []
            for i in range(LAYERS):
                hidden, cell = state[2 * i], state[2 * i + 1]
                hidden, cell = layer(main[i], hidden, cell, x)
                after += [hidden, cell]
                x = hidden
            predicted = x * extra[1] + extra[2]
            predicted = predicted - np.log(2 + np.sum(np.exp(predicted)))
            return (*after, total + np.sum(pair[1] * predicted)), None

        states = tuple(start[i, j] for i in range(LAYERS) for j in range(2))
        pairs = np.stack([sequence[:-1], sequence[1:]], axis=1)
        last, _ = scan(step, (*states, np.zeros(())), pairs)
        return -last[-1] / sequence[1:].size

    return loss


def torch_function() -> Any:
    """Return the loss in PyTorch."""
    import torch

    def loss(main: Any, extra: Any, start: Any, sequence: Any) -> Any:
        states = [[start[i, 0], start[i, 1]] for i in range(LAYERS)]
        total = 0.0
        for given, wanted in zip(sequence[:-1].unbind(), sequence[1:].unbind(), strict=True):
            x = given * extra[0]
            for i in range(LAYERS):
                hidden, cell = states[i]
                gates = torch.cat([x, hidden, x, hidden]) * main[i, 0] + main[i, 1]
                forget, write, out = torch.sigmoid(gates[: 3 * BITS]).chunk(3)
                cell = cell * forget + write * torch.tanh(gates[3 * BITS :])
                x = out * torch.tanh(cell)
                states[i] = [x, cell]
            predicted = x * extra[1] + extra[2]
            predicted = predicted - torch.log(2 + torch.exp(predicted).sum())
            total = total + (wanted * predicted).sum()
        return -total / sequence[1:].numel()

    return loss


CASES = tuple(
    Case(
        name=f"adbench_lstm_{length}",
        title=f"ADBench LSTM, 2 layers, {length:,} characters of 14 bits",
        target=0.35,
        inputs=partial(inputs, length),
        forms={"scan": build, "Python loop": lambda np, scan: build(np, looped)},
        wrt=2,
        torch=torch_function,
    )
    for length in (20, 1024)
)
