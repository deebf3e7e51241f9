"""How a classifier answers on validation data: what it confuses, and where it is most wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..metrics import confusion_matrix
from ..run import reading, source_of
from .pictures import picture

__all__ = ["NotShownError", "judge"]

Array = np.ndarray[Any, Any]

_WORST = 24
_LARGEST_MATRIX = 40  # classes; of more, a screen shows only the pairs that are confused
_PAIRS = 20


class NotShownError(ValueError):
    """Why a run has nothing of a kind to show, in words for a person."""


def judge(
    predict: Callable[[Any], Any],
    validation: Any,
    *,
    batch_size: int = 256,
    examples: int = 2000,
    image_shape: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """Return what a classifier confuses and its worst answers.

    Parameters
    ----------
    predict : callable
        From inputs to logits of shape (examples, classes), or (examples,) for two classes.
    validation : data
        Its batches are pairs of inputs and labels.
    batch_size : int
        For data that comes as arrays.
    examples : int
        How many examples, from the first on, are judged.
    image_shape : tuple of int, optional
        Shape of an example's image, where the model takes it flattened.

    Raises
    ------
    NotShownError
        If this is no classification.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 9.0]])
    >>> answers = judge(lambda x: logits, (np.zeros((3, 1)), np.array([0, 1, 1])))
    >>> answers["matrix"]
    [[1, 0], [1, 1]]
    >>> answers["worst"][0]["index"], answers["worst"][0]["label"], answers["worst"][0]["answer"]
    (1, 1, 0)
    """
    labels_seen: list[Array] = []
    answers_seen: list[Array] = []
    worst: list[tuple[float, int, Any, Any]] = []
    seen = 0
    classes = 0
    with reading(source_of(validation, batch_size), 0, 0) as batches:
        for batch in batches:
            inputs, labels = _pair(batch)
            log_p = _log_probabilities(predict(inputs), labels)
            classes = log_p.shape[-1]
            labels_seen.append(labels.ravel())
            answers_seen.append(log_p.argmax(axis=-1).ravel())
            if labels.ndim == 1:
                worst += _worst(log_p, labels, inputs, seen)
                worst = sorted(worst, key=lambda found: found[0])[:_WORST]
            seen += len(labels)
            if seen >= examples:
                break
    if not seen:
        raise NotShownError("There are no validation examples.")
    labels, answers = np.concatenate(labels_seen), np.concatenate(answers_seen)
    counted = (labels >= 0) & (labels < classes)  # others are ignored by the loss
    matrix = confusion_matrix(labels[counted], answers[counted], classes)
    return {
        **_confusions(matrix),
        "examples": seen,
        "worst": [_example(*found, image_shape) for found in worst],
    }


def _pair(batch: Any) -> tuple[Any, Array]:
    if not (isinstance(batch, tuple) and len(batch) == 2):
        raise NotShownError("The validation data does not come as pairs of inputs and labels.")
    labels = np.asarray(batch[1])
    if labels.dtype.kind not in "iub":
        raise NotShownError("The targets are not labels of classes (integers).")
    return batch[0], labels.astype(np.int64)


def _log_probabilities(outputs: Any, labels: Array) -> Array:
    outputs = np.asarray(outputs, dtype=np.float64)
    if outputs.shape == labels.shape or outputs.shape == (*labels.shape, 1):
        logits = outputs.reshape(labels.shape)
        if labels.size and not 0 <= labels.min() <= labels.max() <= 1:
            raise NotShownError("The model gives one number per example, but not for two classes.")
        outputs = np.stack([np.zeros_like(logits), logits], axis=-1)
    if outputs.shape[:-1] != labels.shape or outputs.ndim < 2:
        raise NotShownError(
            f"Outputs of shape {outputs.shape} are not scores of classes for labels of shape "
            f"{labels.shape}."
        )
    top = outputs.max(axis=-1, keepdims=True)
    return outputs - top - np.log(np.sum(np.exp(outputs - top), axis=-1, keepdims=True))


def _worst(
    log_p: Array, labels: Array, inputs: Any, start: int
) -> list[tuple[float, int, Any, Any]]:
    """Return the examples whose own class has the least probability."""
    known = np.flatnonzero((labels >= 0) & (labels < log_p.shape[1]))
    right = log_p[known, labels[known]]
    chosen = known[np.argsort(np.nan_to_num(right, nan=-np.inf), kind="stable")[:_WORST]]
    first = inputs[0] if isinstance(inputs, tuple | list) else inputs
    return [
        (
            float(np.nan_to_num(log_p[i, labels[i]], nan=-np.inf)),
            start + int(i),
            np.array(first[i]) if isinstance(first, np.ndarray) else None,
            (int(labels[i]), int(log_p[i].argmax()), float(np.exp(log_p[i].max()))),
        )
        for i in chosen
    ]


def _example(
    right: float, index: int, inputs: Any, answer: Any, shape: tuple[int, ...] | None
) -> dict[str, Any]:
    label, answered, sure = answer
    return {
        "index": index,
        "label": label,
        "answer": answered,
        "probability": round(sure, 4),
        "of_label": round(float(np.exp(right)), 6),
        "loss": round(-right, 4) if np.isfinite(right) else None,
        "input": None if inputs is None else picture(inputs, shape),
    }


def _confusions(matrix: Array) -> dict[str, Any]:
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [divmod(int(place), len(matrix)) for place in order]
    totals = matrix.sum(axis=1)
    return {
        "classes": len(matrix),
        "matrix": matrix.tolist() if len(matrix) <= _LARGEST_MATRIX else None,
        "pairs": [[i, j, int(wrong[i, j]), int(totals[i])] for i, j in pairs if wrong[i, j]],
        "correct": int(np.trace(matrix)),
    }
