"""The gradient by an array whose parts are used one by one is summed in place, and only its own."""

import numpy as np
import pytest

from chainrule import grad, value_and_grad, vjp

X = np.array([0.5, -1.0, 2.0])


def by_parts(x):
    total = x[0] * 0.0
    for i in range(len(x)):
        total = total + x[i] ** 2 * x[-1 - i]
    return total


def mixed(x):
    return np.sum(x) + x[0] * x[1] + np.sum(x[1:] ** 2) + x @ x


def shared(x):
    y = x + 0.0  # its cotangent is passed on as it is: nobody may write to it
    return np.sum((x + y) * np.array([1.0, 2.0, 3.0])) + y[0] * 5 + x[0] * 7 + y[1] * x[2]


def iterated(x):
    return sum(row @ row for row in np.reshape(np.outer(x, x), (3, 3)))


@pytest.mark.parametrize("f", [by_parts, mixed, shared, iterated])
def test_against_complex_step(f):
    h = 1e-30
    expected = [np.imag(f(X + 1j * h * e)) / h for e in np.eye(3)]
    np.testing.assert_allclose(grad(f)(X), expected, rtol=1e-13)


def test_the_given_cotangent_stays_as_it_is():
    _, pull = vjp(lambda x: (x, x[0] * 2.0), X)
    ct = np.ones(3)
    (first,) = pull((ct, np.float64(1.0)))
    (second,) = pull((ct, np.float64(1.0)))
    np.testing.assert_array_equal(ct, 1.0)
    np.testing.assert_array_equal(first, [3.0, 1.0, 1.0])
    np.testing.assert_array_equal(first, second)


def test_single_precision_and_complex_stay():
    x = X.astype(np.float32)
    assert grad(by_parts)(x).dtype == np.float32
    z = X + 1j
    g = grad(lambda z: np.abs(z[0]) ** 2 + np.abs(z[1]) ** 2)(z)
    np.testing.assert_allclose(g, [2 * z[0], 2 * z[1], 0])


def test_many_parts_of_a_large_array_take_memory_once():
    x = np.ones(20_000)
    value, g = value_and_grad(lambda x: sum(x[i] ** 2 for i in range(0, 20_000, 20)))(x)
    assert value == 1000.0
    assert g.sum() == 2000.0
