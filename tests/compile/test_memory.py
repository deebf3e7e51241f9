"""Memory of compiled functions: given away, shared within a call, kept for large results."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from chainrule import jit, scan
from chainrule.compile.runtime import buffers

RNG = np.random.default_rng(0)


def arrays(n: int, *shape: int) -> list[Any]:
    return list(RNG.standard_normal((n, *shape)))


# -- donated arguments ---------------------------------------------------------------------------


def momentum(p: Any, g: Any, v: Any) -> Any:
    v = 0.9 * v + g
    return p - 0.1 * v, v


def test_donated_arguments_are_updated_in_place():
    p, g, v = arrays(3, 7, 11)
    expected, kept = momentum(p, g, v), g.copy()
    new = jit(momentum, donate=(0, 2))(p, g, v)
    assert new[0] is p
    assert new[1] is v
    for got, theirs in zip(new, expected, strict=True):
        np.testing.assert_allclose(got, theirs, rtol=1e-15)
    np.testing.assert_array_equal(g, kept)


def test_names_and_pytrees_can_be_donated():
    params = {"W": np.ones((3, 3)), "b": np.zeros(3)}
    f = jit(lambda x, *, params: {k: v * 2.0 + x for k, v in params.items()}, donate=["params"])
    new = f(1.0, params=params)
    assert new["W"] is params["W"]
    assert new["b"] is params["b"]
    np.testing.assert_array_equal(new["W"], np.full((3, 3), 3.0))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.T * 2.0,
        lambda x: x[::-1] + x,
        lambda x: x @ x,
        lambda x: (x * 2.0, x + np.sum(x)),
        lambda x: (x, x + 1.0),
        lambda x: np.cumsum(x, 0) * x,
        lambda x: x / np.sum(np.exp(x), axis=0),
        lambda x: np.sin(x) * x,
        lambda x: scan(lambda c, r: (c * 0.5 + r, c), x, x[:, None] + x)[0],
    ],
)
def test_what_is_read_later_is_not_written_over(f):
    (x,) = arrays(1, 6, 6)
    expected = f(x)
    got = jit(f, donate=(0,))(x)
    for a, b in zip(
        got if type(got) is tuple else [got],
        expected if type(expected) is tuple else [expected],
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_arguments_that_overlap_are_copied():
    f = jit(momentum, donate=(0, 2))
    p, g, v = arrays(3, 40)
    for given in ((p, p, v), (p, g, p), (g[:30], g[10:], v[:30])):
        f(*(a.copy() for a in given))
        expected = momentum(*given)
        before = [a.copy() for a in given]
        for got, theirs in zip(f(*given), expected, strict=True):
            np.testing.assert_allclose(got, theirs, rtol=1e-15)
        for a, b in zip(given, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_cannot_be_written_is_copied():
    f = jit(lambda x: x * 2.0, donate=(0,))
    x = np.arange(5.0)
    x.flags.writeable = False
    np.testing.assert_array_equal(f(x), 2 * np.arange(5.0))
    np.testing.assert_array_equal(x, np.arange(5.0))


# -- within a call -------------------------------------------------------------------------------


def test_buffers_are_shared_by_what_is_not_needed_together():
    def f(x: Any) -> Any:
        for _ in range(6):
            x = np.cumsum(x, 0) - np.cumsum(x, 1)
        return x

    (x,) = arrays(1, 64, 64)
    native = jit(f).lower(x).native
    facts = native.facts
    assert native.workspace <= 4 * x.nbytes + 1024
    assert facts["bytes without reuse"] >= 10 * x.nbytes
    np.testing.assert_allclose(native.run([x])[0], f(x), rtol=1e-9)


def test_no_memory_for_a_call_is_a_memory_error():
    native = jit(lambda x: np.cumsum(np.cumsum(x, 0), 1)[0]).lower(np.ones((64, 64))).native
    native._image.workspace = 1 << 60
    with pytest.raises(MemoryError):
        native._grow()
    large = np.broadcast_to(np.ones(1), (1 << 40,))
    with pytest.raises(MemoryError):
        jit(lambda x: x[0] + np.zeros(1 << 45))(large[:1])


# -- large results -------------------------------------------------------------------------------


def test_the_memory_of_large_results_is_used_again():
    buffers.clear_buffers()
    f = jit(lambda x: x + 1.0)
    x = np.arange(300_000.0)
    first = f(x)
    address = first.__array_interface__["data"][0]
    assert first.flags.owndata
    assert first.base is None
    view = first[5:]
    del first
    second = f(x)
    assert second.__array_interface__["data"][0] != address
    np.testing.assert_array_equal(view, np.arange(6.0, 300_001.0))
    del view
    gc.collect()
    assert buffers.bytes_kept() == x.nbytes
    third = f(x)
    assert third.__array_interface__["data"][0] == address
    assert buffers.bytes_kept() == 0
    third.resize(600_000, refcheck=False)
    assert third[-1] == 0
    assert third[299_999] == 300_000
    del third, second
    buffers.clear_buffers()
    assert buffers.bytes_kept() == 0


def test_what_is_kept_has_a_limit():
    import ctypes

    buffers.clear_buffers()
    limit = ctypes.c_int64.from_address(buffers._code().address("most"))
    before, limit.value = limit.value, 10_000_000
    try:
        f = jit(lambda x: x * 2.0)
        for n in (150_000, 200_000, 250_000, 300_000, 2_000_000):
            held = [f(np.ones(n)) for _ in range(5)]
            del held
            assert buffers.bytes_kept() <= 10_000_000
        assert buffers.bytes_kept() > 5_000_000
    finally:
        limit.value = before
        buffers.clear_buffers()


def test_small_results_are_left_to_numpy():
    from numpy._core.multiarray import get_handler_name

    f = jit(lambda x: x + 1.0)
    assert get_handler_name(f(np.ones(10))) == "default_allocator"
    assert get_handler_name(f(np.ones(200_000))) == "chainrule"
    assert get_handler_name(np.ones(200_000)) == "default_allocator"


def test_results_in_tuples_are_made_by_the_entry():
    def f(x: Any) -> Any:
        return (np.sum(x), (x + 1.0, (x * 2.0,)), (), (np.max(x),))

    x = np.arange(3.0)
    native = jit(f).lower(x).native
    assert native.nesting == (0, (1, (2,)), (), (3,))
    total, (more, (twice,)), nothing, (most,) = jit(f)(x)
    assert (total, nothing, most) == (3.0, (), 2.0)
    np.testing.assert_array_equal(more, x + 1)
    np.testing.assert_array_equal(twice, x * 2)
    shared = jit(lambda x: ((x, x * 2.0), x * 2.0, [x + 1.0]))(x)
    assert not np.shares_memory(shared[0][1], shared[1])
    assert type(shared[2]) is list
