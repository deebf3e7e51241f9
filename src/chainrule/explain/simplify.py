"""Algebra for the reader's sake: ``x · -1`` is −x, ``t · t`` is t², ``e⁻ᶻ/(1 + e⁻ᶻ)`` is 1 − σ(z).

Only rules that hold for real numbers in general are applied. Where floating point disagrees (an
overflow, a tie), the caller finds out by evaluating the result and keeps the unsimplified form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .expression import Apply, Expr, Factor, Number, Product, Shape, Symbol, Term, Total

Rule = Callable[[Apply], Expr]


def simplify(expr: Expr) -> Expr:
    """Return an equal formula that is easier to read."""
    if not isinstance(expr, Apply):
        return expr
    args = tuple(simplify(a) for a in expr.args)
    node = Apply(expr.op, args, expr.params, expr.shape)
    rule = _RULES.get(expr.op)
    return node if rule is None else rule(node)


# -- products ------------------------------------------------------------------------------------


def product(*factors: Factor, coefficient: float = 1.0) -> Expr:
    """Return a product of powers, merged and ordered as they come."""
    merged: dict[str, list[Any]] = {}
    masks: list[Expr] = []
    todo = list(factors)
    while todo:
        factor, exponent = todo.pop(0)
        if isinstance(factor, Number) and isinstance(factor.value, int | float):
            if exponent < 0 and factor.value == 0:
                merged.setdefault(factor.key, [factor, 0.0])[1] += exponent
            else:
                coefficient *= float(factor.value) ** exponent
        elif isinstance(factor, Product) and float(exponent).is_integer():
            coefficient *= factor.coefficient**exponent
            todo[:0] = [(f, e * exponent) for f, e in factor.factors]
        elif isinstance(factor, Apply) and factor.op == "select" and exponent == 1:
            masks.append(factor.args[1])
            todo.insert(0, (factor.args[0], 1))
        else:
            merged.setdefault(factor.key, [factor, 0.0])[1] += exponent
    factors_left = [(f, e) for f, e in merged.values() if e != 0]
    kept = _unstretched(factors_left)
    if any(
        new is not old and isinstance(new, Product | Number)
        for (new, _), (old, _) in zip(kept, factors_left, strict=True)
    ):
        return _masked(product(*kept, coefficient=coefficient), masks)
    kept = _outer(_with_softmax(_with_sigmoids(kept)))
    return _masked(_from_factors(coefficient, kept), masks)


def _unstretched(factors: list[Factor]) -> list[Factor]:
    """Leave out broadcasts that the product with the other factors does anyway."""
    shapes = [f.shape for f, _ in factors]
    whole = np.broadcast_shapes(*shapes)
    kept = list(factors)
    for i, (factor, exponent) in enumerate(factors):
        while isinstance(factor, Apply) and _only_stretches(factor):
            inner = factor.args[0]
            if np.broadcast_shapes(inner.shape, *shapes[:i], *shapes[i + 1 :]) != whole:
                break
            factor, kept[i], shapes[i] = inner, (inner, exponent), inner.shape
    return kept


def _outer(factors: list[Factor]) -> list[Factor]:
    """Recognise a column times a row: the outer product of two vectors."""
    for i, (column, exponent) in enumerate(factors):
        rest = [f for k, f in enumerate(factors) if k != i]
        inner = _column_of(column)
        if inner is None or exponent != 1 or not rest:
            continue
        row = product(*rest)
        if len(row.shape) == 1 and row.shape != (1,):
            shape = inner.shape + row.shape
            return [(Apply("outer", (inner, row), shape=shape), 1)]
    return factors


def _column_of(expr: Expr) -> Expr | None:
    """Return v of v[..., None]."""
    if not isinstance(expr, Apply) or expr.op != "getitem" or len(expr.args) > 1:
        return None
    inner = expr.args[0]
    is_column = expr.params["spec"] in ((Ellipsis, None), (slice(None), None))
    return inner if is_column and len(inner.shape) == 1 else None


def _only_stretches(expr: Apply) -> bool:
    """Whether an operation does what broadcasting does by itself."""
    if expr.op == "reshape":
        inner = expr.args[0].shape
        return expr.shape == (1,) * (len(expr.shape) - len(inner)) + inner
    return expr.op == "broadcast_to"


def _from_factors(coefficient: float, factors: list[Factor]) -> Expr:
    if coefficient == 0 or not factors:
        return Number(coefficient)
    if coefficient == 1 and len(factors) == 1 and factors[0][1] == 1:
        return factors[0][0]
    if coefficient == -1 and len(factors) == 1 and isinstance(factors[0][0], Total):
        total, exponent = factors[0]
        if exponent == 1:
            return Total(tuple((-c, t) for c, t in total.terms))  # type: ignore[attr-defined]
    return Product(coefficient, tuple(factors))


def _masked(expr: Expr, masks: list[Expr]) -> Expr:
    for mask in dict.fromkeys(masks):
        shape = np.broadcast_shapes(expr.shape, mask.shape)
        expr = Apply("select", (expr, mask), shape=shape)
    return expr


def _split(expr: Expr) -> tuple[float, Expr]:
    """Return a formula as a number times the rest."""
    if isinstance(expr, Number) and isinstance(expr.value, int | float):
        return float(expr.value), Number(1)
    if isinstance(expr, Product) and expr.coefficient != 1:
        return expr.coefficient, _from_factors(1.0, list(expr.factors))
    return 1.0, expr


def _scaled(coefficient: float, expr: Expr) -> Expr:
    return expr if coefficient == 1 else product((expr, 1), coefficient=coefficient)


# -- sums ----------------------------------------------------------------------------------------


def total(*terms: Term) -> Expr:
    """Return a sum of multiples, equal terms merged."""
    merged: dict[str, list[Any]] = {}
    todo = list(terms)
    while todo:
        coefficient, term = todo.pop(0)
        if isinstance(term, Total):
            todo[:0] = [(coefficient * c, t) for c, t in term.terms]
            continue
        if isinstance(term, Number) and isinstance(term.value, int | float):
            coefficient, term = coefficient * term.value, Number(1)
        else:
            factor, term = _split(term)
            coefficient *= factor
        merged.setdefault(term.key, [0.0, term])[0] += coefficient
    kept = [(c, t) for c, t in merged.values() if c != 0]
    if not kept:
        return Number(0.0)
    if len(kept) == 1:
        return _scaled(*kept[0]) if kept[0][1].key != "1" else Number(kept[0][0])
    return Total(tuple(kept))


# -- the logistic function -----------------------------------------------------------------------


def _with_sigmoids(factors: list[Factor]) -> list[Factor]:
    """Recognise 1/(1 + e⁻ᶻ) and e⁻ᶻ/(1 + e⁻ᶻ) among factors."""
    found = [_logistic(factor, exponent) for factor, exponent in factors]
    for i, (factor, exponent) in enumerate(found):
        pair = _exponential_that_completes(factor) if exponent >= 1 else None
        if pair is None:
            continue
        exponential, completed = pair
        for j, (other, power) in enumerate(found):
            if power == 1 and other == exponential:
                rest = [f for k, f in enumerate(found) if k not in (i, j)]
                if exponent > 1:
                    rest.append((factor, exponent - 1))
                return [*rest, (completed, 1)]
    return found


def _logistic(factor: Expr, exponent: float) -> Factor:
    """Return 1/(1 + e⁻ᶻ) as σ(z), and 1/(1 + eᶻ) as 1 − σ(z)."""
    z = _one_plus_exp(factor)
    if z is None or exponent >= 0:
        return factor, exponent
    minus = product((z, 1), coefficient=-1.0)
    if _is_negative(z):
        return sigmoid(minus), -exponent
    return one_minus(sigmoid(z)), -exponent


def _is_negative(expr: Expr) -> bool:
    """Whether a formula is written with a minus sign in front."""
    if isinstance(expr, Total):
        return expr.terms[0][0] < 0
    return isinstance(expr, Product) and expr.coefficient < 0


def _exponential_that_completes(factor: Expr) -> tuple[Expr, Expr] | None:
    """Return (e⁻ᶻ, 1 − σ(z)) for σ(z), and (eᶻ, σ(z)) for 1 − σ(z)."""
    if isinstance(factor, Apply) and factor.op == "sigmoid":
        (z,) = factor.args
        minus = product((z, 1), coefficient=-1.0)
        return Apply("exp", (minus,), shape=z.shape), one_minus(factor)
    if isinstance(factor, Total) and len(factor.terms) == 2:
        (one, first), (minus_one, second) = factor.terms
        logistic = isinstance(second, Apply) and second.op == "sigmoid"
        if (one, first.key, minus_one) == (1.0, "1", -1.0) and logistic:
            assert isinstance(second, Apply)
            return Apply("exp", second.args, shape=second.shape), second
    return None


def _with_softmax(factors: list[Factor]) -> list[Factor]:
    """Recognise eᶻ / Σ eᶻ, shifted or not."""
    for i, (above, power) in enumerate(factors):
        if not (isinstance(above, Apply) and above.op == "exp" and power == 1):
            continue
        for j, (below, exponent) in enumerate(factors):
            while isinstance(below, Apply) and below.op in ("reshape", "broadcast_to"):
                below = below.args[0]
            is_sum = isinstance(below, Apply) and below.op == "sum" and below.args[0] == above
            if exponent == -1 and is_sum:
                assert isinstance(below, Apply)
                rest = [f for k, f in enumerate(factors) if k not in (i, j)]
                axis = tuple(below.params["axis"])
                return [*rest, (softmax(above.args[0], axis), 1)]
    return factors


def softmax(z: Expr, axis: tuple[int, ...]) -> Expr:
    """Return softmax(z); a shift of z that is the same along the axes makes no difference."""
    if isinstance(z, Total):
        kept = [(c, t) for c, t in z.terms if any(n != 1 for n in _along(t.shape, z.shape, axis))]
        z = total(*kept) if kept and len(kept) < len(z.terms) else z
    return Apply("softmax", (z,), {"axis": axis}, z.shape)


def _along(shape: Shape, whole: Shape, axis: tuple[int, ...]) -> list[int]:
    """Return the lengths along some axes of a shape that broadcasts to another one."""
    padded = (1,) * (len(whole) - len(shape)) + shape
    return [padded[a] for a in axis]


def _exp(node: Apply) -> Expr:
    """Return softmax(x) for exp(x − logsumexp(x))."""
    (z,) = node.args
    terms = z.terms if isinstance(z, Total) else ()
    for coefficient, term in terms:
        inner = term
        while isinstance(inner, Apply) and inner.op in ("reshape", "broadcast_to"):
            inner = inner.args[0]
        if coefficient == -1 and isinstance(inner, Apply) and inner.op == "logsumexp":
            rest = total(*((c, t) for c, t in terms if t is not term))
            if rest == inner.args[0]:
                return softmax(rest, tuple(inner.params["axis"]))
    return node


def sigmoid(z: Expr) -> Expr:
    """Return σ(z)."""
    return Apply("sigmoid", (z,), shape=z.shape)


def one_minus(expr: Expr) -> Expr:
    """Return 1 − expr."""
    return Total(((1.0, Number(1)), (-1.0, expr)))


def _one_plus_exp(expr: Expr) -> Expr | None:
    """Return z of 1 + eᶻ."""
    if isinstance(expr, Total) and len(expr.terms) == 2:
        terms = {t.key: (c, t) for c, t in expr.terms}
        one = terms.pop("1", None)
        if one is not None and one[0] == 1:
            ((coefficient, term),) = terms.values()
            if coefficient == 1 and isinstance(term, Apply) and term.op == "exp":
                return term.args[0]
    return None


# -- rules per operation -------------------------------------------------------------------------


def _power(node: Apply) -> Expr:
    base, exponent = node.args
    if isinstance(exponent, Number) and isinstance(exponent.value, int | float):
        return product((base, float(exponent.value)))
    return node


def _linear(node: Apply) -> Expr:
    """Take a number out of an operation that is linear in its first operand."""
    first, *rest = node.args
    coefficient, inner = _split(first)
    return _scaled(coefficient, Apply(node.op, (inner, *rest), node.params, node.shape))


def _broadcast(node: Apply) -> Expr:
    (x,) = node.args
    return x if x.shape == node.shape else _linear(node)


def _reshape(node: Apply) -> Expr:
    (x,) = node.args
    if x.shape == node.shape:
        return x
    if isinstance(x, Apply) and x.op == "reshape":
        return _reshape(Apply("reshape", x.args, node.params, node.shape))
    return _linear(node)


def _transpose(node: Apply) -> Expr:
    (x,) = node.args
    if isinstance(x, Apply) and x.op == "transpose":
        axes = tuple(x.params["axes"][i] for i in node.params["axes"])
        if axes == tuple(range(len(axes))):
            return x.args[0]
    return _linear(node)


def _matmul(node: Apply) -> Expr:
    a, b = node.args
    left, a = _split(a)
    right, b = _split(b)
    if 1 < len(a.shape) == len(b.shape) and a.shape[-1] == 1:
        size = int(np.prod(a.shape)), int(np.prod(b.shape))
        if 1 in size:  # a scalar in the guise of a matrix
            return product((a, 1), (b, 1), coefficient=left * right)
    return _scaled(left * right, Apply("matmul", (a, b), node.params, node.shape))


def _where(node: Apply) -> Expr:
    mask, a, b = node.args
    if isinstance(mask, Symbol) and mask.hidden:  # a rule's own guard, which acts or does not
        if np.all(mask.value):
            return a
        if not np.any(mask.value):
            return b
    if isinstance(b, Number) and b.value == 0:
        if isinstance(mask, Number) and mask.value == 1:
            return a
        return product((Apply("select", (a, mask), shape=node.shape), 1))
    if isinstance(a, Number) and a.value == 0 and isinstance(mask, Apply) and mask.op == "equal":
        return b  # a guard against inf − inf: both sides are 0 where it acts
    return node


def _getitem(node: Apply) -> Expr:
    x, *parts = node.args
    only_new_axes = all(p is None or p is Ellipsis for p in node.params["spec"])
    return x if not parts and not x.shape and only_new_axes else _linear(node)


def _solve(node: Apply) -> Expr:
    a, b = node.args
    coefficient, b = _split(b)
    return _scaled(coefficient, Apply("solve", (a, b), node.params, node.shape))


def _maximum(node: Apply) -> Expr:
    zero = [i for i, a in enumerate(node.args) if isinstance(a, Number) and a.value == 0]
    if len(zero) != 1:
        return node
    return Apply("relu", (node.args[1 - zero[0]],), shape=node.shape)


def _log(node: Apply) -> Expr:
    z = _one_plus_exp(node.args[0])
    return node if z is None else Apply("softplus", (z,), shape=node.shape)


def _same(node: Apply) -> Expr:
    return node.args[0]


_RULES: dict[str, Rule] = {
    "mul": lambda n: product((n.args[0], 1), (n.args[1], 1)),
    "div": lambda n: product((n.args[0], 1), (n.args[1], -1)),
    "neg": lambda n: product((n.args[0], 1), coefficient=-1.0),
    "reciprocal": lambda n: product((n.args[0], -1)),
    "square": lambda n: product((n.args[0], 2)),
    "sqrt": lambda n: product((n.args[0], 0.5)),
    "pow": _power,
    "add": lambda n: total((1.0, n.args[0]), (1.0, n.args[1])),
    "sub": lambda n: total((1.0, n.args[0]), (-1.0, n.args[1])),
    "alias": _same,
    "cast": _same,
    "broadcast_to": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "matmul": _matmul,
    "where": _where,
    "maximum": _maximum,
    "expit": lambda n: sigmoid(n.args[0]),
    "solve": _solve,
    "log": _log,
    "exp": _exp,
    "log1p": lambda n: (
        _log(Apply("log", (total((1.0, Number(1)), (1.0, n.args[0])),), {}, n.shape))
        if isinstance(n.args[0], Apply) and n.args[0].op == "exp"
        else n
    ),
    "sum": _linear,
    "getitem": _getitem,
    "cumsum": _linear,
}

__all__ = ["Shape", "Symbol", "one_minus", "product", "sigmoid", "simplify", "total"]
