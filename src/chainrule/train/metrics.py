"""Measures of a model's answers, for validation: nothing here needs a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["accuracy", "class_weights", "confusion_matrix", "mean_absolute_error"]


def accuracy(outputs: Any, labels: Any) -> float:
    """Return the share of examples whose label has the largest output.

    Parameters
    ----------
    outputs : array of shape (..., classes)
        Logits or probabilities.
    labels : array of int of shape (...)
        The right classes.

    Examples
    --------
    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), np.array([0, 1, 1])).round(3)
    np.float64(0.667)
    """
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if labels.shape != outputs.shape[:-1]:
        raise ValueError(f"labels of shape {labels.shape} for outputs of shape {outputs.shape}")
    return np.mean(np.argmax(outputs, axis=-1) == labels)


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Return the mean distance between outputs and targets.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(1.0)
    """
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if outputs.shape != targets.shape:
        raise ValueError(f"targets of shape {targets.shape} for outputs of shape {outputs.shape}")
    return np.mean(np.abs(outputs - targets))


def confusion_matrix(labels: Any, answers: Any, classes: int | None = None) -> Any:
    """Count how often each class (row) was answered by each class (column).

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1])
    array([[1, 1],
           [0, 2]])
    """
    labels, answers = np.asarray(labels), np.asarray(answers)
    if labels.shape != answers.shape:
        raise ValueError(f"answers of shape {answers.shape} for labels of shape {labels.shape}")
    largest = int(max(labels.max(initial=-1), answers.max(initial=-1)))
    classes = largest + 1 if classes is None else classes
    if largest >= classes or min(labels.min(initial=0), answers.min(initial=0)) < 0:
        raise ValueError(f"classes lie between 0 and {classes - 1}")
    flat = labels.ravel() * classes + answers.ravel()
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def class_weights(labels: Any, classes: int | None = None) -> Any:
    """Return weights for a loss that make every class count alike, with mean 1 over the examples.

    Parameters
    ----------
    labels : array of int
        Of the training examples.
    classes : int, optional
        How many there are; by default as many as the labels tell.

    Examples
    --------
    >>> class_weights([0, 0, 0, 1])
    array([0.66666667, 2.        ])
    """
    counts = np.bincount(np.ravel(labels), minlength=classes or 0)
    if np.any(counts == 0):
        raise ValueError(f"class {int(np.argmin(counts))} has no examples, so it has no weight")
    return counts.sum() / (len(counts) * counts)
