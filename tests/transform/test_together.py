"""Derivatives, batches, loops and branches inside of each other."""

import numpy as np
import pytest

from chainrule import (
    check_gradients,
    checkpoint,
    cond,
    fori_loop,
    grad,
    hessian,
    hvp,
    jacobian,
    scan,
    vjp,
    vmap,
)

X = np.random.default_rng(0).standard_normal((4, 3))


def f(x):
    return np.sum(np.sin(x) * x[0] ** 2)


@pytest.mark.parametrize(
    "transform",
    [
        hessian,
        lambda f: jacobian(grad(f), mode="reverse"),
        lambda f: lambda x: hvp(f, (x,), (x,)),
        lambda f: lambda x: vjp(grad(f), x)[1](x)[0],
    ],
)
def test_batches_of_second_derivatives(transform):
    derivative = transform(f)
    np.testing.assert_allclose(vmap(derivative)(X), np.stack([derivative(x) for x in X]))
    total = grad(lambda X: np.sum(vmap(derivative)(X)))(X)
    each = np.stack([grad(lambda x: np.sum(derivative(x)))(x) for x in X])
    np.testing.assert_allclose(total, each)


def test_derivatives_of_batches():
    gradients = np.stack([grad(f)(x) for x in X])
    J = jacobian(vmap(f))(X)
    np.testing.assert_allclose(J, np.einsum("ij,ik->ijk", np.eye(4), gradients))
    H = hessian(lambda X: np.sum(vmap(f)(X)))(X)
    expected = np.stack([hessian(f)(x) for x in X])
    np.testing.assert_allclose(np.einsum("iaib->iab", H), expected)


def test_newtons_method_in_a_loop():
    loss = lambda x: np.sum((x**2 - 2.0) ** 2)

    def step(i, x):
        return x - np.linalg.solve(hessian(loss)(x), grad(loss)(x))

    solution = lambda x: fori_loop(0, 6, step, x)
    start = np.array([1.2, 1.6])
    np.testing.assert_allclose(solution(start), np.sqrt([2.0, 2.0]))
    np.testing.assert_allclose(grad(lambda x: np.sum(solution(x)))(start), 0.0, atol=1e-20)


def test_a_pull_that_a_loop_around_it_uses():
    def g(x):
        _, pull = vjp(lambda a: a * x, x)
        return fori_loop(0, 3, lambda i, s: s + pull(s)[0], x)  # x·(1 + x)³

    assert g(2.0) == 54.0
    assert grad(g)(2.0) == 81.0


def test_a_derivative_within_a_loop_that_uses_the_loops_state():
    def g(x):
        def body(i, s):
            _, pull = vjp(lambda a: a * s * x, s)
            return grad(lambda c: pull(c)[0] * c)(s)  # 2·s²·x

        return fori_loop(0, 2, body, x)  # 2·(2x³)²·x = 8x⁷

    assert g(1.1) == pytest.approx(8 * 1.1**7)
    assert grad(g)(1.1) == pytest.approx(56 * 1.1**6)
    assert grad(grad(g))(1.1) == pytest.approx(336 * 1.1**5)


@pytest.mark.parametrize(
    ("g", "args"),
    [
        (lambda x, ys: scan(lambda c, y: (np.tanh(c * y), c), x, ys), (0.3, np.arange(1.0, 4.0))),
        (lambda x: cond(x > 0, lambda x: np.sin(x) * x, lambda x: x, x), (0.3,)),
        (lambda x: checkpoint(lambda x: np.sin(x) * x[0])(x), (np.array([0.3, 0.4]),)),
        (lambda X: vmap(lambda x: np.cumsum(x) * x[0])(X), (X[:2],)),
    ],
)
def test_second_order_through_loops_branches_and_batches(g, args):
    check_gradients(g, *args, order=2)
