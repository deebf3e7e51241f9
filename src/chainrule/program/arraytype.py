"""What the type of a value in a program is: a shape and a dtype."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class ArrayType(NamedTuple):
    """Shape and dtype of one value.

    Attributes
    ----------
    shape : tuple of int
        The array's shape; ``()`` for a scalar.
    dtype : numpy.dtype
        The element type.
    weak : bool
        True for a Python scalar, whose type gives way to an array's in NumPy's promotion.

    Examples
    --------
    >>> import numpy as np
    >>> print(array_type(np.zeros((3, 4), np.float32)))
    float32[3,4]
    >>> array_type(2.0).weak
    True
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def is_differentiable(self) -> bool:
        """Whether values of this type can carry a derivative (real or complex floating point)."""
        return self.dtype.kind in "fc"

    def __str__(self) -> str:
        shape = ",".join(map(str, self.shape))
        return f"{self.dtype.name}{'*' if self.weak else ''}[{shape}]"


def array_type(value: Any) -> ArrayType:
    """Return the type of a concrete value, or of anything that has a shape and a dtype."""
    kind = type(value)
    if kind is float or kind is int or kind is complex or kind is bool:
        return ArrayType((), np.dtype(kind), kind is not bool)
    try:
        return ArrayType(value.shape, value.dtype)
    except AttributeError:
        array = np.asarray(value)
        return ArrayType(array.shape, array.dtype)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of anything array-like; faster than ``np.shape`` where it's an array."""
    try:
        shape: tuple[int, ...] = value.shape
        return shape
    except AttributeError:
        return np.shape(value)


def ndim_of(value: Any) -> int:
    """Return the number of axes of anything array-like."""
    try:
        ndim: int = value.ndim
        return ndim
    except AttributeError:
        return np.ndim(value)
