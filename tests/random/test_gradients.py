"""Gradients through draws, against finite differences and against the quantile functions."""

import mpmath
import numpy as np
import pytest
from scipy import special

from chainrule import check_gradients, fori_loop, grad, jvp, random, scan, value_and_grad, vmap
from chainrule.program.errors import UnsupportedError
from chainrule.random.implicit import log_gamma_slope

KEY = random.key(23)
PAIR = np.array([0.3, 1.7])

LOCATION_SCALE = [
    random.normal,
    random.laplace,
    random.logistic,
    random.gumbel,
    random.cauchy,
    lambda key, shape, **kw: random.student_t(key, 3.0, shape, **kw),
    lambda key, shape, **kw: random.truncated_normal(key, -1.0, 2.0, shape, **kw),
]


@pytest.mark.parametrize("draw", LOCATION_SCALE)
def test_location_and_scale(draw):
    z = draw(KEY, 4)
    by_loc, by_scale = grad(lambda p: np.sum(draw(KEY, 4, loc=p[0], scale=p[1])))(PAIR)
    np.testing.assert_allclose([by_loc, by_scale], [4.0, z.sum()], rtol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda p: random.uniform(KEY, 3, low=p[0], high=p[1]),
        lambda p: random.exponential(KEY, scale=p),
        lambda p: random.truncated_normal(KEY, -p[0], p[1], 3),
        lambda p: random.truncated_normal(KEY, 4.0 + p[0], 4.0 + p[1], 3),
        lambda p: random.multivariate_normal(KEY, p, np.outer(p, p) + np.eye(2), 3),
        lambda p: random.permutation(KEY, p) * np.array([1.0, 5.0]),
        lambda p: random.choice(KEY, p, 5),
    ],
)
def test_other_parameters(f):
    check_gradients(lambda p: np.sum(f(p) ** 2), PAIR)


# -- gamma and its relatives ---------------------------------------------------------------------


def exact_slope(a, y):
    """d(log x)/da at a fixed quantile, from the distribution function in many digits."""
    with mpmath.workdps(50):
        a, y = mpmath.mpf(float(a)), mpmath.mpf(float(y))
        x, h = mpmath.exp(y), mpmath.mpf(10) ** -16
        if x < a:
            by_a = (share(a * (1 + h), 0, x) - share(a * (1 - h), 0, x)) / (2 * h * a)
        else:
            by_a = -(share(a * (1 + h), x, mpmath.inf) - share(a * (1 - h), x, mpmath.inf)) / (
                2 * h * a
            )
        return float(-by_a * mpmath.gamma(a) * mpmath.exp(x) / x**a)


def share(a, low, high):
    return mpmath.gammainc(a, low, high, regularized=True)


@pytest.mark.parametrize("a", [1e-3, 0.05, 0.5, 1.0, 2.5, 19.9, 20.0, 60.0, 1e3, 1e4])
def test_implicit_slope(a):
    u = np.array([1e-9, 1e-3, 0.2, 0.5, 0.8, 0.999, 1 - 1e-12])
    x = special.gammaincinv(a, u)
    y = np.append(np.log(x[x > 1e-290]), -900.0 if a < 0.01 else 0.0 if a < 5 else np.log(a))
    want = [exact_slope(a, v) for v in y]
    np.testing.assert_allclose(log_gamma_slope(a, y), want, rtol=1e-12)


@pytest.mark.parametrize("a", [0.2, 1.0, 3.0, 40.0])
def test_gamma_follows_its_quantile(a):
    x, slopes = vmap(value_and_grad(lambda a, key: random.gamma(key, a)), (None, 0))(
        a, random.split(KEY, 20)
    )
    h = 1e-5 * a
    low = x < a  # the inverse that is accurate there
    u = np.where(low, special.gammainc(a, x), special.gammaincc(a, x))

    def quantile(a):
        return np.where(low, special.gammaincinv(a, u), special.gammainccinv(a, u))

    np.testing.assert_allclose(slopes, (quantile(a + h) - quantile(a - h)) / (2 * h), rtol=1e-6)


def test_mean_of_the_slopes_is_the_slope_of_the_mean():
    keys = random.split(KEY, 4000)
    slopes = vmap(grad(lambda a, key: random.gamma(key, a)), (None, 0))(0.7, keys)
    assert abs(slopes.mean() - 1.0) < 4.5 * slopes.std() / np.sqrt(4000)
    a = np.array([0.5, 1.5])
    by_beta = vmap(grad(lambda a, key: random.beta(key, a[0], a[1])), (None, 0))(a, keys)
    want = np.array([a[1], -a[0]]) / a.sum() ** 2  # of the mean a / (a + b)
    error = 4.5 * by_beta.std(0) / np.sqrt(4000)
    assert np.all(np.abs(by_beta.mean(0) - want) < error)


def test_dirichlet_slopes():
    alpha = np.array([0.5, 1.0, 3.0])
    weights = np.array([1.0, -2.0, 4.0])
    slopes = vmap(grad(lambda a, key: weights @ random.dirichlet(key, a)), (None, 0))(
        alpha, random.split(KEY, 4000)
    )
    mean = alpha / alpha.sum()
    want = (weights - weights @ mean) / alpha.sum()
    assert np.all(np.abs(slopes.mean(0) - want) < 4.5 * slopes.std(0) / np.sqrt(4000))


