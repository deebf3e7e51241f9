"""Losses for vectors that should be close together or far apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reductions import reduced, require_same_shape


def cosine_similarity(a: Any, b: Any, *, axis: int = -1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between vectors along an axis.

    Each length counts as at least ``eps``.

    Examples
    --------
    >>> import numpy as np
    >>> cosine_similarity(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    np.float64(0.70710678)
    """
    return np.sum(_unit(a, axis, eps) * _unit(b, axis, eps), axis=axis)


def _unit(v: Any, axis: int, eps: float) -> Any:
    square = np.sum(v * v, axis=axis, keepdims=True)
    long_enough = square > eps * eps
    return v / np.where(long_enough, np.sqrt(np.where(long_enough, square, 1.0)), eps)


def cosine_embedding(
    a: Any, b: Any, target: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return 1 - cos for pairs that belong together, and max(0, cos - margin) for others.

    Parameters
    ----------
    a, b : arrays of shape (..., features)
        The vectors.
    target : array of shape (...)
        1 for a pair that belongs together, -1 for one that does not.
    margin : float
        The cosine up to which others may be alike.
    reduction : {"mean", "sum", "none"}
        The mean is over all pairs.

    Examples
    --------
    >>> import numpy as np
    >>> u = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> cosine_embedding(u, u, np.array([1, -1]), reduction="none")
    array([0., 1.])
    """
    require_same_shape("cosine_embedding", a, b)
    cosine = cosine_similarity(a, b)
    require_same_shape("cosine_embedding", cosine, target)
    excess = cosine - margin
    apart = np.where(excess <= 0, 0.0, excess)
    return reduced(np.where(np.asarray(target) > 0, 1.0 - cosine, apart), reduction)


def triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 1.0,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Return max(0, d(anchor, positive) - d(anchor, negative) + margin) [1]_.

    Parameters
    ----------
    anchor, positive, negative : arrays of shape (..., features)
        Vectors, one of the same kind and one of another kind.
    margin : float
        By how much the other kind should be farther away.
    eps : float
        Added to each difference, so that the distance has a derivative where it is 0.
    reduction : {"mean", "sum", "none"}
        The mean is over all triplets.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face
       recognition and clustering", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> triplet(np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]))
    np.float64(4.0)
    """
    require_same_shape("triplet", anchor, positive)
    require_same_shape("triplet", anchor, negative)
    gap = _distance(anchor, positive, eps) - _distance(anchor, negative, eps) + margin
    return reduced(np.where(gap <= 0, 0.0, gap), reduction)


def _distance(a: Any, b: Any, eps: float) -> Any:
    difference = a - b + eps
    return np.sqrt(np.sum(difference * difference, axis=-1))
