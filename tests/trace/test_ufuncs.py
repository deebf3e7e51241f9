"""Ufuncs with everything that a ufunc takes, and their other methods."""

import numpy as np
import pytest

import chainrule as cr
from tests.trace.comparing import check, refusal

X = np.array([0.55, 1.45, 2.6])
M = np.arange(6.0).reshape(2, 3) / 4 + 0.3


def test_out_a_fresh_array():
    check(lambda x: np.exp(x, out=np.empty(3)), X)
    check(lambda x: np.add(x, 1.0, out=np.zeros((2, 3))), X)
    check(lambda x: np.add(x, M, np.empty_like(M)), X)


def test_out_a_traced_array():
    def f(x):
        y = x * 1.0
        view = y[1:]
        same = np.multiply(x, 3.0, out=y)
        assert same is y
        np.sin(y, out=y)
        np.negative(y[:2], out=y[1:])
        return y, view

    check(f, X)


def test_out_a_caller_s_array_is_refused():
    buffer = np.zeros(3)
    assert "existing plain array" in refusal(lambda x: np.exp(x, out=buffer), X)
    assert "existing plain array" in refusal(lambda x: np.add(buffer, x, out=buffer), X)
    np.testing.assert_array_equal(buffer, 0)


def test_out_with_another_dtype():
    check(lambda x: np.add(x, 1.0, out=np.empty(3, np.float32)), X, rtol=1e-3, step=1e-2)
    text = refusal(lambda x: np.add(x, 1.0, out=np.empty(3, int)), X)
    assert "array of int64" in text


def test_out_of_reductions_and_functions():
    check(lambda x: np.sum(x, axis=0, out=np.empty(3)), M)
    check(lambda x: np.add.reduce(x, axis=1, out=np.empty(2)), M)
    check(lambda x: np.matmul(M, x, out=np.empty(2)), X)
    check(lambda x: np.dot(M, x, out=np.empty(2)), X)
    check(lambda x: np.cumsum(x, out=np.empty(3)), X)
    check(lambda x: np.concatenate([x, x], out=np.empty(6)), X)
    check(lambda x: x.sum(axis=0, out=np.empty(3)), M)


def test_where():
    mask = np.array([True, False, True])

    def f(x):
        y = x * 2.0
        np.log(x, out=y, where=mask)
        return y, np.sqrt(x, out=np.zeros(3), where=x > 1), np.sum(x, where=mask)

    check(f, X)
    assert "uninitialised memory" in refusal(lambda x: np.log(x, where=mask), X)


def test_where_leaves_out_what_has_no_derivative():
    def f(x):
        return np.sum(np.log(x, out=np.zeros(3), where=x > 0))

    np.testing.assert_array_equal(cr.grad(f)(np.array([0.0, 1.0, 2.0])), [0.0, 1.0, 0.5])


def test_dtype():
    single = X.astype(np.float32)

    def f(x):
        return np.add(x, 1, dtype=np.float32), np.exp(x, dtype=np.float32)

    traced = cr.vjp(f, X)[0]
    for ours, theirs in zip(traced, f(X), strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)
    traced = cr.vjp(lambda x: np.multiply(x, 0.1, dtype=float), single)[0]
    np.testing.assert_array_equal(traced, np.multiply(single, 0.1, dtype=float))


def test_other_methods():
    check(lambda x: np.add.reduce(x), M)
    check(lambda x: np.multiply.reduce(x, axis=1, keepdims=True), M)
    check(lambda x: np.maximum.reduce(x, axis=0), M)
    check(lambda x: np.add.accumulate(x, axis=1), M)
    check(lambda x: np.multiply.accumulate(x), X)
    check(lambda x: np.maximum.accumulate(np.sin(5 * x)), X)
    check(lambda x: np.multiply.outer(x, x), X)
    check(lambda x: np.add.outer([1.0, 2.0], x), X)
    value, pull = cr.vjp(lambda x: np.logaddexp.reduce(x), X)  # summed in another order
    np.testing.assert_allclose(value, np.logaddexp.reduce(X), rtol=1e-14)
    np.testing.assert_allclose(pull(1.0)[0], np.exp(X - value))
    assert "np.add.reduceat" in refusal(lambda x: np.add.reduceat(x, [0, 2]), X)
    assert "np.hypot.reduce" in refusal(lambda x: np.hypot.reduce(x), X)


def test_at():
    index = np.array([0, 2, 0])

    def f(x):
        y = np.zeros(3)
        np.add.at(y, index, x)
        np.subtract.at(y, [0, 0], x[1] * 0.3)
        z = np.ones(3)
        np.multiply.at(z, index, 2.0)
        w = x * 1.0
        np.add.at(w, index, 1.0)
        return y, z * x, w

    check(f, X)
    buffer = np.zeros(3)
    assert "existing plain array" in refusal(lambda x: np.add.at(buffer, index, x), X)
    assert "np.multiply.at" in refusal(lambda x: np.multiply.at(x, [0], 2.0), X)


def test_at_on_a_plain_array_with_constants():
    def f(x):
        counts = np.random.default_rng(0).normal(size=3)
        np.add.at(counts, np.array([0, 0]), np.ones(2))
        return counts * x

    check(f, X)


def test_numbers_and_lists_as_operands():
    check(lambda x: np.add(x, [1.0, 2.0, 3.0]), X)
    check(lambda x: x * [1, 2, 3] + (0.5, 0.25, 0.125), X)
    check(lambda x: np.float64(2) * x - np.float32(0.5), X)
    check(lambda x: x + True, X)
    check(lambda x: np.maximum(x, [x[1], 0.0, 3.0]), X)


def test_a_list_of_traced_values_is_refused_with_a_rewrite_that_works():
    assert "np.array([x[0], x[1]])" in refusal(lambda x: np.exp([x[0], x[1]]), X)
    check(lambda x: np.exp(np.array([x[0], x[1]])), X)


@pytest.mark.parametrize("name", ["modf", "divmod", "frexp", "spacing", "nextafter", "ldexp"])
def test_ufuncs_of_constants_need_no_rule(name):
    ufunc = getattr(np, name)
    more = {"divmod": (0.3,), "nextafter": (9.0,), "ldexp": (2,)}.get(name, ())

    def f(x):
        made = ufunc(np.array([0.25, 1.75, -3.5]), *more)
        made = made if isinstance(made, tuple) else (made,)
        made[0][0] = x[0]  # a fresh array, into which traced values may be put
        return made

    check(f, X)


def test_integers_and_bits_of_constants():
    def f(x):
        n = np.arange(1, 4)
        return x * (n << 1) + (n >> 1) + (n & 2) + (n | 4) + (n ^ 1) + ~n, np.gcd(n, 2) * x

    check(f, X)
