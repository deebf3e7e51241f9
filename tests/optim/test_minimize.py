"""SciPy's minimisers over trees."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

GRADIENT = ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"]
CURVED = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-constr", "dogleg", "trust-exact"]
FREE = ["Nelder-Mead", "Powell", "COBYLA"]


def bowl(params):
    """A convex function with its minimum at W = [[1, 2], [3, 4]], b = -1."""
    rest = params["W"] - np.array([[1.0, 2.0], [3.0, 4.0]])
    edge = params["b"] + 1
    return np.sum(np.cosh(rest) - 1) + np.sum(rest) ** 2 + edge**2 + 0.5 * edge * rest[0, 0]


START = {"W": np.array([[0.5, 1.0], [2.5, 4.5]]), "b": 0.0}


@pytest.mark.parametrize("method", [*GRADIENT, *CURVED, *FREE])
def test_a_method_finds_the_minimum(method):
    options = {"maxiter": 3000} if method in FREE else {}
    tol = 1e-6 if method == "trust-krylov" else 1e-9  # it divides by zero at the minimum itself
    found = optim.minimize(bowl, START, method, tol=tol, options=options)
    atol = 1e-3 if method in FREE else 1e-5
    np.testing.assert_allclose(found.params["W"], [[1, 2], [3, 4]], atol=atol)
    np.testing.assert_allclose(found.params["b"], -1, atol=atol)
    assert found.value == bowl(found.params)
    assert np.max(np.abs(found.gradients["W"])) < 1e-2
    assert found.evaluations > 0
    assert (found.products > 0) == (method in CURVED)


def test_second_order_methods_converge_in_few_iterations():
    x = np.array([-1.2, 1.0, 0.5, -0.3])
    valley = lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    found = optim.minimize(valley, x, "trust-exact")
    assert found.success
    assert found.products == found.scipy.nhev * 4
    assert np.max(np.abs(cr.grad(valley)(found.params))) < 1e-4


@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-ncg"])
def test_a_compiled_function_has_the_same_minimum(method):
    plain, compiled = (optim.minimize(bowl, START, method, tol=1e-9, jit=j) for j in (False, True))
    assert compiled.success == plain.success
    np.testing.assert_allclose(compiled.params["W"], plain.params["W"], atol=1e-6)
    np.testing.assert_allclose(compiled.value, plain.value, atol=1e-12)


def test_bounds_are_trees_or_numbers():
    lower = {"W": np.full((2, 2), -np.inf), "b": -0.5}
    found = optim.minimize(bowl, START, bounds=(lower, np.inf))
    assert found.success
    assert float(found.params["b"]) == -0.5
    found = optim.minimize(bowl, START, bounds=(0, 2.0))
    assert np.max(found.params["W"]) <= 2.0
    assert float(found.params["b"]) == 0.0


def test_dtypes_and_structures_come_back():
    start = (np.ones(3, np.float32), [np.ones((), np.float64)])
    found = optim.minimize(lambda p: np.sum((p[0] - 2) ** 2) + (p[1][0] - 3.0) ** 2, start)
    assert found.params[0].dtype == np.float32
    assert found.params[1][0].dtype == np.float64
    np.testing.assert_allclose(found.params[0], 2, atol=1e-4)


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-exact"])
def test_complex_parameters_are_two_real_ones(method):
    f = lambda z: np.sum(np.abs(z * z - np.array([2j, -4.0])) ** 2)
    found = optim.minimize(f, np.array([0.8 + 0.9j, 0.1 + 1.8j]), method)
    np.testing.assert_allclose(found.params, [1 + 1j, 2j], atol=1e-3)


def test_the_callback_sees_trees_and_may_stop():
    seen = []

    def callback(params):
        seen.append(bowl(params))
        if len(seen) == 3:
            raise StopIteration

    found = optim.minimize(bowl, START, "BFGS", callback=callback)
    assert len(seen) == found.iterations == 3
    assert seen == sorted(seen, reverse=True)
    assert not found.success


def test_a_failure_is_reported():
    found = optim.minimize(bowl, START, "BFGS", options={"maxiter": 1})
    assert not found.success
    assert "iterations" in found.message


def test_what_cannot_be_moved_is_refused():
    with pytest.raises(TypeError, match=r"params\['n'\] is of dtype int64"):
        optim.minimize(lambda p: p["x"] ** 2, {"x": 1.0, "n": 3})
    with pytest.raises(ValueError, match="no arrays"):
        optim.minimize(lambda p: 0.0, {})
    with pytest.raises(ValueError, match=r"bounds: expected a dict"):
        optim.minimize(bowl, START, bounds=([1.0], np.inf))
