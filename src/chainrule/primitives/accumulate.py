"""Running products and extremes, and reductions of a ufunc that have a form of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import Gather, LinearMap, Recurrence, compose, scale, shifted
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import Primitive, implements
from . import batching
from .families import normalize_axes
from .reductions import in_summed_type

# -- linear recurrences and running products -----------------------------------------------------


def _linear_recurrence(a: Any, v: Any, axis: int, reverse: bool) -> Any:
    a, v = np.asarray(a), np.asarray(v)
    out = np.empty(v.shape, np.result_type(a, v))
    source, factor, target = (np.moveaxis(x, axis, 0) for x in (v, a, out))
    order = range(len(source))
    previous = None
    for i in reversed(order) if reverse else order:
        # the first step has nothing before it, whatever its factor is
        target[i] = source[i] if previous is None else factor[i] * previous + source[i]
        previous = target[i]
    return out


def _recurrence_factor(y: Any, a: Any, v: Any, axis: int, reverse: bool) -> LinearMap:
    return compose(Recurrence(a, axis, reverse), scale(shifted(y, axis, reverse)))


LINEAR_RECURRENCE = Primitive(
    "linear_recurrence",
    _linear_recurrence,
    type_rule=lambda a, v, axis, reverse: ArrayType(v.shape, np.result_type(a.dtype, v.dtype)),
    d=(_recurrence_factor, lambda y, a, v, axis, reverse: Recurrence(a, axis, reverse)),
    batch=batching.shifted_axes,
    text="recurrence({1}; {0})",
    symbol="linear recurrence",
)


def _cumprod_rule(y: Any, x: Any, axis: int) -> LinearMap:
    """From y[i] = y[i-1] x[i] follows dy[i] = x[i] dy[i-1] + y[i-1] dx[i]; no division by x."""
    before = shifted(y, axis, back=False)
    first = np.arange(shape_of(y)[axis]) == 0
    first = first.reshape((-1,) + (1,) * (ndim_of(y) - axis - 1))
    return compose(Recurrence(x, axis), scale(np.where(first, 1.0, before).astype(y.dtype)))


CUMPROD = Primitive(
    "cumprod",
    lambda x, axis: np.cumprod(x, axis),
    type_rule=lambda x, axis: x,
    d=(_cumprod_rule,),
    batch=batching.shifted_axes,
    text="cumprod({0})",
    symbol="running product",
)


@implements(np.cumprod, method="cumprod")
def _cumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    a = in_summed_type(a, dtype)
    if axis is None:
        a, axis = np.ravel(a), 0
    return CUMPROD(a, axis=normalize_axes(axis, ndim_of(a))[0])


def _from_initial(running: Any, first: float) -> Any:
    """Return the array API's name for a running reduction: one axis, perhaps a first element."""

    def answer(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
    ) -> Any:
        if axis is None:
            if ndim_of(x) != 1:
                raise ValueError(
                    "For arrays which have more than one dimension ``axis`` argument is required."
                )
            axis = 0
        out = running(x, axis, dtype)
        if not include_initial:
            return out
        shape = list(shape_of(out))
        shape[axis] = 1
        return np.concatenate([np.full(shape, first, out.dtype), out], axis)

    return answer


def _ignoring_nan(running: Any, neutral: float) -> Any:
    def answer(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        return running(np.where(np.isnan(a), neutral, a), axis, dtype)

    return answer


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    implements(np.cumulative_sum)(_from_initial(np.cumsum, 0.0))
    implements(np.cumulative_prod)(_from_initial(np.cumprod, 1.0))
implements(np.nancumsum)(_ignoring_nan(np.cumsum, 0.0))
implements(np.nancumprod)(_ignoring_nan(np.cumprod, 1.0))


# -- running extremes ----------------------------------------------------------------------------


def _running(name: str, ufunc: Any) -> Primitive:
    def rule(y: Any, x: Any, axis: int) -> LinearMap:
        """Each result is one element: the latest that was the extreme when it came."""
        shape = shape_of(x)
        places = [
            np.arange(n).reshape((1,) * i + (-1,) + (1,) * (len(shape) - i - 1))
            for i, n in enumerate(shape)
        ]
        is_extreme = np.logical_or(np.equal(x, y), np.isnan(x))
        latest = np.maximum.accumulate(np.where(is_extreme, places[axis], 0), axis)
        return Gather(shape, tuple(latest if i == axis else p for i, p in enumerate(places)))

    return Primitive(
        name,
        lambda x, axis: ufunc.accumulate(x, axis),
        type_rule=lambda x, axis: x,
        d=(rule,),
        text=name + "({0})",
        symbol="running " + name[3:] + "imum",
    )


CUMMAX = _running("cummax", np.maximum)
CUMMIN = _running("cummin", np.minimum)


def accumulate_extreme(primitive: Primitive) -> Any:
    """Return what answers ``np.maximum.accumulate`` or ``np.minimum.accumulate``."""

    def answer(a: Any, axis: int = 0) -> Any:
        return primitive(a, axis=normalize_axes(axis, ndim_of(a))[0])

    return answer
