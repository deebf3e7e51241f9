"""Maps that multiply by a fixed array: products, contractions, solves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..program.primitive import call
from .base import LinearMap, Show


def adjoint(a: Any) -> Any:
    """Return the conjugate transpose of a stack of matrices."""
    swapped = np.swapaxes(a, -1, -2) if a.ndim > 2 else a.T
    return np.conj(swapped) if a.dtype.kind == "c" else swapped


def contract(subscripts: str, *operands: Any) -> Any:
    """Return ``np.einsum``, by matrix products where there is enough to do to pay for a plan.

    NumPy's own loop is quicker for small operands; from about 30,000 products on, a plan that
    uses BLAS saves more than the ten microseconds that it takes.
    """
    sizes: dict[str, int] = {}
    for labels, operand in zip(subscripts.split("->")[0].split(","), operands, strict=True):
        for label, size in zip(labels, operand.shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    planned = len(operands) > 2 or (len(operands) == 2 and math.prod(sizes.values()) > 30_000)
    return np.einsum(subscripts, *operands, optimize=planned)


class Left(LinearMap):
    """``v -> a @ v`` for a matrix, a vector, or stacks with the same leading axes as ``v``."""

    __slots__ = ("a",)
    kind = "left product"
    structure = "product"

    def __init__(self, a: Any) -> None:
        self.a = a

    def apply(self, v: Any) -> Any:
        return self.a @ v

    def transpose(self) -> LinearMap:
        return Left(adjoint(self.a)) if self.a.ndim > 1 else LeftOuter(self.a)

    def text(self, v: str, show: Show) -> str:
        return f"{show(self.a)} @ {v}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return _spectral_norm(self.a)


class Right(LinearMap):
    """``v -> v @ b`` for a matrix, a vector, or stacks with the same leading axes as ``v``."""

    __slots__ = ("b",)
    kind = "right product"
    structure = "product"

    def __init__(self, b: Any) -> None:
        self.b = b

    def apply(self, v: Any) -> Any:
        return v @ self.b

    def transpose(self) -> LinearMap:
        return Right(adjoint(self.b)) if self.b.ndim > 1 else RightOuter(self.b)

    def text(self, v: str, show: Show) -> str:
        return f"{v} @ {show(self.b)}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return _spectral_norm(self.b)


class RightOuter(LinearMap):
    """``v -> v bᴴ``, the outer product with a fixed vector: the transpose of ``v @ b``."""

    __slots__ = ("b",)
    kind = "outer product, right"
    structure = "product"

    def __init__(self, b: Any) -> None:
        self.b = b

    def apply(self, v: Any) -> Any:
        return v[..., None] * _conjugate(self.b)

    def transpose(self) -> LinearMap:
        return Right(self.b)

    def text(self, v: str, show: Show) -> str:
        return f"{v} ⊗ {show(self.b)}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return float(np.linalg.norm(np.asarray(self.b)))


class LeftOuter(LinearMap):
    """``v -> āv``, the outer product with a fixed vector: the transpose of ``a @ v``.

    The axis of ``a`` comes before the last axis of ``v``; a scalar ``v`` just scales ``a``.
    """

    __slots__ = ("a",)
    kind = "outer product, left"
    structure = "product"

    def __init__(self, a: Any) -> None:
        self.a = a

    def apply(self, v: Any) -> Any:
        a = _conjugate(self.a)
        return a[:, None] * v[..., None, :] if v.ndim else a * v

    def transpose(self) -> LinearMap:
        return Left(self.a)

    def text(self, v: str, show: Show) -> str:
        return f"{show(self.a)} ⊗ {v}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        return float(np.linalg.norm(np.asarray(self.a)))


class Contract(LinearMap):
    """An einsum in which one operand varies and the others are fixed.

    Parameters
    ----------
    varying : str
        The labels of the operand that varies; all different.
    fixed : tuple of str
        The labels of the others.
    out : str
        The labels of the result. Each label of ``varying`` stands in ``out`` or in a fixed one,
        and the other way round each label of ``out`` in ``varying`` or in a fixed one.
    operands : tuple of array
        The fixed operands.
    position : int
        How many of the fixed operands stand before the varying one (only the text shows it).
    """

    __slots__ = ("fixed", "operands", "out", "position", "varying")
    kind = "contract"
    structure = "product"

    def __init__(
        self,
        varying: str,
        fixed: tuple[str, ...],
        out: str,
        operands: tuple[Any, ...],
        position: int = 0,
    ) -> None:
        self.varying = varying
        self.fixed = fixed
        self.out = out
        self.operands = operands
        self.position = position

    @property
    def subscripts(self) -> str:
        """The einsum expression, the varying operand in its place."""
        labels = [*self.fixed[: self.position], self.varying, *self.fixed[self.position :]]
        return ",".join(labels) + "->" + self.out

    def apply(self, v: Any) -> Any:
        operands = (*self.operands[: self.position], v, *self.operands[self.position :])
        return contract(self.subscripts, *operands)

    def transpose(self) -> LinearMap:
        operands = tuple(np.conj(o) if o.dtype.kind == "c" else o for o in self.operands)
        return Contract(self.out, self.fixed, self.varying, operands, self.position)

    def text(self, v: str, show: Show) -> str:
        texts = [show(o) for o in self.operands]
        texts.insert(self.position, v)
        return f"einsum({self.subscripts}; {', '.join(texts)})"


class Solve(LinearMap):
    """``v -> a⁻¹ v`` for matrices ``v``, by a solver."""

    __slots__ = ("a",)
    kind = "solve"
    structure = "product"

    def __init__(self, a: Any) -> None:
        self.a = a

    def apply(self, v: Any) -> Any:
        return call("solve", self.a, v)

    def transpose(self) -> LinearMap:
        return Solve(adjoint(self.a))

    def text(self, v: str, show: Show) -> str:
        return f"{show(self.a)}⁻¹ {v}"

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        smallest = np.linalg.svd(np.asarray(self.a), compute_uv=False)[..., -1:]
        return float(np.max(1.0 / smallest, initial=0.0))


def _conjugate(a: Any) -> Any:
    return np.conj(a) if a.dtype.kind == "c" else a


def _spectral_norm(a: Any) -> float:
    if a.size == 0:
        return 0.0
    if a.ndim == 1:
        return float(np.linalg.norm(np.asarray(a)))
    return float(np.max(np.linalg.norm(np.asarray(a), 2, axis=(-2, -1))))
