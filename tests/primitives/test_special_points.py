"""Points where a formula alone would give the wrong answer: masks, zeros, ties, edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special as sp

from chainrule import grad, jvp, vjp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


# -- what a mask excludes is exactly zero, in every mode and order -------------------------------

# name: function, derivative, second derivative, a point where it's fine, where it's infinite or NaN
GUARDED: dict[str, tuple[Any, Any, Any]] = {
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "sqrt": (np.sqrt, lambda x: 0.5 * x**-0.5, lambda x: -0.25 * x**-1.5),
    "power": (lambda x: x**0.3, lambda x: 0.3 * x**-0.7, lambda x: -0.21 * x**-1.7),
    "general power": (
        lambda x: np.power(x, np.full(3, 0.3)), lambda x: 0.3 * x**-0.7, lambda x: -0.21 * x**-1.7,
    ),
    "division": (lambda x: 1.0 / x, lambda x: -(x**-2.0), lambda x: 2 * x**-3.0),
    "arccos": (
        lambda x: np.arccos(1 - x), lambda x: (2 * x - x**2) ** -0.5,
        lambda x: (x - 1) * (2 * x - x**2) ** -1.5,
    ),
    "xlogx": (lambda x: x * np.log(x), lambda x: np.log(x) + 1, lambda x: 1 / x),
    "quotient": (lambda x: np.sin(x) / x, None, None),
    "cbrt": (np.cbrt, None, None),
    "expression": (lambda x: np.sqrt(np.log(1 / x + 2)) / (x * np.abs(x)), None, None),
}  # fmt: skip

MASKS: dict[str, Any] = {
    "where": lambda f, x: np.where(x > 0, f(x), 0.0),
    "where not": lambda f, x: np.where(x <= 0, 0.0, f(x)),
    "where twice": lambda f, x: np.where(x > 0, np.where(x > 0, f(x) * 1.0, 5.0), x),
    "broadcast": lambda f, x: np.where(x > 0, np.broadcast_to(f(x), (2, 3)), 0.0)[0],
    "rows": lambda f, x: np.where((x > 0)[:, None], f(x)[:, None] * np.ones(2), 0.0)[:, 0],
    "after arithmetic": lambda f, x: np.where(x > 0, 3.0 * f(x) - 2.0 * f(x), x * 0.0),
    "after a sum": lambda f, x: np.where(
        x > 0, np.sum(np.broadcast_to(f(x)[:, None], (3, 2)), 1) / 2, 0.0
    ),
    "after a reshape": lambda f, x: np.where(x > 0, (f(x).reshape(1, 3).T)[:, 0], 0.0),
    "by assignment": lambda f, x: _assigned(f, x),
    "by select": lambda f, x: np.select([x > 0], [f(x)], 0.0),
}


def _assigned(f: Any, x: Any) -> Any:
    y = f(x)
    y[x <= 0] = 0.0
    return y


X = np.array([0.5, 0.0, 1.3])
W = np.array([2.0, 3.0, -1.0])
VALID = X > 0


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", GUARDED)
def test_masked_points(name: str, mask: str) -> None:
    f, first, second = GUARDED[name]

    def g(x: Any) -> Any:
        return np.sum(W * MASKS[mask](f, x))

    gradient = grad(g)(X)
    hessian = np.stack([jvp(grad(g), (X,), (e,))[1] for e in np.eye(3)])
    other = np.stack([grad(lambda x, e=e: jvp(g, (x,), (e,))[1])(X) for e in np.eye(3)])
    assert np.all(np.isfinite(gradient))
    masked_by_x = mask == "where twice"
    np.testing.assert_array_equal(gradient[~VALID], W[~VALID] if masked_by_x else 0.0)
    np.testing.assert_array_equal(hessian[1], 0.0)
    np.testing.assert_array_equal(hessian[:, 1], 0.0)
    np.testing.assert_array_equal(other[1], 0.0)
    inner = lambda x: np.sum(W[VALID] * f_of(name)(x))
    np.testing.assert_allclose(gradient[VALID], grad(inner)(X[VALID]), rtol=1e-13)
    np.testing.assert_allclose(hessian, other, rtol=1e-12)
    if first is not None:
        np.testing.assert_allclose(gradient[VALID], (W * first(X))[VALID], rtol=1e-12)
        np.testing.assert_allclose(np.diag(hessian)[VALID], (W * second(X))[VALID], rtol=1e-12)


def f_of(name: str) -> Any:
    f = GUARDED[name][0]
    return (lambda x: np.power(x, 0.3)) if name == "general power" else f


def test_a_mask_of_a_whole_sum() -> None:
    def f(x: Any) -> Any:
        total = np.sum(x)
        return np.where(total > 0, np.sqrt(total), 0.0)

    np.testing.assert_array_equal(grad(f)(np.zeros(3)), 0.0)
    np.testing.assert_array_equal(jvp(grad(f), (np.zeros(3),), (np.ones(3),))[1], 0.0)


def test_a_masked_maximum() -> None:
    x = np.array([-1.0, 4.0])
    got = grad(lambda x: np.sum(np.sqrt(np.maximum(x, 0.0))))(x)
    np.testing.assert_array_equal(got, [0.0, 0.25])


def test_contributions_from_both_branches_add_up() -> None:
    f = lambda x: np.sum(np.where(x > 0, np.log(x), x**2) + np.where(x > 0, x, np.log(1 - x)))
    x = np.array([2.0, -1.0, 1.0])
    np.testing.assert_allclose(grad(f)(x), [1.5, -2.5, 2.0])


def test_a_true_zero_times_infinity_stays_nan() -> None:
    """An exact 0 must not beat an infinity: the product here is not differentiable this way."""
    f = lambda a: np.sum(np.exp(np.cumsum(np.log(1 - a))))
    gradient = grad(f)(np.array([0.5, 1.0, 0.25]))
    assert np.isnan(gradient).any()
    assert not np.array_equal(gradient, np.zeros(3))
    assert np.isnan(grad(lambda x: np.sqrt(x) * 0.0)(0.0))
    assert np.isnan(grad(lambda x: np.log(x) * x)(0.0))


# -- points and the derivative there --------------------------------------------------------------

INF, NAN = np.inf, np.nan
POINTS: list[tuple[str, Any, Any, Any]] = [
    ("abs at 0", np.abs, 0.0, 0.0),
    ("sqrt at 0", np.sqrt, 0.0, INF),
    ("power 0.5 at 0", lambda x: x**0.5, 0.0, INF),
    ("power 2 at 0", lambda x: x**2, 0.0, 0.0),
    ("power 1 at 0", lambda x: x**1, 0.0, 1.0),
    ("power 1.0 at 0", lambda x: np.power(x, np.array(1.0)), 0.0, 1.0),
    ("power 0 at 0", lambda x: x**0, 0.0, 0.0),
    ("power 0.0 at 0", lambda x: np.power(x, np.array(0.0)), 0.0, 0.0),
    ("power 3 of -2", lambda x: x**3, -2.0, 12.0),
    ("power 3.0 of -2", lambda x: np.power(x, np.array(3.0)), -2.0, 12.0),
    ("power -1 of -2", lambda x: x**-1, -2.0, -0.25),
    ("0 to the power 2", lambda x: 0.0**x, 2.0, 0.0),
    ("0 to the power 2, array", lambda x: np.power(np.array(0.0), x), 2.0, 0.0),
    ("1 to a power", lambda x: 1.0**x, 2.0, 0.0),
    ("log at 0", np.log, 0.0, INF),
    ("reciprocal at 0", lambda x: np.true_divide(1.0, x), 0.0, -INF),
    ("cbrt at 0", np.cbrt, 0.0, INF),
    ("arcsin at 1", np.arcsin, 1.0, INF),
    ("arccos at 1", np.arccos, 1.0, -INF),
    ("arctanh at 1", np.arctanh, 1.0, INF),
    ("arccosh at 1", np.arccosh, 1.0, INF),
    ("arctan at infinity", np.arctan, INF, 0.0),
    ("tanh at 800", np.tanh, 800.0, 0.0),
    ("exp at -infinity", np.exp, -INF, 0.0),
    ("maximum, a tie", lambda x: np.maximum(x, 0.0), 0.0, 0.5),
    ("minimum, a tie", lambda x: np.minimum(x, 2.0), 2.0, 0.5),
    ("maximum of NaN", lambda x: np.maximum(x, 0.0), NAN, 1.0),
    ("hypot at the origin", lambda x: np.hypot(x, 0.0), 0.0, 0.0),
    ("sinc at 0", np.sinc, 0.0, 0.0),
    ("sinc near 0", np.sinc, 1e-9, -(np.pi**2) / 3 * 1e-9),
    ("logaddexp of -inf", lambda x: np.logaddexp(x, -INF), -INF, 0.0),
    ("logaddexp with -inf", lambda x: np.logaddexp(x, -INF), 1.5, 1.0),
    ("logaddexp of +inf", lambda x: np.logaddexp(x, 0.0), INF, 1.0),
    ("softplus far left", lambda x: np.logaddexp(0.0, x), -800.0, 0.0),
    ("expit at 800", sp.expit, 800.0, 0.0),
    ("expit at -800", sp.expit, -800.0, 0.0),
    ("log_expit at -800", sp.log_expit, -800.0, 1.0),
    ("log_ndtr far left", sp.log_ndtr, -40.0, 40.02496884720263),
    ("xlogy at 0, 0", lambda y: sp.xlogy(0.0, y), 0.0, 0.0),
    ("xlogy by x at 0, 0", lambda x: sp.xlogy(x, 0.0), 0.0, -INF),
    ("entr at 0", sp.entr, 0.0, INF),
    ("exprel at 0", sp.exprel, 0.0, 0.5),
    ("exprel near 0", sp.exprel, 1e-9, 0.5 + 1e-9 / 3),
    ("i1 at 0", sp.i1, 0.0, 0.5),
    ("j1 at 0", sp.j1, 0.0, 0.5),
    ("erfinv at 1", sp.erfinv, 1.0, INF),
    ("norm of a number at 0", np.linalg.norm, 0.0, 0.0),
    ("x % 1 at 1", lambda x: x % 1.0, 1.0, 1.0),
    ("nan_to_num of NaN", np.nan_to_num, NAN, 0.0),
    ("nan_to_num of infinity", np.nan_to_num, INF, 0.0),
    ("where on NaN", lambda x: np.where(np.isnan(x), 0.0, x * x), NAN, 0.0),
    ("arctan2 on an axis", lambda x: np.arctan2(x, 0.0), 2.0, 0.0),
    ("heaviside", lambda x: x * np.heaviside(x, 0.5), 0.0, 0.5),
    ("sign", lambda x: x * np.sign(x), 0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("f", "x", "expected"), [p[1:] for p in POINTS], ids=[p[0] for p in POINTS]
)
@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.array, lambda x: np.array([x])])
def test_derivative_at_a_point(f: Any, x: float, expected: float, kind: Any) -> None:
    point = kind(x)
    value, tangent = jvp(f, (point,), (kind(1.0),))
    gradient = vjp(f, point)[1](np.ones_like(value))[0]
    rtol = 3e-5 if kind is np.float32 else 1e-12
    np.testing.assert_allclose(np.squeeze(tangent), expected, rtol=rtol)
    np.testing.assert_allclose(np.squeeze(gradient), expected, rtol=rtol)
    np.testing.assert_array_equal(value, f(point))


ZERO, ONES = np.zeros(3), np.ones(3)
GRADIENTS: list[tuple[str, Any, Any, Any]] = [
    ("norm at 0", np.linalg.norm, ZERO, ZERO),
    ("norms of rows, one at 0", lambda x: np.sum(np.linalg.norm(x, axis=1)),
     np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.6, 0.8], [0.0, 0.0]])),
    ("norm 1 at 0", lambda x: np.linalg.norm(x, 1), ZERO, ZERO),
    ("norm 3 at 0", lambda x: np.linalg.norm(x, 3), ZERO, ZERO),
    ("norm inf at 0", lambda x: np.linalg.norm(x, np.inf), ZERO, ZERO),
    ("norm 0", lambda x: np.linalg.norm(x, 0), ONES, ZERO),
    ("Frobenius norm at 0", lambda x: np.linalg.norm(x.reshape(1, 3), "fro"), ZERO, ZERO),
    ("std at 0 spread", np.std, ONES, ZERO),
    ("var at 0 spread", np.var, ONES, ZERO),
    ("max, ties", np.max, np.array([1.0, 2.0, 2.0]), np.array([0.0, 0.5, 0.5])),
    ("min, all tied", np.min, ONES, ONES / 3),
    ("prod, a zero", np.prod, np.array([2.0, 0.0, 3.0]), np.array([0.0, 6.0, 0.0])),
    ("prod, two zeros", np.prod, np.array([2.0, 0.0, 0.0]), ZERO),
    ("det of a singular matrix", np.linalg.det, np.diag([0.0, 2.0]), np.diag([2.0, 0.0])),
    ("det of rank n - 2", np.linalg.det, np.zeros((3, 3)), np.zeros((3, 3))),
    ("clip at its limits", lambda x: np.sum(np.clip(x, 0.0, 1.0)), np.array([0.0, 0.5, 1.0, 2.0]),
     np.array([0.5, 1.0, 0.5, 0.0])),
    ("logsumexp of -inf", np.logaddexp.reduce, np.full(3, -np.inf), ZERO),
    ("logsumexp with -inf", np.logaddexp.reduce, np.array([-np.inf, 0.0, 0.0]),
     np.array([0.0, 0.5, 0.5])),
    ("logsumexp with +inf", np.logaddexp.reduce, np.array([1.0, np.inf, 0.0]),
     np.array([0.0, 1.0, 0.0])),
    ("median with ties", np.median, np.array([2.0, 2.0, 2.0]), None),
    ("sum of none", np.sum, np.zeros(0), np.zeros(0)),
    ("prod of none", np.prod, np.zeros(0), np.zeros(0)),
    ("norm of none", np.linalg.norm, np.zeros(0), np.zeros(0)),
    ("equal eigenvalues", lambda a: np.sum(np.linalg.eigvalsh(a) ** 2), np.eye(3), 2 * np.eye(3)),
    ("equal singular values", lambda a: np.linalg.norm(a, "nuc"), np.eye(3), np.eye(3)),
    ("interp at its points", lambda x: np.sum(np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0])),
     np.array([-1.0, 0.5, 1.5, 3.0]), np.array([0.0, 1.0, 4.0, 0.0])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("f", "x", "expected"), [g[1:] for g in GRADIENTS], ids=[g[0] for g in GRADIENTS]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradient_at_a_point(f: Any, x: Any, expected: Any, dtype: Any) -> None:
    x = x.astype(dtype)
    got = grad(f)(x)
    assert got.dtype == dtype
    if expected is None:
        assert abs(np.sum(got) - 1.0) < 1e-12
    else:
        np.testing.assert_allclose(got, expected, atol=1e-6 if dtype is np.float32 else 1e-13)


def test_complex_abs_and_norm_at_zero() -> None:
    for f in (np.abs, np.linalg.norm):
        assert grad(f)(0j) == 0
        np.testing.assert_array_equal(grad(lambda z, f=f: np.sum(f(z)))(np.zeros(2, complex)), 0)


def test_a_gradient_of_complex_input_is_steepest_ascent() -> None:
    np.testing.assert_allclose(grad(lambda z: np.abs(z) ** 2)(3 + 4j), 6 + 8j)
    np.testing.assert_allclose(grad(lambda z: (z * z).real)(1 + 2j), 2 - 4j)


def test_equal_eigenvalues_have_no_vectors() -> None:
    f = lambda a: np.linalg.eigh(a).eigenvectors[0, 0]
    assert not np.isfinite(grad(f)(np.eye(2))).all()


def test_gradients_of_repeated_indices_add_up() -> None:
    got = grad(lambda x: np.sum(x[[0, 0, 2]] * np.array([1.0, 10.0, 100.0])))(np.zeros(3))
    np.testing.assert_array_equal(got, [11.0, 0.0, 100.0])


def test_only_the_last_of_repeated_assignments_counts() -> None:
    def f(v: Any) -> Any:
        r = np.zeros(3)
        r[[1, 1, 2]] = v
        return np.sum(r * np.array([1.0, 10.0, 100.0]))

    np.testing.assert_array_equal(grad(f)(np.ones(3)), [0.0, 10.0, 100.0])
