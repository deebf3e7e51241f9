"""A step written out for one element: its formula with the numbers put in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.primitive import PRIMITIVES
from .expression import ELEMENTWISE, Apply, Expr, Number, Product, Symbol, Total, evaluate
from .notation import ATOM, PREFIX, Text, Writer, formula_text, number_text

MAX_TERMS = 4
Index = tuple[int, ...]


def element_text(symbol: str, expr: Expr | None, value: Any, index: Index) -> str:
    """Write ``symbol = formula = numbers = value`` for one element."""
    if np.size(value) == 0:
        return f"{symbol} has no elements"
    result = number_text(np.asarray(value)[index])
    where = f"[{', '.join(map(str, index))}]" if index else ""
    if expr is None:
        return f"{symbol}{where} = {result}"
    writer = Writer(_number, times=" × ", juxtapose=False)
    numbers = writer.write(_Element().of(expr, index))[0]
    parts = [f"{symbol}{where}", formula_text(expr), numbers, result]
    return " = ".join(dict.fromkeys(parts))


def _number(symbol: Symbol) -> Text:
    if symbol.name:
        return symbol.name, ATOM
    text = number_text(symbol.value)
    return text, PREFIX if text.startswith("−") else ATOM


class _Element:
    """Picks one element out of a formula: what each operation does for that element alone."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}

    def of(self, expr: Expr, index: Index) -> Expr:
        """Return the formula of one element, its named values replaced by numbers."""
        index = _aligned(index, expr.shape)
        if isinstance(expr, Number):
            return expr
        if isinstance(expr, Product):
            factors = tuple((self.of(f, index), e) for f, e in expr.factors)
            return Product(expr.coefficient, factors)
        if isinstance(expr, Total):
            return Total(tuple((c, self.of(t, index)) for c, t in expr.terms))
        if isinstance(expr, Apply):
            return self._operation(expr, index)
        return self._value(expr, index)

    def _value(self, expr: Expr, index: Index) -> Symbol:
        value = np.asarray(evaluate(expr, self.known))
        gradient = isinstance(expr, Symbol) and expr.gradient
        return Symbol("", value[_aligned(index, value.shape)], gradient)

    def _operation(self, expr: Apply, index: Index) -> Expr:
        if expr.op == "broadcast_to":
            return self.of(expr.args[0], index)
        if expr.op == "reshape":
            shape = expr.args[0].shape
            flat = int(np.ravel_multi_index(index, expr.shape)) if index else 0
            return self.of(expr.args[0], tuple(int(i) for i in np.unravel_index(flat, shape)))
        if expr.op == "transpose":
            moved = dict(zip(expr.params["axes"], index, strict=True))
            return self.of(expr.args[0], tuple(moved[i] for i in range(len(index))))
        if expr.op == "matmul" and all(len(a.shape) == 2 for a in expr.args):
            a, b = expr.args
            return self._series([(a, (index[0], k), b, (k, index[1])) for k in range(a.shape[1])])
        if expr.op == "matmul" and [len(a.shape) for a in expr.args] == [2, 1]:
            a, b = expr.args
            return self._series([(a, (index[0], k), b, (k,)) for k in range(a.shape[1])])
        if expr.op == "outer":
            a, b = expr.args
            return self._series([(a, index[:1], b, index[1:])])
        if expr.op == "sum":
            return self._summed(expr, index)
        primitive = PRIMITIVES.get(expr.op)
        if expr.op in ELEMENTWISE or (primitive is not None and primitive.elementwise):
            return Apply(expr.op, tuple(self.of(a, index) for a in expr.args), expr.params)
        return self._value(expr, index)

    def _series(self, pairs: list[Any]) -> Expr:
        terms = []
        for a, i, b, j in _shortened(pairs):
            x, y = self._value(a, i), self._value(b, j)
            terms.append((1.0, Product(1.0, ((_plain(x), 1), (_plain(y), 1)))))
        return _with_rest(terms, len(pairs))

    def _summed(self, expr: Apply, index: Index) -> Expr:
        (x,) = expr.args
        axes = expr.params["axis"]
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        kept = iter(index)
        ranges = []
        for axis, n in enumerate(x.shape):
            if axis in axes:
                ranges.append(range(n))
                if expr.params.get("keepdims"):
                    next(kept)
            else:
                i = next(kept)
                ranges.append(range(i, i + 1))
        places = [(i,) for i in ranges[0]] if ranges else [()]
        for more in ranges[1:]:
            places = [(*p, i) for p in places for i in more]
        terms = [(1.0, self.of(x, p)) for p in _shortened(places)]
        return _with_rest(terms, len(places))


def _shortened(items: list[Any]) -> list[Any]:
    return items if len(items) <= MAX_TERMS else items[: MAX_TERMS - 1]


def _with_rest(terms: list[Any], count: int) -> Expr:
    if count > len(terms):
        terms.append((1.0, Symbol(f"… ({count} terms)", 0.0)))
    if not terms:
        return Number(0.0)
    return terms[0][1] if len(terms) == 1 else Total(tuple(terms))


def _plain(symbol: Symbol) -> Symbol:
    return Symbol(symbol.name, symbol.value)


def _aligned(index: Index, shape: tuple[int, ...]) -> Index:
    """Return the index of the element that broadcasts to the one at ``index``."""
    tail = index[len(index) - len(shape) :] if len(shape) <= len(index) else index
    return tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True))
