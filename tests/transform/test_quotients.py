"""The derivative of an inverse is a product with its square."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.trace.program import trace_program
from chainrule.transform.quotients import without_second_divisions


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def changed(f, *args):
    program, _ = trace_program(f, *args, abstract=True)
    return program, without_second_divisions(program)


def divisions(equations):
    inner = (
        d for e in equations if "body" in e.params for d in [divisions(e.params["body"].equations)]
    )
    return sum(e.primitive.name == "div" for e in equations) + sum(inner)


def test_results_of_a_sigmoid_and_of_its_gradient():
    x = np.linspace(-40.0, 40.0, 81)
    program, fewer = changed(cr.grad(lambda x: np.sum(sigmoid(x) ** 2)), x)
    assert (divisions(program.equations), divisions(fewer.equations)) == (2, 1)
    (wanted,), (got,) = program.evaluate(x), fewer.evaluate(x)
    np.testing.assert_allclose(got, wanted, rtol=4e-16)


def test_inverses_of_zeros_and_of_infinite_numbers():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-200, -1e200])
    program, fewer = changed(cr.grad(lambda x: np.sum(1.0 / x)), x)
    with np.errstate(all="ignore"):
        (wanted,), (got,) = program.evaluate(x), fewer.evaluate(x)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))


@pytest.mark.parametrize(
    "f", [lambda x: np.sum(2.0 / x), lambda x: np.sum(x[0] / x), lambda x: np.sum(-3.0 / (x * x))]
)
def test_other_quotients_are_left(f):
    x = np.array([0.5, 2.0])
    program, same = changed(cr.grad(f), x)
    assert divisions(same.equations) == divisions(program.equations)


def loss(w, xs):
    def step(h, x):
        gate = sigmoid(h @ w + x)
        return gate * np.tanh(x - h) + (1 - gate) * h, None

    h, _ = cr.scan(step, np.zeros(xs.shape[1:]), xs)
    return np.sum(h**2)


def test_in_loops():
    w, xs = np.eye(3), np.random.default_rng(0).normal(size=(5, 2, 3))
    program, fewer = changed(cr.grad(loss), w, xs)
    assert divisions(fewer.equations) < divisions(program.equations)
    (wanted,), (got,) = program.evaluate(w, xs), fewer.evaluate(w, xs)
    np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-15)
