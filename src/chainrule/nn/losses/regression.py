"""Losses for numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reductions import reduced, require_same_shape


def squared_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return the squared error (p - t)².

    Parameters
    ----------
    prediction, target : arrays of the same shape
        The target may also be one number.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    """
    require_same_shape("squared_error", prediction, target)
    return reduced(np.square(prediction - target), reduction)


def absolute_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return the absolute error abs(p - t), with the derivative 0 at 0.

    Parameters
    ----------
    prediction, target : arrays of the same shape
        The target may also be one number.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.

    Examples
    --------
    >>> import numpy as np
    >>> absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(1.0)
    """
    require_same_shape("absolute_error", prediction, target)
    return reduced(np.abs(prediction - target), reduction)


def huber(prediction: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Return the loss of Huber: e²/2 for an error up to ``delta``, a line beyond [1]_.

    Parameters
    ----------
    prediction, target : arrays of the same shape
        The target may also be one number.
    delta : float
        Where the parabola becomes a line.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> huber(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5 ])
    """
    require_same_shape("huber", prediction, target)
    error = prediction - target
    size = np.abs(error)
    near = size <= delta
    # the square of a large error is not needed, and may overflow
    parabola = 0.5 * np.square(np.where(near, error, 0.0))
    return reduced(np.where(near, parabola, delta * (size - 0.5 * delta)), reduction)


def smooth_l1(prediction: Any, target: Any, *, beta: float = 1.0, reduction: str = "mean") -> Any:
    """Return the loss of Huber divided by ``beta``, so that its line has the slope 1.

    Parameters
    ----------
    prediction, target : arrays of the same shape
        The target may also be one number.
    beta : float
        Where the parabola becomes a line.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.
    """
    require_same_shape("smooth_l1", prediction, target)
    return huber(prediction, target, delta=beta, reduction=reduction) / beta
