"""Transformations of transformed functions, against derivatives taken by hand."""

import itertools

import numpy as np
import pytest

from chainrule import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
)

# Every way to differentiate a function from a number to a number once, or twice.
ONCE = {
    "grad": grad,
    "value_and_grad": lambda f: lambda x: value_and_grad(f)(x)[1],
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: vjp(f, x)[1](1.0)[0],
    "linearize": lambda f: lambda x: linearize(f, x)[1](1.0),
    "jacobian forward": lambda f: jacobian(f, mode="forward"),
    "jacobian reverse": lambda f: jacobian(f, mode="reverse"),
}
TWICE = {
    "hessian": hessian,
    "hvp": lambda f: lambda x: hvp(f, (x,), (1.0,)),
}


def f(x):
    return x * np.exp(2.0 * x)


def derivative(n, x):
    """The n-th derivative of x·exp(2x), by Leibniz."""
    return (2**n * x + n * 2 ** (n - 1)) * np.exp(2 * x)


def chains(order):
    ways = {**{name: (d, 1) for name, d in ONCE.items()}, **{n: (d, 2) for n, d in TWICE.items()}}
    for length in range(1, order + 1):
        for names in itertools.product(ways, repeat=length):
            if sum(ways[name][1] for name in names) == order:
                yield pytest.param([ways[name][0] for name in names], id=" of ".join(names))


@pytest.mark.parametrize("chain", list(chains(1)))
def test_first_order(chain):
    assert_derivative(chain, 1)


@pytest.mark.parametrize("chain", list(chains(2)))
def test_second_order(chain):
    assert_derivative(chain, 2)


@pytest.mark.parametrize("chain", list(chains(3)))
def test_third_order(chain):
    assert_derivative(chain, 3)


def assert_derivative(chain, order):
    transformed = f
    for transform in reversed(chain):
        transformed = transform(transformed)
    for x in (0.7, np.float64(0.7), np.array(0.7)):
        result = transformed(x)
        assert type(result) in (np.float64, np.ndarray)
        assert result == pytest.approx(derivative(order, 0.7), rel=1e-13)


@pytest.mark.parametrize("outer", list(ONCE.values()), ids=list(ONCE))
@pytest.mark.parametrize("inner", list(ONCE.values()), ids=list(ONCE))
class TestPerturbationConfusion:
    """Derivatives inside derivatives whose functions close over each other's arguments."""

    def test_a_constant_inner_derivative(self, outer, inner):
        # d/dx (x · d/dy (x + y)) = d/dx x = 1
        result = outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0)
        assert result == 1.0

    def test_a_product(self, outer, inner):
        # d/dx (x · d/dy (x·y)) = d/dx x² = 2x
        assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0

    def test_the_outer_value_as_the_inner_point(self, outer, inner):
        # d/dx (d/dy (x·y²) at y = x) = d/dx 2x² = 4x
        assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0

    def test_an_escaping_inner_function(self, outer, inner):
        # Siskind and Pearlmutter: D (λx. (D (λy. x + y)))(3) must be a function with slope 0
        def g(x):
            return lambda y: inner(lambda z: x * z)(y)

        assert outer(lambda x: g(x)(5.0))(2.0) == 1.0

    def test_a_derivative_of_a_shifted_derivative(self, outer, inner):
        # Manzyuk et al., "Perturbation confusion in forward automatic differentiation of
        # higher-order functions": the shift operator, s u f x = f (x + u)
        def shifted(h):
            return lambda u: lambda x: h(x + u)

        # d/du of the slope of exp at (1 + u) is exp(1)
        result = outer(lambda u: inner(shifted(np.exp)(u))(1.0))(0.0)
        assert result == pytest.approx(np.e)

    def test_three_levels(self, outer, inner):
        # x·y·z² → by z at x: 2x·y·x → by y at x: 2x² → by x: 4x
        result = outer(
            lambda x: inner(lambda y: outer(lambda z: x * y * z * z)(x))(x),
        )(3.0)
        assert result == 12.0

    def test_an_inner_derivative_that_is_used_twice(self, outer, inner):
        def g(x):
            slope = inner(lambda y: np.sin(x * y))  # x·cos(x·y)
            return slope(1.0) + slope(2.0)

        expected = np.cos(2) - 2 * np.sin(2) + np.cos(4) - 4 * np.sin(4)
        assert outer(g)(2.0) == pytest.approx(expected)

    def test_a_stopped_value(self, outer, inner):
        assert outer(lambda x: inner(lambda y: stop_gradient(x) * y * x)(1.0))(3.0) == 3.0


