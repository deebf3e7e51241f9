"""Functions whose derivative is given: what follows from which rule, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from chainrule import check_gradients, custom_rule, grad, hessian, jvp, linearize, vjp, vmap
from chainrule.maps import scale
from chainrule.program.errors import (
    GradientError,
    ShapeError,
    TraceError,
    UnsupportedError,
)


def by_vjp():
    @custom_rule
    def power(x, n):
        return np.asarray(x) ** n

    @power.vjp
    def _(ct, y, x, n):
        return ct * n * x ** (n - 1), None

    return power


def by_jvp():
    @custom_rule
    def power(x, n):
        return np.asarray(x) ** n

    @power.jvp
    def _(tangents, y, x, n):
        return tangents[0] * n * x ** (n - 1)

    return power


def by_maps():
    return custom_rule(
        lambda x, n: np.asarray(x) ** n,
        maps=lambda y, x, n: (scale(n * x ** (n - 1)), None),
    )


@pytest.mark.parametrize("make", [by_vjp, by_jvp, by_maps])
def test_every_mode_and_order_follows_from_any_rule(make):
    power = make()
    f = lambda x: np.sum(power(x, 3))
    x = np.array([0.5, 2.0])
    np.testing.assert_allclose(grad(f)(x), 3 * x**2)
    np.testing.assert_allclose(jvp(f, (x,), (np.ones(2),))[1], np.sum(3 * x**2))
    np.testing.assert_allclose(linearize(f, x)[1](np.ones(2)), np.sum(3 * x**2))
    np.testing.assert_allclose(hessian(f)(x), np.diag(6 * x))
    np.testing.assert_allclose(grad(lambda x: np.sum(grad(f)(x)))(x), 6 * x)
    third = grad(lambda x: np.sum(grad(lambda x: np.sum(grad(f)(x)))(x)))(x)
    np.testing.assert_allclose(third, [6.0, 6.0])
    check_gradients(f, x)


@pytest.mark.parametrize("make", [by_vjp, by_jvp, by_maps])
def test_under_vmap_the_shape_has_to_be_told(make):
    power = make()
    f = lambda x: power(x, 3)
    with pytest.raises(TraceError, match="shape"):
        vmap(grad(f))(np.arange(3.0))
    power.result(lambda x, n: x)
    np.testing.assert_allclose(vmap(grad(f))(np.arange(3.0)), [0.0, 3.0, 12.0])
    forward = vmap(lambda x: jvp(grad(f), (x,), (1.0,))[1])(np.arange(3.0))
    np.testing.assert_allclose(forward, 6 * np.arange(3.0))


def test_compiled_code_with_a_rule():
    @custom_rule
    def airy(x):
        return scipy.special.airy(x)[0]

    with pytest.raises(GradientError, match="no derivative rule"):
        grad(airy)(0.5)

    @airy.vjp
    def _(ct, y, x):
        return (ct * custom_airy_prime(x),)

    @custom_rule
    def custom_airy_prime(x):
        return scipy.special.airy(x)[1]

    @custom_airy_prime.vjp
    def _(ct, y, x):
        return (ct * x * airy(x),)

    value = scipy.special.airy(0.5)
    assert np.isclose(grad(airy)(0.5), value[1])
    assert np.isclose(grad(grad(airy))(0.5), 0.5 * value[0])
    assert np.isclose(jvp(airy, (0.5,), (2.0,))[1], 2 * value[1])


def test_pytrees_and_several_results():
    @custom_rule
    def both(params):
        return {"sum": params["a"] + params["b"], "product": params["a"] * params["b"]}

    @both.vjp
    def _(ct, y, params):
        a, b = params["a"], params["b"]
        return (
            {
                "a": ct["sum"] + ct["product"] * b,
                "b": ct["sum"] + ct["product"] * a,
            },
        )

    def f(a, b):
        out = both({"a": a, "b": b})
        return out["sum"] * out["product"]

    x, y = 2.0, 3.0
    got = grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(got, (x * y + (x + y) * y, x * y + (x + y) * x))
    only = grad(lambda a: both({"a": a, "b": 3.0})["product"])(2.0)
    assert only == 3.0


def test_a_wrong_rule_is_found_and_named():
    doubled = custom_rule(np.sin, vjp=lambda ct, y, x: (2 * ct * np.cos(x),))
    with pytest.raises(GradientError, match="x\\[0\\]"):
        check_gradients(lambda x: np.sum(doubled(x)), np.ones(2))
    many = custom_rule(np.sin, vjp=lambda ct, y, x: (ct, ct))
    with pytest.raises(GradientError, match="one per argument"):
        grad(many)(1.0)
    shaped = custom_rule(lambda x: np.sum(x), vjp=lambda ct, y, x: (ct,))
    with pytest.raises(ShapeError, match="shape"):
        grad(shaped)(np.ones(2))
    tangent = custom_rule(lambda x: x * 2, jvp=lambda t, y, x: np.sum(t[0]))
    with pytest.raises(ShapeError, match="tangent"):
        jvp(tangent, (np.ones(2),), (np.ones(2),))


def test_a_rule_in_compiled_code_cannot_be_transposed_and_says_so():
    hidden = custom_rule(np.sin, vjp=lambda ct, y, x: (scipy.special.airy(ct)[0],))
    with pytest.raises(UnsupportedError, match="forward mode"):
        jvp(hidden, (1.0,), (1.0,))


def test_straight_through_estimator():
    @custom_rule
    def hard_sign(x):
        return np.sign(x)

    @hard_sign.vjp
    def _(ct, y, x):
        return (ct,)

    x = np.array([-0.5, 2.0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(hard_sign(x) * x))(x), np.sign(x) + x)


def test_without_a_derivative_it_is_the_function_itself():
    calls = []

    @custom_rule
    def f(x, *, scale=2.0):
        """Scale."""
        calls.append(type(x))
        return x * scale

    assert f(3.0, scale=4.0) == 12.0
    assert f.__doc__ == "Scale."
    assert f.__name__ == "f"
    assert calls == [float]


def test_the_function_gets_plain_arrays():
    seen = []

    @custom_rule
    def f(x):
        seen.append(type(x))
        return x * 1.0

    f.vjp(lambda ct, y, x: (ct,))
    _, pull = vjp(lambda x: f(x * 2.0), np.ones(3))
    np.testing.assert_array_equal(pull(np.ones(3))[0], np.full(3, 2.0))
    assert seen == [np.ndarray]


def test_code_in_c_is_refused_and_works_with_a_rule():
    import ctypes

    call = ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda t: t**3)

    def plain(t):
        return call(t)

    with pytest.raises(ctypes.ArgumentError, match=r"(?s)`t` is being differ.*custom_rule"):
        grad(plain)(2.0)
    ruled = custom_rule(plain, vjp=lambda ct, y, t: (ct * 3 * t**2,))
    assert grad(ruled)(2.0) == 12.0
    assert grad(grad(ruled))(2.0) == 12.0


def test_the_function_makes_plain_arrays_also_where_it_is_differentiated():
    seen = []

    @custom_rule
    def f(x):
        made = [np.zeros(2), np.asarray(1.5), np.array([1.0]), np.vectorize(float)(np.arange(2))]
        seen.extend(type(array) for array in made)
        return grad(lambda a: a**3)(x) + np.sum(made[0])  # a trace of its own

    f.vjp(lambda ct, y, x: (ct * 6 * x,))
    gradient = grad(lambda x: f(x) * np.full(2, x)[1])
    assert gradient(2.0) == pytest.approx(9 * 2.0**2)
    assert set(seen) == {np.ndarray}
