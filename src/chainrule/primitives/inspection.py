"""Functions that ask about an array and not for its values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Traced, implements
from .families import known

FUNCTIONS[np.shape] = shape_of
FUNCTIONS[np.ndim] = ndim_of
FUNCTIONS[np.iscomplexobj] = lambda x: x.dtype.kind == "c"
FUNCTIONS[np.isrealobj] = lambda x: x.dtype.kind != "c"
FUNCTIONS[np.can_cast] = lambda source, to, casting="safe": np.can_cast(source.dtype, to, casting)
FUNCTIONS[np.shares_memory] = FUNCTIONS[np.may_share_memory] = lambda a, b, **kwargs: a is b


@implements(np.size)
def _size(a: Any, axis: int | None = None) -> int:
    return int(a.size) if axis is None else int(a.shape[axis])


@implements(np.result_type)
def _result_type(*operands: Any) -> np.dtype[Any]:
    return np.result_type(*(_sample(o) for o in operands))


def _sample(operand: Any) -> Any:
    if not isinstance(operand, Traced):
        return operand
    type_ = operand._type
    return type_.dtype.type(0).item() if type_.weak else type_.dtype


@implements(np.zeros_like)
def _zeros_like(a: Any, dtype: Any = None, order: str = "K", *args: Any, **kwargs: Any) -> Any:
    return _like(np.zeros, a, dtype, *args, **kwargs)


@implements(np.ones_like)
def _ones_like(a: Any, dtype: Any = None, order: str = "K", *args: Any, **kwargs: Any) -> Any:
    return _like(np.ones, a, dtype, *args, **kwargs)


@implements(np.empty_like)
def _empty_like(a: Any, dtype: Any = None, order: str = "K", *args: Any, **kwargs: Any) -> Any:
    return _like(np.empty, a, dtype, *args, **kwargs)


@implements(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    out = _like(np.empty, a, dtype, *args, **kwargs)
    out[...] = fill_value
    return out


def _like(
    make: Any, a: Any, dtype: Any, subok: bool = True, shape: Any = None, device: Any = None
) -> Any:
    wanted = shape_of(a) if shape is None else shape
    return a._fresh(make(wanted, a.dtype if dtype is None else dtype))


@implements(np.isreal)
def _isreal(x: Any) -> Any:
    return np.equal(np.imag(x), 0)


@implements(np.iscomplex)
def _iscomplex(x: Any) -> Any:
    return np.not_equal(np.imag(x), 0)


@implements(np.common_type)
def _common_type(*arrays: Any) -> Any:
    return np.common_type(*(np.empty(0, a.dtype) for a in arrays))


for _name in ("diag_indices_from", "tril_indices_from", "triu_indices_from"):
    _function = getattr(np, _name)
    FUNCTIONS[_function] = lambda a, *args, _f=_function, **kwargs: _f(
        np.empty(shape_of(a), bool), *args, **kwargs
    )
for _printer in (np.array2string, np.array_repr, np.array_str):
    FUNCTIONS[_printer] = lambda a, *args, _f=_printer, **kwargs: _f(
        np.asarray(known(a, "printing")), *args, **kwargs
    )


@implements(np.array_equiv)
def _array_equiv(a: Any, b: Any) -> Any:
    try:
        np.broadcast_shapes(shape_of(a), shape_of(b))
    except ValueError:
        return False
    return np.all(np.equal(a, b))


@implements(np.array_equal)
def _array_equal(a: Any, b: Any, equal_nan: bool = False) -> Any:
    if shape_of(a) != shape_of(b):
        return False
    same = np.equal(a, b)
    if equal_nan:
        same = np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b)))
    return np.all(same)


@implements(np.isclose)
def _isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    near = np.less_equal(np.abs(a - b), atol + rtol * np.abs(b))
    same = np.logical_or(np.logical_and(near, np.isfinite(b)), np.equal(a, b))
    return np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else same


@implements(np.allclose)
def _allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    return np.all(np.isclose(a, b, rtol, atol, equal_nan))


@implements(method="item")
def _item(a: Any, *index: Any) -> Any:
    if not index:
        if a.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return np.reshape(a, ())
    return np.ravel(a)[index[0]] if len(index) == 1 and a.ndim != 1 else a[index]


@implements(method="tolist")
def _tolist(a: Any) -> Any:
    return [_tolist(row) for row in a] if a.ndim else a


@implements(method="fill")
def _fill(a: Any, value: Any) -> None:
    a[...] = value


@implements(np.copyto)
def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    dst[...] = src if where is True else np.where(where, src, dst)