class TestLaterUse:
    """A kept derivative that is used somewhere else than where it was made."""

    def test_outside_of_any_trace_then_inside(self):
        _, pull = vjp(lambda a: a**3, 2.0)  # 12·c
        _, push = linearize(lambda a: a**3, 2.0)
        assert grad(lambda c: pull(c)[0] ** 2)(5.0) == 2 * 144 * 5
        assert grad(lambda c: push(c) ** 2)(5.0) == 2 * 144 * 5

    @pytest.mark.parametrize("inner", list(ONCE.values()), ids=list(ONCE))
    def test_inside_of_a_trace_then_deeper(self, inner):
        # nothing of the outer trace goes in, but the inner cotangent must not be cut off
        def g(x):
            _, pull = vjp(lambda a: a * a, 2.0)  # 4·c
            _, push = linearize(lambda a: a * a, 2.0)
            return x * inner(lambda c: pull(c)[0] + push(c))(3.0)

        assert grad(g)(1.0) == 8.0

    def test_in_the_same_trace_after_the_function_that_made_it(self):
        def g(x):
            kept = []

            def inner(y):
                kept.append(vjp(lambda a: a * y, x)[1])  # y·c
                return y

            grad(inner)(5.0)
            return kept[0](x)[0]  # 5·x

        assert grad(g)(3.0) == 5.0

    def test_after_its_trace(self):
        kept = []

        def g(x):
            kept.extend((vjp(lambda a: a * x, x)[1], linearize(lambda a: a * x, x)[1]))
            return x

        grad(g)(2.0)
        for derivative in kept:
            with pytest.raises(TypeError, match="made inside a derivative that is finished"):
                derivative(1.0)
            with pytest.raises(TypeError, match="made inside a derivative that is finished"):
                grad(derivative)(1.0)


class TestArrays:
    rng = np.random.default_rng(1)
    A = rng.standard_normal((4, 4))
    x = rng.standard_normal(4)
    v = rng.standard_normal(4)

    def cubic(self, x):
        return np.sum((self.A @ x) ** 3)

    def test_third_derivative_tensor(self):
        expected = 6 * np.einsum("ki,kj,kl->ijl", self.A, self.A, self.A)
        np.testing.assert_allclose(jacobian(hessian(self.cubic))(self.x), expected)
        np.testing.assert_allclose(jacobian(jacobian(grad(self.cubic)))(self.x), expected)

    def test_gradient_of_a_curvature(self):
        expected = 6 * np.einsum("ki,kj,kl,i,j->l", self.A, self.A, self.A, self.v, self.v)
        curvature = lambda x: self.v @ hvp(self.cubic, (x,), (self.v,))
        np.testing.assert_allclose(grad(curvature)(self.x), expected)
        curvature = lambda x: self.v @ hessian(self.cubic)(x) @ self.v
        np.testing.assert_allclose(grad(curvature)(self.x), expected)

    def test_gradient_of_a_log_determinant_of_a_jacobian(self):
        flow = lambda x: x + np.tanh(self.A @ x)

        def volume(x):
            return np.sum(np.log(np.abs(np.diagonal(jacobian(flow)(x)))))

        def by_hand(x):
            slope = 1 - np.tanh(self.A @ x) ** 2
            return np.sum(np.log(np.abs(1 + slope * np.diag(self.A))))

        np.testing.assert_allclose(grad(volume)(self.x), grad(by_hand)(self.x))

    def test_a_newton_step_inside_a_gradient(self):
        # x* = argmin of (x - p)² + x⁴/4 by one Newton step from 1; its slope in p
        def step(p):
            loss = lambda x: (x - p) ** 2 + x**4 / 4
            return 1.0 - grad(loss)(1.0) / hessian(loss)(1.0)

        assert grad(step)(0.3) == pytest.approx(2 / 5)
