"""The distributions: what is drawn has the law that the name promises, shape and dtype as asked."""

import numpy as np
import pytest
from scipy import stats

from chainrule import random

N = 20_000
KEY = random.key(17)
INF = np.inf

CONTINUOUS = {
    "uniform": (random.uniform, {"low": -1.0, "high": 3.0}, stats.uniform(-1, 4)),
    "normal": (random.normal, {"loc": 2.0, "scale": 0.5}, stats.norm(2, 0.5)),
    "exponential": (random.exponential, {"scale": 3.0}, stats.expon(scale=3)),
    "laplace": (random.laplace, {"loc": 1.0, "scale": 2.0}, stats.laplace(1, 2)),
    "logistic": (random.logistic, {"loc": 1.0, "scale": 2.0}, stats.logistic(1, 2)),
    "gumbel": (random.gumbel, {"loc": 1.0, "scale": 2.0}, stats.gumbel_r(1, 2)),
    "cauchy": (random.cauchy, {"loc": 1.0, "scale": 2.0}, stats.cauchy(1, 2)),
    "truncated_normal": (
        random.truncated_normal,
        {"lower": -0.5, "upper": 2.0, "loc": 1.0, "scale": 2.0},
        stats.truncnorm(-0.5, 2.0, 1, 2),
    ),
    "truncated_normal tail": (
        random.truncated_normal,
        {"lower": 5.0, "upper": INF},
        stats.truncnorm(5.0, INF),
    ),
    "truncated_normal half": (
        random.truncated_normal,
        {"lower": -INF, "upper": 0.0},
        stats.truncnorm(-INF, 0.0),
    ),
    "gamma 0.05": (random.gamma, {"a": 0.05}, stats.gamma(0.05)),
    "gamma 0.8": (random.gamma, {"a": 0.8, "scale": 2.0}, stats.gamma(0.8, scale=2)),
    "gamma 1": (random.gamma, {"a": 1.0}, stats.gamma(1)),
    "gamma 30": (random.gamma, {"a": 30.0}, stats.gamma(30)),
    "chisquare": (random.chisquare, {"df": 3.0}, stats.chi2(3)),
    "beta": (random.beta, {"a": 0.5, "b": 2.0}, stats.beta(0.5, 2)),
    "student_t": (random.student_t, {"df": 3.0, "loc": 1.0, "scale": 2.0}, stats.t(3, 1, 2)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_law(name, dtype):
    draw, parameters, law = CONTINUOUS[name]
    x = draw(KEY, shape=(N // 2, 2), dtype=dtype, **parameters)
    assert x.shape == (N // 2, 2)
    assert x.dtype == dtype
    assert stats.kstest(x.ravel(), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", [n for n in CONTINUOUS if n not in ("cauchy", "student_t")])
def test_moments(name):
    draw, parameters, law = CONTINUOUS[name]
    x = draw(random.key(18), shape=N, **parameters)
    mean, var, _, kurtosis = law.stats("mvsk")
    assert abs(np.mean(x) - mean) < 4.5 * np.sqrt(var / N)
    assert abs(np.var(x) - var) < 4.5 * var * np.sqrt((kurtosis + 2) / N)


@pytest.mark.parametrize("lam", [0.0, 0.3, 4.0, 9.99, 10.0, 37.0, 1e4, 1e9])
def test_poisson(lam):
    x = random.poisson(KEY, lam, N)
    assert x.dtype == np.int64
    law = stats.poisson(lam)
    if lam == 0.0:
        assert not x.any()
        return
    assert_frequencies(x, law, np.unique(law.ppf(np.linspace(0.01, 0.99, 30))))


def assert_frequencies(x, law, edges):
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * len(x)
    found = np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1)
    kept = expected > 5
    scaled = expected[kept] * found[kept].sum() / expected[kept].sum()
    assert stats.chisquare(found[kept], scaled).pvalue > 0.01


def test_poisson_probabilities_at_the_change_of_series():
    from chainrule.random.rejection import _log_probability

    k = np.arange(40.0)
    for lam in (10.0, 25.0):
        want = stats.poisson(lam).logpmf(k)
        np.testing.assert_allclose(_log_probability(k, np.full(40, lam)), want, atol=1e-12)


def test_gamma_with_a_tiny_parameter_keeps_its_logarithm():
    x = random.dirichlet(KEY, np.full(3, 1e-4), 1000)
    assert np.all(np.isfinite(x))
    np.testing.assert_allclose(np.sum(x, -1), 1.0)
    assert np.mean(np.max(x, -1) > 0.999) > 0.99
    both = random.beta(KEY, 1e-4, 1e-4, N)
    assert abs(np.mean(both) - 0.5) < 4.5 * 0.5 / np.sqrt(N)


def test_dirichlet():
    alpha = np.array([0.5, 2.0, 4.0])
    x = random.dirichlet(KEY, alpha, N)
    assert x.shape == (N, 3)
    for i in range(3):
        law = stats.beta(alpha[i], alpha.sum() - alpha[i])
        assert stats.kstest(x[:, i], law.cdf).pvalue > 0.01
    assert random.dirichlet(KEY, np.ones((5, 2)), dtype=np.float32).shape == (5, 2)


def test_bernoulli_and_rademacher():
    p = np.array([0.0, 0.2, 1.0])
    x = random.bernoulli(KEY, p, (N, 3))
    assert x.dtype == bool
    assert x[:, 0].sum() == 0
    assert x[:, 2].all()
    assert abs(x[:, 1].mean() - 0.2) < 4.5 * np.sqrt(0.16 / N)
    signs = random.rademacher(KEY, N, np.int8)
    assert signs.dtype == np.int8
    assert set(signs.tolist()) == {-1, 1}
    assert abs(signs.astype(int).sum()) < 4.5 * np.sqrt(N)


def test_randint():
    x = random.randint(KEY, (N,), -3, 4)
    assert stats.chisquare(np.bincount(x + 3, minlength=7)).pvalue > 0.01
    wide = random.randint(KEY, 1000, -(2**63), 2**63)
    assert abs(np.mean(wide / 2.0**63)) < 4.5 / np.sqrt(3000)
    assert random.randint(KEY, 1000, 0, 2**64, np.uint64).max() > 2**63
    assert set(random.randint(KEY, 2000, 0, 256, np.uint8).tolist()) == set(range(256))
    assert random.randint(KEY, None, np.array([0, 10]), np.array([1, 11])).tolist() == [0, 10]
    with pytest.raises(ValueError, match="less than"):
        random.randint(KEY, 3, 2, 2)
    with pytest.raises(ValueError, match="does not fit"):
        random.randint(KEY, 3, 0, 300, np.uint8)


def test_categorical():
    p = np.array([[0.1, 0.2, 0.0, 0.7], [0.25, 0.25, 0.25, 0.25]])
    with np.errstate(divide="ignore"):
        x = random.categorical(KEY, np.log(p), shape=(N, 2))
    for row, column in zip(p, x.T, strict=True):
        found = np.bincount(column, minlength=4)
        assert found[row == 0].sum() == 0
        assert stats.chisquare(found[row > 0], N * row[row > 0]).pvalue > 0.01
    assert random.categorical(KEY, np.zeros((5, 3)), axis=0).shape == (3,)


def test_permutation_is_uniform():
    keys = random.split(KEY, 6000)
    orders = [tuple(random.permutation(k, 3).tolist()) for k in keys]
    assert stats.chisquare([orders.count(o) for o in set(orders)]).pvalue > 0.01
    assert len(set(orders)) == 6
    x = np.arange(12).reshape(3, 4)
    shuffled = random.permutation(KEY, x, axis=1)
    assert sorted(shuffled.T.tolist()) == sorted(x.T.tolist())


def test_choice():
    p = np.array([0.5, 0.0, 0.3, 0.2])
    x = random.choice(KEY, np.array([10, 20, 30, 40]), N, p=p)
    found = np.array([np.count_nonzero(x == v) for v in (10, 20, 30, 40)])
    assert found[1] == 0
    assert stats.chisquare(found[p > 0], N * p[p > 0]).pvalue > 0.01
    assert sorted(random.choice(KEY, 9, (3, 3), replace=False).ravel().tolist()) == list(range(9))
    assert random.choice(KEY, np.eye(4), 2, axis=1).shape == (4, 2)


def test_weighted_choice_without_replacement():
    p = np.array([0.6, 0.3, 0.1])
    pairs = [tuple(random.choice(k, 3, 2, replace=False, p=p)) for k in random.split(KEY, 6000)]
    expected = {(i, j): p[i] * p[j] / (1 - p[i]) for i in range(3) for j in range(3) if i != j}
    counts = [pairs.count(pair) for pair in expected]
    assert sum(counts) == 6000
    assert stats.chisquare(counts, 6000 * np.array(list(expected.values()))).pvalue > 0.01
    with pytest.raises(ValueError, match="fewer elements"):
        random.choice(KEY, 3, 2, replace=False, p=np.array([1.0, 0.0, 0.0]))


def test_multivariate_normal():
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
    x = random.multivariate_normal(KEY, mean, cov, N)
    np.testing.assert_allclose(x.mean(0), mean, atol=4.5 * np.sqrt(2.0 / N))
    np.testing.assert_allclose(np.cov(x.T), cov, atol=4.5 * 3.0 / np.sqrt(N))
    distance = np.einsum("ni,ij,nj->n", x - mean, np.linalg.inv(cov), x - mean)
    assert stats.kstest(distance, stats.chi2(2).cdf).pvalue > 0.01


@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 3), (2, 6)])
def test_orthogonal(n, m):
    q = random.orthogonal(KEY, n, m, 2000)
    assert q.shape == (2000, n, m)
    small = q if n >= m else np.swapaxes(q, -1, -2)
    products = np.swapaxes(small, -1, -2) @ small
    np.testing.assert_allclose(
        products, np.broadcast_to(np.eye(min(n, m)), products.shape), atol=1e-13
    )
    # an element of a uniform one: its square has a beta distribution, its sign is fair
    law = stats.beta(0.5, (max(n, m) - 1) / 2)
    assert stats.kstest(q[:, 0, 0] ** 2, law.cdf).pvalue > 0.01
    assert stats.binomtest(int((q[:, 0, 0] > 0).sum()), 2000).pvalue > 0.01


def test_shapes_and_dtypes_follow_the_parameters():
    loc = np.zeros((3, 1), np.float32)
    assert random.normal(KEY, loc=loc, scale=np.ones(2, np.float32)).shape == (3, 2)
    assert random.normal(KEY, loc=loc).dtype == np.float32
    assert random.normal(KEY, loc=loc, scale=np.ones(2)).dtype == np.float64
    assert random.normal(KEY, loc=np.arange(3)).dtype == np.float64
    assert isinstance(random.normal(KEY), np.float64)
    assert isinstance(random.beta(KEY, 1.0, 1.0, dtype=np.float32), np.float32)
    assert random.normal(KEY, 0).shape == (0,)
    assert random.gamma(KEY, 1.0, (2, 0)).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: random.normal(KEY, scale=-1.0), "scale"),
        (lambda: random.normal(KEY, 2, loc=np.zeros(3)), "shape"),
        (lambda: random.normal(KEY, 4, loc=np.zeros((3, 4))), "do not fit"),
        (lambda: random.normal(KEY, 2, np.int64), "float32 or float64"),
        (lambda: random.uniform(KEY, low=1.0, high=0.0), "low"),
        (lambda: random.gamma(KEY, 0.0), "a must be positive"),
        (lambda: random.beta(KEY, 1.0, -1.0), "b must be positive"),
        (lambda: random.bernoulli(KEY, 1.1), "between 0 and 1"),
        (lambda: random.poisson(KEY, -1.0), "lam"),
        (lambda: random.truncated_normal(KEY, 1.0, 0.0), "lower"),
        (lambda: random.choice(KEY, 3, 4, replace=False), "without replacement"),
        (lambda: random.choice(KEY, 3, p=np.ones(2)), "3 elements"),
        (lambda: random.dirichlet(KEY, 1.0), "axis"),
        (lambda: random.multivariate_normal(KEY, np.zeros(2), np.eye(3)), "covariance"),
    ],
)
def test_wrong_parameters_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_invalid_parameters_that_nobody_could_check_give_nan():
    from chainrule import vmap

    a = np.array([-1.0, 2.0, np.nan])
    x = vmap(lambda a: random.gamma(KEY, a))(a)
    assert np.isnan(x).tolist() == [True, False, True]


def test_normal_draws_are_symmetric_and_bounded():
    from chainrule.random.keys import centred

    zero, top = np.zeros(1, np.uint32), np.full(1, 2**32 - 1, np.uint32)
    assert centred(zero, zero)[0] == 2.0**-53
    assert centred(top, top)[0] == 1 - 2.0**-53
