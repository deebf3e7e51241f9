"""Initialisers: the arrays that a model starts from, named by their papers.

Each takes a key, a shape and a dtype. A weight has the shape (outputs, inputs, *kernel); its fans
are the numbers of terms in a sum of the forward pass (inputs) and of the backward pass (outputs).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random

Shape = tuple[int, ...]
Initialiser = Callable[..., Any]


def fans(shape: Shape) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight of shape (outputs, inputs, *kernel).

    Examples
    --------
    >>> fans((8, 3, 5, 5))
    (75, 200)
    """
    if len(shape) < 2:
        raise ValueError(f"the fans of a weight of shape {shape} are not defined: it needs 2 axes")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def zeros(key: Any, shape: Shape, dtype: Any = np.float64) -> Any:
    """Return zeros; the key is not used."""
    return np.zeros(shape, dtype)


def ones(key: Any, shape: Shape, dtype: Any = np.float64) -> Any:
    """Return ones; the key is not used."""
    return np.ones(shape, dtype)


def normal(key: Any, shape: Shape, dtype: Any = np.float64, *, std: float = 0.02) -> Any:
    """Draw from the normal distribution with mean 0."""
    return random.normal(key, shape, dtype, scale=std)


def truncated_normal(key: Any, shape: Shape, dtype: Any = np.float64, *, std: float = 0.02) -> Any:
    """Draw from the normal distribution, cut off at two standard deviations.

    ``std`` is the standard deviation before the cut.
    """
    return random.truncated_normal(key, -2.0, 2.0, shape, dtype) * std


def uniform(key: Any, shape: Shape, dtype: Any = np.float64, *, bound: float = 0.05) -> Any:
    """Draw from the uniform distribution between ``-bound`` and ``bound``."""
    return random.uniform(key, shape, dtype, low=-bound, high=bound)


def fan_in_uniform(
    key: Any, shape: Shape, dtype: Any = np.float64, *, fan: int | None = None
) -> Any:
    """Draw uniformly between ±1/√fan_in, as the layers here (and PyTorch's) do by default."""
    bound = 1.0 / math.sqrt(max(1, fan if fan is not None else fans(shape)[0]))
    return uniform(key, shape, dtype, bound=bound)


def glorot_uniform(key: Any, shape: Shape, dtype: Any = np.float64, *, gain: float = 1.0) -> Any:
    """Draw uniformly with the variance 2 / (fan_in + fan_out) [1]_; also called Xavier.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.

    Examples
    --------
    >>> from chainrule import random
    >>> weight = glorot_uniform(random.key(0), (300, 200))
    >>> float(weight.std())
    0.0632
    """
    return uniform(key, shape, dtype, bound=gain * math.sqrt(6.0 / sum(fans(shape))))


def glorot_normal(key: Any, shape: Shape, dtype: Any = np.float64, *, gain: float = 1.0) -> Any:
    """Draw normally with the variance 2 / (fan_in + fan_out); see :func:`glorot_uniform`."""
    return normal(key, shape, dtype, std=gain * math.sqrt(2.0 / sum(fans(shape))))


def he_uniform(key: Any, shape: Shape, dtype: Any = np.float64, *, slope: float = 0.0) -> Any:
    """Draw uniformly with the variance 2 / fan_in [1]_, for relu; also called Kaiming.

    ``slope`` is that of :func:`~chainrule.nn.leaky_relu`.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing
       human-level performance on ImageNet classification", ICCV 2015.
    """
    variance = 2.0 / ((1.0 + slope * slope) * fans(shape)[0])
    return uniform(key, shape, dtype, bound=math.sqrt(3.0 * variance))


def he_normal(key: Any, shape: Shape, dtype: Any = np.float64, *, slope: float = 0.0) -> Any:
    """Draw normally with the variance 2 / fan_in; see :func:`he_uniform`."""
    return normal(key, shape, dtype, std=math.sqrt(2.0 / ((1.0 + slope * slope) * fans(shape)[0])))


def lecun_uniform(key: Any, shape: Shape, dtype: Any = np.float64) -> Any:
    """Draw uniformly with the variance 1 / fan_in [1]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, 1998.
    """
    return uniform(key, shape, dtype, bound=math.sqrt(3.0 / fans(shape)[0]))


def lecun_normal(key: Any, shape: Shape, dtype: Any = np.float64) -> Any:
    """Draw normally with the variance 1 / fan_in; see :func:`lecun_uniform`."""
    return normal(key, shape, dtype, std=math.sqrt(1.0 / fans(shape)[0]))


def orthogonal(key: Any, shape: Shape, dtype: Any = np.float64, *, gain: float = 1.0) -> Any:
    """Draw a matrix with orthonormal rows or columns [1]_.

    A weight with more than two axes is seen as a matrix of its first axis by all others.

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics
       of learning in deep linear neural networks", ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import random
    >>> Q = orthogonal(random.key(0), (3, 5))
    >>> np.allclose(Q @ Q.T, np.eye(3))
    True
    """
    fans(shape)  # a vector is refused
    drawn = random.orthogonal(key, shape[0], math.prod(shape[1:]), dtype=dtype)
    return np.reshape(drawn * gain, shape)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
