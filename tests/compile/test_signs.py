"""Values whose sign is known take shorter kernels, with the results that others give."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compile import explain_compile
from chainrule.compile.emit.scalar import is_wide

needs_wide = pytest.mark.skipif(not is_wide("exp"), reason="this processor has no such kernels")

SHORTER = {
    "exp of a negative square": lambda x: np.exp(-(x**2)),
    "exp of a quotient": lambda x: np.exp(-np.abs(x) / 3.0),
    "exp of a product with a constant": lambda x: np.exp(-0.5 * (x * x + 1.0)),
    "exp behind a change of layout": lambda x: np.exp(-np.square(x)[::-1]),
    "log1p of a square": lambda x: np.log1p(x**2),
    "log1p of an exponential": lambda x: np.log1p(np.exp(x)),
    "log1p of a sum": lambda x: np.log1p(np.sqrt(x * x) + np.abs(x) / 2.0),
    "log1p of a choice": lambda x: np.log1p(np.where(x > 1.0, x * x, np.abs(x))),
}
LONGER = {
    "exp of anything": np.exp,
    "exp of a cube": lambda x: np.exp(-(x**3)),
    "exp of a difference": lambda x: np.exp(1.0 - x * x),
    "exp of what is turned twice": lambda x: np.exp(np.negative(-(x * x))),
    "log1p of anything": lambda x: np.log1p(np.maximum(x, -0.5)),
    "log1p of the negative": lambda x: np.log1p(-np.abs(np.tanh(x))),
    "log1p of a product of two factors": lambda x: np.log1p(x * (x + 1.0)),
    "log1p of a constant below zero": lambda x: np.log1p(x * x + -0.25),
}


def kernels(f, x):
    text = explain_compile(cr.jit(f), x).parts[0].code.text
    return "_nonpositive" in text or "_nonnegative" in text


@needs_wide
@pytest.mark.parametrize("name", [*SHORTER, *LONGER])
def test_only_known_signs_are_taken_for_granted(name):
    f = {**SHORTER, **LONGER}[name]
    assert kernels(f, np.ones(100)) == (name in SHORTER)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*SHORTER, *LONGER])
def test_same_results_as_interpreted(name, dtype):
    f = {**SHORTER, **LONGER}[name]
    ends = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-30, -1e-30, 30.0, -30.0]
    x = np.concatenate([np.random.default_rng(0).normal(size=1009), ends]).astype(dtype)
    with np.errstate(all="ignore"):
        wanted, got = f(x), cr.jit(f)(x)
    np.testing.assert_allclose(got, wanted, rtol=64 * np.finfo(dtype).eps)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(wanted[known]))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_signs_of_zeros_are_kept(zero):
    x = np.full(40, zero)
    for f in (lambda x: np.log1p(np.negative(-np.abs(x))), lambda x: np.log1p(np.abs(x) * -0.0)):
        np.testing.assert_array_equal(np.signbit(cr.jit(f)(x)), np.signbit(f(x)))


def test_gradients_of_a_gaussian_times_a_logarithm():
    def loss(x):
        return np.sum(np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2))

    x = np.random.default_rng(1).normal(size=997) * 3
    value, gradient = cr.jit(cr.value_and_grad(loss))(x)
    wanted, slope = cr.value_and_grad(loss)(x)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    np.testing.assert_allclose(gradient, slope, rtol=1e-13, atol=1e-15)
