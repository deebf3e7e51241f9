"""What a linear map is, how maps compose, and how masks ride along.

A derivative is a linear map. Forward mode pushes a tangent through maps in program order; reverse
mode pushes a cotangent through their transposes in reverse order. Transposes are adjoints under
the real inner product ``Re sum(conj(a) * b)``, which is why a gradient with respect to complex
input points along steepest ascent.

A map's coefficients are arrays, or traced values while somebody records the derivative; the code
of a map is the same for both, because NumPy functions and operators dispatch on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

Show = Callable[[Any], str]
"""Writes a coefficient the way that a person would."""


class Masked(NamedTuple):
    """A tangent or cotangent of which some elements are zero by the structure of the program.

    ``np.where(x > 0, np.log(x), 0)`` does not depend on ``log(x)`` where ``x <= 0``. Were that
    fact kept only as a number 0, the next factor 1/x = inf would turn it into NaN. So it's kept
    as what it is: a mask. Elements outside the mask are exactly zero whatever they get multiplied
    with.

    Attributes
    ----------
    value : array
        The tangent; exactly zero outside the mask.
    mask : array of bool
        Broadcastable against ``value``; False where the value is zero by structure.
    """

    value: Any
    mask: Any


class LinearMap:
    """A linear map between array spaces: the derivative of one result by one operand."""

    __slots__ = ()

    kind: ClassVar[str] = "linear map"
    structure: ClassVar[str] = "dense"
    """``"zero"``, ``"identity"``, ``"diagonal"``, ``"selection"`` (each output element is a sum of
    input elements), ``"product"`` (acts along some axes, the same for all others) or ``"dense"``.
    """
    carries_mask: ClassVar[bool] = False
    """Whether the map only moves and adds elements, so that a mask goes with them."""

    def apply(self, v: Any) -> Any:
        """Return the map applied to a bare tangent; the result may be :class:`Masked`."""
        raise NotImplementedError

    def transpose(self) -> LinearMap:
        """Return the adjoint map."""
        raise NotImplementedError

    def apply_transpose(self, ct: Any) -> Any:
        """Return the transpose applied to a cotangent, masked or bare."""
        return push(self.transpose(), ct)

    def text(self, v: str, show: Show) -> str:
        """Write the map applied to ``v``, its coefficients written by ``show``."""
        raise NotImplementedError

    def gain(self, shape: tuple[int, ...], dtype: Any = np.float64) -> float:
        """Return the largest factor by which the map can stretch an input of that shape.

        This is the largest singular value: exact where a kind knows it, and else the result of
        a power iteration on the map and its transpose.
        """
        return power_iteration(self, shape, dtype)

    def apply_masked(self, v: Masked) -> Any:
        """Return the map applied to a masked tangent."""
        if self.carries_mask:
            out = self.apply(v.value)
            if np.ndim(v.mask) == 0:
                return Masked(bare(out), v.mask)
            full = np.broadcast_to(v.mask, np.shape(v.value))
            return Masked(bare(out), bare(self.apply(full.astype(float))) != 0)
        # A map that mixes elements keeps a zero only when the whole input is one.
        some = np.any(v.mask)
        return Masked(np.where(some, bare(self.apply(v.value)), 0), some)

    def matrix(self, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
        """Return the map as an array of shape ``output shape + input shape`` (for small ones)."""
        size = int(np.prod(shape))
        basis = np.eye(size, dtype=dtype).reshape((size, *shape))
        columns = [np.asarray(bare(push(self, e))) for e in basis]
        if not columns:
            out = np.asarray(bare(push(self, np.zeros(shape, dtype))))
            return np.zeros(out.shape + shape, dtype)
        return np.stack(columns, axis=-1).reshape(columns[0].shape + shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text('v', repr)})"


class Compose(LinearMap):
    """``outer ∘ inner``: first ``inner``, then ``outer``."""

    __slots__ = ("inner", "outer")
    kind = "composition"

    @property
    def structure(self) -> str:  # type: ignore[override]
        """The structure that both parts guarantee together."""
        outer, inner = self.outer.structure, self.inner.structure
        if "zero" in (outer, inner):
            return "zero"
        if outer == "identity":
            return inner
        if inner == "identity" or outer == inner:
            return outer if outer != "product" else "dense"
        return "dense"

    def __init__(self, outer: LinearMap, inner: LinearMap) -> None:
        self.outer = outer
        self.inner = inner

    def apply(self, v: Any) -> Any:
        return push(self.outer, self.inner.apply(v))

    def apply_masked(self, v: Masked) -> Any:
        return push(self.outer, self.inner.apply_masked(v))

    def transpose(self) -> LinearMap:
        return Compose(self.inner.transpose(), self.outer.transpose())

    def text(self, v: str, show: Show) -> str:
        return self.outer.text(self.inner.text(v, show), show)


def compose(*maps: LinearMap) -> LinearMap:
    """Return the composition of maps, the last one applied first, as in mathematics."""
    result = maps[-1]
    for outer in reversed(maps[:-1]):
        result = Compose(outer, result)
    return result


def push(map: LinearMap, v: Any) -> Any:
    """Apply a map to a tangent, masked or bare."""
    if type(v) is Masked:
        return map.apply_masked(v)
    return map.apply(v)


def add(a: Any, b: Any) -> Any:
    """Add two contributions to one tangent. A masked zero stays one only where both agree."""
    if type(a) is Masked:
        if type(b) is Masked:
            return Masked(a.value + b.value, np.logical_or(a.mask, b.mask))
        return a.value + b
    if type(b) is Masked:
        return a + b.value
    return a + b


def bare(v: Any) -> Any:
    """Return the tangent without its mask."""
    return v.value if type(v) is Masked else v


def power_iteration(
    map: LinearMap, shape: tuple[int, ...], dtype: Any = np.float64, steps: int = 100
) -> float:
    """Return the largest singular value of a map, by iterating ``transpose ∘ map``.

    Golub and Van Loan, Matrix Computations, section 8.2. The estimate comes from below; the
    iteration stops when it grows by less than one part in 1e10.
    """
    rng = np.random.default_rng(0)
    v = rng.standard_normal(shape).astype(dtype)
    if v.dtype.kind == "c":
        v = v + 1j * rng.standard_normal(shape)
    adjoint = map.transpose()
    previous = 0.0
    for _ in range(steps):
        norm = float(np.linalg.norm(np.ravel(v)))
        if norm == 0.0 or not np.isfinite(norm):
            return norm
        u = bare(push(map, v / norm))
        estimate = float(np.linalg.norm(np.ravel(u)))
        if abs(estimate - previous) <= 1e-10 * estimate:
            return estimate
        previous = estimate
        v = bare(push(adjoint, u))
    return previous
