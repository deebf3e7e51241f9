"""Maps that act on each element by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.primitive import call
from .base import LinearMap, Masked, Show, push


class Zero(LinearMap):
    """The map to zero: the result does not depend on the operand."""

    __slots__ = ("in_shape", "out_shape")
    kind = "zero"
    structure = "zero"

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        self.in_shape = in_shape
        self.out_shape = out_shape

    def apply(self, v: Any) -> Any:
        return np.zeros(self.out_shape, getattr(v, "dtype", float))

    def apply_masked(self, v: Masked) -> Any:
        return Masked(self.apply(v.value), np.False_)

    def transpose(self) -> LinearMap:
        return Zero(self.out_shape, self.in_shape)

    def text(self, v: str, show: Show) -> str:
        return "0"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return 0.0


class Identity(LinearMap):
    """The map that changes nothing."""

    __slots__ = ()
    kind = "identity"
    structure = "identity"

    def apply(self, v: Any) -> Any:
        return v

    def apply_masked(self, v: Masked) -> Any:
        return v

    def transpose(self) -> LinearMap:
        return self

    def apply_transpose(self, ct: Any) -> Any:
        return ct

    def text(self, v: str, show: Show) -> str:
        return v

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return 1.0


class Scale(LinearMap):
    """Multiplication of each element by its own coefficient: a diagonal matrix."""

    __slots__ = ("coefficient",)
    kind = "scale"
    structure = "diagonal"

    def __init__(self, coefficient: Any) -> None:
        self.coefficient = coefficient

    def apply(self, v: Any) -> Any:
        return v * self.coefficient

    def apply_masked(self, v: Masked) -> Any:
        # scale ∘ select = select ∘ scale: what the mask excludes is zero, whatever the factor
        return Masked(np.where(v.mask, v.value * self.coefficient, 0), v.mask)

    def transpose(self) -> LinearMap:
        c = self.coefficient
        dtype = getattr(c, "dtype", None)
        if dtype is None:
            return Scale(c.conjugate()) if isinstance(c, complex) else self
        return Scale(np.conj(c)) if dtype.kind == "c" else self

    def apply_transpose(self, ct: Any) -> Any:
        c = self.coefficient
        kind = type(c)
        is_real = (
            kind is np.float64 or kind is float or (kind is np.ndarray and c.dtype.kind == "f")
        )
        if is_real and type(ct) is not Masked and type(self) is Scale:
            return ct * c  # nearly always: the map is its own transpose
        return push(self.transpose(), ct)

    def text(self, v: str, show: Show) -> str:
        c = show(self.coefficient)
        return f"−{v}" if c in ("-1", "-1.0", "−1") else f"{v} ⊙ {c}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return float(np.max(np.abs(np.broadcast_to(self.coefficient, shape)), initial=0.0))


class Select(LinearMap):
    """Keeps the elements where the mask is true; the others are zero by structure."""

    __slots__ = ("mask",)
    kind = "select"
    structure = "diagonal"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def apply(self, v: Any) -> Any:
        return Masked(np.where(self.mask, v, 0), self.mask)

    def apply_masked(self, v: Masked) -> Any:
        return Masked(np.where(self.mask, v.value, 0), np.logical_and(v.mask, self.mask))

    def transpose(self) -> LinearMap:
        return self

    def text(self, v: str, show: Show) -> str:
        return f"{v} where {show(self.mask)}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return float(np.any(np.broadcast_to(self.mask, shape)))


class Conjugate(LinearMap):
    """Complex conjugation, which is linear over the real numbers and its own adjoint."""

    __slots__ = ()
    kind = "conjugate"
    structure = "diagonal"
    carries_mask = True

    def apply(self, v: Any) -> Any:
        return np.conj(v)

    def transpose(self) -> LinearMap:
        return self

    def text(self, v: str, show: Show) -> str:
        return f"conj({v})"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return 1.0


class Cast(LinearMap):
    """A change of dtype. Its transpose brings a gradient back into its input's space.

    From complex to real it takes the real part, whose adjoint puts a real number into the
    complex plane.
    """

    __slots__ = ("source", "target")
    kind = "cast"
    structure = "diagonal"
    carries_mask = True

    def __init__(self, source: np.dtype[Any], target: np.dtype[Any]) -> None:
        self.source = source
        self.target = target

    def apply(self, v: Any) -> Any:
        return call("cast", v, dtype=self.target)

    def apply_masked(self, v: Masked) -> Any:
        return Masked(self.apply(v.value), v.mask)

    def transpose(self) -> LinearMap:
        return Cast(self.target, self.source)

    def text(self, v: str, show: Show) -> str:
        if self.source.kind == "c" and self.target.kind == "f":
            return f"Re({v})"
        return v if self.source.kind == self.target.kind else f"{self.target.name}({v})"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return 1.0
