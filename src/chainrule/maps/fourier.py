"""The discrete Fourier transform as a map."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.primitive import call
from .base import LinearMap, Show

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


class Fourier(LinearMap):
    """The discrete Fourier transform along some axes, or its inverse.

    Parameters
    ----------
    axes : tuple of int
        The axes that are transformed.
    inverse : bool
        Whether the exponent is positive.
    norm : str
        Where NumPy puts the factor 1/n: ``"backward"``, ``"ortho"`` or ``"forward"``.
    """

    __slots__ = ("axes", "inverse", "norm")
    kind = "fourier"
    structure = "product"

    def __init__(self, axes: tuple[int, ...], inverse: bool, norm: str) -> None:
        self.axes = axes
        self.inverse = inverse
        self.norm = norm

    def apply(self, v: Any) -> Any:
        return call("fourier", v, axes=self.axes, inverse=self.inverse, norm=self.norm)

    def transpose(self) -> LinearMap:
        # the adjoint has the conjugate exponent and the same factor
        return Fourier(self.axes, not self.inverse, _OPPOSITE[self.norm])

    def text(self, v: str, show: Show) -> str:
        return f"{'inverse ' if self.inverse else ''}fft({v})"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        size = float(np.prod([shape[a] for a in self.axes], dtype=float))
        scaled = self.norm == ("backward" if self.inverse else "forward")
        if self.norm == "ortho":
            return 1.0
        return size**-0.5 if scaled else size**0.5
