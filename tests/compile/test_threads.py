"""Large loop nests on several threads: the same bits for every number, whoever calls."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from chainrule import jit, value_and_grad
from chainrule.compile.runtime import threads

RNG = np.random.default_rng(0)
N = 200_003  # large enough to be shared, no multiple of anything
FLAT = RNG.standard_normal(N)
TABLE = RNG.standard_normal((401, 499))

pytestmark = pytest.mark.skipif(not threads.has_threads(), reason="no pool on this platform")


@pytest.fixture
def pool():
    before = threads.num_threads()
    yield threads
    threads.set_num_threads(before)


def is_shared(f: Any, *args: Any) -> bool:
    return "chainrule.runtime.parallel" in jit(f).lower(*args).native.code.text


def loss(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.exp(-(x**2)) + np.log1p(x**2))


def reductions(x: Any) -> Any:
    y = np.exp(-(x**2)) * np.tanh(x) + np.sin(x)
    return np.sum(y), np.mean(y), np.max(y), np.min(y), np.linalg.norm(y), np.any(y > 1.4), y


def rows(x: Any) -> Any:
    y = np.exp(np.tanh(x) * np.cos(x))
    return (
        np.sum(y, 1),
        np.max(y, 1),
        y / np.sum(y, axis=1, keepdims=True),
        np.sum(x.T * np.exp(x.T)),
    )


def in_front(x: Any) -> Any:
    y = np.exp(np.tanh(x[None]) * np.log1p(x[None] ** 2))
    return np.sum(y, (1, 2)), np.sum(y, 2)


CASES = [(value_and_grad(loss), FLAT), (reductions, FLAT), (rows, TABLE), (in_front, TABLE)]


@pytest.mark.parametrize(("f", "x"), CASES, ids=["loss", "reductions", "rows", "in front"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(pool, f, x, dtype):
    x = x.astype(dtype)
    compiled, expected = jit(f), f(x)
    assert is_shared(f, x)
    pool.set_num_threads(1)
    alone = compiled(x)
    for got, theirs in zip(alone, expected, strict=True):
        tolerance = 1e-12 if dtype is np.float64 else 1e-4
        np.testing.assert_allclose(got, theirs, rtol=tolerance, atol=tolerance)
    for n in (2, 3, 5):
        pool.set_num_threads(n)
        for _ in range(3):
            for a, b in zip(compiled(x), alone, strict=True):
                np.testing.assert_array_equal(a, b)


def test_small_work_is_not_shared():
    assert not is_shared(loss, FLAT[:1000])


@pytest.mark.parametrize("n", [2, 3, 8])
def test_every_chunk_is_done_once(pool, n):
    pool.set_num_threads(n)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    share = ctypes.CFUNCTYPE(None, kind, ctypes.c_void_p, ctypes.c_int64)(pool._parallel())
    done: list[int] = []
    note = kind(lambda _, k: done.append(k))
    for count in 20 * (1, 2, 3, 17, 256):
        share(note, None, count)
        assert sorted(done) == list(range(count))
        done.clear()


def test_callers_on_many_threads_share_one_pool(pool):
    pool.set_num_threads(3)
    f = jit(value_and_grad(loss))
    inputs = [FLAT * k for k in (0.5, 1.0, 1.5, 2.0)]
    expected = [f(x) for x in inputs]
    wrong: list[Any] = []

    def work(k: int) -> None:
        for _ in range(20):
            value, gradient = f(inputs[k])
            if value != expected[k][0] or not np.array_equal(gradient, expected[k][1]):
                wrong.append(k)

    callers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong


def test_the_interpreter_runs_on_while_native_code_works():
    g = jit(loss)
    x = np.tile(FLAT, 20)
    g(x)
    ticks, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            ticks[0] += 1
            time.sleep(0)

    other = threading.Thread(target=count)
    other.start()
    before = ticks[0]
    for _ in range(5):
        g(x)
    seen = ticks[0] - before
    stop.set()
    other.join()
    assert seen > 10


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from chainrule import jit
from chainrule.compile.runtime import threads
threads.set_num_threads(3)
f = jit(lambda x: np.sum(np.tanh(x) * np.exp(-x * x)))
x = np.linspace(-1, 2, 300_000)
first = f(x)
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if all(f(x) == first for _ in range(5)) else 1)
    assert os.waitpid(child, 0)[1] == 0
assert f(x) == first
print("survived")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_is_survived():
    command = [sys.executable, "-c", FORK]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == "survived", out.stderr


@pytest.mark.parametrize(
    ("own", "general", "expected"),
    [("3", None, 3), ("3", "1", 3), ("0", None, 1), (None, "1", 1), ("x", "1,2", 1)],
)
def test_the_environment_says_how_many(monkeypatch, own, general, expected):
    for name, value in (("CHAINRULE_NUM_THREADS", own), ("OMP_NUM_THREADS", general)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert threads.default_num_threads() == expected


def test_threadpoolctl_limits_it(pool):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    pool.set_num_threads(3)
    with threadpoolctl.threadpool_limits(1):
        assert pool.num_threads() == 1
    assert pool.num_threads() == 3
    with threadpoolctl.threadpool_limits({"chainrule": 2}):
        assert pool.num_threads() == 2


def test_there_is_at_least_one_thread():
    with pytest.raises(ValueError, match="at least one"):
        threads.set_num_threads(0)
