"""Strips of rows on several threads: the same bits for every number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.compile.plan import strips
from chainrule.compile.runtime import threads

from .test_strips import (
    attention,
    column_sums,
    cross_entropy,
    layer_norm,
    logistic,
    mixture,
    plans,
)

RNG = np.random.default_rng(6)

pytestmark = pytest.mark.skipif(not threads.has_threads(), reason="no pool on this platform")


@pytest.fixture
def shared(monkeypatch: Any) -> Any:
    """Let nests be joined and shared however small the arrays are, and strips be short."""
    monkeypatch.setattr(strips, "LEAST", 0)
    for name, value in (("CACHE", 600), ("SECOND", 2000), ("HEIGHT", 0), ("TALL", 0)):
        monkeypatch.setattr(strips, name, value)
    monkeypatch.setattr(strips, "SHARED_FROM", 0.0)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    before = threads.num_threads()
    yield threads
    threads.set_num_threads(before)


def array(*shape: int) -> Any:
    return RNG.standard_normal(shape)


CASES = {
    "cross-entropy": (value_and_grad(cross_entropy), array(53, 30), RNG.integers(0, 30, 53)),
    "layer norm": (grad(layer_norm, (0, 1)), array(2, 18, 6), array(6)),
    "layer norm of rows": (value_and_grad(layer_norm), array(36, 6), array(6)),
    "logistic": (value_and_grad(logistic), array(7), array(101, 7), np.sign(array(101))),
    "sums of columns": (value_and_grad(column_sums), array(48, 7), array(7, 5)),
    "mixture": (grad(mixture, (1, 2)), array(48, 7), array(3, 7), array(3, 7, 7) / 3),
    "attention": (grad(attention, (0, 1)), array(6, 9, 5), array(5, 5)),
}


def flat(results: Any) -> list[Any]:
    nested = results if isinstance(results, tuple) else [results]
    return [leaf for r in nested for leaf in (flat(r) if isinstance(r, tuple) else [r])]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(shared, name, dtype):
    f, *given = CASES[name]
    args = [x.astype(dtype) if x.dtype.kind == "f" else x for x in given]
    found = plans(f, *args)
    assert any(strip.chunks > 1 for strip in found)
    compiled, expected = jit(f), flat(f(*args))
    tolerance = 1e-11 if dtype is np.float64 else 1e-4
    shared.set_num_threads(1)
    alone = flat(compiled(*args))
    for got, theirs in zip(alone, expected, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(got, theirs, rtol=tolerance, atol=tolerance * scale)
    for n in (2, 3, 4):
        shared.set_num_threads(n)
        for _ in range(10):
            for a, b in zip(flat(compiled(*args)), alone, strict=True):
                np.testing.assert_array_equal(a, b)


def test_each_chunk_has_sums_and_local_values_of_its_own(shared):
    f, *args = CASES["logistic"]
    (strip,) = (s for s in plans(f, *args) if s.added)
    assert strip.chunks > 1
    assert sum(min(strip.chunk, strip.rows - k) for k in range(0, strip.rows, strip.chunk)) == 101
    kept = strips.rows_kept(jit(f).lower(*args).native.plan)
    assert all(0 < some <= of for some, of in kept.values())


def test_work_of_any_length_is_run_in_strips():
    x, labels = array(20_000, 300), RNG.integers(0, 300, 20_000)
    f = value_and_grad(cross_entropy)
    (strip,) = plans(f, x, labels)
    assert strip.chunks > 1
    assert strip.rows // strip.length > 1000
    value, gradient = jit(f)(x, labels)
    expected, theirs = f(x, labels)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, theirs, rtol=1e-9, atol=1e-15)
