"""Operators, in-place operators and what Python itself asks of a value."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.errors import TraceError
from tests.trace.comparing import check, refusal

X = np.array([0.55, 1.45, 2.6])
M = np.arange(6.0).reshape(2, 3) / 4 + 0.3
BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.mod,
    operator.matmul,
]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("other", [2.0, np.float64(2.0), np.array([1.2, 0.7, 1.9]), 3])
def test_operators_both_ways_round(op, other):
    if op is operator.matmul and np.ndim(other) == 0:
        return
    check(lambda x: op(x, other), X)
    check(lambda x: op(other, x), X)


@pytest.mark.parametrize("op", BINARY[:-1])
def test_operators_on_python_floats(op):
    check(lambda x: op(x, 2), 1.7)
    check(lambda x: op(2, x), 1.7)
    check(lambda x, y: op(x, y), 1.7, 0.6)
    assert type(cr.vjp(lambda x: op(x, 2), 1.7)[0]) is float


def test_unary_operators_and_friends():
    check(lambda x: (-x, +x, abs(-x)), X)
    check(lambda x: divmod(x, 0.7), X)
    check(lambda x: divmod(7.0, x), X)
    check(lambda x: pow(x, 2), X)
    check(lambda x: (x > 1, x >= 1, x < 1, x <= 1, x == 1.45, x != 1.45), X)
    check(lambda x: x > 1.0, X)


@pytest.mark.parametrize("op", IN_PLACE)
def test_an_alias_sees_an_operation_in_place(op):
    def f(x, y):
        a = x * 1.0
        b = a
        a = op(a, y)
        assert a is b
        row = a[0]
        row = op(row, 0.5)
        return a, b, row

    check(f, M, np.array([0.3, 0.2, 0.6]))


def test_an_operation_in_place_on_a_view_changes_its_base():
    def f(x):
        a = x.copy()
        view = a[1:, ::-1]
        view += x[0, 0]
        column = a[:, 1]
        column *= 2.0
        a.T[0] -= 1.0
        return a, view, column

    check(f, M)


def test_numbers_are_replaced_and_arrays_without_axes_change_in_place():
    def f(x):
        s = x[0]
        r = s
        s += 1.0  # a NumPy scalar: r keeps the old value
        a = np.array(x[1])
        b = a
        a += x[2]  # an array: b sees it
        return s, r, a, b

    check(f, X)


def test_an_operation_in_place_on_a_caller_s_array_leaves_it_alone():
    def f(x):
        x += 1.0
        x[0] = 0.0
        return x

    check(f, X)


# -- array += t, where array is a plain one ------------------------------------------------------


def fresh():
    """A plain array of which nobody else knows."""
    return np.random.default_rng(0).normal(size=3)


class Holder:
    pass


def in_local(t):
    array = fresh()
    array += t
    return array


def in_attribute(t):
    holder = Holder()
    holder.array = fresh()
    holder.array += t
    return holder.array


def in_dict(t):
    held = {"a": fresh()}
    held["a"] += t
    return held["a"]


def in_list(t):
    held = [fresh()]
    held[0] += t
    return held[0]


def in_closure(t):
    array = fresh()

    def change():
        nonlocal array
        array += t

    change()
    return array


@pytest.mark.parametrize("f", [in_local, in_attribute, in_dict, in_list, in_closure])
def test_a_plain_array_with_one_owner_may_become_traced_in_place(f):
    check(f, X)


def shared_local(t):
    array = fresh()
    other = array
    array += t
    return other


def shared_attribute(t):
    holder = Holder()
    holder.array = array = fresh()
    holder.array += t
    return array


def shared_dict(t):
    held = {"a": fresh(), "b": None}
    held["b"] = held["a"]
    held["a"] += t
    return held["b"]


def shared_list(t):
    held = [fresh()] * 2
    held[0] += t
    return held[1]


def shared_view(t):
    array = fresh()
    view = array[1:]
    array += t
    return view


def in_view(t):
    array = fresh()
    view = array[1:]
    view += t[1:]
    return array


@pytest.mark.parametrize(
    "f", [shared_local, shared_attribute, shared_dict, shared_list, shared_view, in_view]
)
def test_a_plain_array_with_other_owners_is_refused(f):
    text = refusal(f, X)
    assert "cannot be written into an existing plain array" in text
    assert "+= t" in text


def test_a_constant_changes_a_plain_array_in_place():
    def f(x):
        array = fresh()
        other = array
        array += np.ones(3)
        return other * x

    check(f, X)


# -- what Python asks ----------------------------------------------------------------------------


def test_branches_and_conversions_that_are_constant_in_the_value():
    def f(x):
        y = x * 1.0
        if x > 1.0:
            y = y + int(x)
        y = y * round(x) + round(x, 1) + math.floor(x) * math.ceil(x) + math.trunc(x)
        return y + bool(x) + x // 1

    check(f, 2.6)
    check(f, 0.7)


def test_python_floats_keep_python_s_errors():
    with pytest.raises(ZeroDivisionError):
        cr.grad(lambda x: x / 0)(2.0)
    with pytest.raises(ZeroDivisionError):
        cr.grad(lambda x: 1 / (x - x))(2.0)
    with pytest.raises(OverflowError):
        cr.grad(lambda x: (x * 1e300) ** 2)(2.0)
    with pytest.raises(ValueError, match="math domain error"):
        cr.grad(lambda x: math.log(x - 2))(2.0)
    with pytest.raises(OverflowError):
        cr.grad(lambda x: math.exp(x * 1000))(2.0)


def test_classes():
    def f(x, a):
        assert isinstance(x, float)
        assert not isinstance(x, np.ndarray | int)
        assert isinstance(a, np.ndarray)
        assert not isinstance(a, float)
        assert isinstance(a[0], np.float64)
        assert np.isscalar(x)
        assert np.isscalar(a[0])
        assert not np.isscalar(a)
        assert callable(a.sum)
        assert not callable(a)
        match x:
            case float():
                return x * a
        raise AssertionError

    check(f, 2.0, X)


def test_length_membership_and_truth():
    def f(x):
        assert len(x) == 3
        assert x[1] in x
        assert 7.0 not in x
        assert x.any()
        with pytest.raises(ValueError, match="ambiguous"):
            bool(x > 1)
        with pytest.raises(TypeError):
            len(x[0])
        return x

    check(f, X)


def test_python_s_own_functions_of_sequences():
    check(lambda x: sum(x), X)
    check(lambda x: sum([x[0], x[1] * x[2], 1.0]), X)
    check(lambda x: (max(x), min(x)), X)
    check(lambda x: sorted(x, key=lambda v: -v), X)
    check(lambda x: list(reversed(x)), X)
    check(lambda x: [i * v for i, v in enumerate(x)], X)
    check(lambda x: [a * b for a, b in zip(x, x[::-1], strict=True)], X)
    check(lambda x: list(map(np.square, x)), X)


def test_unpacking():
    def f(x):
        a, b, c = x
        first, *rest = x
        (p, q, r), row = M_of(x)
        return a * b + c, first, rest, p * q, r, row

    def M_of(x):
        return np.stack([x, x * 2.0])

    check(f, X)
    with pytest.raises(ValueError, match="too many values"):
        cr.vjp(lambda x: (lambda: [0 for a, b in [x]])(), X)


def test_text():
    def f(x, s):
        assert f"{s:.2f} {s}" == "2.50 2.5"
        assert f"{x}" == "[0.5  1.25]"
        assert str(x) == "[0.5  1.25]"
        assert "{:.1f}".format(s) == "2.5"  # noqa: UP032
        assert repr(x) == "traced(array([0.5 , 1.25]))"
        print(x, s)
        return x

    cr.vjp(f, np.array([0.5, 1.25]), 2.5)


def test_copies():
    def f(x):
        a, b, c = copy.copy(x), copy.deepcopy(x), x.copy()
        nest = copy.deepcopy({"p": x, "q": [x]})
        assert nest["p"] is nest["q"][0]
        for array in (a, b, c, nest["p"]):
            array[0] = 9.0
        return x, a, b, c, nest["p"]

    check(f, X)


def test_pickling_is_refused():
    assert "cannot be pickled" in refusal(lambda x: pickle.dumps(x), X)


def test_hashing():
    with pytest.raises(TypeError, match="unhashable type"):
        cr.vjp(lambda x: {x: 1}, X)
    assert "cannot be hashed" in refusal(lambda x: {x: 1}[x], 2.0)


def test_an_index_from_a_value():
    check(lambda x: X[int(x)] * x, 1.2)
    check(lambda x: [10.0, 20.0][int(x)] * x, 1.2)
    check(lambda x: X[np.argmax(x)] * x, X)
    with pytest.raises(TypeError):
        cr.vjp(lambda x: [1, 2, 3][x], 1.0)


def test_complex_numbers():
    z = np.array([1 + 2j, 0.5 - 1j])
    (gradient,) = cr.vjp(lambda z: np.sum(abs(z) ** 2), z)[1](1.0)
    np.testing.assert_allclose(gradient, 2 * z)
    gradient = cr.grad(lambda z: abs(z) ** 2 + z.real)(1 + 2j)
    np.testing.assert_allclose(gradient, 3 + 4j)
    assert "complex()" in refusal(lambda x: complex(x), 2.0)


def test_comparison_with_something_else():
    def f(x):
        assert x != None  # noqa: E711
        assert x != "text"
        with pytest.raises(TypeError):
            x + "text"
        with pytest.raises(TypeError):
            x < "text"  # noqa: B015
        return x

    check(f, 2.0)


def test_an_operand_may_answer_itself():
    class Other:
        def __radd__(self, x):
            return x * 3.0

        def __rmatmul__(self, x):
            return x * 4.0

        __array_ufunc__ = None

    check(lambda x: (x + Other(), x @ Other()), X)


def test_escaped_values_are_refused():
    kept = []
    cr.vjp(lambda x: (kept.append(x), x)[1], X)
    with pytest.raises(TraceError, match="outside the call that traced it"):
        kept[0] + 1.0
    with pytest.raises(TraceError, match="outside the call that traced it"):
        cr.vjp(lambda x: x + kept[0], X)
