"""Errors of layers and losses: what does not fit, where, why, and what to write instead."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import BoundsError, ShapeError, Span, call_from_outside

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def caller() -> Span | None:
    """Return where the user's code called a layer or loss, or the training that calls it."""
    return call_from_outside(_PACKAGE)


def require_shape(fits: bool, title: str, why: str, help: str) -> None:
    """Raise a ShapeError at the user's line unless the shapes fit."""
    if not fits:
        raise ShapeError(title, span=caller(), why=why, help=help)


def require_features(layer: str, x: Any, features: int) -> None:
    """Check the last axis of the input of a layer."""
    shape = np.shape(x)
    require_shape(
        bool(shape) and shape[-1] == features,
        f"{layer} got an input of shape {shape}",
        f"it takes shape (..., {features}): the features are the last axis",
        _features_help(shape, features),
    )


def _features_help(shape: tuple[int, ...], features: int) -> str:
    rest = 1
    for axis in range(len(shape) - 1, 0, -1):
        rest *= shape[axis]
        if rest == features:
            return f"flatten all but the first axes: x.reshape(*x.shape[:{axis}], {features})"
    if features in shape:
        return f"move that axis to the end: np.moveaxis(x, {shape.index(features)}, -1)"
    size = shape[-1] if shape else 1
    return f"make the layer for inputs with {size} features"


def require_channels(layer: str, x: Any, channels: int, dimensions: int) -> None:
    """Check an input of shape (batch, channels, *space) of a layer."""
    shape = np.shape(x)
    space = ("length", "height, width", "depth, height, width")[dimensions - 1]
    takes = f"it takes shape (batch, {channels}, {space})"
    if len(shape) == dimensions + 1 and (shape[0] == channels or channels == 1):
        axis = "0" if shape[0] == channels else "1"
        missing = "the batch" if axis == "0" else "the channels"
        help = f"add an axis for {missing}: np.expand_dims(x, {axis})"
    elif len(shape) == dimensions + 2 and shape[-1] == channels:
        help = "move the channels to the second axis: np.moveaxis(x, -1, 1)"
    else:
        help = "reshape the input, or make the layer for its number of channels"
    fits = len(shape) == dimensions + 2 and shape[1] == channels
    require_shape(fits, f"{layer} got an input of shape {shape}", takes, help)


def require_indices(place: str, index: Any, count: int, help: str) -> Any:
    """Return indices that are known to lie within 0 and ``count``, and raise where they don't.

    Where they are not known yet, in code that is recorded, those below 0 become ones that are too
    large: they would count from the end, and pick something that nobody meant.
    """
    if type(index) is not np.ndarray:
        return np.where(index < 0, count, index)
    if index.size:
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= count:
            title = f"{place} got the index {low if low < 0 else high}, but there are {count}"
            why = f"they are numbered from 0 to {count - 1}"
            raise BoundsError(title, span=caller(), why=why, help=help)
    return index


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise unless a word is one of those that are allowed."""
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")
