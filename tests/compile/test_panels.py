"""Products over panels: the same numbers for every order of the operands in memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.compile import num_threads, set_num_threads
from chainrule.compile.contraction import paneled, panels, tiling
from chainrule.compile.contraction.kernel import spec_from
from chainrule.compile.plan import strips

RNG = np.random.default_rng(5)
ORDERS = ("ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik", "ij,jk->ki", "ji,kj->ki")
SIZES = ((1, 1, 1), (3, 17, 2), (13, 37, 29), (31, 64, 65), (50, 33, 1), (2, 131, 47))


def close(got: Any, expected: Any, dtype: Any = np.float64) -> None:
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.fixture
def always(monkeypatch: Any) -> None:
    """Let panels be used however small the product is, and be short."""
    for name, value in (
        ("LEAST", 0),
        ("SHORT", 1),
        ("KEPT", 4096),
        ("PIECE", 2048),
        ("PANELS", 2),
    ):
        monkeypatch.setattr(panels, name, value)
    monkeypatch.setattr(paneled, "FAR", 0)
    monkeypatch.setattr(panels, "_otherwise", lambda *_: float("inf"))
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    panels._panels_of.cache_clear()
    yield
    panels._panels_of.cache_clear()


def stored(subscripts: str, m: int, n: int, k: int, dtype: Any) -> list[Any]:
    sizes = {"i": m, "j": k, "k": n}
    terms = subscripts.split("->")[0].split(",")
    return [RNG.standard_normal([sizes[c] for c in term]).astype(dtype) for term in terms]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("subscripts", ORDERS)
def test_every_order_of_the_operands(subscripts: str, dtype: Any):
    given = [stored(subscripts, *size, dtype) for size in SIZES]
    f = lambda *pairs: [np.einsum(subscripts, *pair) for pair in pairs]
    compiled = jit(f)
    plan = compiled.lower(*given).native.plan
    roots = [r for g in plan.groups for r in g.roots if r.primitive.name == "contraction"]
    found = [panels.panels_of(spec_from(r), np.dtype(dtype)) for r in roots]
    assert any(p is not None and p.length < p.spec.sizes[p.block] for p in found)
    for got, (x, y) in zip(compiled(*given), given, strict=True):
        close(got, np.einsum(subscripts, x.astype(np.float64), y.astype(np.float64)), dtype)


@pytest.mark.usefixtures("always")
def test_stacks_of_matrices_and_several_axes():
    a, b = RNG.standard_normal((3, 20, 30)), RNG.standard_normal((3, 30, 40))
    close(jit(np.matmul)(a, b), a @ b)
    c, d = RNG.standard_normal((4, 5, 6, 7)), RNG.standard_normal((6, 7, 33))
    close(jit(lambda c, d: np.tensordot(c, d, 2))(c, d), np.tensordot(c, d, 2))
    e = RNG.standard_normal((7, 6, 33))
    f = lambda c, e: np.einsum("abij,jik->bak", c, e)
    close(jit(f)(c, e), f(c, e))


HEADS = {
    "parts before rows": "ij,jpk->pik",
    "two labels": "ij,jpqk->qpik",
    "between rows": "aij,jpk->apik",
    "stacks": "aij,ajpk->paik",
    "read in parts": "nj,pnk->jpk",
    "two sums in parts": "anj,pank->jpk",
    "of both": "ipj,jqk->qipk",
}


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", HEADS)
def test_columns_of_several_labels(name: str):
    sizes = {"a": 3, "i": 29, "j": 23, "p": 3, "q": 2, "k": 19, "n": 37}
    left, right = HEADS[name].split("->")[0].split(",")
    for k, dtype in ((19, np.float64), (16, np.float32), (70, np.float32)):
        own = {**sizes, "k": k}
        x, y = (RNG.standard_normal([own[c] for c in t]).astype(dtype) for t in (left, right))
        compiled = jit(lambda x, y: np.einsum(HEADS[name], x, y))
        plan = compiled.lower(x, y).native.plan
        (root,) = (r for g in plan.groups for r in g.roots if r.primitive.name == "contraction")
        found = panels.panels_of(spec_from(root), np.dtype(dtype))
        if tiling.host().width == 64:
            assert found is not None
            assert found.stacks
        expected = np.einsum(HEADS[name], x.astype(np.float64), y.astype(np.float64))
        close(compiled(x, y), expected, dtype)


@pytest.mark.parametrize("threads", [1, 2])
def test_heads_of_attention(threads: int):
    x = RNG.standard_normal((4, 96, 128)).astype(np.float32)
    w = RNG.standard_normal((128, 384)).astype(np.float32) / 32

    def loss(x: Any, w: Any) -> Any:
        parts = np.reshape(x @ w, (4, 96, 3, 4, 32))
        q, k, v = np.transpose(parts, (2, 0, 3, 1, 4))
        return np.mean((np.tanh(q @ np.swapaxes(k, -1, -2)) @ v) ** 2)

    before = num_threads()
    set_num_threads(threads)
    try:
        got = jit(value_and_grad(loss, (0, 1)))(x, w)
    finally:
        set_num_threads(before)
    expected = value_and_grad(loss, (0, 1))(x.astype(np.float64), w.astype(np.float64))
    close(got[0], expected[0], np.float32)
    for a, b in zip(got[1], expected[1], strict=True):
        close(a, b, np.float32)


@pytest.mark.parametrize("width", [32, 64])
def test_every_width_of_vectors(width: int, monkeypatch: Any, always: Any):
    machine = tiling.Machine(width, 32 if width == 64 else 16)
    for module in (tiling, panels):
        monkeypatch.setattr(module, "host", lambda: machine)
    for dtype in (np.float32, np.float64):
        x, y = stored("ij,kj->ik", 29, 43, 37, dtype)
        close(jit(lambda x, y: x @ y.T)(x, y), x @ y.T, dtype)


def test_when_panels_are_worth_it():
    def plan(m: int, n: int, k: int) -> Any:
        x, y = np.zeros((m, k), np.float32), np.zeros((k, n), np.float32)
        (group,) = jit(np.matmul).lower(x, y).native.plan.groups
        return panels.panels_of(spec_from(group.roots[0]), np.dtype(np.float32))

    if tiling.host().width < 32:
        pytest.skip("short vectors leave products to other ways")
    assert plan(128, 512, 784) is not None
    assert plan(4, 512, 784) is None
    assert plan(16, 16, 16) is None


# -- what is computed around a product -------------------------------------------------------------


def network(w: Any, b: Any, v: Any, x: Any) -> Any:
    return np.mean((np.maximum(x @ w + b, 0) @ v) ** 2)


def step(w: Any, b: Any, v: Any, x: Any) -> Any:
    value, gradients = value_and_grad(network, (0, 1, 2))(w, b, v, x)
    return value, [p - 0.1 * g for p, g in zip((w, b, v), gradients, strict=True)]


@pytest.mark.parametrize("rows", [320, 331])
def test_a_step_of_gradient_descent_is_taken_where_the_gradient_is_made(rows: int):
    shapes = ((rows, 256), (256,), (256, 40), (96, rows))
    args = [RNG.standard_normal(s).astype(np.float32) for s in shapes]
    compiled = jit(step)
    plans = [g.inner for g in compiled.lower(*args).native.plan.groups]
    joined = [p for p in plans if isinstance(p, strips.StripPlan) and p.rows == rows]
    if tiling.host().width == 64 and rows == 320:  # a prime number of rows has no strips
        assert joined
        assert any(cut.paneled for cut in joined[0].cuts.values())
        assert joined[0].local
    value, new = compiled(*args)
    expected, theirs = step(*(a.astype(np.float64) for a in args))
    close(value, expected, np.float32)
    for mine, other in zip(new, theirs, strict=True):
        close(mine, other, np.float32)


def test_weights_that_are_given_away_are_changed_in_place():
    shapes = ((320, 256), (256,), (256, 40), (96, 320))
    args = [RNG.standard_normal(s).astype(np.float32) for s in shapes]
    compiled = jit(step, donate=(0, 1, 2))
    native = compiled.lower(*args).native
    assert native.facts["in place"] == 3
    _, theirs = step(*(a.astype(np.float64) for a in args))
    before = args[0].__array_interface__["data"]
    _, new = compiled(*args)
    assert new[0].__array_interface__["data"] == before
    for mine, other in zip(new, theirs, strict=True):
        close(mine, other, np.float32)


def test_threads_share_strips_and_change_nothing():
    x, w, b = (RNG.standard_normal(s) for s in ((64, 40, 128), (128, 512), (512,)))
    f = jit(lambda x, w, b: (np.tanh(x @ w + b), grad(network)(w, b, w[0, :, None], x[0])))
    found = [g.inner for g in f.lower(x, w, b).native.plan.groups]
    shared = [p for p in found if isinstance(p, strips.StripPlan) and p.chunks > 1]
    before = num_threads()
    try:
        set_num_threads(1)
        alone, slope = f(x, w, b)
        set_num_threads(2)
        both, again = f(x, w, b)
    finally:
        set_num_threads(before)
    if tiling.host().width == 64:
        assert shared
    assert (alone == both).all()
    assert (slope == again).all()
    close(alone, np.tanh(x @ w + b))


# -- memory ----------------------------------------------------------------------------------------

GUARDED = """
import numpy as np
import chainrule.compile.native as native
from chainrule import jit
from chainrule.compile.contraction import panels
from tests.compile import pages

for name, value in (("LEAST", 0), ("SHORT", 1), ("KEPT", 4096), ("PIECE", 2048), ("PANELS", 2)):
    setattr(panels, name, value)
panels._otherwise = lambda *_: float("inf")
native.empty = pages.empty
rng = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    for subscripts in SUBSCRIPTS:
        for sizes in ((13, 37, 29), (31, 64, 65), (3, 17, 2)):
            size = dict(zip("ikj", sizes))
            terms = subscripts.split("->")[0].split(",")
            draw = lambda term: rng.standard_normal([size[c] for c in term]).astype(dtype)
            args = [pages.copied(draw(term)) for term in terms]
            f = lambda x, y: np.einsum(subscripts, x, y)
            np.testing.assert_allclose(jit(f)(*args), f(*args), rtol=1e-3, atol=1e-3)
print("within")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages the way Linux does")
def test_nothing_outside_of_the_arrays_is_touched(monkeypatch: Any):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    script = textwrap.dedent(GUARDED).replace("SUBSCRIPTS", str(ORDERS[:4]))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "within"
