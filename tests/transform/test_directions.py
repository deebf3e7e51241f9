"""Derivatives along the standard basis: the same results, without products with zeros."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.basis import is_standard_basis, standard_basis
from chainrule.trace.program import trace_program
from chainrule.transform.directions import along_directions

N = 7
RNG = np.random.default_rng(0)
A, B, X = RNG.standard_normal((N, N)), RNG.standard_normal((N, 5)), RNG.standard_normal(N)

FUNCTIONS = {
    "linear": lambda x: A @ x,
    "row times matrix": lambda x: x @ B,
    "scaled before": lambda x: A @ (np.sin(x) * x / 3 - x),
    "quotient": lambda x: B.T @ (x / (1 + x**2)),
    "masked": lambda x: A @ np.where(x > 0, x**2, -x),
    "two layers": lambda x: B.T @ np.tanh(A @ np.tanh(x)),
    "einsum": lambda x: np.einsum("ij,j->i", A, np.exp(x)),
    "einsum from the left": lambda x: np.einsum("i,ij->j", np.exp(x), A),
    "einsum with more": lambda x: np.einsum("ij,j,jk->ik", A, x, B),
    "element by element": lambda x: np.cos(x) * x,
    "sum": lambda x: np.sum(np.cos(x) * x) * x,
    "scalar factor": lambda x: A @ (x * x[0]),
    "both": lambda x: x * (A @ x) + x,
    "matrix": lambda x: np.outer(x, x) @ x,
    "reversed": lambda x: x[::-1] * x,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_jacobians_are_the_same(name, mode, dtype):
    f = FUNCTIONS[name]
    x = X.astype(dtype)
    transformed = cr.jacobian(f, mode=mode)
    program, _ = trace_program(transformed, x, abstract=True)
    shorter = along_directions(program)
    (expected,) = program.evaluate(x)
    (found,) = shorter.evaluate(x)
    assert found.dtype == expected.dtype
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessians_are_the_same(name):
    def f(x):
        return np.sum(np.sin(FUNCTIONS[name](x)))

    transformed = cr.hessian(f)
    program, _ = trace_program(transformed, X, abstract=True)
    np.testing.assert_allclose(
        along_directions(program).evaluate(X)[0], transformed(X), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(cr.jit(transformed)(X), transformed(X), rtol=1e-12, atol=1e-12)


def _products(f):
    program, _ = trace_program(f, X, abstract=True)
    names = [e.primitive.name for e in along_directions(program).equations]
    return names.count("matmul")


def test_first_product_is_none():
    assert _products(cr.jacobian(lambda x: A @ np.sin(x))) == 0
    assert _products(cr.jacobian(lambda x: B.T @ np.sin(A @ np.sin(x)))) == 2  # one is A @ sin(x)


def test_identity_of_the_user_is_multiplied_with():
    weights = np.array([1.0, np.inf])
    identity = np.eye(2)

    @cr.jit
    def f(w):
        return identity @ np.diag(w)

    with np.errstate(invalid="ignore"):
        assert np.isnan(f(weights)[0, 1])


def test_zeros_beside_the_diagonal_stay_zeros():
    x = np.array([0.0, 1.0, 4.0, 9.0, 16.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = cr.jacobian(np.sqrt)(x)
        assert np.array_equal(cr.jit(cr.jacobian(np.sqrt))(x), expected)
    assert np.isinf(expected[0, 0])
    assert np.count_nonzero(expected) == 5


def test_directions_of_an_array_with_more_axes():
    x = X[:6].reshape(2, 3)

    def f(x):
        return np.sum(np.tanh(x @ B[:3]) ** 2)

    np.testing.assert_allclose(cr.jit(cr.hessian(f))(x), cr.hessian(f)(x), rtol=1e-12, atol=1e-12)


def test_basis_is_known_and_a_copy_of_it_is_not():
    basis = standard_basis((3,), np.float32)
    assert basis.dtype == np.float32
    assert np.array_equal(basis, np.eye(3))
    assert is_standard_basis(basis)
    assert not is_standard_basis(basis.copy())
    assert standard_basis((2, 2), complex, 1j).shape == (4, 2, 2)
