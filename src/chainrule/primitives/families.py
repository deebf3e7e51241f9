"""How the families of primitives are declared: what their members have in common, said once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..program.arraytype import ArrayType
from ..program.errors import UnsupportedError
from ..program.primitive import FUNCTIONS, Primitive, Rule, Traced
from ..program.spans import span_of, user_frame


def elementwise_type(ufunc: Any) -> Callable[..., ArrayType]:
    """Return the type rule of a ufunc: shapes broadcast, dtypes promote as NumPy promotes them."""

    @functools.lru_cache(1024)  # loops are recorded step by step
    def rule(*types: ArrayType) -> ArrayType:
        shape = np.broadcast_shapes(*(t.shape for t in types))
        given = tuple(_python_type(t) if t.weak else t.dtype for t in types)
        dtype = ufunc.resolve_dtypes((*given, None))[-1]
        return ArrayType(shape, dtype)

    return rule


def _python_type(t: ArrayType) -> Any:
    # ufunc.resolve_dtypes takes int and float themselves for Python's scalars
    return {"i": int, "f": float, "c": complex}.get(t.dtype.kind, t.dtype)


def elementwise(
    name: str,
    ufunc: Any,
    *d: Rule | None,
    text: str,
    symbol: str = "",
    impl: Callable[..., Any] | None = None,
    differentiable: bool = True,
) -> Primitive:
    """Declare an element-wise operation that NumPy has as a ufunc."""
    primitive = Primitive(
        name,
        impl or ufunc,
        type_rule=elementwise_type(ufunc),
        d=d,
        elementwise=True,
        differentiable=differentiable,
        text=text,
        symbol=symbol,
    )
    FUNCTIONS[ufunc] = primitive
    return primitive


def piecewise_constant(name: str, ufunc: Any, text: str, impl: Any = None) -> Primitive:
    """Declare an element-wise operation whose derivative is zero wherever it has one."""
    return elementwise(name, ufunc, text=text, impl=impl, differentiable=False)


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return ``axis`` (None, an integer or several) as a sorted tuple of non-negative integers."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int:
        if -ndim <= axis < ndim:
            return (axis % ndim,)
    elif isinstance(axis, tuple | list):
        axes = tuple(sorted(np.lib.array_utils.normalize_axis_index(int(a), ndim) for a in axis))
        if len(set(axes)) < len(axes):
            raise ValueError(f"repeated axis in {axis}")
        return axes
    return (int(np.lib.array_utils.normalize_axis_index(int(axis), ndim)),)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the real part of numbers of ``dtype``."""
    return np.empty(0, dtype).real.dtype


def is_complex(x: Any) -> bool:
    """Whether a value, perhaps a Python number, is complex."""
    return isinstance(x, complex) if not hasattr(x, "dtype") else x.dtype.kind == "c"


def known(value: Any, wanted: str) -> Any:
    """Return the plain value of what may be traced; an error where only its type is known."""
    return value._known(wanted) if isinstance(value, Traced) else value


def made_late(y: Any, *xs: Any, **params: Any) -> NoReturn:
    """Be the rule of an operation that only programs have whose derivatives were taken before."""
    raise NotImplementedError(
        "a program that was prepared for compiling has no derivative: differentiate the function "
        "and compile the result, `jit(grad(f))`"
    )


def unsupported(what: str, why: str, help: str) -> NoReturn:
    """Refuse a call that has no derivative here, at the user's line."""
    frame = user_frame(2)
    span = None if frame is None else span_of(frame.f_code, frame.f_lasti)
    raise UnsupportedError(f"{what} has no derivative rule here", span=span, why=why, help=help)
