"""What operations on whole complex arrays do to the parts: layout, reductions, products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...primitives.families import real_dtype
from ...program.arraytype import ArrayType
from ...program.equation import Var
from ...transform.looping.parts import Carried, Scan, type_of
from .functions import FUNCTIONS, add, mul, on_pairs
from .parts import Pair, Real, Writer

# -- what does the same to both parts --------------------------------------------------------------


def _on_one(name: str) -> Callable[..., Pair]:
    """Return the operation on the parts of the first operand; others are indices."""

    def apply(a: Pair, *rest: Pair, **params: Any) -> Pair:
        given = [o.re for o in rest]
        return a.each(lambda part: part.apply(name, *given, **params))

    return apply


def _on_all(name: str, count: int | None) -> Callable[..., Pair]:
    """Return the operation on the parts of the first ``count`` operands, or of all."""

    def apply(*operands: Pair, **params: Any) -> Pair:
        moved = operands[:count]
        rest = [o.re for o in operands[len(moved) :]]
        first, *others = (o.re for o in moved)
        re = first.apply(name, *others, *rest, **params)
        if all(o.maybe_im is None for o in moved):
            return Pair(re, None)
        first, *others = (o.dense for o in moved)
        return Pair(re, first.apply(name, *others, *rest, **params))

    return apply


for _name in (
    *("reshape", "transpose", "broadcast_to", "getitem", "embed", "scatter_add", "windows"),
    *("overlap_add", "sum", "mean", "cumsum", "alias", "stop_gradient"),
):
    FUNCTIONS[_name] = _on_one(_name)
FUNCTIONS["setitem"] = _on_all("setitem", 2)
FUNCTIONS["concatenate"] = _on_all("concatenate", None)
FUNCTIONS["stack"] = _on_all("stack", None)


@on_pairs("where")
def where(condition: Pair, a: Pair, b: Pair) -> Pair:
    """Choose between values."""
    chosen = condition.re
    return Pair(chosen.choose(a.re, b.re), chosen.choose(a.im, b.im))


@on_pairs("cast")
def cast(a: Pair, dtype: Any) -> Any:
    """Change the precision, or drop or add an imaginary part."""
    kind = np.dtype(dtype)
    if kind.kind == "c":
        return a.each(lambda part: part.cast(real_dtype(kind)))
    return a.re.cast(kind)


# -- reductions ------------------------------------------------------------------------------------


@on_pairs("norm")
def norm(a: Pair, axis: Any, keepdims: bool) -> Real:
    """Return the Euclidean norm."""
    squares = a.re * a.re + a.im * a.im
    return squares.apply("sum", axis=axis, keepdims=keepdims).apply("sqrt")


@on_pairs("prod")
def prod(a: Pair, axis: Any, keepdims: bool) -> Pair:
    """Return a product along axes: half of the factors times the other half, again and again."""
    shape = a.re.shape
    rest = [i for i in range(len(shape)) if i not in axis]
    count = math.prod(shape[i] for i in axis)
    flat = (count, *(shape[i] for i in rest))
    order = (*axis, *rest)
    a = a.each(lambda x: x.apply("transpose", axes=order).apply("reshape", shape=flat))
    if not count:
        return Pair(Real(a.re.writer, np.ones(flat[1:], type_of(a.re.operand).dtype)), None)
    while count > 1:
        half = count // 2
        odd = _rows(a, slice(2 * half, count))
        a = mul(_rows(a, slice(0, half)), _rows(a, slice(half, 2 * half)))
        if count % 2:
            a = FUNCTIONS["concatenate"](a, odd, axis=0)
        count = half + count % 2
    kept = tuple(1 if i in axis else n for i, n in enumerate(shape))
    last = kept if keepdims else flat[1:]
    return a.each(lambda x: x.apply("reshape", shape=last))


def _rows(a: Pair, rows: slice) -> Pair:
    return a.each(lambda x: x.apply("getitem", spec=(rows,)))


# -- running products ------------------------------------------------------------------------------


def _along(a: Pair, axis: int, reverse: bool) -> Pair:
    """Return an array with an axis in the place of the first one, perhaps in reverse order."""
    order = list(range(len(a.re.shape)))
    order[0], order[axis] = order[axis], order[0]
    a = a.each(lambda x: x.apply("transpose", axes=tuple(order)))
    return _rows(a, slice(None, None, -1)) if reverse else a


@on_pairs("linear_recurrence")
def recurrence(a: Pair, v: Pair, axis: int, reverse: bool) -> Pair:
    """Return y with ``y[i] = a[i] y[i - 1] + v[i]``."""
    shape = v.re.shape
    if shape[axis] < 2:
        return v
    a = Pair(a.re, a.dense).each(lambda x: x.apply("broadcast_to", shape=shape))
    a, v = _along(a, axis, reverse), _along(Pair(v.re, v.dense), axis, reverse)
    found = _loop(v, (a, v), lambda y, a, v: add(mul(a, y), v))
    found = _rows(found, slice(None, None, -1)) if reverse else found
    return _along(found, axis, False)


@on_pairs("cumprod")
def cumprod(a: Pair, axis: int) -> Pair:
    """Return running products."""
    if a.re.shape[axis] < 2:
        return a
    a = _along(Pair(a.re, a.dense), axis, False)
    return _along(_loop(a, (a,), mul), axis, False)


def _loop(start: Pair, rows: tuple[Pair, ...], step: Callable[..., Pair]) -> Pair:
    """Return all states of a loop that begins with the first row of ``start``."""
    outer, inner = start.re.writer, Writer()
    row = type_of(start.re.operand)
    type_ = ArrayType(row.shape[1:], row.dtype)

    def fresh() -> Pair:
        return Pair(*(Real(inner, Var(-1, None, type_)) for _ in range(2)))

    before, taken = fresh(), [fresh() for _ in rows]
    after = step(before, *taken)
    first, further = _rows(start, slice(0, 1)), [_rows(r, slice(1, None)) for r in rows]
    loop = Scan([], {}, {}, inner.equations, [], row.shape[0] - 1, False, outer.origin)
    for k in range(2):
        initial = _part(first, k).apply("reshape", shape=type_.shape).operand
        state, value = _part(before, k).operand, _part(after, k).operand
        loop.carried.append(Carried(initial, state, value, Var(-1, None, type_)))
        for var, array in zip(taken, further, strict=True):
            loop.rows[_part(var, k).operand] = _part(array, k).operand
    stacked = [loop.stack(_part(after, k).operand) for k in range(2)]
    outer.equations.append(loop.equation())
    states = Pair(*(Real(outer, var) for var in stacked))
    found: Pair = FUNCTIONS["concatenate"](first, states, axis=0)
    return found


def _part(a: Pair, k: int) -> Real:
    return a.im if k else a.re


# -- products --------------------------------------------------------------------------------------


@on_pairs("matmul")
def matmul(a: Pair, b: Pair) -> Pair:
    """Return a product of matrices."""
    return _product((a, b), lambda x, y: x.apply("matmul", y))


@on_pairs("einsum")
def einsum(*operands: Pair, subscripts: str) -> Pair:
    """Return a contraction."""
    return _product(operands, lambda x, *rest: x.apply("einsum", *rest, subscripts=subscripts))


def _product(operands: tuple[Pair, ...], multiply: Callable[..., Real]) -> Pair:
    """Return the sum over all ways to take one part of each operand."""
    totals: list[Real | None] = [None, None]
    for choice in range(1 << len(operands)):
        turns = [choice >> k & 1 for k in range(len(operands))]
        sides = [o.maybe_im if turned else o.re for o, turned in zip(operands, turns, strict=True)]
        if any(side is None for side in sides):
            continue
        term = multiply(*sides)
        imaginary, negative = sum(turns) % 2, sum(turns) % 4 in (2, 3)
        total = totals[imaginary]
        if total is None:
            totals[imaginary] = -term if negative else term
        else:
            totals[imaginary] = total - term if negative else total + term
    re, im = totals
    assert re is not None
    return Pair(re, im)
