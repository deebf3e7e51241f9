"""A sum of element-wise terms: value and gradient could be one pass over memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from ..case import Case


def inputs(n: int, quick: bool) -> tuple[Any, ...]:
    """Return x."""
    return (numpy.random.default_rng(0).standard_normal(min(n, 37) if quick else n),)


def build(np: Any, scan: Any) -> Any:
    """Return the sum as a function of the array."""
    return lambda x: np.sum(np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2))


def torch_function() -> Any:
    """Return the sum in PyTorch."""
    import torch

    return lambda x: torch.sum(torch.tanh(x) * torch.exp(-(x**2)) + torch.log1p(x**2))


def by_hand(x: Any) -> Any:
    """Return the sum and its derivatives."""
    t, square = numpy.tanh(x), x * x
    e = numpy.exp(-square)
    gradient = (1 - t * t - 2 * x * t) * e + 2 * x / (1 + square)
    return numpy.sum(t * e + numpy.log1p(square)), gradient


CASES = tuple(
    Case(
        name=f"elementwise_{label}",
        title=f"sum(tanh(x)·exp(−x²) + log1p(x²)), n = {n:,}",
        target=target,
        inputs=partial(inputs, n),
        forms={"NumPy": build},
        torch=torch_function,
        by_hand=by_hand,
        c="elementwise",
        traffic=2 * 8 * n,
    )
    for label, n, target in (("1e3", 1_000, 0.15), ("1e5", 100_000, 0.65), ("1e7", 10**7, 0.25))
)
