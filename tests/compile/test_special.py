"""Functions of SciPy as native code, values and derivatives, beside the interpreter."""

import numpy as np
import pytest
import scipy.special

from chainrule import grad, jit, value_and_grad
from chainrule.compile import explain_compile

UNIT = (0.01, 0.99)
CASES = {
    "gammaln": (0.05, 30.0),
    "ndtr": (-8.0, 8.0),
    "log_ndtr": (-5.0, 5.0),
    "logit": UNIT,
    "entr": UNIT,
    "erfinv": (-0.99, 0.99),
    "ndtri": UNIT,
    "psi": (0.05, 30.0),
}


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name, dtype, size):
    function = getattr(scipy.special, name)
    x = np.random.default_rng(0).uniform(*CASES[name], size).astype(dtype)
    both = value_and_grad(lambda x: np.sum(function(x)))
    assert not explain_compile(both, x).left
    value, gradient = jit(both)(x)
    expected, exact = both(x)
    assert gradient.dtype == dtype
    tolerance = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    np.testing.assert_allclose(gradient, exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_functions_of_two_operands(name):
    function = getattr(scipy.special, name)
    x, y = np.random.default_rng(1).uniform(0.1, 3.0, (2, 50))
    x[::7] = 0.0
    both = value_and_grad(lambda x, y: np.sum(function(x, y)), argnums=(0, 1))
    assert not explain_compile(both, x, y).left
    value, gradients = jit(both)(x, y)
    expected, exact = both(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradients, exact, rtol=1e-13)


def test_plain_functions_of_two_operands():
    x, y = np.array([[3.0, -0.0, 0.0, -2.0, np.inf], [4.0, -1.0, 0.5, 0.0, 1.0]])
    f = lambda x, y: (np.hypot(x, y), np.copysign(x, y), np.heaviside(x, y), np.isinf(x))
    assert not explain_compile(f, x, y).left
    for got, expected in zip(jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def test_digamma_of_integers():
    counts = np.arange(1, 40)
    compiled = jit(lambda n: scipy.special.digamma(n) + scipy.special.gammaln(n))
    expected = scipy.special.digamma(counts) + scipy.special.gammaln(counts)
    np.testing.assert_allclose(compiled(counts), expected, rtol=1e-14)


def test_second_derivatives_of_gammaln():
    x = np.random.default_rng(2).uniform(0.1, 9.0, 23)
    slope = grad(lambda x: np.sum(grad(lambda x: np.sum(scipy.special.gammaln(x) ** 2))(x)))
    assert not explain_compile(slope, x).left
    np.testing.assert_allclose(jit(slope)(x), slope(x), rtol=1e-13, atol=1e-13)


# functions that are called, each with its derivatives, over where they are defined
CALLED = {
    "erfcx": (-2.0, 5.0),
    "erfcinv": (0.1, 1.9),
    "dawsn": (-4.0, 4.0),
    "erfi": (-2.0, 2.0),
    "ndtri_exp": (-9.0, -0.1),
    "gamma": (0.2, 6.0),
    "loggamma": (0.2, 6.0),
    "rgamma": (0.2, 6.0),
    "j0": (0.1, 20.0),
    "j1": (0.1, 20.0),
    "y0": (0.1, 20.0),
    "y1": (0.1, 20.0),
    "i0": (-5.0, 5.0),
    "i1": (-5.0, 5.0),
    "i0e": (-5.0, 5.0),
    "i1e": (-5.0, 5.0),
    "k0": (0.1, 5.0),
    "k1": (0.1, 5.0),
    "k0e": (0.1, 5.0),
    "k1e": (0.1, 5.0),
    "exprel": (-2.0, 2.0),
    "cosm1": (-2.0, 2.0),
    "exp10": (-2.0, 2.0),
    "exp1": (0.1, 5.0),
    "expi": (0.1, 5.0),
}


@pytest.mark.parametrize("name", CALLED)
def test_functions_that_are_called(name):
    function = getattr(scipy.special, name)
    both = value_and_grad(lambda x: np.sum(function(x)))
    for dtype, size in ((np.float64, 0), (np.float64, 37), (np.float32, 7)):
        x = np.random.default_rng(0).uniform(*CALLED[name], 2 * size).astype(dtype)[::2]
        assert not explain_compile(both, x).left
        value, gradient = jit(both)(x)
        expected, exact = both(x)
        assert gradient.dtype == dtype
        tolerance = 32 * np.finfo(dtype).eps
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(gradient, exact, rtol=tolerance, atol=tolerance)


OF_PARAMETERS = {
    "beta": (2.5,),
    "betaln": (2.5,),
    "poch": (2.5,),
    "binom": (4.5,),
    "gammainc": (2.5,),
    "gammaincc": (2.5,),
    "gammaincinv": (2.5,),
    "betainc": (2.5, 1.5),
    "betaincc": (2.5, 1.5),
    "betaincinv": (2.5, 1.5),
    "stdtr": (3.0,),
    "jv": (1.5,),
    "yv": (1.5,),
    "iv": (1.5,),
    "kv": (1.5,),
    "ive": (1.5,),
    "kve": (1.5,),
    "huber": (0.5,),
    "pseudo_huber": (0.5,),
    "rel_entr": (0.5,),
    "kl_div": (0.5,),
    "hyp0f1": (1.5,),
    "hyp1f1": (1.5, 2.5),
    "hyp2f1": (1.5, 2.5, 0.5),
}


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_functions_with_parameters(name):
    function, given = getattr(scipy.special, name), OF_PARAMETERS[name]
    both = value_and_grad(lambda x: np.sum(function(*given, x)))
    x = np.random.default_rng(0).uniform(0.1, 0.9, 11)
    assert not explain_compile(both, x).left
    for got, expected in zip(jit(both)(x), both(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13)
