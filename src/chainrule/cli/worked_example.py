"""A network of two layers, small enough to check by hand, and what it is checked against."""

from __future__ import annotations

from typing import Any

import numpy as np

X = np.array([0.5, 0.3])
W1 = np.array([[0.1, 0.2], [0.3, 0.4]])
B1 = np.array([0.5, 0.6])
W2 = np.array([0.7, 0.8])
B2 = np.array(0.9)

PARAMETERS = (W1, B1, W2, B2)
NAMES = ("W1", "b1", "W2", "b2")

OUTPUT = 0.871843204787514
"""What the network answers: worked out with 50 digits, and rounded."""


def sigmoid(z: Any) -> Any:
    """Return 1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def network(W1: Any, b1: Any, W2: Any, b2: Any, x: Any) -> Any:
    """Return the answer a2 of the network for the input x."""
    z1 = W1 @ x + b1
    a1 = sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = sigmoid(z2)
    return a2


def loss(W1: Any, b1: Any, W2: Any, b2: Any, x: Any, y: Any) -> Any:
    """Return half the squared distance of the answer from y."""
    z1 = W1 @ x + b1
    a1 = sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = sigmoid(z2)
    L = (a2 - y) ** 2 / 2
    return L


def complex_step(f: Any, args: tuple[Any, ...], position: int) -> Any:
    """Return the gradient of ``f`` by one argument, from its Taylor series and no derivative rule.

    f(x + ih) = f(x) + ih f'(x) + O(h²): the imaginary part gives the derivative without the
    cancellation that a finite difference suffers from.

    References
    ----------
    .. [1] Squire and Trapp, "Using complex variables to estimate derivatives of real functions",
       SIAM Review 40(1), 1998.

    Examples
    --------
    >>> complex_step(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), 0)
    array([ 3., 12.])
    """
    h = 1e-100
    here = np.asarray(args[position], dtype=complex)
    gradient = np.empty(here.shape)
    for index in np.ndindex(here.shape):
        moved = here.copy()
        moved[index] += 1j * h
        gradient[index] = np.imag(f(*args[:position], moved[()], *args[position + 1 :])) / h
    return gradient
