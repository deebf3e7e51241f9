"""Layers that give their input mean 0 and variance 1 along some axes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import stop_gradient
from ..errors import TraceError
from .checks import caller, require_features, require_shape
from .containers import STATIC
from .printing import Printed


def standardised(x: Any, axis: tuple[int, ...], eps: float) -> Any:
    """Return ``x`` with mean 0 and variance 1 along axes."""
    centred = x - np.mean(x, axis=axis, keepdims=True)
    variance = np.mean(centred * centred, axis=axis, keepdims=True)
    return centred / np.sqrt(variance + eps)


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    y = x if weight is None else x * weight
    return y if bias is None else y + bias


def _per_channel(parameter: Any, x: Any) -> Any:
    """Return a parameter as it broadcasts against the second axis of ``x``."""
    return None if parameter is None else np.reshape(parameter, (-1, *(1,) * (x.ndim - 2)))


@dataclass(frozen=True, eq=False, repr=False)
class LayerNorm(Printed):
    """Normalise over the last axes, for each element of the batch by itself [1]_.

    Attributes
    ----------
    weight, bias : array of the shape of the last axes
        The bias may be None.
    eps : float
        Added to the variance.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.LayerNorm.init(2)(np.array([[1.0, 3.0]]))
    array([[-0.999995, 0.999995]])
    """

    weight: Any
    bias: Any = None
    eps: float = field(default=1e-5, metadata=STATIC)

    @classmethod
    def init(
        cls,
        shape: int | tuple[int, ...],
        *,
        bias: bool = True,
        eps: float = 1e-5,
        dtype: Any = np.float64,
    ) -> LayerNorm:
        """Make a layer that scales by 1; ``shape`` is that of the last axes."""
        return cls(np.ones(shape, dtype), np.zeros(shape, dtype) if bias else None, eps)

    def __call__(self, x: Any) -> Any:
        expected = self.weight.shape
        _require_last_axes("LayerNorm", x, expected)
        axes = tuple(range(-len(expected), 0))
        return _scaled(standardised(x, axes, self.eps), self.weight, self.bias)


def _require_last_axes(layer: str, x: Any, expected: tuple[int, ...]) -> None:
    if len(expected) == 1:
        require_features(f"{layer}({expected[0]})", x, expected[0])
        return
    shape = np.shape(x)
    require_shape(
        shape[-len(expected) :] == expected,
        f"{layer}{expected} got an input of shape {shape}",
        f"it normalises the last axes, whose shape has to be {expected}",
        "make the layer for the last axes of its input",
    )


@dataclass(frozen=True, eq=False, repr=False)
class RMSNorm(Printed):
    """Divide by the root of the mean square over the last axes [1]_.

    Attributes
    ----------
    weight : array of the shape of the last axes
    eps : float
        Added to the mean square.

    References
    ----------
    .. [1] B. Zhang and R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.RMSNorm.init(2)(np.array([[1.0, 7.0]]))
    array([[0.2 , 1.4]])
    """

    weight: Any
    eps: float = field(default=1e-6, metadata=STATIC)

    @classmethod
    def init(
        cls, shape: int | tuple[int, ...], *, eps: float = 1e-6, dtype: Any = np.float64
    ) -> RMSNorm:
        """Make a layer that scales by 1; ``shape`` is that of the last axes."""
        return cls(np.ones(shape, dtype), eps)

    def __call__(self, x: Any) -> Any:
        expected = self.weight.shape
        _require_last_axes("RMSNorm", x, expected)
        axes = tuple(range(-len(expected), 0))
        mean_square = np.mean(x * x, axis=axes, keepdims=True)
        return x / np.sqrt(mean_square + self.eps) * self.weight


@dataclass(frozen=True, eq=False, repr=False)
class GroupNorm(Printed):
    """Normalise over groups of channels and all of space, for each element of the batch [1]_.

    Inputs have the shape (batch, channels, *space).

    Attributes
    ----------
    weight, bias : array of shape (channels,)
    groups : int
        Number of groups; with as many as channels this is instance normalisation.
    eps : float
        Added to the variance.

    References
    ----------
    .. [1] Y. Wu and K. He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.GroupNorm.init(2, 4)(np.ones((3, 4, 5, 5))).shape
    (3, 4, 5, 5)
    """

    weight: Any
    bias: Any
    groups: int = field(metadata=STATIC)
    eps: float = field(default=1e-5, metadata=STATIC)

    @classmethod
    def init(
        cls, groups: int, channels: int, *, eps: float = 1e-5, dtype: Any = np.float64
    ) -> GroupNorm:
        """Make a layer that scales by 1."""
        if groups < 1 or channels % groups:
            raise ValueError(f"{groups} groups do not divide {channels} channels")
        return cls(np.ones(channels, dtype), np.zeros(channels, dtype), groups, eps)

    def __call__(self, x: Any) -> Any:
        channels = self.weight.shape[0]
        _require_second_axis(f"GroupNorm({self.groups}, {channels})", x, channels)
        shape = x.shape
        size = channels // self.groups * math.prod(shape[2:])
        grouped = np.reshape(x, (shape[0], self.groups, size))
        y = np.reshape(standardised(grouped, (2,), self.eps), shape)
        return _scaled(y, _per_channel(self.weight, x), _per_channel(self.bias, x))


def _require_second_axis(layer: str, x: Any, channels: int) -> None:
    shape = np.shape(x)
    require_shape(
        len(shape) >= 2 and shape[1] == channels,
        f"{layer} got an input of shape {shape}",
        f"it takes shape (batch, {channels}, ...): the channels are the second axis",
        "move the channels to the second axis: np.moveaxis(x, -1, 1)",
    )


@dataclass(frozen=True, eq=False, repr=False)
class BatchStatistics(Printed):
    """The running mean and variance of the channels that a BatchNorm has seen."""

    mean: Any
    variance: Any


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm(Printed):
    """Normalise each channel over the batch and all of space [1]_.

    In training it uses the statistics of the batch, otherwise the running ones. These are no
    parameters and are not kept in the layer: a call takes them and returns new ones::

        y, state = layer(x, state, train=True)
        y, _ = layer(x, state)

    Inputs have the shape (batch, channels) or (batch, channels, *space).

    Attributes
    ----------
    weight, bias : array of shape (channels,)
    eps : float
        Added to the variance.
    momentum : float
        The share of a new batch in the running statistics.

    Notes
    -----
    As in PyTorch, the running variance is the unbiased one, divided by the number of elements
    less one. No gradient flows through the state.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by
       reducing internal covariate shift", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.BatchNorm.init(2)
    >>> state = layer.init_state()
    >>> x = np.array([[1.0, 0.0], [3.0, 0.0]])
    >>> y, state = layer(x, state, train=True)
    >>> y
    array([[-0.999995, 0. ],
           [ 0.999995, 0. ]])
    >>> state.mean
    array([0.2, 0. ])
    """

    weight: Any
    bias: Any
    eps: float = field(default=1e-5, metadata=STATIC)
    momentum: float = field(default=0.1, metadata=STATIC)

    @classmethod
    def init(
        cls, channels: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype: Any = np.float64
    ) -> BatchNorm:
        """Make a layer that scales by 1."""
        return cls(np.ones(channels, dtype), np.zeros(channels, dtype), eps, momentum)

    def init_state(self) -> BatchStatistics:
        """Return the running statistics to start from: mean 0 and variance 1."""
        shape, dtype = self.weight.shape, self.weight.dtype
        return BatchStatistics(np.zeros(shape, dtype), np.ones(shape, dtype))

    def __call__(self, x: Any, state: Any = None, *, train: bool = False) -> Any:
        channels = self.weight.shape[0]
        _require_second_axis(f"BatchNorm({channels})", x, channels)
        weight, bias = _per_channel(self.weight, x), _per_channel(self.bias, x)
        if train:
            axes = (0, *range(2, x.ndim))
            y = _scaled(standardised(x, axes, self.eps), weight, bias)
            return y if state is None else (y, self._updated(state, x, axes))
        if state is None:
            raise _without_state(channels)
        mean, variance = _per_channel(state.mean, x), _per_channel(state.variance, x)
        return _scaled((x - mean) / np.sqrt(variance + self.eps), weight, bias), state

    def _updated(self, state: Any, x: Any, axes: tuple[int, ...]) -> BatchStatistics:
        x = stop_gradient(x)
        count = math.prod(x.shape[axis] for axis in axes)
        mean = np.mean(x, axis=axes)
        variance = np.mean(np.square(x - _per_channel(mean, x)), axis=axes)
        unbiased = variance * (count / max(1, count - 1))
        keep = 1.0 - self.momentum
        return BatchStatistics(
            keep * state.mean + self.momentum * mean,
            keep * state.variance + self.momentum * unbiased,
        )


def _without_state(channels: int) -> TraceError:
    return TraceError(
        f"BatchNorm({channels}) got no running statistics",
        span=caller(),
        why="outside of training it normalises by what it has seen in training",
        help="pass the state: `y, state = model(x, state)`, with `state = model.init_state()` "
        "before training",
    )
