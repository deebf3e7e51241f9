"""Maps that copy, add up and move elements without any coefficient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.index import index_text, split_index
from ..program.primitive import Traced, call
from .base import LinearMap, Show

Shape = tuple[int, ...]


class Broadcast(LinearMap):
    """Copies along axes.

    Parameters
    ----------
    small, large : tuple of int
        Shapes before and after.
    axes : tuple of int
        The axes of ``large`` along which elements are repeated. In ``small`` each of them is
        missing or has length 1.
    """

    __slots__ = ("axes", "large", "small")
    kind = "broadcast"
    structure = "selection"
    carries_mask = True

    def __init__(self, small: Shape, large: Shape, axes: Shape) -> None:
        self.small = small
        self.large = large
        self.axes = axes

    def apply(self, v: Any) -> Any:
        kept = tuple(1 if i in self.axes else n for i, n in enumerate(self.large))
        if kept != self.small:
            v = np.reshape(v, kept)
        return call("broadcast_to", v, shape=self.large)

    def transpose(self) -> LinearMap:
        return Reduce(self.large, self.small, self.axes)

    def text(self, v: str, show: Show) -> str:
        return v

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return float(np.sqrt(np.prod([self.large[a] for a in self.axes], dtype=float)))


class Reduce(LinearMap):
    """Sums along axes: the transpose of :class:`Broadcast`, with the same parameters."""

    __slots__ = ("axes", "large", "small")
    kind = "reduce"
    structure = "selection"
    carries_mask = True

    def __init__(self, large: Shape, small: Shape, axes: Shape) -> None:
        self.large = large
        self.small = small
        self.axes = axes

    def apply(self, v: Any) -> Any:
        total = call("sum", v, axis=self.axes, keepdims=len(self.small) == len(self.large))
        return total if total.shape == self.small else np.reshape(total, self.small)

    def transpose(self) -> LinearMap:
        return Broadcast(self.small, self.large, self.axes)

    def text(self, v: str, show: Show) -> str:
        if not self.axes:
            return v
        axes = "" if len(self.axes) == len(self.large) else "_" + ",".join(map(str, self.axes))
        return f"Σ{axes}({v})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return float(np.sqrt(np.prod([self.large[a] for a in self.axes], dtype=float)))


def broadcast(small: Shape, large: Shape) -> LinearMap:
    """Return NumPy's broadcasting from one shape to another as a map."""
    offset = len(large) - len(small)
    axes = tuple(
        i for i, n in enumerate(large) if i < offset or (small[i - offset] == 1 and n != 1)
    )
    return Broadcast(small, large, axes)


def reduce(shape: Shape, axis: Shape, keepdims: bool = False) -> LinearMap:
    """Return the sum over axes (all of them non-negative) as a map."""
    if keepdims:
        small = tuple(1 if i in axis else n for i, n in enumerate(shape))
    else:
        small = tuple(n for i, n in enumerate(shape) if i not in axis)
    return Reduce(shape, small, axis)


class Reshape(LinearMap):
    """The same elements in the same order under another shape."""

    __slots__ = ("in_shape", "out_shape")
    kind = "reshape"
    structure = "selection"
    carries_mask = True

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        self.in_shape = in_shape
        self.out_shape = out_shape

    def apply(self, v: Any) -> Any:
        return np.reshape(v, self.out_shape)

    def transpose(self) -> LinearMap:
        return Reshape(self.out_shape, self.in_shape)

    def text(self, v: str, show: Show) -> str:
        return f"reshape({v}, {self.out_shape})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return 1.0


class Permute(LinearMap):
    """A permutation of the axes, as :func:`numpy.transpose` takes it."""

    __slots__ = ("axes",)
    kind = "permute"
    structure = "selection"
    carries_mask = True

    def __init__(self, axes: Shape) -> None:
        self.axes = axes

    def apply(self, v: Any) -> Any:
        return np.transpose(v, self.axes)

    def transpose(self) -> LinearMap:
        inverse = [0] * len(self.axes)
        for i, a in enumerate(self.axes):
            inverse[a] = i
        return Permute(tuple(inverse))

    def text(self, v: str, show: Show) -> str:
        return f"{v}ᵀ" if self.axes == (1, 0) else f"permute({v}, {self.axes})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return 1.0


class Slice(LinearMap):
    """Basic indexing: integers, slices, ``...`` and ``None``."""

    __slots__ = ("in_shape", "index")
    kind = "slice"
    structure = "selection"
    carries_mask = True

    def __init__(self, in_shape: Shape, index: Any) -> None:
        self.in_shape = in_shape
        self.index = index

    def apply(self, v: Any) -> Any:
        return v[self.index]

    def transpose(self) -> LinearMap:
        return Pad(self.in_shape, self.index)

    def text(self, v: str, show: Show) -> str:
        return f"{v}[{index_text(self.index)}]"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return 1.0


