"""Random changes to images that leave their meaning, as plain functions of a key."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import random

__all__ = ["random_flip", "random_shift"]


def random_flip(key: Any, images: Any, axis: int = -1, p: float = 0.5) -> Any:
    """Mirror each image with a probability.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    images : array
        One image per element of the first axis.
    axis : int
        The axis that is reversed; the last one turns left into right.
    p : float
        Probability for each image.

    Examples
    --------
    >>> from chainrule import random
    >>> random_flip(random.key(2), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    array([[3, 2, 1],
           [4, 5, 6],
           [9, 8, 7]])
    """
    chosen = random.bernoulli(key, p, len(images))
    shape = (-1,) + (1,) * (images.ndim - 1)
    return np.where(np.reshape(chosen, shape), np.flip(images, axis), images)


def random_shift(
    key: Any, images: Any, most: int, axes: tuple[int, int] = (-2, -1), fill: float = 0
) -> Any:
    """Move each image by a random number of pixels along two axes.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    images : array
        One image per element of the first axis.
    most : int
        Each move is one of −most, ..., most, all alike.
    axes : pair of int
        The axes of height and width.
    fill : float
        The value of pixels that come in from outside.

    Examples
    --------
    >>> from chainrule import random
    >>> random_shift(random.key(2), np.arange(1, 10).reshape(1, 3, 3), 1)
    array([[[0, 4, 5],
            [0, 7, 8],
            [0, 0, 0]]])
    """
    if most < 0:
        raise ValueError(f"most is at least 0, not {most}")
    moved = np.moveaxis(images, axes, (-2, -1))
    height, width = moved.shape[-2:]
    around = [(0, 0)] * (moved.ndim - 2) + [(most, most)] * 2
    padded = np.pad(moved, around, constant_values=fill)
    starts = random.randint(key, (2, len(moved)), 0, 2 * most + 1)
    result = np.empty_like(moved)
    for image, (top, left) in enumerate(starts.T):
        result[image] = padded[image, ..., top : top + height, left : left + width]
    return np.moveaxis(result, (-2, -1), axes)
