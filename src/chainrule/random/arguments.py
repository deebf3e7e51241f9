"""What the functions of this room have in common: how they read keys, shapes and parameters."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..program.arraytype import shape_of
from ..program.primitive import Traced

Shape = int | tuple[int, ...] | None


def as_key(key: Any) -> Any:
    """Return a key if it is one."""
    dtype = getattr(key, "dtype", None)
    if dtype != np.uint32 or not isinstance(key, Traced | np.ndarray):
        raise TypeError(
            f"a random function takes a key, not {type(key).__name__}; "
            "make one with chainrule.random.key(seed)"
        )
    if shape_of(key) != (2,):
        raise ValueError(
            f"a key has shape (2,), not {shape_of(key)}; for many keys at once use chainrule.vmap"
        )
    return key


def parameter(value: Any) -> Any:
    """Return a parameter as an array, unless it is traced or a plain number."""
    return value if isinstance(value, Traced | float | int) else np.asarray(value)


def double(value: Any) -> Any:
    """Return a parameter in double precision."""
    if isinstance(value, Traced):
        return value if value.dtype == np.float64 else value.astype(np.float64)
    return np.asarray(value, np.float64)


def plain(value: Any) -> Any:
    """Return the value of a parameter; None where only its type is known."""
    return value._value if isinstance(value, Traced) else value


def require(holds: Any, value: Any, text: str) -> None:
    """Raise ValueError unless ``holds(value)`` everywhere, as far as the value is known."""
    known = plain(value)
    if known is not None and not np.all(holds(known)):
        raise ValueError(text)


def positive(**parameters: Any) -> None:
    """Require that the parameters are positive and finite; a NaN is left to show itself."""
    for name, value in parameters.items():
        require(lambda v: ~(np.less_equal(v, 0) | np.isinf(v)), value, f"{name} must be positive")


def result_shape(shape: Shape, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the result, of which the parameters' shapes must be a part."""
    broadcast = np.broadcast_shapes(*shapes)
    if shape is None:
        return broadcast
    wanted = (
        tuple(operator.index(n) for n in shape)
        if isinstance(shape, tuple | list)
        else (operator.index(shape),)
    )
    if min(wanted, default=0) < 0:
        raise ValueError(f"negative dimensions in the shape {wanted}")
    if np.broadcast_shapes(wanted, broadcast) != wanted:
        raise ValueError(f"parameters of shape {broadcast} do not fit the shape {wanted}")
    return wanted


def float_dtype(dtype: Any, *parameters: Any) -> np.dtype[Any]:
    """Return the dtype of the result: the one asked for, or that of the parameters' arrays."""
    if dtype is None:
        dtypes = [p.dtype for p in parameters if hasattr(p, "dtype") and not _is_weak(p)]
        floats = [d for d in dtypes if d.kind == "f"]
        dtype = np.result_type(*floats) if floats else np.float64
    chosen = np.dtype(dtype)
    if chosen not in (np.float32, np.float64):
        raise ValueError(f"random numbers are of dtype float32 or float64, not {chosen}")
    return chosen


def _is_weak(p: Any) -> bool:
    return isinstance(p, Traced) and p._type.weak


def cast(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a value in a dtype."""
    return value if value.dtype == dtype else value.astype(dtype)


def affine(draw: Any, loc: Any, scale: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``loc + scale * draw``, through which gradients flow to ``loc`` and ``scale``."""
    require(lambda v: np.greater_equal(v, 0) | np.isnan(v), scale, "scale must not be negative")
    draw = cast(draw, dtype)
    if not _is_number(scale, 1.0):
        draw = scale * draw
    if not _is_number(loc, 0.0):
        draw = loc + draw
    return scalar(cast(draw, dtype))


def scalar(value: Any) -> Any:
    """Return an array without axes as the scalar that NumPy's own functions give."""
    return value if isinstance(value, Traced) else value[()]


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, Traced) and value == number
