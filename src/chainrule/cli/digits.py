"""A network of three layers that reads handwritten digits, written out in plain NumPy.

Model, loss and optimizer stand on this page; chainrule gives the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import value_and_grad

LAYERS = (64, 128, 64, 10)
BATCH = 32
MOMENTUM = 0.9
DECAY = 1e-3

WEIGHTS = (0, 1, 2, 3, 4, 5)  # which arguments of the loss are learned

Parameters = tuple[Any, ...]


class Digits(NamedTuple):
    """Images of 8 x 8 grey values in [0, 1], flattened, and the digits that they show."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


class Epoch(NamedTuple):
    """What one pass over the training images gave.

    Attributes
    ----------
    number : int
        Counted from 1.
    loss : float
        Mean over the batches.
    accuracy : float
        On the images held out.
    parameters : tuple
        After the pass.
    """

    number: int
    loss: float
    accuracy: float
    parameters: Parameters


def load_digits() -> Digits:
    """Return scikit-learn's 1,797 real digits, a quarter of them held out."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        (images / 16).astype(np.float32), labels, test_size=0.25, stratify=labels, random_state=0
    )
    return Digits(train_x, train_y, test_x, test_y)


def initial_parameters(rng: np.random.Generator) -> Parameters:
    """Return He's initial weights, and biases of zero, in single precision."""
    p = []
    for inputs, outputs in itertools.pairwise(LAYERS):
        W = rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))
        p += [W.astype(np.float32), np.zeros(outputs, np.float32)]
    return tuple(p)


def loss(W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any, images: Any, labels: Any) -> Any:
    """Return the cross-entropy between the network's answers and the labels."""
    z1 = images @ W1 + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2 + b2
    a2 = np.maximum(z2, 0)
    scores = a2 @ W3 + b3
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    L = -np.mean(log_p[np.arange(len(labels)), labels])
    return L


def accuracy(p: Parameters, images: Any, labels: Any) -> float:
    """Return the share of images that are read right."""
    W1, b1, W2, b2, W3, b3 = p
    a1 = np.maximum(images @ W1 + b1, 0)
    a2 = np.maximum(a1 @ W2 + b2, 0)
    return float(np.mean(np.argmax(a2 @ W3 + b3, axis=1) == labels))


def train(digits: Digits, epochs: int, seed: int = 0, rate: float = 0.05) -> Iterator[Epoch]:
    """Descend with momentum, at a rate that falls along a cosine; yield after each epoch."""
    rng = np.random.default_rng(seed)
    p = initial_parameters(rng)
    velocity = [np.zeros_like(value) for value in p]
    loss_and_gradient = value_and_grad(loss, WEIGHTS)
    for epoch in range(epochs):
        losses = []
        step = np.float32(rate * (1 + np.cos(np.pi * epoch / epochs)) / 2)
        order = rng.permutation(len(digits.train_x))
        for picked in np.array_split(order, len(order) // BATCH):
            value, gradient = loss_and_gradient(*p, digits.train_x[picked], digits.train_y[picked])
            velocity = [
                MOMENTUM * v - step * (slope + DECAY * weights)
                for v, slope, weights in zip(velocity, gradient, p, strict=True)
            ]
            p = tuple(weights + v for weights, v in zip(p, velocity, strict=True))
            losses.append(float(value))
        held_out = accuracy(p, digits.test_x, digits.test_y)
        yield Epoch(epoch + 1, float(np.mean(losses)), held_out, p)
