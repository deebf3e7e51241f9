"""Sums over the first axes on several threads: the same bits for every number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit
from chainrule.compile.emit import parallel
from chainrule.compile.runtime import threads

RNG = np.random.default_rng(9)

pytestmark = pytest.mark.skipif(not threads.has_threads(), reason="no pool on this platform")


@pytest.fixture
def shared(monkeypatch: Any) -> Any:
    """Let nests be shared however small they are."""
    monkeypatch.setattr(parallel, "SHARED_FROM", 0.0)
    monkeypatch.setattr(parallel, "CHUNK_TIME", 1.0)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    before = threads.num_threads()
    yield threads
    threads.set_num_threads(before)


def columns(x: Any) -> Any:
    return np.sum(np.exp(-(x**2)), 0)


def several(x: Any) -> Any:
    y = np.tanh(x) * x
    return np.sum(y, 0), np.sum(y * y), np.sum(y, -1), y


def waves(x: Any) -> Any:
    """Take sums of what is written in two ways, for small arguments and for large ones."""
    return np.sum(np.sin(x) * np.cos(x), 0)


def bias(b: Any, x: Any) -> Any:
    return np.sum(np.tanh(x + b) ** 2)


def in_front(x: Any) -> Any:
    return np.sum(np.exp(x[None]), (0, 1)), np.sum(np.exp(x[None]), 1)


X = RNG.standard_normal((203, 6))
CASES = {
    "columns": (columns, X),
    "columns of a stack": (columns, RNG.standard_normal((67, 2, 3))),
    "two axes": (lambda x: np.sum(np.exp(x), (0, 1)), RNG.standard_normal((67, 2, 3))),
    "beside others": (several, X),
    "circular": (waves, X),
    "large arguments": (waves, X * 1e9),
    "gradient of a bias": (grad(bias), RNG.standard_normal(6), X),
    "behind an axis of one": (in_front, X),
    "few rows": (columns, RNG.standard_normal((9, 7))),
}


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(shared, name, dtype):
    f, *given = CASES[name]
    args = [x.astype(dtype) for x in given]
    plan = jit(f).lower(*args).native.plan
    found = [g for g in plan.groups if parallel.is_shared(g, plan) and parallel.leading_sums(g)]
    assert bool(found) == (name != "few rows")  # of which parts would take too much memory
    compiled, expected = jit(f), f(*args)
    shared.set_num_threads(1)
    alone = compiled(*args)
    for got, theirs in zip(parts(alone), parts(expected), strict=True):
        tolerance = 1e-12 if dtype is np.float64 else 2e-4
        np.testing.assert_allclose(got, theirs, rtol=tolerance, atol=tolerance * 10)
    for n in (2, 3, 5):
        shared.set_num_threads(n)
        for _ in range(5):
            for a, b in zip(parts(compiled(*args)), parts(alone), strict=True):
                np.testing.assert_array_equal(a, b)
