"""Activations: the functions between the linear layers.

All keep the dtype of their input and let a NaN through. At a kink they take the derivative from
the left: relu'(0) = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf, expit

from .. import stop_gradient

_SQRT_2 = math.sqrt(2.0)
_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)


def relu(x: Any) -> Any:
    """Return max(x, 0), with the derivative 0 at 0.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.where(x <= 0, 0.0, x)


def relu6(x: Any) -> Any:
    """Return relu, cut off at 6; the derivative is 0 at both kinks."""
    return np.where(x >= 6, 6.0, relu(x))


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """Return x where it is positive, and ``slope * x`` elsewhere [1]_.

    References
    ----------
    .. [1] A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network
       acoustic models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01, 2. ])
    """
    return np.where(x <= 0, slope * x, x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where it is positive, and ``alpha * (exp(x) - 1)`` elsewhere [1]_.

    References
    ----------
    .. [1] D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network
       learning by exponential linear units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.array([-1.0, 2.0]))
    array([-0.63212056, 2. ])
    """
    # exp of a large positive number would overflow in the branch that is not taken
    return np.where(x <= 0, alpha * np.expm1(np.where(x <= 0, x, 0.0)), x)


def selu(x: Any) -> Any:
    """Return the scaled elu that keeps mean 0 and variance 1 from layer to layer [1]_.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural
       networks", NeurIPS 2017.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.array([0.0, 1000.0]))
    array([0.5, 1. ])
    """
    return expit(x)


def hard_sigmoid(x: Any) -> Any:
    """Return ``relu6(x + 3) / 6``, a sigmoid made of lines."""
    return relu6(x + 3.0) / 6.0


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent: ``np.tanh``."""
    return np.tanh(x)


def silu(x: Any) -> Any:
    """Return ``x * sigmoid(x)``, also called swish [1]_.

    References
    ----------
    .. [1] S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
       function approximation in reinforcement learning", Neural Networks 107, 2018.
    """
    return x * expit(x)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), without overflow.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.array([0.0, 1000.0]))
    array([6.93147181e-01, 1.00000000e+03])
    """
    return np.logaddexp(x, 0.0)


def mish(x: Any) -> Any:
    """Return ``x * tanh(softplus(x))``."""
    return x * np.tanh(softplus(x))


def gelu(x: Any) -> Any:
    """Return x Φ(x), with the distribution function Φ of the normal distribution [1]_.

    See :func:`gelu_tanh` for the approximation that many published models use.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([-1.0, 1.0]))
    array([-0.15865525, 0.84134475])
    """
    return 0.5 * x * (1.0 + erf(x / _SQRT_2))


def gelu_tanh(x: Any) -> Any:
    """Return the approximation of :func:`gelu` by a hyperbolic tangent."""
    return 0.5 * x * (1.0 + np.tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)))


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return the logarithm of :func:`softmax`, without overflow or loss of digits.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000., 0.])
    """
    # the shift cancels in the result, so that no derivative has to go through the maximum
    shifted = x - stop_gradient(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def softmax(x: Any, axis: int = -1) -> Any:
    """Return ``exp(x)``, divided by its sum along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0, 1000.0]))
    array([0., 0., 1.])
    """
    powers = np.exp(x - stop_gradient(np.max(x, axis=axis, keepdims=True)))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def glu(x: Any, axis: int = -1) -> Any:
    """Return a gated linear unit: one half of ``x`` times the sigmoid of the other."""
    a, b = np.split(x, 2, axis=axis)
    return a * expit(b)
