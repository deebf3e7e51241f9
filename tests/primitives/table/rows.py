"""What a row of the table is, and the numbers that the rows are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """One function at one point.

    Attributes
    ----------
    name : str
        What a failing test is called.
    f : callable
        Of arrays; gives one array.
    args : tuple
        The point. All arguments are differentiated.
    analytic : bool
        Whether the complex step is a truth for it; else differences of sixth order are.
    single : bool
        Whether it is run in float32 as well.
    second : bool
        Whether its second derivative is checked.
    abstract : bool
        Whether it can be traced without values.
    """

    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    analytic: bool = False
    single: bool = True
    second: bool = True
    abstract: bool = True


ROWS: list[Row] = []


def row(name: str, f: Callable[..., Any], *args: Any, **flags: bool) -> None:
    ROWS.append(Row(name, f, args, **flags))


def numbers(*shape: int, seed: int = 0, low: float = -1.5, high: float = 1.5) -> Any:
    """Return numbers without ties, none of them near an integer or 0, in no order."""
    size = int(np.prod(shape))
    places = np.arange(size) + 0.37 + 0.2 * np.sin(5.0 * np.arange(size))
    spread = low + (high - low) * places / max(size, 1)
    return np.random.default_rng(seed).permutation(spread).reshape(shape)


def complex_numbers(*shape: int, seed: int = 0) -> Any:
    return numbers(*shape, seed=seed) + 1j * numbers(*shape, seed=seed + 1)


x5, x23, x34 = numbers(5), numbers(2, 3, seed=3), numbers(3, 4, seed=4)
x234, p5 = numbers(2, 3, 4, seed=5), numbers(5, seed=6, low=0.3, high=3.1)
A, B = numbers(3, 3, seed=7) + 2 * np.eye(3), numbers(2, 3, 3, seed=8) + 2 * np.eye(3)
z5, z34, Z = complex_numbers(5), complex_numbers(3, 4), complex_numbers(3, 3) + 2 * np.eye(3)
tall = numbers(5, 3, seed=9) + np.eye(5, 3)
