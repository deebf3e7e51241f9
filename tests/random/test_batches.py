"""vmap over keys and parameters: the same numbers as one after the other."""

import numpy as np
import pytest

from chainrule import random, vmap
from chainrule.trace.program import trace_program

KEYS = random.split(random.key(29), 5)
LOGITS = np.log(np.array([0.2, 0.3, 0.5]))

DRAWS = {
    "split": lambda k: random.split(k, 3),
    "fold_in": lambda k: random.fold_in(k, 9),
    "bits": lambda k: random.bits(k, 3),
    "bits64": lambda k: random.bits(k, (2, 2), np.uint64),
    "uniform": lambda k: random.uniform(k, (2, 3)),
    "uniform32": lambda k: random.uniform(k, 3, np.float32),
    "normal": lambda k: random.normal(k, (2, 3), loc=np.arange(3.0)),
    "normal of one": random.normal,
    "normal32": lambda k: random.normal(k, 3, np.float32),
    "truncated_normal": lambda k: random.truncated_normal(k, -1.0, 2.0, 3),
    "exponential": lambda k: random.exponential(k, 3),
    "laplace": lambda k: random.laplace(k, 3),
    "logistic": lambda k: random.logistic(k, 3),
    "gumbel": lambda k: random.gumbel(k, 3),
    "cauchy": lambda k: random.cauchy(k, 3),
    "rademacher": lambda k: random.rademacher(k, 3),
    "gamma": lambda k: random.gamma(k, np.array([0.3, 2.0]), (3, 2)),
    "beta": lambda k: random.beta(k, 2.0, 0.5),
    "dirichlet": lambda k: random.dirichlet(k, np.ones(3)),
    "student_t": lambda k: random.student_t(k, 4.0, 3),
    "chisquare": lambda k: random.chisquare(k, 4.0, 3),
    "poisson": lambda k: random.poisson(k, np.array([3.0, 30.0])),
    "bernoulli": lambda k: random.bernoulli(k, 0.3, 5),
    "randint": lambda k: random.randint(k, 5, -3, 9),
    "randint32": lambda k: random.randint(k, (), 0, 9, np.int32),
    "categorical": lambda k: random.categorical(k, LOGITS, shape=7),
    "permutation": lambda k: random.permutation(k, 6),
    "permutation of an array": lambda k: random.permutation(k, np.arange(6.0).reshape(3, 2), 1),
    "choice": lambda k: random.choice(k, 9, (2, 2)),
    "weighted choice": lambda k: random.choice(k, np.arange(3.0), 5, p=np.array([0.1, 0.2, 0.7])),
    "choice without": lambda k: random.choice(k, 9, 4, replace=False),
    "weighted choice without": lambda k: random.choice(
        k, 4, 3, replace=False, p=np.array([0.1, 0.2, 0.7, 0.5])
    ),
}
INEXACT = {
    "multivariate_normal": lambda k: random.multivariate_normal(k, np.zeros(2), np.eye(2) + 0.5, 3),
    "orthogonal": lambda k: random.orthogonal(k, 3, 2),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_batch_of_keys_is_the_keys_one_by_one(name):
    draw = DRAWS[name]
    got, want = vmap(draw)(KEYS), np.stack([draw(k) for k in KEYS])
    assert got.dtype == want.dtype
    assert np.array_equal(got, want)


@pytest.mark.parametrize("name", INEXACT)
def test_through_matrix_products(name):
    draw = INEXACT[name]
    np.testing.assert_allclose(vmap(draw)(KEYS), [draw(k) for k in KEYS], rtol=1e-12)


@pytest.mark.parametrize("name", DRAWS)
def test_an_abstract_program_draws_the_same(name):
    program, _ = trace_program(DRAWS[name], KEYS[0], abstract=True)
    (drawn,) = program.evaluate(KEYS[1])
    assert np.array_equal(drawn, DRAWS[name](KEYS[1]))


def test_batches_of_parameters():
    a = np.array([0.5, 2.0, 50.0])
    got = vmap(lambda a: random.gamma(KEYS[0], a))(a)
    assert got.tolist() == [random.gamma(KEYS[0], v) for v in a]
    got = vmap(lambda a, k: random.poisson(k, 10 * a))(a, KEYS[:3])
    assert got.tolist() == [random.poisson(k, 10 * v) for v, k in zip(a, KEYS[:3], strict=True)]
    got = vmap(lambda loc: random.normal(KEYS[0], 2, loc=loc))(a)
    assert np.array_equal(got, [random.normal(KEYS[0], 2, loc=v) for v in a])


def test_fold_in_of_a_batch():
    data = np.arange(5)
    want = [random.fold_in(k, i) for i, k in enumerate(KEYS)]
    assert np.array_equal(vmap(random.fold_in)(KEYS, data), want)
    want = [random.fold_in(KEYS[0], i) for i in range(5)]
    assert np.array_equal(vmap(lambda i: random.fold_in(KEYS[0], i))(data), want)
    want = [random.fold_in(k, 3) for k in KEYS]
    assert np.array_equal(vmap(lambda k: random.fold_in(k, 3))(KEYS), want)


def test_batches_of_batches():
    keys = random.split(random.key(1), 6).reshape(2, 3, 2)
    draw = lambda k: random.gamma(k, 0.7, 2) + random.normal(k, 2)
    want = [[draw(k) for k in row] for row in keys]
    assert np.array_equal(vmap(vmap(draw))(keys), want)
