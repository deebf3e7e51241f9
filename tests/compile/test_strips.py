"""Loop nests that are run a few rows at a time: the same results, in less memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from chainrule import grad, jit, value_and_grad
from chainrule.compile import JitWarning
from chainrule.compile.plan import strips
from tests.transform.test_random_programs import points, programs, run

RNG = np.random.default_rng(3)


def close(got: Any, expected: Any, tolerance: float) -> None:
    expected = np.asarray(expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)
    assert np.shape(got) == expected.shape


def plans(f: Any, *args: Any) -> list[strips.StripPlan]:
    groups = jit(f).lower(*args).native.plan.groups
    return [g.inner for g in groups if isinstance(g.inner, strips.StripPlan)]


@pytest.fixture
def always(monkeypatch: Any) -> None:
    """Let nests be joined however small the arrays are, and strips be short."""
    monkeypatch.setattr(strips, "LEAST", 0)
    for name, value in (("CACHE", 600), ("SECOND", 2000), ("HEIGHT", 0), ("TALL", 0)):
        monkeypatch.setattr(strips, name, value)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")


def cross_entropy(scores: Any, labels: Any) -> Any:
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    normaliser = np.log(np.sum(np.exp(shifted), axis=1))
    return np.mean(normaliser - shifted[np.arange(len(labels)), labels])


def layer_norm(x: Any, gain: Any) -> Any:
    centred = x - np.mean(x, -1, keepdims=True)
    y = centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-5) * gain
    return np.sum(np.sin(y) @ np.outer(gain, gain))


def logistic(w: Any, X: Any, y: Any) -> Any:
    return np.mean(np.logaddexp(0.0, -y * (X @ w))) + np.sum(w**2)


def attention(x: Any, w: Any) -> Any:
    scores = (x @ w) @ np.swapaxes(x, -1, -2)
    e = np.exp(scores - np.max(scores, -1, keepdims=True))
    return np.sum((e / np.sum(e, -1, keepdims=True)) @ x * x)


def column_sums(x: Any, w: Any) -> Any:
    """Sums over the rows, of which one is needed by the rows again."""
    y = np.tanh(x @ w)
    centre = np.mean(y, axis=0)
    return np.sum((y - centre) ** 2) + np.sum(np.max(y, 0)) + np.max(np.sum(np.exp(y), 0))


def mixture(x: Any, means: Any, factors: Any) -> Any:
    centred = x[:, None, :] - means
    scaled = np.einsum("kij,nkj->nki", factors, centred)
    inner = -0.5 * np.sum(scaled**2, axis=2)
    m = np.max(inner, axis=-1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(inner - m), axis=-1)) + m[..., 0])


def shifted_rows(x: Any, w: Any) -> Any:
    """Rows that need other rows: what must not be run row by row."""
    y = np.exp(x)
    z = np.cumsum(y, 0) + y[::-1] + np.roll(y, 1, 0) + np.sum(y, 0) + np.max(y)
    return np.sum(np.tanh(z * w) @ y.T) + np.sum(np.tanh(y[1:]) * y[:-1])


ROWS, COLUMNS = 24, 7
X = RNG.standard_normal((ROWS, COLUMNS))
CASES = [
    (cross_entropy, (X, RNG.integers(0, COLUMNS, ROWS)), 1),
    (layer_norm, (X, RNG.standard_normal(COLUMNS)), 2),
    (logistic, (RNG.standard_normal(COLUMNS), X, np.sign(X[:, 0])), 1),
    (attention, (RNG.standard_normal((6, 5, 4)), RNG.standard_normal((4, 4))), 2),
    (column_sums, (X, RNG.standard_normal((COLUMNS, 5))), 2),
    (
        mixture,
        (X, RNG.standard_normal((3, COLUMNS)), RNG.standard_normal((3, COLUMNS, COLUMNS)) / 3),
        3,
    ),
    (shifted_rows, (X, RNG.standard_normal(COLUMNS)), 2),
]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("f", "args", "wrt"), CASES, ids=[c[0].__name__ for c in CASES])
def test_results_are_the_same(f: Any, args: Any, wrt: int, dtype: Any):
    args = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in args)
    g = value_and_grad(f, tuple(range(wrt)))
    value, gradients = jit(g)(*args)
    expected, theirs = g(*args)
    tolerance = 1e-12 if dtype is np.float64 else 2e-4
    close(value, expected, tolerance)
    for mine, other in zip(gradients, theirs, strict=True):
        close(mine, other, tolerance)


@pytest.mark.usefixtures("always")
@given(programs(), points)
@settings(max_examples=20)
def test_random_programs(steps: Any, point: Any):
    f = value_and_grad(lambda x, y: np.sum(np.sin(run(steps, x, y))), (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JitWarning)
        value, gradients = jit(f)(*point)
    expected, theirs = f(*point)
    close(value, expected, 1e-11)
    for got, other in zip(gradients, theirs, strict=True):
        close(got, other, 1e-10)


@pytest.mark.usefixtures("always")
def test_an_index_out_of_bounds_is_found_in_a_strip():
    scores, labels = X.copy(), RNG.integers(0, COLUMNS, ROWS)
    step = jit(grad(cross_entropy))
    assert plans(grad(cross_entropy), scores, labels)
    labels[17] = COLUMNS
    with pytest.raises(IndexError, match=f"index {COLUMNS} is out of bounds"):
        step(scores, labels)


def test_a_large_loss_takes_one_pass():
    scores = RNG.standard_normal((512, 1000)).astype(np.float32)
    labels = RNG.integers(0, 1000, 512)
    (plan,) = plans(value_and_grad(cross_entropy), scores, labels)
    assert plan.rows == 512
    assert plan.rows % plan.length == 0
    facts = jit(value_and_grad(cross_entropy)).lower(scores, labels).native.build.buffers
    assert sum(b.size for b in facts) < scores.nbytes / 4


def test_small_arrays_are_left_alone():
    assert not plans(value_and_grad(cross_entropy), X, RNG.integers(0, COLUMNS, ROWS))


def test_a_prime_number_of_rows():
    scores = RNG.standard_normal((521, 900)).astype(np.float32)
    labels = RNG.integers(0, 900, 521)
    value, gradient = jit(value_and_grad(cross_entropy))(scores, labels)
    expected, theirs = value_and_grad(cross_entropy)(scores, labels)
    close(value, expected, 1e-5)
    close(gradient, theirs, 1e-4)


def test_weights_are_not_read_again_for_each_strip():
    x = RNG.standard_normal((128, 784)).astype(np.float32)
    w = RNG.standard_normal((784, 512)).astype(np.float32)
    f = value_and_grad(lambda w, x: np.mean(np.maximum(x @ w, 0) ** 2))
    cuts = [cut for plan in plans(f, w, x) for cut in plan.cuts.values()]
    assert all(cut.paneled for cut in cuts)  # they are in the second cache then


def test_matrices_that_fit_into_the_second_cache_are_read_again_for_long_strips():
    x = RNG.standard_normal((1000, 40))
    args = x, RNG.standard_normal((5, 40)), RNG.standard_normal((5, 40, 40)) / 7
    (plan,) = plans(value_and_grad(mixture, (1, 2)), *args)
    names = [r.primitive.name for g in plan.groups for r in g.roots]
    assert names.count("contraction") >= 2
    assert plan.length >= 20
    value, gradients = jit(value_and_grad(mixture, (1, 2)))(*args)
    expected, theirs = value_and_grad(mixture, (1, 2))(*args)
    close(value, expected, 1e-12)
    for mine, other in zip(gradients, theirs, strict=True):
        close(mine, other, 1e-11)


def test_values_that_are_used_again_and_again_are_looked_at_once() -> None:
    def f(x: Any) -> Any:
        x = x - np.max(x, axis=1, keepdims=True)
        for _ in range(60):  # 2 ** 60 ways lead from the result to x
            x = np.sin(x) * x
        return np.sum(x, axis=1)

    x = np.linspace(-1.0, 1.0, 4000).reshape(1000, 4)
    np.testing.assert_allclose(jit(f)(x), f(x), rtol=1e-12)
