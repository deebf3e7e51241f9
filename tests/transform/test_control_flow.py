"""Loops and branches as operations: equal to Python's own in values and derivatives."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from chainrule import (
    checkpoint,
    cond,
    fori_loop,
    grad,
    hessian,
    jvp,
    map,
    scan,
    switch,
    vjp,
    vmap,
    while_loop,
)
from chainrule.program.errors import TraceError

RNG = np.random.default_rng(0)
WH = 0.5 * RNG.standard_normal((3, 3))
WX = RNG.standard_normal((3, 2))
XS = RNG.standard_normal((6, 2))
H0 = RNG.standard_normal(3)
ARGS = (WH, WX, XS, H0)


def rnn_loop(Wh, Wx, xs, h):
    total = 0.0
    for t in range(len(xs)):
        h = np.tanh(Wh @ h + Wx @ xs[t])
        total = total + t * np.sum(h)
    return np.sum(h**2) + total


def rnn_scan(Wh, Wx, xs, h):
    def step(h, x):
        h = np.tanh(Wh @ h + Wx @ x)
        return h, np.sum(h)

    h, sums = scan(step, h, xs)
    return np.sum(h**2) + sums @ np.arange(len(xs), dtype=float)


def test_scan_equals_the_python_loop_in_value_and_all_gradients():
    assert np.isclose(rnn_scan(*ARGS), rnn_loop(*ARGS), rtol=1e-14)
    for mine, theirs in zip(
        grad(rnn_scan, (0, 1, 2, 3))(*ARGS), grad(rnn_loop, (0, 1, 2, 3))(*ARGS), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def test_scan_in_forward_mode_and_second_order():
    tangents = tuple(RNG.standard_normal(a.shape) for a in ARGS)
    np.testing.assert_allclose(jvp(rnn_scan, ARGS, tangents), jvp(rnn_loop, ARGS, tangents))
    for f, g in ((rnn_scan, rnn_loop),):
        np.testing.assert_allclose(
            hessian(lambda W, f=f: f(W, WX, XS, H0))(WH),
            hessian(lambda W, g=g: g(W, WX, XS, H0))(WH),
            rtol=1e-9,
            atol=1e-10,
        )


def test_third_order_through_a_scan():
    def by_scan(x):
        return scan(lambda c, t: (c * x + np.sin(t * x), None), x, np.arange(1.0, 4.0))[0]

    def by_loop(x):
        c = x
        for t in np.arange(1.0, 4.0):
            c = c * x + np.sin(t * x)
        return c

    third = [grad(grad(grad(f)))(0.7) for f in (by_scan, by_loop)]
    np.testing.assert_allclose(third[0], third[1], rtol=1e-10)


def test_scan_under_vmap_over_states_rows_and_parameters():
    starts = RNG.standard_normal((4, 3))
    mine = vmap(grad(lambda h: rnn_scan(WH, WX, XS, h)))(starts)
    theirs = np.stack([grad(lambda h: rnn_loop(WH, WX, XS, h))(h) for h in starts])
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)
    rows = RNG.standard_normal((4, 6, 2))
    mine = grad(lambda W: np.sum(vmap(lambda x: rnn_scan(W, WX, x, H0))(rows)))(WH)
    theirs = sum(grad(rnn_loop)(WH, WX, x, H0) for x in rows)
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


def test_scan_reverse_length_and_pytrees():
    def step(carry, x):
        return {"sum": carry["sum"] + x["a"], "n": carry["n"] + 1}, (carry["sum"], x["a"] * 2)

    xs = {"a": np.array([1.0, 2.0, 3.0])}
    carry, (before, doubled) = scan(step, {"sum": 0.0, "n": 0}, xs, reverse=True)
    assert carry == {"sum": 6.0, "n": 3}
    np.testing.assert_array_equal(before, [5.0, 3.0, 0.0])
    np.testing.assert_array_equal(doubled, [2.0, 4.0, 6.0])

    def loss(a):
        last, (sums, _) = scan(step, {"sum": a[0], "n": 0}, {"a": a}, reverse=True)
        return last["sum"] ** 2 + np.sum(sums**3)

    a = np.array([0.5, -1.0, 2.0])
    total = 2 * a[0] + a[1] + a[2]
    sums = [a[0] + a[2] + a[1], a[0] + a[2], a[0]]
    expected = 2 * total * np.array([2.0, 1.0, 1.0])
    expected += 3 * sums[0] ** 2 * np.ones(3) + 3 * sums[1] ** 2 * np.array([1, 0, 1])
    expected += 3 * sums[2] ** 2 * np.array([1, 0, 0])
    np.testing.assert_allclose(grad(loss)(a), expected)
    assert scan(lambda c, _: (c * 2.0, None), 1.0, length=5)[0] == 32.0


def test_zero_steps():
    empty = np.zeros((0, 2))
    carry, ys = scan(lambda c, x: (c + np.sum(x), x), 1.5, empty)
    assert carry == 1.5
    assert ys.shape == (0, 2)
    assert grad(lambda c: scan(lambda c, x: (c + np.sum(x), x), c, empty)[0])(1.5) == 1.0


def test_integers_in_the_carry_have_no_derivative_but_pass():
    def f(x):
        (i, y), _ = scan(lambda s, _: ((s[0] + 1, s[1] * x + s[0]), None), (0, x), length=3)
        return y * (i * 1.0)

    # ((x·x + 0)·x + 1)·x + 2, times 3
    assert np.isclose(grad(f)(2.0), 3 * (4 * 2.0**3 + 1))


def test_a_scan_that_changes_its_carry_is_refused():
    with pytest.raises(TraceError, match="carry of a scan"):
        grad(lambda x: scan(lambda c, t: (c * x, None), 0, np.arange(3.0))[0])(1.0)
    with pytest.raises(TraceError, match="structure"):
        grad(lambda x: scan(lambda c, t: ((c, c), None), x, np.arange(3.0))[0])(1.0)
    with pytest.raises(TraceError, match="truth"):
        grad(lambda x: scan(lambda c, t: (c if c > 0 else x, None), x, np.arange(3.0))[0])(1.0)


def test_fori_loop_and_map():
    assert np.isclose(grad(lambda x: fori_loop(0, 5, lambda i, c: c * x, 1.0))(2.0), 80.0)
    square = grad(lambda a: np.sum(map(lambda x: a * x**2, np.arange(3.0))))
    assert np.isclose(square(2.0), 5.0)


# -- branches ------------------------------------------------------------------------------------

POINTS = np.linspace(-2, 2, 5)


def branch(x, k):
    return cond(x > 0, lambda x: np.sin(x) * k, lambda x: x**2, x)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_cond_under_vmap_equals_the_loop(order):
    f = branch
    for _ in range(order):
        f = grad(f)
    mine = vmap(f, (0, None))(POINTS, 3.0)
    np.testing.assert_allclose(mine, [f(x, 3.0) for x in POINTS], atol=1e-14)


def test_cond_with_captured_values():
    mine = grad(lambda k: np.sum(vmap(lambda x: branch(x, k))(POINTS)))(3.0)
    assert np.isclose(mine, sum(grad(branch, 1)(x, 3.0) for x in POINTS))


def test_cond_inside_scan():
    times = np.arange(1.0, 6.0)

    def by_scan(x):
        def step(c, t):
            return cond(c > 1, lambda c: c * 0.5 * t, lambda c: c + x * t, c), c

        return scan(step, x, times)[0]

    def by_loop(x):
        c = x
        for t in times:
            c = c * 0.5 * t if c > 1 else c + x * t
        return c

    for f, g in ((by_scan, by_loop), (grad(by_scan), grad(by_loop))):
        np.testing.assert_allclose(grad(f)(0.3), grad(g)(0.3))


def test_cond_refuses_branches_of_different_types():
    with pytest.raises(TraceError, match="different types"):
        vmap(lambda x: cond(x > 0, lambda: x, lambda: np.stack([x, x])))(POINTS)


def test_switch():
    branches = [lambda x: x, lambda x: x * x, lambda x: -x]
    assert switch(5, branches, 3.0) == -3.0
    mine = vmap(lambda i, x: switch(i, branches, x))(np.array([-1, 1, 2]), np.full(3, 3.0))
    np.testing.assert_array_equal(mine, [3.0, 9.0, -3.0])


# -- while ---------------------------------------------------------------------------------------


def grow(x, a):
    return while_loop(lambda y: y < 100, lambda y: y * y * a, x)


STARTS = np.array([3.0, 2.0, 11.0, 200.0])


def test_while_under_vmap_equals_the_loop():
    np.testing.assert_allclose(vmap(grow, (0, None))(STARTS, 1.1), [grow(y, 1.1) for y in STARTS])
    expected = [grad(grow)(y, 1.1) for y in STARTS]
    np.testing.assert_allclose(vmap(grad(grow), (0, None))(STARTS, 1.1), expected)
    forward = vmap(lambda x: jvp(lambda y: grow(y, 1.1), (x,), (1.0,))[1])(STARTS)
    np.testing.assert_allclose(forward, expected)
    mine = grad(lambda a: np.sum(vmap(lambda x: grow(x, a))(STARTS)))(1.1)
    assert np.isclose(mine, sum(grad(grow, 1)(y, 1.1) for y in STARTS))


def test_while_in_plain_grad_has_every_order():
    def python(x):
        while x < 100:
            x = x * x * 1.1
        return x

    f, g = (lambda x: grow(x, 1.1)), python
    for _ in range(3):
        f, g = grad(f), grad(g)
        np.testing.assert_allclose(f(3.0), g(3.0))


def python_while(y, a):
    while y < 100:
        y = y * y * a
    return y


@pytest.mark.parametrize("order", [2, 3])
def test_recorded_while_in_reverse_of_higher_order(order):
    f, g = grow, python_while
    for _ in range(order):
        f, g = grad(f), grad(g)
    np.testing.assert_allclose(vmap(f, (0, None))(STARTS, 1.1), [g(y, 1.1) for y in STARTS])
    mixed = vmap(grad(grad(grow), 1), (0, None))(STARTS, 1.1)
    np.testing.assert_allclose(mixed, [grad(grad(python_while), 1)(y, 1.1) for y in STARTS])


def test_while_inside_scan_to_second_order():
    def by_scan(x):
        def step(c, _):
            return while_loop(lambda y: y < c + 10, lambda y: y * 1.5 + x, c), None

        return scan(step, x, length=3)[0]

    def by_loop(x):
        c = x
        for _ in range(3):
            y = c
            while y < c + 10:
                y = y * 1.5 + x
            c = y
        return c

    f, g = by_scan, by_loop
    for _ in range(2):
        f, g = grad(f), grad(g)
        np.testing.assert_allclose(f(1.3), g(1.3), atol=1e-9)
    np.testing.assert_allclose(jvp(by_scan, (1.3,), (1.0,)), jvp(by_loop, (1.3,), (1.0,)))


# -- checkpoint ----------------------------------------------------------------------------------


def chain(x):
    return np.sum(np.sin(np.exp(x)) * x)


def test_checkpoint_changes_nothing():
    x = np.linspace(0, 1, 4)
    saved = checkpoint(chain)
    np.testing.assert_array_equal(grad(saved)(x), grad(chain)(x))
    np.testing.assert_allclose(hessian(saved)(x), hessian(chain)(x), rtol=1e-12)
    W = np.full(4, 2.0)
    mine = grad(lambda W: checkpoint(lambda x: chain(x * W))(x))(W)
    np.testing.assert_allclose(mine, grad(lambda W: chain(x * W))(W))
    batch = np.stack([x, x + 1])
    np.testing.assert_allclose(vmap(grad(saved))(batch), [grad(chain)(b) for b in batch])


def test_checkpoint_lets_python_branch():
    saved = checkpoint(lambda x: x**2 if x > 0 else -x)
    assert grad(saved)(3.0) == 6.0
    assert grad(saved)(-3.0) == -1.0


def test_checkpoint_forgets_what_is_inside():
    def values_kept(f):
        x = np.linspace(0.0, 1.0, 7)
        _, pull = vjp(f, x)
        call = next(
            c.cell_contents for c in pull.__closure__ if hasattr(c.cell_contents, "equations")
        )
        return sum(out.value is not None for e in call.equations for out in e.outs)

    def deep(x):
        for _ in range(20):
            x = np.sin(x)
        return x

    assert values_kept(deep) >= 20
    assert values_kept(checkpoint(deep)) <= 2


def test_the_derivative_of_one_checkpoint_is_forgotten_before_the_next():
    x = np.linspace(0.0, 1.0, 5000)

    def deep(x):
        for _ in range(10):
            x = np.sin(x)
        return x

    def peak(block):
        def f(x):
            for _ in range(10):
                x = block(x)
            return np.sum(x)

        grad(f)(x)  # the first call also fills caches
        tracemalloc.start()
        grad(f)(x)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / x.nbytes

    assert peak(deep) > 100
    assert peak(checkpoint(deep)) < 40  # ten inputs, and what is inside of one block


# -- scan within a budget ------------------------------------------------------------------------


def waves(steps, budget, reverse=False):
    times = np.linspace(0.0, 1.0, steps)

    def f(x):
        def step(state, t):
            state = np.sin(state) * 1.01 + t * x
            return state, state[0] * t

        last, firsts = scan(step, x, times, reverse=reverse, budget=budget)
        return np.sum(last**2) + np.sum(np.sin(firsts))

    return f


@pytest.mark.parametrize("steps", [1, 2, 7, 27, 50])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_budget_changes_nothing_but_memory(steps, reverse):
    x = np.linspace(-1.0, 1.0, 5)
    free = waves(steps, None, reverse)
    for states in (6 * x.nbytes * 2, 12 * x.nbytes, 30 * x.nbytes):
        bound = waves(steps, states, reverse)
        np.testing.assert_allclose(bound(x), free(x), rtol=1e-13)
        np.testing.assert_allclose(grad(bound)(x), grad(free)(x), rtol=1e-12)
    np.testing.assert_allclose(hessian(bound)(x), hessian(free)(x), rtol=1e-9, atol=1e-12)


def test_memory_with_a_budget_grows_with_the_logarithm_of_the_steps():
    x = np.linspace(-1.0, 1.0, 5000)

    def peak(steps, budget):
        derivative = grad(waves(steps, budget))
        derivative(x)  # the first call also fills caches
        tracemalloc.start()
        derivative(x)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / x.nbytes

    assert peak(512, None) > 500
    assert peak(512, 30 * x.nbytes) < 110
    assert peak(512, 30 * x.nbytes) < 2 * peak(64, 30 * x.nbytes)


def test_a_budget_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="needs a budget of at least"):
        grad(waves(1000, 100))(np.ones(5))
