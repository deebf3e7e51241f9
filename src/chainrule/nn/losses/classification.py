"""Losses for classes and distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activations import log_softmax
from ..checks import one_of, require_indices, require_shape
from .reductions import REDUCTIONS, reduced, require_numbers, require_same_shape


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    class_weights: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """Return the cross-entropy of classes, -log softmax(logits)[class].

    Parameters
    ----------
    logits : array of shape (..., classes)
        Scores before the softmax.
    target : array of int of shape (...), or of float of shape (..., classes)
        The classes, or their probabilities.
    class_weights : array of shape (classes,), optional
        What each class counts.
    label_smoothing : float
        The share of the target that is spread evenly over all classes.
    ignore_index : int, optional
        A class that marks elements which don't count; any integer, such as -1.
    reduction : {"mean", "sum", "none"}
        For integer targets the mean is over those that are not ignored, weighted by the weights
        of their classes. For probabilities it is over all elements without the classes.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[2.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    >>> cross_entropy(logits, np.array([0, 1, -1]), ignore_index=-1, reduction="none")
    array([0.126928, 0.693147, 0. ])
    """
    one_of("reduction", reduction, REDUCTIONS)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing lies between 0 and 1, not at {label_smoothing!r}")
    log_p = log_softmax(logits)
    weights = None if class_weights is None else np.asarray(class_weights, log_p.dtype)
    target = target if hasattr(target, "dtype") else np.asarray(target)
    if target.dtype.kind in "iu":
        _require_classes("cross_entropy", logits, target)
        return _of_classes(log_p, target, weights, label_smoothing, ignore_index, reduction)
    require_same_shape("cross_entropy", logits, target)
    classes = log_p.shape[-1]
    smoothed = target * (1.0 - label_smoothing) + label_smoothing / classes
    terms = smoothed * log_p if weights is None else smoothed * log_p * weights
    return reduced(-np.sum(terms, axis=-1), reduction)


def nll(
    log_probabilities: Any,
    target: Any,
    *,
    class_weights: Any = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """Return the negative log-likelihood of classes: cross-entropy after a log-softmax.

    Parameters
    ----------
    log_probabilities : array of shape (..., classes)
        Such as ``nn.log_softmax`` gives them.
    target : array of int of shape (...)
        The classes.
    class_weights, ignore_index
        As for :func:`cross_entropy`.
    reduction : {"mean", "sum", "none"}
        The mean is over the targets that are not ignored, weighted by their classes' weights.
    """
    one_of("reduction", reduction, REDUCTIONS)
    target = np.asarray(target)
    _require_classes("nll", log_probabilities, target)
    weights = None
    if class_weights is not None:
        weights = np.asarray(class_weights, log_probabilities.dtype)
    return _of_classes(log_probabilities, target, weights, 0.0, ignore_index, reduction)


def _of_classes(
    log_p: Any,
    target: Any,
    weights: Any,
    smoothing: float,
    ignore_index: int | None,
    reduction: str,
) -> Any:
    classes = log_p.shape[-1]
    counted = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
    index = target if ignore_index is None else np.where(target == ignore_index, 0, target)
    index = _known_classes(index, classes)
    chosen = np.take_along_axis(log_p, index[..., np.newaxis], axis=-1)[..., 0]
    if weights is None:
        share = counted.astype(log_p.dtype)
        losses = -chosen
        spread = -np.sum(log_p, axis=-1) if smoothing else None
    else:
        weight = np.array(weights)[index]  # a copy can be indexed by what is known later
        share = np.where(counted, weight, 0.0)
        losses = -chosen * weight
        spread = -np.sum(log_p * weights, axis=-1) if smoothing else None
    if spread is not None:
        losses = (1.0 - smoothing) * losses + (smoothing / classes) * spread
    losses = np.where(counted, losses, 0.0)
    if reduction == "mean":
        return np.sum(losses) / np.sum(share)
    return reduced(losses, reduction)


def _known_classes(index: Any, classes: int) -> Any:
    help = "count classes from 0, and mark what is not to count by ignore_index"
    return require_indices("a loss over classes", index, classes, help)


def _require_classes(loss: str, logits: Any, target: Any) -> None:
    require_numbers(loss, target)
    shape, other = np.shape(logits), np.shape(target)
    help = "give one class per row of logits"
    if len(shape) == len(other) and other[-1:] == (1,):
        help = "drop the last axis of the target: target[..., 0]"
    elif shape == other:
        help = "give probabilities as floats: target.astype(float)"
    elif len(shape) > 2 and (shape[0], *shape[2:]) == other:
        help = "move the classes to the last axis: np.moveaxis(logits, 1, -1)"
    require_shape(
        shape[:-1] == other and len(shape) > 0,
        f"{loss} got logits of shape {shape} and classes of shape {other}",
        "the classes are the last axis of the logits, and the target has the other axes",
        help,
    )


def binary_cross_entropy(
    logits: Any,
    target: Any,
    *,
    positive_weight: Any = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    """Return the cross-entropy of yes or no, from logits.

    Parameters
    ----------
    logits : array
        Scores before the sigmoid.
    target : array of the same shape
        1 for yes, 0 for no, or probabilities between.
    positive_weight : float or array, optional
        What a yes counts, in multiples of a no.
    label_smoothing : float
        The share of the target that is moved to 1/2.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements; the weights do not change what it divides by.

    Examples
    --------
    >>> import numpy as np
    >>> binary_cross_entropy(np.array([0.0, 1000.0]), np.array([1.0, 0.0]), reduction="none")
    array([6.93147181e-01, 1.00000000e+03])
    """
    require_same_shape("binary_cross_entropy", logits, target)
    target = target if hasattr(target, "dtype") else np.asarray(target)
    if target.dtype.kind != "f":
        target = target.astype(logits.dtype)
    target = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
    # -log sigmoid(z) = log(1 + exp(-z)), and -log(1 - sigmoid(z)) = z + log(1 + exp(-z))
    of_yes = np.logaddexp(-logits, 0.0)
    weight = 1.0 if positive_weight is None else 1.0 + (positive_weight - 1.0) * target
    return reduced((1.0 - target) * logits + weight * of_yes, reduction)


def hinge(scores: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return the hinge loss max(0, 1 - t s) of scores, for targets of -1 and 1 [1]_.

    Parameters
    ----------
    scores, target : arrays of the same shape
        The scores, and -1 or 1 for each.
    reduction : {"mean", "sum", "none"}
        The mean is over all elements.

    Notes
    -----
    At the kink the derivative is 0.

    References
    ----------
    .. [1] C. Cortes and V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> hinge(np.array([0.3, 2.0]), np.array([1, 1]), reduction="none")
    array([0.7, 0. ])
    """
    require_same_shape("hinge", scores, target)
    gap = 1.0 - _signs(target, scores) * scores
    return reduced(np.where(gap <= 0, 0.0, gap), reduction)


def _signs(target: Any, like: Any) -> Any:
    """Return a target of -1 and 1 in the dtype of the predictions."""
    return np.asarray(target).astype(like.dtype if hasattr(like, "dtype") else float)


def multi_margin(scores: Any, target: Any, *, margin: float = 1.0, reduction: str = "mean") -> Any:
    """Return the hinge loss of many classes: the mean over the classes by which one is missed.

    Parameters
    ----------
    scores : array of shape (..., classes)
        The scores.
    target : array of int of shape (...)
        The classes.
    margin : float
        By how much the right score should be above the others.
    reduction : {"mean", "sum", "none"}
        The mean is over all targets.

    Examples
    --------
    >>> import numpy as np
    >>> multi_margin(np.array([[1.0, 0.5, 3.0]]), np.array([0]))
    np.float64(1.1666667)
    """
    target = np.asarray(target)
    _require_classes("multi_margin", scores, target)
    classes = scores.shape[-1]
    target = _known_classes(target, classes)
    right = np.take_along_axis(scores, target[..., np.newaxis], axis=-1)
    gap = margin - right + scores
    missed = (gap > 0) & (np.arange(classes) != target[..., np.newaxis])
    return reduced(np.sum(np.where(missed, gap, 0.0), axis=-1) / classes, reduction)


def kl_divergence(
    log_probabilities: Any, target: Any, *, log_target: bool = False, reduction: str = "mean"
) -> Any:
    """Return the divergence Σ t (log t - log p) of Kullback and Leibler, KL(target ‖ p).

    Parameters
    ----------
    log_probabilities : array of shape (..., classes)
        The logarithms log p, such as ``nn.log_softmax`` gives them.
    target : array of the same shape
        Probabilities t, or their logarithms.
    log_target : bool
        Whether ``target`` holds logarithms.
    reduction : {"mean", "sum", "none"}
        Each divergence is a sum over the last axis; the mean is over all other axes.

    Examples
    --------
    >>> import numpy as np
    >>> p, t = np.array([[0.25, 0.75]]), np.array([[0.0, 1.0]])
    >>> kl_divergence(np.log(p), t)
    np.float64(0.28768207)
    """
    require_same_shape("kl_divergence", log_probabilities, target)
    if log_target:
        terms = np.exp(target) * (target - log_probabilities)
    else:
        # 0 log 0 = 0
        present = target > 0
        logs = np.log(np.where(present, target, 1.0)) - log_probabilities
        terms = np.where(present, target * logs, 0.0)
    return reduced(np.sum(terms, axis=-1), reduction)
