"""Loops that several threads share by rows: the same bits for every number of threads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from chainrule import jit, scan, value_and_grad
from chainrule.compile.plan import loop_rows
from chainrule.compile.plan.control import LoopPlan
from chainrule.compile.runtime import threads
from tests.compile.interrupting import interrupted

RNG = np.random.default_rng(8)

pytestmark = pytest.mark.skipif(not threads.has_threads(), reason="no pool on this platform")


@pytest.fixture
def pool():
    before = threads.num_threads()
    yield threads
    threads.set_num_threads(before)


@pytest.fixture
def shared(monkeypatch: Any, pool: Any) -> Any:
    """Let loops be shared however short they are."""
    monkeypatch.setattr(loop_rows, "STEP", 0.0)
    monkeypatch.setattr(loop_rows, "SHARED_FROM", 0.0)
    monkeypatch.setattr(loop_rows, "DEARER", 100.0)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    return pool


def chunks(f: Any, *args: Any) -> list[int]:
    """Return for each loop in how many chunks it is shared."""
    groups = jit(f).lower(*args).native.plan.groups
    found = [loop_rows.rows_of_loop(g.inner) for g in groups if isinstance(g.inner, LoopPlan)]
    return [1 if rows is None else rows.chunks for rows in found]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def rnn(W: Any, b: Any, xs: Any) -> Any:
    start = np.zeros(xs.shape[1:], xs.dtype)
    h, hs = scan(lambda h, x: (np.tanh(x + h @ W + b), h), start, xs)
    return np.mean(h**2) + np.mean(hs[-2] * h)


def gru(W: Any, b: Any, xs: Any) -> Any:
    n = W.shape[0]

    def step(h: Any, x: Any) -> Any:
        a = h @ W + b
        keep = sigmoid(x + a[:, :n])
        new = np.tanh(x + keep * a[:, n : 2 * n])
        return (1 - keep) * new + keep * h * sigmoid(a[:, 2 * n :]), None

    h, _ = scan(step, np.zeros(xs.shape[1:], xs.dtype), xs)
    return np.mean(h**2)


def lstm(W: Any, b: Any, xs: Any) -> Any:
    n = W.shape[0]

    def step(state: Any, x: Any) -> Any:
        h, c = state
        a = h @ W + b
        c = sigmoid(a[:, :n]) * c + np.tanh(a[:, n : 2 * n] + x)
        return (np.tanh(c) * sigmoid(a[:, 2 * n :]), c), None

    zero = np.zeros(xs.shape[1:], xs.dtype)
    (h, c), _ = scan(step, (zero, zero), xs)
    return np.mean(h * c)


def weights(n: int, gates: int, rows: int, steps: int = 7) -> tuple[Any, ...]:
    shapes = ((n, gates * n), (gates * n,), (steps, rows, n))
    return tuple(RNG.standard_normal(shape) / 2 for shape in shapes)


def oscillators(x: Any, k: Any) -> Any:
    """Carry values of which no product is made, and stack some of them."""

    def step(state: Any, _: Any) -> Any:
        x, v = state
        v = v - 0.1 * np.sin(x) * k
        return (x + 0.1 * v, v), v[:, :1]

    (x, v), path = scan(step, (x, x * 0), None, length=9)
    return x, v, path


def totals(x: Any, k: Any) -> Any:
    """Carry sums over rows beside the rows, a small one and a large one."""

    def step(state: Any, _: Any) -> Any:
        x, small, large = state
        x = np.sin(x * k)
        return (x, small + np.sum(x[:, :3], 0), large + np.sum(x, 0)), None

    start = x, np.ones(3, x.dtype), np.full(x.shape[1], 2.0, x.dtype)
    return scan(step, start, None, length=5)[0]


STATE = (RNG.standard_normal((37, 70)), RNG.standard_normal((37, 1)))
CASES = {
    "rnn": (value_and_grad(rnn, (0, 1)), weights(12, 1, 32)),
    "rnn of many rows": (value_and_grad(rnn, (0, 1, 2)), weights(5, 1, 96)),
    "gru": (value_and_grad(gru, (0, 1)), weights(24, 3, 32)),
    "lstm": (value_and_grad(lstm, (0, 1)), weights(24, 3, 32)),
    "rows of different chunks": (oscillators, STATE),
    "small states": (oscillators, tuple(x[:, :1] for x in STATE)),
    "sums": (totals, STATE),
    "gradients of sums": (value_and_grad(lambda *a: sum(map(np.sum, totals(*a))), (0, 1)), STATE),
}


def flat(results: Any) -> list[Any]:
    nested = results if isinstance(results, tuple) else [results]
    return [leaf for r in nested for leaf in (flat(r) if isinstance(r, tuple) else [r])]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(shared, name, dtype):
    f, given = CASES[name]
    args = [x.astype(dtype) for x in given]
    assert max(chunks(f, *args)) > 1
    compiled, expected = jit(f), flat(f(*args))
    tolerance = 1e-11 if dtype is np.float64 else 1e-4
    shared.set_num_threads(1)
    alone = flat(compiled(*args))
    for got, theirs in zip(alone, expected, strict=True):
        assert got.dtype == theirs.dtype
        scale = max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(got, theirs, rtol=tolerance, atol=tolerance * scale)
    for n in (2, 3, 4):
        shared.set_num_threads(n)
        for _ in range(10):
            for a, b in zip(flat(compiled(*args)), alone, strict=True):
                np.testing.assert_array_equal(a, b)


def mixed(x: Any, W: Any) -> Any:
    return scan(lambda h, _: (np.tanh(W @ h), None), x, None, length=5)[0]


def shifted(x: Any) -> Any:
    return scan(lambda h, _: (np.sin(h[::-1]), None), x, None, length=5)[0]


def normalised(x: Any) -> Any:
    return scan(lambda h, _: (h / np.sqrt(np.sum(h**2)), None), x, None, length=5)[0]


def swollen(x: Any) -> Any:
    """Multiply a sum over rows, for which chunks would need that of the others."""

    def step(state: Any, _: Any) -> Any:
        x, total = state
        return (np.sin(x), total * total + np.sum(x, 0)), None

    return scan(step, (x, x[0]), None, length=5)[0]


@pytest.mark.parametrize("f", [shifted, normalised, swollen])
def test_rows_that_need_each_other_are_not_shared(shared, f):
    x = RNG.standard_normal((64, 70)) / 10
    assert chunks(f, x) == [1]
    for got, expected in zip(flat(jit(f)(x)), flat(f(x)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_products_that_mix_rows_are_not_shared(shared):
    x, W = RNG.standard_normal((64, 70)), RNG.standard_normal((64, 64)) / 8
    assert chunks(mixed, x, W) == [1]
    np.testing.assert_allclose(jit(mixed)(x, W), mixed(x, W), rtol=1e-11, atol=1e-12)


def test_short_steps_are_not_shared():
    assert chunks(oscillators, *STATE) == [1]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("n", [1, 3])
def test_an_interrupt_ends_a_shared_loop(pool, n):
    def f(x: Any) -> Any:
        return scan(lambda c, _: (np.sin(c * 1.5), None), x, None, length=1_000_000_000)[0]

    x = np.ones((64, 300))
    assert max(chunks(f, x)) > 1
    compiled = jit(f)
    compiled.lower(x)
    pool.set_num_threads(n)
    with interrupted():
        compiled(x)