class Pad(LinearMap):
    """Puts the elements at a basic index of an array of zeros: the transpose of a slice."""

    __slots__ = ("index", "out_shape")
    kind = "pad"
    structure = "selection"
    carries_mask = True

    def __init__(self, out_shape: Shape, index: Any) -> None:
        self.out_shape = out_shape
        self.index = index

    def apply(self, v: Any) -> Any:
        return call("embed", v, shape=self.out_shape, index=self.index)

    def transpose(self) -> LinearMap:
        return Slice(self.out_shape, self.index)

    def text(self, v: str, show: Show) -> str:
        return f"{v} at [{index_text(self.index)}]"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return 1.0


class Gather(LinearMap):
    """Advanced indexing. ``index`` is what stands between the brackets, arrays included."""

    __slots__ = ("in_shape", "index")
    kind = "gather"
    structure = "selection"
    carries_mask = True

    def __init__(self, in_shape: Shape, index: Any) -> None:
        self.in_shape = in_shape
        self.index = index

    def apply(self, v: Any) -> Any:
        parts, spec = split_index(self.index)
        if any(isinstance(part, Traced) for part in parts):  # and v perhaps not
            return call("getitem", v, *parts, spec=spec)
        return v[self.index]

    def transpose(self) -> LinearMap:
        return ScatterAdd(self.in_shape, self.index)

    def text(self, v: str, show: Show) -> str:
        return f"{v}[{index_text(self.index)}]"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return _most_taken(self.in_shape, self.index)


class ScatterAdd(LinearMap):
    """Adds elements at an advanced index into zeros: the transpose of a gather.

    An index that occurs twice adds up, as the chain rule wants it.
    """

    __slots__ = ("index", "out_shape")
    kind = "scatter add"
    structure = "selection"
    carries_mask = True

    def __init__(self, out_shape: Shape, index: Any) -> None:
        self.out_shape = out_shape
        self.index = index

    def apply(self, v: Any) -> Any:
        parts, spec = split_index(self.index)
        return call("scatter_add", v, *parts, shape=self.out_shape, spec=spec)

    def transpose(self) -> LinearMap:
        return Gather(self.out_shape, self.index)

    def text(self, v: str, show: Show) -> str:
        return f"{v} added at [{index_text(self.index)}]"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return _most_taken(self.out_shape, self.index)


def _most_taken(shape: Shape, index: Any) -> float:
    """Return the root of how often an index takes the element that it takes most often.

    ``transpose ∘ gather`` multiplies each element by that number: it is diagonal.
    """
    counts = np.zeros(shape)
    np.add.at(counts, index, 1.0)
    return float(np.sqrt(np.max(counts, initial=0.0)))


class Windows(LinearMap):
    """Sliding windows, as ``numpy.lib.stride_tricks.sliding_window_view`` takes them."""

    __slots__ = ("axis", "in_shape", "window")
    kind = "windows"
    structure = "selection"
    carries_mask = True

    def __init__(self, in_shape: Shape, window: Shape, axis: Shape) -> None:
        self.in_shape = in_shape
        self.window = window
        self.axis = axis

    def apply(self, v: Any) -> Any:
        return call("windows", v, window=self.window, axis=self.axis)

    def transpose(self) -> LinearMap:
        return OverlapAdd(self.in_shape, self.window, self.axis)

    def text(self, v: str, show: Show) -> str:
        return f"windows({v}, {'×'.join(map(str, self.window))})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        # transpose ∘ windows multiplies each element by the number of windows it is in
        counts = self.transpose().apply(self.apply(np.ones(self.in_shape)))
        return float(np.sqrt(np.max(counts, initial=0.0)))


class OverlapAdd(LinearMap):
    """Adds windows back to where they were taken from: the transpose of :class:`Windows`."""

    __slots__ = ("axis", "out_shape", "window")
    kind = "overlap add"
    structure = "selection"
    carries_mask = True

    def __init__(self, out_shape: Shape, window: Shape, axis: Shape) -> None:
        self.out_shape = out_shape
        self.window = window
        self.axis = axis

    def apply(self, v: Any) -> Any:
        return call("overlap_add", v, shape=self.out_shape, window=self.window, axis=self.axis)

    def transpose(self) -> LinearMap:
        return Windows(self.out_shape, self.window, self.axis)

    def text(self, v: str, show: Show) -> str:
        return f"overlap-add({v}, {'×'.join(map(str, self.window))})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        return self.transpose().gain(self.out_shape, dtype)


class Cumulative(LinearMap):
    """Running sums along one axis, forwards or from the end."""

    __slots__ = ("axis", "reverse")
    kind = "cumulative"
    structure = "product"
    carries_mask = True

    def __init__(self, axis: int, reverse: bool = False) -> None:
        self.axis = axis
        self.reverse = reverse

    def apply(self, v: Any) -> Any:
        return call("cumsum", v, axis=self.axis, reverse=self.reverse)

    def transpose(self) -> LinearMap:
        return Cumulative(self.axis, not self.reverse)

    def text(self, v: str, show: Show) -> str:
        return f"{'reversed ' if self.reverse else ''}cumsum({v}, {self.axis})"

    def gain(self, shape: Shape, dtype: Any = np.float64) -> float:
        # the inverse of the triangle of ones is a difference, whose singular values are sines
        n = shape[self.axis]
        return float(0.5 / np.sin(np.pi / (4 * n + 2))) if n and 0 not in shape else 0.0
