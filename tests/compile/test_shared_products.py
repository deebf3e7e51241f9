"""Large products on several threads: cut the same way for every number, and BLAS kept to one."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import numpy as np
import pytest

from chainrule import jit
from chainrule.compile.contraction import panels
from chainrule.compile.contraction.blas import matrices_of
from chainrule.compile.contraction.kernel import spec_from
from chainrule.compile.contraction.tiling import tile_of
from chainrule.compile.emit.shared import shared_cut
from chainrule.compile.runtime import blas_threads, threads

RNG = np.random.default_rng(4)

pytestmark = pytest.mark.skipif(not threads.has_threads(), reason="no pool on this platform")


@pytest.fixture
def pool():
    before = threads.num_threads()
    yield threads
    threads.set_num_threads(before)


def cut_of(f: Any, *args: Any) -> tuple[Any, bool]:
    """Return how a product is cut, and whether BLAS does it."""
    (group,) = jit(f).lower(*args).native.plan.groups
    root = group.roots[0]
    spec, dtype = spec_from(root), root.out.type.dtype
    return shared_cut(group), matrices_of(spec, dtype) is not None


def product(x: Any, y: Any) -> Any:
    return x @ y


def turned(x: Any, y: Any) -> Any:
    return x.T @ y


CASES = {
    "rows": (product, (2001, 300), (300, 400), False),
    "columns": (product, (150, 900), (900, 2500), False),
    "terms": (turned, (6003, 130), (6003, 300), True),
    "terms, in the other order": (turned, (6003, 300), (6003, 130), True),
    "stack": (product, (7, 700, 500), (7, 500, 720), False),
}


@pytest.fixture(params=["over panels", "as it is"])
def way(request: Any, monkeypatch: Any) -> Any:
    """Let products be done in both ways."""
    if request.param == "as it is":
        monkeypatch.setattr(panels, "LEAST", float("inf"))
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    panels._panels_of.cache_clear()
    yield request.param
    panels._panels_of.cache_clear()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit_of_a_product(pool, way, name, dtype):
    f, left, right, accumulates = CASES[name]
    x, y = (RNG.standard_normal(shape).astype(dtype) for shape in (left, right))
    cut, by_blas = cut_of(f, x, y)
    assert cut is not None
    assert cut.rows.accumulates == (accumulates and (by_blas or way == "over panels"))
    compiled = jit(f)
    pool.set_num_threads(1)
    alone, expected = compiled(x, y), f(x, y)
    scale = np.abs(expected).max()
    tolerance = 1e-12 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(alone, expected, rtol=tolerance, atol=tolerance * scale)
    for n in (2, 3, 4):
        pool.set_num_threads(n)
        for _ in range(2):
            np.testing.assert_array_equal(compiled(x, y), alone)


def test_a_long_sum_in_a_loop_has_memory_for_its_chunks(pool):
    from chainrule import scan

    x, y = RNG.standard_normal((6003, 130)), RNG.standard_normal((6003, 300))

    def f(x: Any, y: Any) -> Any:
        def step(w: Any, _: Any) -> Any:
            return np.tanh((x + 0.01 * np.sum(w)).T @ (y - 0.01 * w[0])), None

        return scan(step, np.zeros((130, 300)), None, length=3)[0]

    compiled = jit(f)
    pool.set_num_threads(1)
    alone = compiled(x, y)
    np.testing.assert_allclose(alone, f(x, y), rtol=1e-9, atol=1e-9)
    pool.set_num_threads(3)
    np.testing.assert_array_equal(compiled(x, y), alone)


# -- the threads of BLAS ----------------------------------------------------------------------


@pytest.fixture
def blas():
    found = blas_threads.library_functions()
    if found is None:
        pytest.skip("a BLAS whose number of threads isn't known")
    get = ctypes.CFUNCTYPE(ctypes.c_int)(found[0])
    set_ = ctypes.CFUNCTYPE(None, ctypes.c_int)(found[1])
    before = get()
    set_(3)
    yield get, set_
    set_(before)


def counters() -> tuple[Any, Any]:
    begin, end = blas_threads._begin(), blas_threads._end()
    return ctypes.CFUNCTYPE(None)(begin), ctypes.CFUNCTYPE(None)(end)


def test_blas_has_one_thread_within_and_as_many_as_before_afterwards(blas):
    get, _ = blas
    begin, end = counters()
    begin()
    assert get() == 1
    begin()
    end()
    assert get() == 1
    end()
    assert get() == 3


def test_a_number_that_is_asked_for_meanwhile_stays(blas):
    get, set_ = blas
    begin, end = counters()
    begin()
    set_(2)
    end()
    assert get() == 2


def test_calls_leave_the_threads_of_blas_as_they_are(blas, pool):
    get, _ = blas
    pool.set_num_threads(3)
    x, y = RNG.standard_normal((600, 400)), RNG.standard_normal((400, 500))
    f = jit(product)
    expected = f(x, y)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(10):
            if not np.array_equal(f(x, y), expected):
                wrong.append(x)

    callers = [threading.Thread(target=work) for _ in range(3)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong
    assert get() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_has_as_many_threads_of_blas_as_its_parent_had(blas):
    get, _ = blas
    begin, end = counters()
    begin()
    child = os.fork()
    if child == 0:
        os._exit(0 if get() == 3 else 1)
    end()
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("terms", [3200, 3210, 2048])
def test_long_sums_are_cut_into_pieces_of_about_the_same_length(terms):
    x = np.ones((terms, 128), np.float32)
    y = np.ones((terms, 384), np.float32)
    cut, _ = cut_of(turned, x, y)
    assert cut.rows.accumulates
    assert cut.count % 2 == 0
    assert cut.last > 0.9 * cut.length


def projected(x: Any, w: Any) -> Any:
    return np.einsum("bsd,dphe->pbhse", x, w)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("way", ["as it is"], indirect=True)
def test_products_over_tiles_are_cut_outside_of_the_tiles(pool, way, dtype):
    x = RNG.standard_normal((8, 120, 96)).astype(dtype)
    w = RNG.standard_normal((96, 3, 4, 32)).astype(dtype)
    (group,) = jit(projected).lower(x, w).native.plan.groups
    cut, tile = shared_cut(group), tile_of(spec_from(group.roots[0]), x.dtype)
    assert cut is not None
    assert cut.count == 4
    assert cut.rows.label not in dict((*tile.rows, *tile.columns))
    compiled, expected = jit(projected), projected(x, w)
    pool.set_num_threads(1)
    alone = compiled(x, w)
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-4)
    for n in (2, 3):
        pool.set_num_threads(n)
        np.testing.assert_array_equal(compiled(x, w), alone)


def weights_of_heads(x: Any, y: Any) -> Any:
    return np.einsum("bsd,pbhse->dphe", x, y)


@pytest.mark.parametrize("batch", [8, 7])
def test_sums_over_two_axes_are_cut_along_the_outer_one(pool, batch):
    x = RNG.standard_normal((batch, 128, 128)).astype(np.float32)
    y = RNG.standard_normal((3, batch, 4, 128, 32)).astype(np.float32)
    cut, _ = cut_of(weights_of_heads, x, y)
    assert cut is not None
    assert (cut.rows.accumulates, cut.size) == (True, batch)
    compiled, expected = jit(weights_of_heads), weights_of_heads(x, y)
    pool.set_num_threads(1)
    alone = compiled(x, y)
    np.testing.assert_allclose(alone, expected, rtol=1e-3, atol=1e-3)
    for n in (2, 3):
        pool.set_num_threads(n)
        np.testing.assert_array_equal(compiled(x, y), alone)
