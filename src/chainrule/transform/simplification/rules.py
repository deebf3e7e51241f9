"""The rewriting rules, by family of primitives.

A rule without ``fast`` keeps every bit of every result: for infinities, for -0.0, for integers
that overflow, for every dtype. A NaN stays a NaN; which of the many NaNs it is doesn't count.
A rule with ``fast`` is right for numbers, up to rounding, but not for infinities and NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...program.equation import Equation, Var
from .context import Answer, Context, New, constant, is_exactly, rule, type_of

# -- arithmetic ----------------------------------------------------------------------------------


def _kind(operand: Any) -> str:
    return str(type_of(operand).dtype.kind)


def _neutral(e: Equation, context: Context, position: int, number: float) -> Answer:
    """Return the other operand if the one at ``position`` is the number that changes nothing.

    In complex arithmetic a real number becomes one with a zero imaginary part first, and there
    1 * inf has a NaN in it.
    """
    if not is_exactly(e.operands[position], number) or _kind(e.out) not in "iuf":
        return None
    other = e.operands[1 - position]
    return other if context.is_packed(other) else None


@rule("add")
def _add_nothing(e: Equation, context: Context) -> Answer:
    # x + 0.0 is not x: it makes 0.0 of -0.0
    nothing = 0 if _kind(e.out) in "iu" else -0.0
    found = _neutral(e, context, 1, nothing)
    return _neutral(e, context, 0, nothing) if found is None else found


@rule("sub")
def _subtract_nothing(e: Equation, context: Context) -> Answer:
    return _neutral(e, context, 1, 0)


def _negated(operand: Any, e: Equation, context: Context) -> Any:
    """Return y if the operand is −y and may be moved to the other side of a sum.

    Negation in a narrower integer type may overflow there, which it would not in the sum's type.
    """
    found = context.definition(operand, "neg")
    if found is None:
        return None
    (inner,) = found.operands
    same = type_of(inner).dtype == e.out.type.dtype or _kind(inner) in "fc"
    return inner if same and context.is_packed(inner) else None


@rule("add")
def _add_negative(e: Equation, context: Context) -> Answer:
    a, b = e.operands
    if (y := _negated(b, e, context)) is not None:
        return New("sub", (a, y))
    if (x := _negated(a, e, context)) is not None:
        return New("sub", (b, x))
    return None


@rule("sub")
def _subtract_negative(e: Equation, context: Context) -> Answer:
    a, b = e.operands
    y = _negated(b, e, context)
    return None if y is None else New("add", (a, y))


@rule("mul")
def _multiply_by_one(e: Equation, context: Context) -> Answer:
    found = _neutral(e, context, 1, 1)
    return _neutral(e, context, 0, 1) if found is None else found


@rule("mul")
def _multiply_by_minus_one(e: Equation, context: Context) -> Answer:
    for position, operand in enumerate(e.operands):
        if is_exactly(operand, -1) and _kind(e.out) in "if":
            return New("neg", (e.operands[1 - position],))
    return None


@rule("mul", "div")
def _two_negatives(e: Equation, context: Context) -> Answer:
    a, b = (context.definition(o, "neg") for o in e.operands)
    if a is None or b is None or _kind(e.out) not in "f":
        return None
    x, y = a.operands[0], b.operands[0]
    if not all(_kind(o) == "f" and context.is_packed(o) for o in (x, y)):
        return None
    return New(e.primitive.name, (x, y))


@rule("div")
def _divide_by_one(e: Equation, context: Context) -> Answer:
    return _neutral(e, context, 1, 1)


# Powers of two whose inverses every floating-point type has; a product with one is rounded just
# as the quotient is.
_POWERS = frozenset(math.ldexp(sign, k) for k in range(-10, 11) for sign in (1.0, -1.0))


@rule("div")
def _divide_by_power_of_two(e: Equation, context: Context) -> Answer:
    x, y = e.operands
    value = constant(y)
    if value not in _POWERS or _kind(e.out) != "f" or _kind(x) != "f":
        return None
    assert value is not None
    inverse = 1.0 / value
    return New("mul", (x, inverse if type(y) in (float, int) else y.dtype.type(inverse)))


@rule("pow")
def _first_power(e: Equation, context: Context) -> Answer:
    return _neutral(e, context, 1, 1) if is_exactly(e.operands[1], 1) else None


def _undone(e: Equation, context: Context) -> Answer:
    """Return x for an operation that undoes itself: −(−x)."""
    found = context.definition(e.operands[0], e.primitive.name)
    if found is None or not context.is_packed(found.operands[0]):
        return None
    return found.operands[0]


rule("neg", "conj", "invert")(_undone)


@rule("logical_not")
def _double_negation(e: Equation, context: Context) -> Answer:
    return _undone(e, context) if _kind(e.operands[0]) == "b" else None


@rule("abs", "square")
def _even(e: Equation, context: Context) -> Answer:
    """f(−x) = f(x); the last bit of cos(−x), say, nobody promises."""
    found = context.definition(e.operands[0], "neg")
    if found is None or _kind(e.operands[0]) != "f" or not context.is_packed(found.operands[0]):
        return None
    return New(e.primitive.name, found.operands)


@rule("abs", "floor", "ceil", "rint", "trunc", "sign")
def _idempotent(e: Equation, context: Context) -> Answer:
    """f(f(x)) = f(x)."""
    found = context.definition(e.operands[0], e.primitive.name)
    return None if found is None or _kind(found.operands[0]) != "f" else e.operands[0]


@rule("maximum", "minimum", "logical_and", "logical_or", "bitwise_and", "bitwise_or")
def _same_twice(e: Equation, context: Context) -> Answer:
    a, b = e.operands
    return a if a is b and context.is_packed(a) else None


@rule("where")
def _no_choice(e: Equation, context: Context) -> Answer:
    condition, a, b = e.operands
    if a is b and type(a) is Var and context.is_packed(a):
        return a
    if type(condition) is Var:
        return None
    chosen = a if np.all(condition) else b if not np.any(condition) else None
    return chosen if context.is_packed(chosen) else None


# -- shape and layout ----------------------------------------------------------------------------


def _without_units(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


@rule("reshape", "broadcast_to")
def _same_shape(e: Equation, context: Context) -> Answer:
    return e.operands[0] if type_of(e.operands[0]).shape == e.params["shape"] else None


@rule("reshape")
def _reshape_twice(e: Equation, context: Context) -> Answer:
    found = context.definition(e.operands[0], "reshape")
    if found is None:
        return None
    before, between, after = (
        type_of(found.operands[0]).shape,
        found.params["shape"],
        e.params["shape"],
    )
    # between two true rearrangements NumPy may have to copy, and the copy has another layout
    moved = _without_units(between)
    if len(before) > 1 and moved not in (_without_units(before), _without_units(after)):
        return None
    return New("reshape", found.operands, {"shape": after})


@rule("broadcast_to")
def _broadcast_twice(e: Equation, context: Context) -> Answer:
    found = context.definition(e.operands[0], "broadcast_to")
    return None if found is None else New("broadcast_to", found.operands, e.params)


@rule("transpose")
def _same_axes(e: Equation, context: Context) -> Answer:
    axes = e.params["axes"]
    return e.operands[0] if axes == tuple(range(len(axes))) else None


@rule("transpose")
def _transpose_twice(e: Equation, context: Context) -> Answer:
    found = context.definition(e.operands[0], "transpose")
    if found is None:
        return None
    axes = tuple(found.params["axes"][i] for i in e.params["axes"])
    return New("transpose", found.operands, {"axes": axes})


@rule("cast", "cast_to_integer")
def _same_dtype(e: Equation, context: Context) -> Answer:
    (x,) = e.operands
    return x if type_of(x).dtype == e.params["dtype"] and context.is_packed(x) else None


@rule("cast")
def _there_and_back(e: Equation, context: Context) -> Answer:
    """Return x for a cast to a wider type and back."""
    found = context.definition(e.operands[0], "cast")
    if found is None or not context.is_packed(found.operands[0]):
        return None
    (x,) = found.operands
    narrow, wide = type_of(x).dtype, found.params["dtype"]
    if narrow.kind != wide.kind or not np.can_cast(narrow, wide, "safe"):
        return None
    return x if e.params["dtype"] == narrow else None


@rule("cast")
def _choice_of_numbers(e: Equation, context: Context) -> Answer:
    """Choose between numbers of the dtype that is wanted in the end."""
    found = context.definition(e.operands[0], "where")
    if found is None or e.params["dtype"].kind != "f":
        return None
    condition, *numbers = found.operands
    if any(type(o) not in (int, float) for o in numbers):
        return None
    return New("where", (condition, *map(e.params["dtype"].type, numbers)))


@rule("not_equal")
def _truth_value_again(e: Equation, context: Context) -> Answer:
    """Return the truth value that a number stands for, perhaps in another shape."""
    x, zero = e.operands
    moved = context.definition(x, "reshape")
    found = context.definition(x if moved is None else moved.operands[0], "cast")
    if found is None or not is_exactly(zero, 0) or not context.is_packed(found.operands[0]):
        return None
    (truth,) = found.operands
    if _kind(truth) != "b":
        return None
    return truth if moved is None else New("reshape", (truth,), moved.params)


@rule("getitem")
def _everything(e: Equation, context: Context) -> Answer:
    x = e.operands[0]
    if len(e.operands) > 1 or not type_of(x).shape:
        return None
    everything = all(
        p is Ellipsis or (type(p) is slice and p == slice(None)) for p in e.params["spec"]
    )
    return x if everything else None


@rule("getitem")
def _just_written(e: Equation, context: Context) -> Answer:
    """``r[i] = v; r[i]`` is ``v``."""
    found = context.definition(e.operands[0], "setitem", "embed")
    if found is None or len(e.operands) > 1:
        return None
    written = found.operands[1 if found.primitive.name == "setitem" else 0]
    place = found.params.get("spec", found.params.get("index"))
    if place != e.params["spec"] or len(type_of(written).shape) > 1:
        return None
    return written if _is_static(place) and context.is_packed(written) else None


def _is_static(place: Any) -> bool:
    return all(type(p) in (int, slice) or p is Ellipsis or p is None for p in place)


@rule("getitem")
def _one_of_a_stack(e: Equation, context: Context) -> Answer:
    found = context.definition(e.operands[0], "stack")
    spec = e.params["spec"]
    if found is None or found.params["axis"] != 0 or len(spec) != 1 or type(spec[0]) is not int:
        return None
    taken = found.operands[spec[0]]
    return taken if len(type_of(taken).shape) <= 1 and context.is_packed(taken) else None


# -- fast: right for numbers, not for infinities and NaN -----------------------------------------


def _filled(e: Equation, number: float) -> Answer:
    shape, dtype, weak = e.out.type
    if weak:
        return dtype.type(number).item()
    return np.full(shape, number, dtype)[()] if e.out.type.size <= 1024 else None


@rule("mul", fast=True)
def _times_zero(e: Equation, context: Context) -> Answer:
    return _filled(e, 0) if any(constant(o) == 0 for o in e.operands) else None


@rule("sub", fast=True)
def _minus_itself(e: Equation, context: Context) -> Answer:
    return _filled(e, 0) if e.operands[0] is e.operands[1] else None


@rule("div", fast=True)
def _by_itself(e: Equation, context: Context) -> Answer:
    return _filled(e, 1) if e.operands[0] is e.operands[1] else None


@rule("add", "sub", fast=True)
def _plus_zero(e: Equation, context: Context) -> Answer:
    a, b = e.operands
    if constant(b) == 0:
        return a
    if constant(a) == 0:
        return b if e.primitive.name == "add" else New("neg", (b,))
    return None


@rule("exp", "log", fast=True)
def _inverse(e: Equation, context: Context) -> Answer:
    inverse = "log" if e.primitive.name == "exp" else "exp"
    found = context.definition(e.operands[0], inverse)
    # the logarithm of a complex number has other values with the same exponential
    return None if found is None or _kind(e.out) != "f" else found.operands[0]


@rule("reciprocal", fast=True)
def _sigmoid_of_reciprocal(e: Equation, context: Context) -> Answer:
    return _sigmoid(e.operands[0], context)


@rule("div", fast=True)
def _sigmoid_of_quotient(e: Equation, context: Context) -> Answer:
    return _sigmoid(e.operands[1], context) if constant(e.operands[0]) == 1 else None


def _sigmoid(denominator: Any, context: Context) -> Answer:
    """1 / (1 + exp(−z)) is the sigmoid of z.

    The two agree in exact arithmetic and differ by a few roundings, hence ``fast``.
    """
    added = context.definition(denominator, "add")
    if added is None or _kind(denominator) != "f":
        return None
    for one, power in (added.operands, added.operands[::-1]):
        raised = context.definition(power, "exp")
        negative = None if raised is None else context.definition(raised.operands[0], "neg")
        if negative is not None and constant(one) == 1:
            return New("expit", negative.operands)
    return None
