"""Functions that cross the border to JAX and back with their derivatives."""

import numpy as np
import pytest

import chainrule as cr

jax = pytest.importorskip("jax")

from chainrule.interop import from_jax, to_jax  # noqa: E402

pytestmark = pytest.mark.oracle
jnp = jax.numpy

RNG = np.random.default_rng(0)
A, X = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))


@pytest.fixture(params=[False, True], ids=["32 bits", "64 bits"])
def dtype(request):
    with jax.enable_x64(request.param):
        yield np.float64 if request.param else np.float32


def ours(A, X):
    return np.sum(np.tanh(A @ X) ** 2, axis=0)


def theirs(A, X):
    return jnp.sum(jnp.tanh(A @ X) ** 2, axis=0)


def close(one, two, dtype):
    np.testing.assert_allclose(one, two, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def weighted(f):
    return lambda A, X: f(A, X) @ np.array([1.0, -2.0], np.float32)


def test_jax_differentiates_our_function(dtype):
    a, x = jnp.asarray(A, dtype), jnp.asarray(X, dtype)
    f = to_jax(ours)
    close(f(a, x), theirs(a, x), dtype)
    expected = jax.grad(weighted(theirs), (0, 1))(a, x)
    for found in (
        jax.grad(weighted(f), (0, 1))(a, x),
        jax.jit(jax.grad(weighted(f), (0, 1)))(a, x),
    ):
        for one, two in zip(found, expected, strict=True):
            assert one.dtype == two.dtype == dtype
            close(one, two, dtype)


def test_our_function_works_under_their_vmap(dtype):
    a, xs = jnp.asarray(A, dtype), jnp.asarray(RNG.normal(size=(5, 4, 2)), dtype)
    mine = jax.vmap(jax.grad(weighted(to_jax(ours))), (None, 0))(a, xs)
    close(mine, jax.vmap(jax.grad(weighted(theirs)), (None, 0))(a, xs), dtype)


def test_we_differentiate_their_function(dtype):
    a, x = A.astype(dtype), X.astype(dtype)
    f = from_jax(theirs)
    close(f(a, x), ours(a, x), dtype)
    for one, two in zip(
        cr.grad(weighted(f), (0, 1))(a, x), cr.grad(weighted(ours), (0, 1))(a, x), strict=True
    ):
        assert one.dtype == dtype
        close(one, two, dtype)


def test_derivatives_of_any_order_cross_in_both_directions():
    with jax.enable_x64(True):
        f, g, h = from_jax(lambda x: jnp.sin(x) * x), lambda x: np.sin(x) * x, lambda x: x
        h = to_jax(g)
        for _ in range(3):
            f, g, h = cr.grad(f), cr.grad(g), jax.grad(h)
            assert float(f(0.7)) == pytest.approx(float(g(0.7)), rel=1e-12)
            assert float(h(jnp.asarray(0.7))) == pytest.approx(float(g(0.7)), rel=1e-12)


def test_there_and_back_is_the_function_itself():
    with jax.enable_x64(True):
        again = from_jax(to_jax(ours))
        mine = cr.grad(weighted(again))(A, X)
        np.testing.assert_allclose(mine, cr.grad(weighted(ours))(A, X), rtol=1e-12)


def test_their_function_is_recorded_without_values():
    with jax.enable_x64(True):
        f = from_jax(lambda x: jnp.sin(x) * 2)
        _, outs = cr.scan(lambda carry, x: (carry + f(x), f(x)), 0.0, np.arange(3.0))
        np.testing.assert_allclose(outs, 2 * np.sin(np.arange(3.0)))


def test_trees_and_integers():
    def f(params, index):
        return {"picked": params["W"][index], "sum": np.sum(params["W"])}

    def loss(params, index):
        out = to_jax(f)(params, index)
        return jnp.sum(out["picked"]) + 2 * out["sum"]

    found = jax.jit(jax.grad(loss))({"W": jnp.ones((3, 4))}, jnp.array([0, 2, 2]))
    expected = np.full((3, 4), 2.0)
    np.add.at(expected, [0, 2, 2], 1.0)
    np.testing.assert_array_equal(found["W"], expected)


def test_a_loss_of_precision_is_refused():
    with jax.enable_x64(False), pytest.raises(TypeError, match="jax_enable_x64"):
        from_jax(jnp.sin)(np.ones(3))
