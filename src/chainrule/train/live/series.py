"""Numbers by step, and what is left of them on a screen with fewer pixels than numbers."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np

__all__ = ["Series", "level_for"]


class Series:
    """Numbers by step, in the order in which they come.

    Examples
    --------
    >>> series = Series()
    >>> for step in range(8):
    ...     series.append(step, (-1.0) ** step * step)
    >>> series.buckets(level=2)
    {'x': [3, 7], 'mean': [-0.5, -0.5], 'low': [-3.0, -7.0], 'high': [2.0, 6.0]}
    """

    def __init__(self) -> None:
        self._steps = array("q")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last_step(self) -> int:
        """The largest step, or -1."""
        return self._steps[-1] if self._steps else -1

    @property
    def last(self) -> float:
        """The latest number, or NaN."""
        return self._values[-1] if self._values else math.nan

    def append(self, step: int, value: float) -> None:
        """Add a number."""
        self._steps.append(step)
        self._values.append(value)

    def rewind(self, step: int) -> None:
        """Forget what came after a step."""
        keep = int(np.searchsorted(np.frombuffer(self._steps, np.int64), step, side="right"))
        del self._steps[keep:], self._values[keep:]

    def buckets(self, level: int, start: int = 0, end: int | None = None) -> dict[str, Any]:
        """Return mean, least and largest number of each bucket of ``2**level`` steps.

        Buckets begin at multiples of their width, so that one that is complete never changes, and
        whoever has it need not ask for it again. Numbers that are not finite are left out; a
        bucket without any other has None.

        Parameters
        ----------
        level : int
            Logarithm of the width; at 0 each step is by itself.
        start, end : int
            First step, and the one before which to stop, rounded outwards to whole buckets.
        """
        steps, values = np.frombuffer(self._steps, np.int64), np.frombuffer(self._values)
        first = int(np.searchsorted(steps, start >> level << level))
        stop = len(steps)
        if end is not None:
            stop = int(np.searchsorted(steps, -(-end >> level) << level))
        steps, values = steps[first:stop], values[first:stop].copy()
        if not len(steps):
            return {"x": [], "mean": [], "low": [], "high": []}
        bucket = steps >> level
        edges = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1))
        finite = np.isfinite(values)
        values[~finite] = np.nan
        counts = np.add.reduceat(finite.astype(float), edges)
        sums = np.add.reduceat(np.where(finite, values, 0.0), edges)
        with np.errstate(invalid="ignore"):
            mean = sums / counts
        return {
            "x": steps[np.append(edges[1:], len(steps)) - 1].tolist(),
            "mean": _short(mean),
            "low": _short(np.fmin.reduceat(values, edges)),
            "high": _short(np.fmax.reduceat(values, edges)),
        }


def level_for(steps: int, limit: int) -> int:
    """Return the level at which so many steps make no more than ``limit`` buckets.

    Examples
    --------
    >>> level_for(1000, 1000), level_for(1001, 1000), level_for(100_000, 1000)
    (0, 1, 7)
    """
    return max(0, math.ceil(steps / limit) - 1).bit_length()


def _short(values: np.ndarray[Any, Any]) -> list[float | None]:
    """Round to what a plot can show: it halves what is sent."""
    return [None if value != value else float(f"{value:.6g}") for value in values.tolist()]
