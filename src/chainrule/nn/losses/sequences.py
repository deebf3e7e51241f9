"""A loss for sequences of labels whose times are not known."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import scan
from ..activations import log_softmax
from ..checks import one_of, require_shape
from .reductions import REDUCTIONS, reduced


def ctc(
    logits: Any,
    labels: Any,
    *,
    lengths: Any = None,
    label_lengths: Any = None,
    blank: int = 0,
    reduction: str = "mean",
) -> Any:
    """Return the connectionist temporal classification loss, -log P(labels) [1]_.

    P is the probability of all the ways to stretch the labels over the time by repeating them and
    putting blanks between them.

    Parameters
    ----------
    logits : array of shape (batch, time, classes)
        Scores before the softmax.
    labels : array of int of shape (batch, longest label sequence)
        The labels, without blanks; what comes after a sequence's length does not matter.
    lengths, label_lengths : array of int of shape (batch,), optional
        Lengths of the sequences and of their labels; by default the full ones.
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        The mean is over the batch, of each loss divided by its number of labels (or by 1, if it
        has none), as in PyTorch.

    Notes
    -----
    Labels that do not fit into the time have the probability 0: the loss is infinite and its
    gradient 0.

    References
    ----------
    .. [1] A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, "Connectionist temporal
       classification: labelling unsegmented sequence data with recurrent neural networks",
       ICML 2006.

    Examples
    --------
    Of the 9 equally likely pairs of classes, three give the label 1: 11, 01 and 10.

    >>> import numpy as np
    >>> float(np.exp(-ctc(np.zeros((1, 2, 3)), np.array([[1]]), reduction="sum")))
    0.333333
    """
    one_of("reduction", reduction, REDUCTIONS)
    labels = np.asarray(labels)
    shape = np.shape(logits)
    require_shape(
        len(shape) == 3 and labels.ndim == 2 and labels.shape[0] == shape[0],
        f"ctc got logits of shape {shape} and labels of shape {labels.shape}",
        "it takes logits of shape (batch, time, classes) and labels of shape (batch, labels)",
        "for one sequence add an axis for the batch: logits[np.newaxis], labels[np.newaxis]",
    )
    batch, time, _ = shape
    lengths = np.full(batch, time) if lengths is None else np.asarray(lengths)
    counts = np.full(batch, labels.shape[1]) if label_lengths is None else np.asarray(label_lengths)
    if np.any(lengths < 1) or np.any(lengths > time) or np.any(counts > labels.shape[1]):
        raise ValueError("lengths lie between 1 and the time, label_lengths within the labels")
    present = np.arange(labels.shape[1]) < counts[:, np.newaxis]
    losses = -_log_likelihood(
        log_softmax(logits), np.where(present, labels, blank), lengths, counts, blank
    )
    if reduction == "mean":
        return np.mean(losses / np.maximum(counts, 1).astype(losses.dtype))
    return reduced(losses, reduction)


def _log_likelihood(log_p: Any, labels: Any, lengths: Any, counts: Any, blank: int) -> Any:
    """Add up the probabilities of all ways, one time after the other.

    ``alpha[b, s]`` is the logarithm of the probability of all ways that are at place ``s`` of the
    labels with blanks around them: blank, first label, blank, second label, ..., blank.
    """
    batch, places = labels.shape[0], 2 * labels.shape[1] + 1
    extended = np.full((batch, places), blank)
    extended[:, 1::2] = labels
    # a blank may be left out between two labels that differ
    may_skip = np.zeros((batch, places), bool)
    may_skip[:, 3::2] = labels[:, 1:] != labels[:, :-1]

    index = np.broadcast_to(extended[:, np.newaxis], (batch, log_p.shape[1], places))
    emitted = np.swapaxes(np.take_along_axis(log_p, index, axis=2), 0, 1)
    first = np.where(np.arange(places) < 2, emitted[0], -np.inf)

    def advance(alpha: Any, inputs: Any) -> Any:
        at_time, running = inputs
        before = _shifted(alpha, 1)
        skipped = np.where(may_skip, _shifted(alpha, 2), -np.inf)
        reached = np.logaddexp(np.logaddexp(alpha, before), skipped) + at_time
        return np.where(running, reached, alpha), None

    times = np.arange(1, log_p.shape[1])
    running = times[:, np.newaxis, np.newaxis] < lengths[:, np.newaxis]
    last, _ = scan(advance, first, (emitted[1:], running))

    ends = np.stack([2 * counts, np.maximum(2 * counts - 1, 0)], axis=-1)
    final = np.take_along_axis(last, ends, axis=1)
    # without labels there is one way only: blanks
    other = np.where(counts > 0, final[:, 1], -np.inf)
    return np.logaddexp(final[:, 0], other)


def _shifted(alpha: Any, places: int) -> Any:
    """Move probabilities to later places, with probability 0 moving in."""
    start = np.full((alpha.shape[0], min(places, alpha.shape[1])), -np.inf, alpha.dtype)
    return np.concatenate([start, alpha[:, :-places]], axis=1)
