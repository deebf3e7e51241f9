"""What is measured of parameters, gradients and updates in a step of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import tree

__all__ = ["histogram", "measured", "norms", "parameter_names"]

Array = np.ndarray[Any, Any]

_FEWEST_BINS, _MOST_BINS = 8, 40
_SAMPLE = 16_384  # a histogram of more looks the same


def measured(model: Any, *others: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the name of each parameter with its array, and its arrays in trees like the model.

    Examples
    --------
    >>> model = {"W": np.ones(2), "depth": 3}
    >>> [name for name, array in measured(model)]
    ["['W']"]
    """
    leaves, structure = tree.flatten(model)
    columns = [tree.leaves(other) for other in others]
    for path, leaf, *rest in zip(structure.leaf_paths(), leaves, *columns, strict=True):
        if isinstance(leaf, np.ndarray | np.floating) and leaf.dtype.kind in "fc":
            yield (path.removeprefix(".") or "value", np.asarray(leaf), *map(np.asarray, rest))


def parameter_names(model: Any) -> list[dict[str, Any]]:
    """Return name and shape of each parameter.

    Examples
    --------
    >>> parameter_names({"W": np.ones((2, 3))})
    [{'name': "['W']", 'shape': [2, 3]}]
    """
    return [{"name": name, "shape": list(array.shape)} for name, array in measured(model)]


def norms(model: Any, gradients: Any, updates: Any) -> dict[str, list[float]]:
    """Return the norms of each parameter, its gradient and its update.

    Examples
    --------
    >>> norms(np.array([3.0, 4.0]), np.array([0.0, 2.0]), np.array([0.0, -0.5]))
    {'weight': [5.0], 'gradient': [2.0], 'update': [0.5]}
    """
    rows = [
        [_norm(array) for array in arrays] for _, *arrays in measured(model, gradients, updates)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    return dict(zip(("weight", "gradient", "update"), columns, strict=True))


def histogram(array: Array) -> dict[str, Any]:
    """Return a histogram, of an evenly spaced sample where the array is large.

    Examples
    --------
    >>> h = histogram(np.array([0.0, 1.0, 1.0, np.nan]))
    >>> h["low"], h["high"], h["counts"][0], h["counts"][-1], h["missing"]
    (0.0, 1.0, 1, 2, 1)
    """
    flat = np.abs(array).ravel() if array.dtype.kind == "c" else array.ravel()
    flat = flat[:: -(-flat.size // _SAMPLE) or 1].astype(np.float64)
    finite = flat[np.isfinite(flat)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    width = high / 2 - low / 2  # the whole may be too large for a float
    if width > 0:
        bins = int(np.clip(2 * np.sqrt(finite.size), _FEWEST_BINS, _MOST_BINS))
        place = ((finite / 2 - low / 2) / width * bins).astype(np.intp)
        counts = np.bincount(np.minimum(place, bins - 1), minlength=bins)
    else:  # all alike: one bar
        counts = np.array([finite.size])
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the largest there is
        mean, std = (finite.mean(), finite.std()) if finite.size else (0.0, 0.0)
    return {
        "low": _rounded(low),
        "high": _rounded(high),
        "counts": counts.tolist(),
        "mean": _rounded(float(mean)),
        "std": _rounded(float(std)),
        "missing": int(flat.size - finite.size),
    }


def _norm(array: Array) -> float:
    return _rounded(float(np.linalg.norm(array.ravel())))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
