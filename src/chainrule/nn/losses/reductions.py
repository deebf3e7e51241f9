"""What all losses share: the reduction, and the check of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import TraceError
from ..checks import caller, one_of, require_shape

REDUCTIONS = ("mean", "sum", "none")


def reduced(losses: Any, reduction: str) -> Any:
    """Return the mean or the sum of all losses, or the losses themselves."""
    one_of("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def require_numbers(loss: str, target: Any) -> None:
    """Refuse targets that are words or other objects."""
    dtype = getattr(target, "dtype", None)
    if dtype is not None and dtype.kind not in "biufc":
        raise TraceError(
            f"{loss} got targets of dtype {dtype}",
            span=caller(),
            why="targets are numbers; classes are counted from 0",
            help="number them: np.unique(target, return_inverse=True)[1]",
        )


def require_same_shape(loss: str, prediction: Any, target: Any) -> None:
    """Check a target that has one number per prediction.

    Broadcasting is refused: a column of predictions and a row of targets would give a loss of all
    pairs, which trains without an error and to no use.
    """
    require_numbers(loss, target)
    shape, other = np.shape(prediction), np.shape(target)
    help = "give both the same shape"
    if shape[-1:] == (1,) and shape[:-1] == other:
        help = "drop the last axis of the prediction: prediction[..., 0]"
    elif other[-1:] == (1,) and other[:-1] == shape:
        help = "drop the last axis of the target: target[..., 0]"
    require_shape(
        shape == other or not other,
        f"{loss} got predictions of shape {shape} and targets of shape {other}",
        "each prediction is compared with one target",
        help,
    )
