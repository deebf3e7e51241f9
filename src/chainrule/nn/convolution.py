"""Convolutions over one, two and three dimensions, and their transposes.

Arrays have the shape (batch, channels, *space), weights (outputs, inputs / groups, *kernel). As
everywhere in deep learning the kernel is not flipped. A convolution takes the windows of the input
that the kernel meets, and multiplies them by the weight as one matrix.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Sizes = int | tuple[int, ...]


def per_axis(name: str, value: Sizes, dimensions: int, least: int = 1) -> tuple[int, ...]:
    """Return one number for each dimension of space."""
    values = (value,) * dimensions if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != dimensions or any(int(v) != v or v < least for v in values):
        raise ValueError(
            f"{name} is an integer or {dimensions} of them, each at least {least}, not {value!r}"
        )
    return tuple(int(v) for v in values)


def simplest(name: str, value: Sizes, dimensions: int, least: int = 1) -> Sizes:
    """Return a setting as one number where it is the same for all dimensions."""
    values = per_axis(name, value, dimensions, least)
    return values[0] if len(set(values)) == 1 else values


def padded(x: Any, padding: tuple[int, ...], value: float = 0.0) -> Any:
    """Return an input with ``padding`` elements before and after each axis of space."""
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)), constant_values=value)


def windows(
    x: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Any:
    """Return the windows of an input, of shape (batch, channels, *positions, *kernel)."""
    axes = tuple(range(2, 2 + len(kernel)))
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(x, spans, axes)
    steps = (*stride, *dilation)
    if all(step == 1 for step in steps):
        return view
    return view[(slice(None), slice(None), *(slice(None, None, step) for step in steps))]


def convolve(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Convolve an input with a weight; the number of dimensions is that of the weight.

    Parameters
    ----------
    x : array of shape (batch, inputs, *space)
    weight : array of shape (outputs, inputs / groups, *kernel)
    bias : array of shape (outputs,), optional
    stride, padding, dilation : int or tuple of int
        Step of the kernel, zeros around the input, and step within the kernel.
    groups : int
        The channels are split into that many groups that are convolved separately.

    Returns
    -------
    array of shape (batch, outputs, *positions)

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0, 4.0, 8.0]]])
    >>> convolve(x, np.array([[[1.0, -1.0]]]))
    array([[[-1., -2., -4.]]])
    """
    kernel = weight.shape[2:]
    dimensions = len(kernel)
    x = padded(x, per_axis("padding", padding, dimensions, least=0))
    patches = windows(
        x,
        kernel,
        per_axis("stride", stride, dimensions),
        per_axis("dilation", dilation, dimensions),
    )
    y = _product(patches, weight) if groups == 1 else _grouped_product(patches, weight, groups)
    return y if bias is None else y + np.reshape(bias, (-1, *(1,) * dimensions))


def _product(patches: Any, weight: Any) -> Any:
    """Multiply windows by a weight: (batch · positions, inputs · kernel) by its transpose."""
    dimensions = weight.ndim - 2
    batch, positions = patches.shape[0], patches.shape[2 : 2 + dimensions]
    outputs, length = weight.shape[0], math.prod(weight.shape[1:])
    space = tuple(range(2, 2 + dimensions))
    offsets = tuple(range(2 + dimensions, 2 + 2 * dimensions))
    rows = np.transpose(patches, (0, *space, 1, *offsets))
    rows = np.reshape(rows, (batch * math.prod(positions), length))
    y = np.reshape(rows @ np.reshape(weight, (outputs, length)).T, (batch, *positions, outputs))
    return np.transpose(y, (0, dimensions + 1, *range(1, 1 + dimensions)))


def _grouped_product(patches: Any, weight: Any, groups: int) -> Any:
    """Do the same for each group of channels, as a stack of products."""
    dimensions = weight.ndim - 2
    batch, positions = patches.shape[0], patches.shape[2 : 2 + dimensions]
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    length = math.prod(weight.shape[1:])
    patches = np.reshape(patches, (batch, groups, inputs, *patches.shape[2:]))
    space = tuple(range(3, 3 + dimensions))
    offsets = tuple(range(3 + dimensions, 3 + 2 * dimensions))
    rows = np.transpose(patches, (1, 0, *space, 2, *offsets))
    rows = np.reshape(rows, (groups, batch * math.prod(positions), length))
    columns = np.swapaxes(np.reshape(weight, (groups, outputs, length)), 1, 2)
    y = np.reshape(rows @ columns, (groups, batch, *positions, outputs))
    y = np.transpose(y, (1, 0, dimensions + 2, *range(2, 2 + dimensions)))
    return np.reshape(y, (batch, groups * outputs, *positions))


def convolve_transposed(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Apply the transpose of the linear map that :func:`convolve` is.

    Parameters
    ----------
    x : array of shape (batch, inputs, *space)
    weight : array of shape (inputs, outputs / groups, *kernel)
    bias : array of shape (outputs,), optional
    stride, padding, dilation, groups
        Those of the convolution.
    output_padding : int or tuple of int
        How many elements the result has more at the end of each axis: with a stride, inputs of
        several sizes have the same number of positions.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0]]])
    >>> convolve_transposed(x, np.array([[[1.0, -1.0]]]), stride=2)
    array([[[ 1., -1., 2., -2.]]])
    """
    kernel = weight.shape[2:]
    dimensions = len(kernel)
    strides = per_axis("stride", stride, dimensions)
    dilations = per_axis("dilation", dilation, dimensions)
    cut = per_axis("padding", padding, dimensions, least=0)
    extra = per_axis("output_padding", output_padding, dimensions, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError("output_padding must be smaller than the stride or the dilation")

    # each element meets every offset of the flipped kernel once in the padded, spread input
    x = _spread(x, strides)
    reach = [d * (k - 1) - p for k, d, p in zip(kernel, dilations, cut, strict=True)]
    x = _extended(x, [(r, r + e) for r, e in zip(reach, extra, strict=True)])
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    flipped = np.flip(weight, tuple(range(2, 2 + dimensions)))
    flipped = np.swapaxes(np.reshape(flipped, (groups, inputs, outputs, *kernel)), 1, 2)
    flipped = np.reshape(flipped, (groups * outputs, inputs, *kernel))
    return convolve(x, flipped, bias, dilation=dilations, groups=groups)


def _spread(x: Any, strides: tuple[int, ...]) -> Any:
    """Put ``stride - 1`` zeros between neighbours."""
    for axis, stride in enumerate(strides, start=2):
        if stride > 1:
            size = x.shape[axis]
            x = np.expand_dims(x, axis + 1)
            x = np.pad(x, [(0, stride - 1 if a == axis + 1 else 0) for a in range(x.ndim)])
            x = np.reshape(x, (*x.shape[:axis], size * stride, *x.shape[axis + 2 :]))
            x = x[(slice(None),) * axis + (slice(0, (size - 1) * stride + 1),)]
    return x


def _extended(x: Any, margins: list[tuple[int, int]]) -> Any:
    """Pad each axis of space; a negative margin cuts."""
    kept = tuple(
        slice(max(0, -before), x.shape[axis] - max(0, -after))
        for axis, (before, after) in enumerate(margins, start=2)
    )
    x = x[(slice(None), slice(None), *kept)]
    added = [(max(0, before), max(0, after)) for before, after in margins]
    return np.pad(x, [(0, 0), (0, 0), *added]) if any(map(any, added)) else x
