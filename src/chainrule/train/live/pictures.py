"""Arrays as pictures that a browser can draw: a few thousand bytes of brightness each."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

__all__ = ["feature_tiles", "filter_tiles", "picture"]

Array = np.ndarray[Any, Any]

_LARGEST = 96  # pixels along one side of what is shown
_LEAST = 3  # fewer along a side are no image
_ROWS = _COLUMNS = 16


def picture(example: Array, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Return one example as an image, or as a row of values where it is none.

    Images have the axes (height, width), (channels, height, width) or (height, width, channels)
    with 1 or 3 channels.

    Parameters
    ----------
    example : array
        The input of a model.
    shape : tuple of int, optional
        Give the example this shape first.

    Examples
    --------
    >>> image = picture(np.zeros((1, 8, 6)))
    >>> image["height"], image["width"], image["channels"]
    (8, 6, 1)
    >>> picture(np.array([0.5, 1.0]))
    {'values': [0.5, 1.0]}
    """
    array = np.asarray(example)
    if shape is not None and array.size == np.prod(shape):
        array = array.reshape(shape)
    image = _image(array)
    if image is None:
        values = array.ravel()[:64].astype(np.float64)
        return {"values": [float(f"{v:.4g}") if np.isfinite(v) else None for v in values.tolist()]}
    stride = -(-max(image.shape[:2]) // _LARGEST)
    return _bytes(image[::stride, ::stride])


def filter_tiles(weight: Array) -> dict[str, Any]:
    """Return the kernels of a two-dimensional convolution: a row per filter, a column per input.

    Each is scaled by the largest number of the whole layer; bytes from 1 to 255 stand for minus
    that number to plus that number. Three input channels are taken for colours.

    Examples
    --------
    >>> tiles = filter_tiles(np.ones((4, 2, 3, 3)))
    >>> tiles["rows"], tiles["columns"], tiles["height"], tiles["width"], tiles["channels"]
    (4, 2, 3, 3, 1)
    """
    colours = weight.shape[1] == 3 and min(weight.shape[2:]) > 1
    shown = weight[:64] if colours or weight.shape[1] == 1 else weight[:_ROWS, :_COLUMNS]
    shown = np.moveaxis(shown, 1, -1)[:, None] if colours else shown[..., None]
    largest = float(np.max(np.abs(weight), initial=0.0)) or 1.0
    return {**_tiles(128 + 127 * shown / largest), "scale": largest, "of": list(weight.shape[:2])}


def feature_tiles(maps: Array) -> dict[str, Any]:
    """Return what the channels of a layer answered to one example, each scaled by the layer.

    Examples
    --------
    >>> tiles = feature_tiles(np.arange(16.0).reshape(1, 4, 4))
    >>> tiles["rows"], tiles["low"], tiles["high"]
    (1, 0.0, 15.0)
    """
    stride = -(-max(maps.shape[1:]) // _LARGEST)
    shown = maps[:32, ::stride, ::stride].astype(np.float64)
    low, high = float(np.min(shown)), float(np.max(shown))
    scaled = 255 * (shown - low) / ((high - low) or 1.0)
    tiles = _tiles(scaled[:, None, :, :, None])
    return {**tiles, "low": low, "high": high, "of": [maps.shape[0]]}


def _tiles(tiles: Array) -> dict[str, Any]:
    rows, columns, height, width, channels = tiles.shape
    return {
        "rows": rows,
        "columns": columns,
        "height": height,
        "width": width,
        "channels": channels,
        "data": _text(tiles),
    }


def _image(array: Array) -> Array | None:
    """Return height, width and channels, if the array has them."""
    if array.dtype.kind not in "fiub" or array.size == 0:
        return None
    if array.ndim == 2 and min(array.shape) >= _LEAST:
        return array[..., None]
    if array.ndim != 3:
        return None
    if array.shape[0] in (1, 3) and min(array.shape[1:]) >= _LEAST:
        return np.moveaxis(array, 0, -1)
    return array if array.shape[2] in (1, 3) and min(array.shape[:2]) >= _LEAST else None


def _bytes(image: Array) -> dict[str, Any]:
    pixels = np.nan_to_num(image.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(pixels.min()), float(pixels.max())
    height, width, channels = pixels.shape
    scaled = 255 * (pixels - low) / ((high - low) or 1.0)
    return {"height": height, "width": width, "channels": channels, "data": _text(scaled)}


def _text(brightness: Array) -> str:
    finite = np.nan_to_num(brightness, nan=0.0, posinf=255.0, neginf=0.0)
    return base64.b64encode(np.rint(finite.clip(0, 255)).astype(np.uint8).tobytes()).decode()
