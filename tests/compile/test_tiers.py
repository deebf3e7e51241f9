"""Code of their own for shapes that are called often, made in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from chainrule import jit
from chainrule.compile import explain_compile, tiers
from chainrule.compile.runtime import engine, loader

pytestmark = pytest.mark.skipif(not loader.is_supported(), reason="needs a loader of our own")
RNG = np.random.default_rng(0)
FIRST, HOT, THIRD = 280, 320, 360  # rows


@pytest.fixture(autouse=True)
def hot_at_once(monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "off")
    monkeypatch.setenv("CHAINRULE_BACKGROUND", "1")
    monkeypatch.setattr(tiers, "WORTH", 0.0)
    monkeypatch.setattr(tiers, "SHORT", 0.0)
    yield
    assert tiers.wait()


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def scores(n, width=1000):
    return RNG.standard_normal((n, width)).astype(np.float32)


def generic(f=softmax, **options):
    """Return a function whose code serves all lengths."""
    made = jit(f, **options)
    made(scores(FIRST))
    made.lower(scores(HOT))
    return made


def is_exact(f, *args, **options):
    return f.lower(*args, **options).native.template is None


def test_a_shape_that_is_called_often_gets_code_of_its_own():
    f, x = generic(), scores(HOT)
    before = f(x)
    assert tiers.wait()
    after = f(x)
    assert is_exact(f, x)
    np.testing.assert_allclose(after, softmax(x), rtol=1e-5)
    np.testing.assert_allclose(after, before, rtol=1e-5)
    assert not is_exact(f, scores(THIRD))  # who isn't called often shares code further
    assert "in the background" in str(explain_compile(f, x))


def test_also_if_the_arguments_are_in_containers():
    f = jit(lambda tree, *, scale: softmax(tree["z"] * scale))
    for n in (FIRST, HOT):
        f.lower({"z": scores(n)}, scale=2.0)
    z = scores(HOT)
    for _ in range(2):
        np.testing.assert_allclose(f({"z": z}, scale=2.0), softmax(2 * z), rtol=1e-5)
        assert tiers.wait()
    assert is_exact(f, {"z": z}, scale=2.0)


def test_calls_have_to_take_longer_than_the_compilation(monkeypatch):
    monkeypatch.setattr(tiers, "WORTH", 2.0)
    f, x = generic(), scores(HOT)
    watch = f.lower(x).watch
    watch.limit = 0.02
    while watch.state == tiers.WATCHED:
        f(x)
    assert watch.spent > 0.02
    assert tiers.wait()
    assert is_exact(f, x)


def test_short_calls_are_left_alone_and_not_timed(monkeypatch):
    monkeypatch.setattr(tiers, "WORTH", 1e9)
    monkeypatch.setattr(tiers, "SHORT", 1.0)
    f, x = generic(), scores(HOT)
    for _ in range(tiers.FIRST + 1):
        f(x)
    version = f.lower(x)
    assert version.watch.state == tiers.SHORT_CALLS
    assert version.entry is version.native.call


def test_code_that_would_be_the_same_is_not_made(monkeypatch):
    made = []
    compile_ = engine.object_code
    monkeypatch.setattr(engine, "object_code", lambda parts: made.append(parts) or compile_(parts))
    f = jit(lambda x: np.tanh(x) * 2.0)
    for n in (FIRST, HOT, HOT):
        f(scores(n, 3))
    assert tiers.wait()
    assert f.lower(scores(HOT, 3)).watch.state == tiers.SAME
    assert len(made) == 2
    assert "would do the same" in str(explain_compile(f, scores(HOT, 3)))


def test_an_error_in_the_background_is_shown_and_not_raised(monkeypatch):
    f, x = generic(), scores(HOT)

    def fails(*_):
        raise MemoryError("no more")

    monkeypatch.setattr(engine, "object_code", fails)
    f(x)
    assert tiers.wait()
    monkeypatch.undo()
    np.testing.assert_allclose(f(x), softmax(x), rtol=1e-5)
    assert "could not be made: MemoryError: no more" in str(explain_compile(f, x))


@pytest.mark.parametrize("way", ["variable", "argument"])
def test_it_can_be_switched_off(monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("CHAINRULE_BACKGROUND", "0")
    f, x = generic(background=way == "variable"), scores(HOT)
    f(x)
    assert f.lower(x).watch is None
    assert "for all lengths" in str(explain_compile(f, x))


def test_code_that_is_on_disk_is_not_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    f, x = generic(), scores(HOT)
    f(x)
    assert tiers.wait()
    assert not f.lower(x).native.cached
    assert jit(softmax).lower(x).native.cached  # as a first call finds it
    g = generic()
    g(x)
    assert tiers.wait()
    assert is_exact(g, x)
    assert g.lower(x).native.cached


def test_few_shapes_keep_code_of_their_own(monkeypatch):
    monkeypatch.setattr(tiers, "MOST_OWN", 2)
    f = generic()
    shapes = [scores(n) for n in (HOT, THIRD, 400)]
    for x in shapes:
        f(x)
        assert tiers.wait()
    assert [is_exact(f, x) for x in shapes] == [False, True, True]
    np.testing.assert_allclose(f(shapes[0]), softmax(shapes[0]), rtol=1e-5)
    assert tiers.wait()
    assert [is_exact(f, x) for x in shapes] == [True, False, True]


def test_a_function_that_is_gone_needs_no_code():
    f, x = generic(), scores(HOT)
    watch = f.lower(x).watch
    del f
    watch.make()
    assert watch.state == tiers.MADE  # and nobody has it


def test_many_threads_call_while_code_is_exchanged():
    f = generic()
    arrays = [scores(n) for n in (HOT, THIRD)]
    expected = [softmax(x) for x in arrays]
    wrong = []

    def call(k):
        for i in range(60):
            which = (i // 7 + k) % 2
            if not np.allclose(f(arrays[which]), expected[which], rtol=1e-5, atol=1e-9):
                wrong.append(i)

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    other = jit(lambda x: np.sum(np.exp(x) * x))  # compiled meanwhile
    assert np.isclose(other(np.ones(4)), 4 * np.e)
    for thread in threads:
        thread.join()
    assert tiers.wait()
    assert not wrong
    assert all(is_exact(f, x) for x in arrays)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_compiles_by_itself():
    f, x = generic(), scores(HOT)
    f(x)  # the thread is at work
    child = os.fork()
    if child == 0:
        try:
            ok = np.allclose(jit(lambda t: t * 2.0 + 1.0)(np.ones(5)), 3.0)
            for _ in range(2):
                ok = ok and np.allclose(f(x), softmax(x), rtol=1e-5)
                ok = ok and tiers.wait()
            os._exit(0 if ok and is_exact(f, x) else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 60
    while (status := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert status[0] == child
    assert os.waitstatus_to_exitcode(status[1]) == 0
    assert tiers.wait()
    assert is_exact(f, x)


SCRIPT = """
import time
import numpy as np
from chainrule import jit
from chainrule.compile import tiers
tiers.WORTH = tiers.SHORT = 0.0

def network(x, w):
    for _ in range(4):
        x = np.maximum(x @ w, 0.0)
        x = x / np.exp(x).sum(1, keepdims=True)
    return x

f, w = jit(network), np.ones((300, 300), np.float32)
for n in (200, 220, 220):
    f(np.ones((n, 300), np.float32), w)
assert tiers._worker is not None
time.sleep({pause})
"""


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_the_end_comes_while_code_is_made(pause):
    begin = time.monotonic()
    script = textwrap.dedent(SCRIPT.replace("{pause}", str(pause)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    assert time.monotonic() - begin < 20
