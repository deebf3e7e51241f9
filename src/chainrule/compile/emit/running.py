"""Running sums, products and extremes along an axis, each from the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.equation import Equation
from ..plan.schedule import size_of
from .blocks import over
from .scalar import I64, convert, operation_of

if TYPE_CHECKING:
    from .codegen import Nest

Index = tuple[Any, ...]
Combine = Callable[[Any, Any, Index], Any]


def _running(nest: Nest, root: Equation, x: Any, combine: Combine) -> None:
    """Write ``y[i] = combine(y[i - 1], x[i], place of x[i])``, where y[0] is x[0]."""
    axis, backwards = root.params["axis"], root.params.get("reverse", False)
    dtype, shape = root.out.type.dtype, root.out.type.shape
    n = shape[axis]
    if size_of(shape) == 0:
        return
    b = nest.b

    def body(index: Index) -> None:
        step = index[axis]
        here = b.sub(I64(n - 1), step) if backwards else step
        at = (*index[:axis], here, *index[axis + 1 :])
        v = convert(b, nest.value(x, at), nest.buffers.dtype_of(x), dtype)
        before = b.add(here, I64(1)) if backwards else b.sub(here, I64(1))
        first = b.icmp_signed("==", step, I64(0))
        previous = b.select(first, here, before)
        place = nest.linear(shape, (*index[:axis], previous, *index[axis + 1 :]))
        # what stands there before the first step has no meaning, and may not even be read as one
        so_far = b.select(first, v, nest.load(root.out, dtype, place))
        total = b.select(first, v, combine(so_far, v, at))
        nest.store(root.out, dtype, nest.linear(shape, at), total)

    over(nest, shape, body)


def _sum(nest: Nest, root: Equation) -> None:
    dtype = root.out.type.dtype
    _running(nest, root, root.operands[0], lambda y, x, _: nest.added(dtype, y, x))


def _product(nest: Nest, root: Equation) -> None:
    dtype = root.out.type.dtype
    _running(nest, root, root.operands[0], lambda y, x, _: nest.multiplied(dtype, y, x))


def _extreme(name: str) -> Callable[[Nest, Equation], None]:
    def write(nest: Nest, root: Equation) -> None:
        extreme = operation_of(name, root.out.type.dtype)
        assert extreme is not None
        _running(nest, root, root.operands[0], lambda y, x, _: extreme(nest.b, y, x))

    return write


def _recurrence(nest: Nest, root: Equation) -> None:
    """Write ``y[i] = a[i] y[i - 1] + v[i]``."""
    a, v = root.operands
    dtype = root.out.type.dtype
    source: np.dtype[Any] = nest.buffers.dtype_of(a)

    def combine(y: Any, x: Any, at: Index) -> Any:
        factor = convert(nest.b, nest.value(a, at), source, dtype)
        return nest.added(dtype, nest.multiplied(dtype, factor, y), x)

    _running(nest, root, v, combine)


RUNNING: dict[str, Callable[[Nest, Equation], None]] = {
    "cumsum": _sum,
    "cumprod": _product,
    "cummax": _extreme("maximum"),
    "cummin": _extreme("minimum"),
    "linear_recurrence": _recurrence,
}
