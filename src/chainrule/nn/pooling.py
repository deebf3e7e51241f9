"""Pooling: the largest or the mean element of each window of an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .checks import require_shape
from .containers import STATIC
from .convolution import Sizes, padded, per_axis, simplest, windows
from .printing import Printed


def pool(
    reduce: Callable[..., Any],
    x: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    fill: float,
) -> Any:
    """Reduce the windows of an input of shape (batch, channels, *space)."""
    x = padded(x, padding, fill)
    counts = [n // k for n, k in zip(x.shape[2:], kernel, strict=True)]
    if stride == kernel:
        # windows side by side are a reshape, which costs nothing
        x = x[(..., *(slice(0, n * k) for n, k in zip(counts, kernel, strict=True)))]
        split = [size for pair in zip(counts, kernel, strict=True) for size in pair]
        within = tuple(range(3, 3 + 2 * len(kernel), 2))
        return reduce(np.reshape(x, (*x.shape[:2], *split)), axis=within)
    patches = windows(x, kernel, stride, (1,) * len(kernel))
    return reduce(patches, axis=tuple(range(-len(kernel), 0)))


@dataclass(frozen=True, eq=False, repr=False)
class _Pool(Printed):
    """The settings that pools of all dimensions share."""

    kernel: Sizes = field(metadata=STATIC)
    stride: Sizes | None = field(default=None, metadata=STATIC)
    padding: Sizes = field(default=0, metadata=STATIC)

    dimensions: ClassVar[int]

    def __post_init__(self) -> None:
        d = self.dimensions
        object.__setattr__(self, "kernel", simplest("kernel", self.kernel, d))
        object.__setattr__(self, "padding", simplest("padding", self.padding, d, 0))
        if self.stride is not None:
            object.__setattr__(self, "stride", simplest("stride", self.stride, d))
        halves = [k // 2 for k in per_axis("kernel", self.kernel, d)]
        paddings = per_axis("padding", self.padding, d, 0)
        if any(p > half for p, half in zip(paddings, halves, strict=True)):
            raise ValueError("the padding of a pool is at most half of its kernel")

    def _pool(self, reduce: Callable[..., Any], x: Any, fill: float) -> Any:
        d = self.dimensions
        kernel = per_axis("kernel", self.kernel, d)
        stride = kernel if self.stride is None else per_axis("stride", self.stride, d)
        padding = per_axis("padding", self.padding, d, 0)
        shape = np.shape(x)
        name = f"{type(self).__name__}({self.kernel})"
        require_shape(
            len(shape) == d + 2,
            f"{name} got an input of shape {shape}",
            f"it takes {d + 2} axes: the batch, the channels and {d} of space",
            "add the missing axes with np.expand_dims, or take the pool for other dimensions",
        )
        room = [n + 2 * p for n, p in zip(shape[2:], padding, strict=True)]
        require_shape(
            all(n >= k for n, k in zip(room, kernel, strict=True)),
            f"{name} got an input of shape {shape}",
            f"its windows of {list(kernel)} do not fit into {room} positions",
            "take a smaller window, or pool less before",
        )
        return pool(reduce, x, kernel, stride, padding, fill)


class _MaxPool(_Pool):
    def __call__(self, x: Any) -> Any:
        return self._pool(np.max, x, -np.inf)


class _AvgPool(_Pool):
    def __call__(self, x: Any) -> Any:
        return self._pool(np.mean, x, 0.0)


class MaxPool1d(_MaxPool):
    """The largest element of each window, over one dimension.

    Parameters
    ----------
    kernel, stride : int or tuple of int
        Size and step of the window; by default the step is the size.
    padding : int or tuple of int
        Elements on both sides that are smaller than all others.

    Notes
    -----
    Equal largest elements share the gradient evenly.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.MaxPool1d(2)(np.array([[[1.0, 3.0, 2.0, 0.0, 9.0]]]))
    array([[[3., 2.]]])
    """

    dimensions = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window, over two dimensions; see :class:`MaxPool1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5., 7.],
             [13., 15.]]]])
    """

    dimensions = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window, over three dimensions; see :class:`MaxPool1d`."""

    dimensions = 3


class AvgPool1d(_AvgPool):
    """The mean of each window, over one dimension.

    Parameters
    ----------
    kernel, stride : int or tuple of int
        Size and step of the window; by default the step is the size.
    padding : int or tuple of int
        Zeros on both sides; they count in the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.AvgPool1d(2)(np.array([[[1.0, 3.0, 2.0, 0.0, 9.0]]]))
    array([[[2., 1.]]])
    """

    dimensions = 1


class AvgPool2d(_AvgPool):
    """The mean of each window, over two dimensions; see :class:`AvgPool1d`."""

    dimensions = 2


class AvgPool3d(_AvgPool):
    """The mean of each window, over three dimensions; see :class:`AvgPool1d`."""

    dimensions = 3


def global_max_pool(x: Any) -> Any:
    """Return the largest element of each channel: (batch, channels, *space) to (batch, channels).

    Examples
    --------
    >>> import numpy as np
    >>> global_max_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 7.]])
    """
    return np.max(x, axis=tuple(range(2, np.ndim(x))))


def global_avg_pool(x: Any) -> Any:
    """Return the mean of each channel: (batch, channels, *space) to (batch, channels).

    Examples
    --------
    >>> import numpy as np
    >>> global_avg_pool(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[1.5, 5.5]])
    """
    return np.mean(x, axis=tuple(range(2, np.ndim(x))))


def flatten(x: Any) -> Any:
    """Return an input with all axes but the first made one, as a linear layer takes it.

    Examples
    --------
    >>> import numpy as np
    >>> flatten(np.ones((4, 8, 3, 3))).shape
    (4, 72)
    """
    return np.reshape(x, (np.shape(x)[0], -1))
