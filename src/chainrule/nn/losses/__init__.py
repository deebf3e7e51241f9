"""Losses: how far predictions are from what they should be.

Each compares ``prediction`` with ``target`` and reduces the results: ``reduction="mean"`` (the
default), ``"sum"``, or ``"none"`` to keep them all. Their docstrings say what the mean is over.
"""

from .classification import (
    binary_cross_entropy,
    cross_entropy,
    hinge,
    kl_divergence,
    multi_margin,
    nll,
)
from .embeddings import cosine_embedding, cosine_similarity, triplet
from .regression import absolute_error, huber, smooth_l1, squared_error
from .sequences import ctc

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "cosine_embedding",
    "cosine_similarity",
    "cross_entropy",
    "ctc",
    "hinge",
    "huber",
    "kl_divergence",
    "multi_margin",
    "nll",
    "smooth_l1",
    "squared_error",
    "triplet",
]
