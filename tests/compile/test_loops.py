"""Compiled loops and branches: the same results as interpreted ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import (
    checkpoint,
    cond,
    fori_loop,
    grad,
    hessian,
    hvp,
    jit,
    jvp,
    map,
    scan,
    switch,
    value_and_grad,
    vmap,
    while_loop,
)
from chainrule.program.pytree import flatten
from chainrule.transform import taping

RNG = np.random.default_rng(0)
SMALL = RNG.standard_normal((5, 3))
LARGE = RNG.standard_normal((6, 100))  # too large for the stack

pytestmark = pytest.mark.filterwarnings("error::chainrule.compile.JitWarning")


def same(f: Any, *args: Any, tolerance: float = 1e-11) -> None:
    """Require that a function computes the same compiled, without help of NumPy, twice."""
    compiled = jit(f)
    expected, tree = flatten(f(*args))
    for _ in range(2):
        got, found = flatten(compiled(*args))
        assert found == tree
        for a, b in zip(got, expected, strict=True):
            scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype


# What a body may do with its state: each returns (carry, y).
BODIES = {
    "sum": lambda c, x: (c + x, None),
    "product": lambda c, x: (c * np.sin(x), c),
    "after": lambda c, x: ((h := np.tanh(c + x)), h),
    "both": lambda c, x: ((h := np.tanh(c + x)), (c, h, x)),
    "constant": lambda c, x: (c, np.float64(2.0)),
    "forgets": lambda c, x: (x, c * 2.0),
    "backwards": lambda c, x: (c[::-1] * 0.5 + x, c[0]),
    "chooses": lambda c, x: (np.where(c > 0, c * x, c - x), c[1]),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("xs", [SMALL, LARGE, LARGE[:1], SMALL[:0]], ids=["s", "l", "1", "0"])
@pytest.mark.parametrize("name", BODIES)
def test_a_scan_with_each_kind_of_carry(name: str, xs: Any, reverse: bool) -> None:
    init = np.linspace(0.5, 1.5, xs.shape[1])
    same(lambda c, x: scan(BODIES[name], c, x, reverse=reverse), init, xs)


@pytest.mark.parametrize("xs", [SMALL, LARGE], ids=["small", "large"])
def test_states_that_change_places(xs: Any) -> None:
    def step(c, x):
        a, b, n = c
        return (b, a * 0.5 + x, n + 1), (a, n)

    init = (xs[0], xs[1], 0)
    same(lambda x: scan(step, init, x), xs)
    same(lambda x: scan(step, init, x, reverse=True), xs)
    same(lambda x: scan(lambda c, v: ((c[1], c[2], c[0]), c[0]), (x[0], x[1], x[2]), x), xs)


@pytest.mark.parametrize("xs", [SMALL, LARGE], ids=["small", "large"])
def test_derivatives_of_a_scan(xs: Any) -> None:
    def f(w, x):
        def step(c, row):
            h = np.tanh(w * c + row)
            return h, np.sum(h**2)

        last, ys = scan(step, x[0], x)
        return np.sum(last) + np.sum(ys)

    w = np.full(xs.shape[1], 0.3)
    same(value_and_grad(f, (0, 1)), w, xs)
    same(lambda w, x: jvp(f, (w, x), (x[0], x)), w, xs)
    same(hessian(lambda w: f(w, xs)), w[:3] if xs is SMALL else w[:1])
    same(grad(lambda w: np.sum(grad(f)(w, xs) ** 2)), w)


def test_loops_within_loops() -> None:
    def f(x):
        def outer(c, row):
            inner, ys = scan(lambda d, v: (d * 0.9 + v * c, d), 0.1, row)
            return c * 0.5 + inner, ys

        return scan(outer, 1.0, x)

    for xs in (SMALL, LARGE):
        same(f, xs)
        same(grad(lambda x: np.sum(f(x)[1] ** 2) + f(x)[0]), xs)


def test_other_loops() -> None:
    x = np.array([1.0, 0.5, 2.0])
    same(lambda x: fori_loop(0, 7, lambda i, s: s * x + i, x), x)
    same(lambda x: fori_loop(3, 3, lambda i, s: s * x + i, x), x)
    same(lambda x: map(lambda v: v**2 + 1, x), x)
    same(grad(lambda x: np.sum(map(np.sin, x) * x)), x)
    same(lambda n: fori_loop(0, 6, lambda i, s: s + i, 0) + n, 1.0)


@pytest.mark.parametrize("size", [1, 3, 70])
def test_while_loops(size: int) -> None:
    x = np.linspace(0.5, 1.0, size)

    def f(x, limit):
        def step(s):
            a, b, n = s
            return a * 1.5 + b, b, n + 1

        return while_loop(lambda s: np.sum(s[0]) < limit, step, (x, x * 0.1, 0))

    same(f, x, 100.0)
    same(f, x, 0.0)  # not a single step
    same(
        lambda x, m: while_loop(lambda s: s[0][0] < m, lambda s: (s[1], s[0] * 3.0), (x, x)), x, 9.0
    )
    same(lambda x, m: jvp(lambda x: f(x, m)[0], (x,), (x,)), x, 50.0)


@pytest.mark.parametrize("size", [1, 3, 70])
def test_branches(size: int) -> None:
    x = np.linspace(-1.0, 2.0, size)

    def f(x, limit):
        return cond(np.sum(x) > limit, lambda v: (v * 2.0, v), lambda v: (np.exp(v), x), x)

    for limit in (-100.0, 100.0):
        same(f, x, limit)
        same(grad(lambda x, m: np.sum(f(x, m)[0] * f(x, m)[1])), x, limit)
    branches = [lambda v: v, lambda v: v * 10.0, lambda v: np.sin(v)]
    same(lambda x: [switch(i, branches, x) for i in (-1, 0, 1, 2, 5)], x)
    same(lambda x, i: switch(i.astype(int), branches, x), x, np.float64(1.0))


def test_branches_in_loops_and_batches_of_loops() -> None:
    def step(c, x):
        return cond(x > 0, lambda c: c * 0.5 + x, lambda c: c - x, c), c

    f = lambda xs: np.sum(scan(step, 1.0, xs)[1] ** 2)
    same(value_and_grad(f), SMALL[0])
    same(vmap(grad(f)), SMALL)
    g = lambda x: while_loop(lambda s: s < 10.0, lambda s: s * 2.0, np.exp(x))
    same(vmap(g), SMALL[0])


def test_a_loop_that_cannot_be_compiled_is_left_to_numpy() -> None:
    f = jit(lambda x: scan(lambda c, v: (c + np.linalg.pinv(v[None])[:, 0], c[0]), x[0], x))
    with pytest.warns(UserWarning, match="a `scan` is left to NumPy.*pinv"):
        last, firsts = f(SMALL)
    expected = scan(lambda c, v: (c + np.linalg.pinv(v[None])[:, 0], c[0]), SMALL[0], SMALL)
    np.testing.assert_allclose(last, expected[0])
    np.testing.assert_allclose(firsts, expected[1])


def test_an_index_out_of_bounds_in_a_loop() -> None:
    f = jit(lambda x, i: scan(lambda c, k: (c + x[k], None), 0.0, i)[0])
    x = np.arange(3.0)
    assert f(x, np.array([0, 2, -3])) == 2.0
    with pytest.raises(IndexError, match="index 5"):
        f(x, np.array([0, 5, 1]))


@pytest.mark.parametrize("reverse", [False, True])
def test_checkpoints_and_loops_within_a_budget(reverse: bool) -> None:
    part = checkpoint(lambda x, y: (np.sin(np.exp(x) * y), y))
    same(value_and_grad(lambda x: np.sum(part(x, x[::-1])[0] * part(x, 2.0)[0])), SMALL[0])

    def f(w, xs):
        def step(h, x):
            h = np.tanh(h * w + x)
            return h, h[0]

        last, ys = scan(step, xs[0], xs, reverse=reverse, budget=8 * 100 * 8)
        return np.sum(last) + np.sum(ys**2)

    same(value_and_grad(f, (0, 1)), 0.5, RNG.standard_normal((13, 100)))


def test_a_loop_that_writes_into_a_constant() -> None:
    table = np.arange(12.0).reshape(3, 4)

    def step(c, x):
        r = table.copy()
        r[1] = x * c
        return c + r[1, 0] + table[2, 1], np.tanh(r)

    f = lambda x: np.sum(scan(step, 0.5, x)[1])
    x = np.linspace(-1.0, 1.0, 20).reshape(5, 4)
    same(lambda x: scan(step, 0.5, x), x)
    same(lambda x: hvp(f, (x,), (np.sin(x),)), x)


def _settled(x: Any, a: Any, count: Any) -> Any:
    def body(state: Any) -> Any:
        y, k, z = state
        return np.sin(a @ y) + 0.1 * z, k + 1, z * 0.999 + 0.001 * np.sum(y)

    y, _, z = while_loop(lambda s: s[1] < count, body, (x, 0, x[0]))
    return np.sum(y) * z


@pytest.mark.parametrize("length", [8, 64])
def test_derivatives_of_a_while_loop(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # with so short a tape the states of most steps are computed once more, and more than once
    monkeypatch.setattr(taping, "MOST", length)
    monkeypatch.setattr(taping, "FEWEST", 4)
    x, a = np.array([0.3, 0.5, 0.7]), np.eye(3) + 0.1
    compiled = jit(value_and_grad(_settled, (0, 1)))
    for count in (0, 1, 7, 8, 9, 64, 65, 100):
        value, slopes = compiled(x, a, np.int64(count))
        expected, known = value_and_grad(_settled, (0, 1))(x, a, np.int64(count))
        np.testing.assert_allclose(value, expected, rtol=1e-10)
        for got, want in zip(slopes, known, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_derivatives_of_while_loops_elsewhere() -> None:
    def root(a: Any) -> Any:
        return while_loop(lambda x: np.abs(x * x - a) > 1e-9, lambda x: 0.5 * (x + a / x), a + 1.0)

    same(grad(root), 2.0)
    same(vmap(grad(root)), np.array([0.5, 2.0, 9.0]))
    same(grad(lambda xs: scan(lambda c, x: (c + root(x * c), None), 1.0, xs)[0]), SMALL[0] ** 2 + 1)
    same(grad(grad(root)), 2.0)
