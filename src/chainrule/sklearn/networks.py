"""The networks that the estimators make, each sized by the data that it meets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn, random

__all__ = ["convolutional", "dense", "pad_sequences", "recurrent"]


def identity(x: Any) -> Any:
    """Return x; a name of its own lets a model be pickled."""
    return x


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "logistic": nn.sigmoid,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "identity": identity,
}

_LEAST = 4
"""Height and width below which an image is not pooled: what is where would be lost."""

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def chosen(kind: str, name: Any, choices: dict[str, Any]) -> Any:
    """Return what a name stands for.

    Examples
    --------
    >>> chosen("cell", "lstn", CELLS)
    Traceback (most recent call last):
        ...
    ValueError: cell is one of 'rnn', 'lstm', 'gru', not 'lstn'
    """
    if name not in choices:
        raise ValueError(f"{kind} is one of {', '.join(map(repr, choices))}, not {name!r}")
    return choices[name]


def dense(
    key: Any,
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    dtype: Any = np.float64,
) -> nn.Sequential:
    """Return a network of fully connected layers.

    Examples
    --------
    >>> dense(random.key(0), 4, (8,), 3, dropout=0.1)
    Sequential(  # 67 parameters
      Linear(weight=float64[8, 4], bias=float64[8]),  # 40
      relu,
      Dropout(rate=0.1),
      Linear(weight=float64[3, 8], bias=float64[3]),  # 27
    )
    """
    return nn.Sequential(*_dense_layers(key, inputs, hidden, outputs, activation, dropout, dtype))


def _dense_layers(
    key: Any,
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    activation: str,
    dropout: float,
    dtype: Any,
) -> list[Any]:
    bend = chosen("activation", activation, ACTIVATIONS)
    keys = random.split(key, len(hidden) + 1)
    layers: list[Any] = []
    for k, size in zip(keys, hidden, strict=False):
        layers += [nn.Linear.init(k, inputs, size, dtype=dtype), bend]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = size
    return [*layers, nn.Linear.init(keys[-1], inputs, outputs, dtype=dtype)]


def convolutional(
    key: Any,
    inputs: tuple[int, ...],
    channels: Sequence[int],
    hidden: Sequence[int],
    outputs: int,
    *,
    kernel_size: int = 3,
    activation: str = "relu",
    dropout: float = 0.0,
    dtype: Any = np.float64,
) -> nn.Sequential:
    """Return a network for images of shape (channels, height, width).

    Each convolution keeps the size and is followed by a pool of 2 × 2, as long as that leaves at
    least 4 × 4.

    Examples
    --------
    >>> convolutional(random.key(0), (1, 8, 8), (4,), (), 10)
    Sequential(  # 690 parameters
      Conv2d(weight=float64[4, 1, 3, 3], bias=float64[4], padding=1),  # 40
      relu,
      MaxPool2d(kernel=2),
      flatten,
      Linear(weight=float64[10, 64], bias=float64[10]),  # 650
    )
    """
    bend = chosen("activation", activation, ACTIVATIONS)
    *keys, head_key = random.split(key, len(channels) + 1)
    depth, *space = inputs
    layers: list[Any] = []
    for k, count in zip(keys, channels, strict=True):
        layers += [
            nn.Conv2d.init(k, depth, count, kernel_size, padding="same", dtype=dtype),
            bend,
        ]
        pool = tuple(2 if size >= 2 * _LEAST else 1 for size in space)
        if max(pool) > 1:
            layers.append(nn.MaxPool2d(pool))
        space = [size // step for size, step in zip(space, pool, strict=True)]
        depth = count
    flat = depth * math.prod(space)
    head = _dense_layers(head_key, flat, hidden, outputs, activation, dropout, dtype)
    return nn.Sequential(*layers, nn.flatten, *head)


@dataclass(frozen=True, eq=False, repr=False)
class SequenceClassifier(nn.Printed):
    """A recurrent network whose last state is what a linear layer judges.

    Attributes
    ----------
    recurrent : RNN, LSTM or GRU
        Runs over sequences of shape (batch, time, features). A time whose features are NaN has no
        element.
    head : Linear
        From the last states of the last layer, of both directions if there are two.
    """

    recurrent: Any
    head: Any

    def __call__(self, x: Any, *, key: Any = None, train: bool = False) -> Any:
        present = x == x  # not so for NaN
        x = np.where(present, x, 0.0)
        _, final = self.recurrent(x, mask=present[..., 0], key=key, train=train)
        last = [state[0] if isinstance(state, tuple) else state for state in final[-1]]
        return self.head(last[0] if len(last) == 1 else np.concatenate(last, axis=-1))


def recurrent(
    key: Any,
    inputs: int,
    hidden: int,
    outputs: int,
    *,
    cell: str = "lstm",
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    dtype: Any = np.float64,
) -> SequenceClassifier:
    """Return a network for sequences of shape (time, inputs).

    Examples
    --------
    >>> model = recurrent(random.key(0), 3, 5, 2, cell="gru")
    >>> model(np.ones((4, 7, 3))).shape
    (4, 2)
    """
    kind = chosen("cell", cell, CELLS)
    first, second = random.split(key)
    network = kind.init(
        first, inputs, hidden, layers=layers, bidirectional=bidirectional, dropout=dropout,
        dtype=dtype,
    )  # fmt: skip
    directions = 2 if bidirectional else 1
    return SequenceClassifier(
        network, nn.Linear.init(second, directions * hidden, outputs, dtype=dtype)
    )


def pad_sequences(sequences: Sequence[Any], dtype: Any = np.float64) -> Any:
    """Return one array of sequences of different lengths, with NaN after their ends.

    Parameters
    ----------
    sequences : sequence of arrays of shape (time, features) or (time,)
        The times may differ.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    array of shape (len(sequences), longest time, features)

    Examples
    --------
    >>> pad_sequences([[1.0, 2.0], [3.0]])[..., 0]
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    arrays = [np.asarray(sequence, dtype) for sequence in sequences]
    arrays = [array[:, np.newaxis] if array.ndim == 1 else array for array in arrays]
    features = {array.shape[1:] for array in arrays}
    if len(features) != 1 or len(*features) != 1:
        raise ValueError("sequences have shape (time, features), with the same number of features")
    longest = max(map(len, arrays))
    padded = np.full((len(arrays), longest, *arrays[0].shape[1:]), np.nan, dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
