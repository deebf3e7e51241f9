"""Convolutions as layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from .. import random
from .checks import one_of, require_channels, require_shape
from .containers import STATIC
from .convolution import Sizes, convolve, convolve_transposed, per_axis, simplest
from .initialisers import Initialiser, fan_in_uniform
from .printing import Printed


@dataclass(frozen=True, eq=False, repr=False)
class _Settings(Printed):
    """The fields that convolutions of all dimensions share."""

    weight: Any
    bias: Any = None
    stride: Sizes = field(default=1, metadata=STATIC)
    padding: Sizes = field(default=0, metadata=STATIC)
    dilation: Sizes = field(default=1, metadata=STATIC)
    groups: int = field(default=1, metadata=STATIC)

    dimensions: ClassVar[int]

    def __post_init__(self) -> None:
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            value = simplest(name, getattr(self, name), self.dimensions, least)
            object.__setattr__(self, name, value)


class _Convolution(_Settings):
    @classmethod
    def init(
        cls,
        key: Any,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        *,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: Initialiser = fan_in_uniform,
        dtype: Any = np.float64,
    ) -> Self:
        """Make a layer with random parameters.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        inputs, outputs : int
            Numbers of channels.
        kernel, stride, dilation : int or tuple of int
            Size of the kernel, its step, and the step between its elements.
        padding : int, tuple of int, or "same"
            Zeros on both sides; "same" keeps the size, for odd kernels and stride 1.
        groups : int
            Number of groups of channels that are convolved separately.
        bias : bool
            Whether to add a bias.
        weight_init : callable
            Gives the weight from ``(key, shape, dtype)``.
        dtype : dtype
            float32 or float64.
        """
        sizes = per_axis("kernel", kernel, cls.dimensions)
        _require_groups(groups, inputs, outputs)
        if isinstance(padding, str):
            one_of("padding", padding, ("same",))
            padding = _same_padding(
                sizes,
                per_axis("stride", stride, cls.dimensions),
                per_axis("dilation", dilation, cls.dimensions),
            )
        shape = (outputs, inputs // groups, *sizes)
        weight, offset = _parameters(key, shape, outputs, bias, weight_init, dtype)
        return cls(weight, offset, stride, padding, dilation, groups)

    def __call__(self, x: Any) -> Any:
        inputs = self.weight.shape[1] * self.groups
        name = f"{type(self).__name__}({inputs} → {self.weight.shape[0]})"
        require_channels(name, x, inputs, self.dimensions)
        self._require_room(name, x)
        return convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def _require_room(self, name: str, x: Any) -> None:
        dilation = per_axis("dilation", self.dilation, self.dimensions)
        padding = per_axis("padding", self.padding, self.dimensions, least=0)
        spans = [d * (k - 1) + 1 for k, d in zip(self.weight.shape[2:], dilation, strict=True)]
        room = [n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)]
        require_shape(
            all(n >= span for n, span in zip(room, spans, strict=True)),
            f"{name} got an input of shape {x.shape}",
            f"its kernel spans {spans} positions, but the padded input has only {room}",
            "pad the input (padding=...), or take a smaller kernel or less pooling before",
        )


@dataclass(frozen=True, eq=False, repr=False)
class _ConvolutionTransposed(_Settings):
    output_padding: Sizes = field(default=0, metadata=STATIC)

    @classmethod
    def init(
        cls,
        key: Any,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        *,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        weight_init: Initialiser = fan_in_uniform,
        dtype: Any = np.float64,
    ) -> Self:
        """Make a layer with random parameters.

        The settings are those of the convolution that this is the transpose of;
        ``output_padding`` says how many elements the result has more at the end of each axis.
        """
        sizes = per_axis("kernel", kernel, cls.dimensions)
        _require_groups(groups, inputs, outputs)
        shape = (inputs, outputs // groups, *sizes)
        weight, offset = _parameters(key, shape, outputs, bias, weight_init, dtype)
        return cls(weight, offset, stride, padding, dilation, groups, output_padding)

    def __call__(self, x: Any) -> Any:
        inputs = self.weight.shape[0]
        name = f"{type(self).__name__}({inputs} → {self.weight.shape[1] * self.groups})"
        require_channels(name, x, inputs, self.dimensions)
        return convolve_transposed(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )


def _require_groups(groups: int, inputs: int, outputs: int) -> None:
    if groups < 1 or inputs % groups or outputs % groups:
        raise ValueError(f"{groups} groups do not divide {inputs} inputs and {outputs} outputs")


def _parameters(
    key: Any, shape: tuple[int, ...], outputs: int, bias: bool, weight_init: Initialiser, dtype: Any
) -> tuple[Any, Any]:
    for_weight, for_bias = random.split(key)
    fan = math.prod(shape[1:])
    offset = fan_in_uniform(for_bias, (outputs,), dtype, fan=fan) if bias else None
    return weight_init(for_weight, shape, dtype), offset


def _same_padding(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(s != 1 for s in stride) or any(span % 2 for span in spans):
        raise ValueError(
            "padding='same' needs stride 1 and kernels of odd size; give the padding as a number"
        )
    return tuple(span // 2 for span in spans)


class Conv1d(_Convolution):
    """A convolution over (batch, channels, length).

    Attributes
    ----------
    weight : array of shape (outputs, inputs / groups, *kernel)
    bias : array of shape (outputs,), or None
    stride, padding, dilation, groups
        Settings, which belong to the structure of the model.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.Conv1d.init(random.key(0), 2, 8, 3, stride=2)(np.ones((4, 2, 9))).shape
    (4, 8, 4)
    """

    dimensions = 1


class Conv2d(_Convolution):
    """A convolution over (batch, channels, height, width); see :class:`Conv1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> layer = nn.Conv2d.init(random.key(0), 1, 8, 3, padding="same")
    >>> layer
    Conv2d(weight=float64[8, 1, 3, 3], bias=float64[8], padding=1)  # 80 parameters
    >>> layer(np.ones((4, 1, 5, 5))).shape
    (4, 8, 5, 5)
    """

    dimensions = 2


class Conv3d(_Convolution):
    """A convolution over (batch, channels, depth, height, width); see :class:`Conv1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.Conv3d.init(random.key(0), 1, 2, (1, 3, 3))(np.ones((4, 1, 2, 5, 6))).shape
    (4, 2, 2, 3, 4)
    """

    dimensions = 3


class Conv1dTransposed(_ConvolutionTransposed):
    """The transpose of a convolution over (batch, channels, length).

    Attributes
    ----------
    weight : array of shape (inputs, outputs / groups, *kernel)
    bias : array of shape (outputs,), or None
    stride, padding, dilation, groups, output_padding
        Settings, which belong to the structure of the model.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.Conv1dTransposed.init(random.key(0), 8, 2, 3, stride=2)(np.ones((4, 8, 4))).shape
    (4, 2, 9)
    """

    dimensions = 1


class Conv2dTransposed(_ConvolutionTransposed):
    """The transpose of a :class:`Conv2d`; see :class:`Conv1dTransposed`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.Conv2dTransposed.init(random.key(0), 8, 1, 2, stride=2)(np.ones((4, 8, 3, 3))).shape
    (4, 1, 6, 6)
    """

    dimensions = 2


class Conv3dTransposed(_ConvolutionTransposed):
    """The transpose of a :class:`Conv3d`; see :class:`Conv1dTransposed`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.Conv3dTransposed.init(random.key(0), 2, 1, 2)(np.ones((4, 2, 3, 3, 3))).shape
    (4, 1, 4, 4, 4)
    """

    dimensions = 3