def test_relatives_of_gamma():
    x, slope = value_and_grad(lambda df: random.chisquare(KEY, df))(5.0)
    inner, by_a = value_and_grad(lambda a: random.gamma(KEY, a))(2.5)
    assert x == 2.0 * inner
    assert slope == pytest.approx(by_a)
    single = grad(lambda a: random.gamma(KEY, a))(np.float32(2.5))
    assert single == pytest.approx(by_a, rel=1e-6)
    # forwards and backwards agree where both parameters matter
    t, tangent = jvp(lambda df: random.student_t(KEY, df, loc=df), (4.0,), (1.0,))
    assert tangent == pytest.approx(grad(lambda df: random.student_t(KEY, df, loc=df))(4.0))
    assert np.isfinite(t)


def test_second_derivatives():
    by_scale = grad(grad(lambda s: random.normal(KEY, scale=s) ** 2))(1.5)
    assert by_scale == pytest.approx(2 * random.normal(KEY) ** 2)
    mixed = grad(lambda s: grad(lambda a: random.gamma(KEY, a, scale=s))(2.0))(3.0)
    assert mixed == pytest.approx(grad(lambda a: random.gamma(KEY, a))(2.0))


@pytest.mark.parametrize("a", [0.05, 0.9, 4.0, 19.0, 21.0, 300.0])
def test_gamma_twice_by_its_parameter(a):
    h = 1e-5 * a
    y = np.log(special.gammaincinv(a, np.array([0.02, 0.3, 0.55, 0.9, 0.999])))
    slope, change = log_gamma_slope(a, y), log_gamma_slope(a, y, by_a=True)
    by_a = (log_gamma_slope(a + h, y) - log_gamma_slope(a - h, y)) / (2 * h)
    np.testing.assert_allclose(change, by_a, rtol=1e-6, atol=1e-6 * np.max(np.abs(by_a)))
    by_y = (log_gamma_slope(a, y + h / a) - log_gamma_slope(a, y - h / a)) / (2 * h / a)
    want = by_a + by_y * slope  # along the quantile
    keys = random.split(KEY, 5)
    f = vmap(grad(grad(lambda a, key: np.log(random.gamma(key, a)))), (None, 0))
    drawn = np.log(vmap(lambda key: random.gamma(key, a))(keys))
    got = f(a, keys)

    def whole(a, y):
        by_draw = special.psi(a) - y - log_gamma_slope(a, y) * (a - np.exp(y))
        return log_gamma_slope(a, y, by_a=True) + by_draw * log_gamma_slope(a, y)

    np.testing.assert_allclose(got, whole(a, drawn), rtol=1e-6)
    np.testing.assert_allclose(whole(a, y), want, rtol=1e-5, atol=1e-5 * np.max(np.abs(want)))


def test_gamma_three_times_is_refused():
    with pytest.raises(UnsupportedError, match="three times"):
        grad(grad(grad(lambda a: random.gamma(KEY, a))))(2.0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: random.bernoulli(KEY, p, 3),
        lambda p: random.poisson(KEY, 10 * p, 3),
        lambda p: random.categorical(KEY, np.log(p * np.array([1.0, 2.0, 3.0]))),
        lambda p: random.choice(KEY, 3, 4, p=p * np.array([1.0, 2.0, 3.0])),
    ],
)
def test_discrete_draws_are_plain_integers(draw):
    seen = []

    def f(p):
        x = draw(p)
        seen.append(type(x))
        return p * np.sum(x)

    assert grad(f)(0.4) == np.sum(draw(0.4))
    assert seen[0] in (np.ndarray, np.int64)


def test_gumbel_softmax_is_the_way_through_a_choice():
    def relaxed(logits):
        y = (logits + random.gumbel(KEY, 3)) / 0.5
        return np.sum(np.arange(3.0) * np.exp(y - np.max(y)) / np.sum(np.exp(y - np.max(y))))

    check_gradients(relaxed, np.array([0.1, 0.2, 0.3]))


# -- loops ---------------------------------------------------------------------------------------


def test_draws_in_a_scan():
    def step(state, x):
        key, total = state
        key, now = random.split(key)
        return (key, total + random.normal(now, loc=x) * random.gamma(now, x + 1.0)), None

    def by_scan(xs):
        return scan(step, (KEY, 0.0), xs)[0][1]

    def by_loop(xs):
        state = KEY, 0.0
        for x in xs:
            state, _ = step(state, x)
        return state[1]

    xs = np.array([0.5, 1.0, 2.0])
    value, gradient = value_and_grad(by_scan)(xs)
    assert value == by_loop(xs)
    np.testing.assert_allclose(gradient, grad(by_loop)(xs), rtol=1e-13)


def test_fold_in_of_a_loop_counter():
    def total(loc):
        return fori_loop(0, 4, lambda i, t: t + random.normal(random.fold_in(KEY, i), loc=loc), 0.0)

    value, gradient = value_and_grad(total)(1.0)
    plain = sum(random.normal(random.fold_in(KEY, i), loc=1.0) for i in range(4))
    assert (value, gradient) == (pytest.approx(plain, rel=1e-15), 4.0)
