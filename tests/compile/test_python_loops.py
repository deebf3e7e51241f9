"""Loops in Python that jit turns into loops of machine code."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import grad, jit, jvp, scan, value_and_grad, vmap
from chainrule.compile.native import Native
from chainrule.program.pytree import flatten

RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("error::chainrule.compile.JitWarning")


def same(f: Any, *args: Any, most: int | None = None) -> Any:
    """Require the same results compiled; ``most`` is how many equations may be left of it."""
    compiled = jit(f)
    for a, b in zip(flatten(compiled(*args))[0], flatten(f(*args))[0], strict=True):
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * scale)
    native = compiled.lower(*args).native
    assert type(native) is Native
    if most is not None:
        assert len(native.program) <= most
    return native


def recurrent(w, xs):
    h = np.zeros(w.shape[0])
    for x in xs:
        h = np.tanh(h @ w + x)
    return np.sum(h**2)


def in_place(x, a):
    r = np.zeros(len(x))
    r[0] = x[0]
    for i in range(1, len(x)):
        r[i] = np.tanh(r[i - 1] * a + x[i])
    return np.sum(r**2)


def rows_in_place(x, a):
    r = np.zeros((len(x), 3))
    r[0] = x[0]
    for i in range(1, len(x)):
        r[i] = np.sin(r[i - 1] * a + x[i])
    return np.sum(r**2)


def cells(x, y):
    table = np.zeros((len(x) + 1, len(y) + 1))
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            before = np.exp(-table[i - 1, j]) + np.exp(-table[i, j - 1])
            table[i, j] = (x[i - 1] - y[j - 1]) ** 2 - np.log(before + np.exp(-table[i - 1, j - 1]))
    return table[-1, -1]


def heat(u):
    u = u.copy()
    for _ in range(40):
        u[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


def listed(x):
    h, found = 0.0, []
    for v in x:
        h = np.tanh(h + v)
        found.append(h)
    return np.sum(np.array(found) ** 2)


def newton(x):
    y = x
    for _ in range(120):
        y = 0.5 * (y + x / y)
    return np.sum(y)


def test_a_recurrent_net_costs_what_it_costs_with_scan():
    w, xs = 0.2 * RNG.standard_normal((4, 4)), RNG.standard_normal((60, 4))
    native = same(value_and_grad(recurrent, (0, 1)), w, xs, most=50)
    longer = jit(value_and_grad(recurrent, (0, 1))).lower(w, np.vstack([xs] * 3)).native
    assert len(longer.program) == len(native.program)


@pytest.mark.parametrize("f", [in_place, rows_in_place], ids=["elements", "rows"])
def test_loops_that_write_in_place(f):
    x = RNG.standard_normal((90, 3) if f is rows_in_place else 90)
    native = same(value_and_grad(f, (0, 1)), x, 0.4, most=60)
    loops = [g.inner for g in native.build.plan.groups if g.inner is not None]
    assert [c.kind for loop in loops for c in loop.carries if c.var.type.size > 64] == [
        "in place"
    ] * 2
    # neither do the steps of the loop copy it
    for loop in loops:
        for group in loop.block.plan.groups:
            if group.roots[0].primitive.name in ("setitem", "add_at"):
                assert group.reuse
    same(lambda x: grad(lambda x: np.sum(grad(f)(x, 0.4) ** 2))(x), x[:12])


def test_nested_loops_over_the_cells_of_a_table():
    x, y = RNG.standard_normal(9), RNG.standard_normal(11)
    same(value_and_grad(cells, (0, 1)), x, y, most=130)
    same(cells, x, y, most=40)


@pytest.mark.parametrize("f", [heat, listed, newton])
def test_other_loops(f):
    x = 1.5 + RNG.random(70)
    same(value_and_grad(f), x, most=60)
    same(vmap(f), np.stack([x, x + 0.5]))


def test_short_programs_keep_what_they_are():
    def f(x):
        for _ in range(5):
            x = np.sin(x) * x
        return np.sum(x)

    native = same(f, RNG.standard_normal(1000))
    assert len(native.plan.groups) == 1


PARTS = (
    lambda c, x: np.tanh(c + x),
    lambda c, x: c * 0.5 - x,
    lambda c, x: np.where(c > 0, c, x * c),
    lambda c, x: c[::-1] + np.sum(x),
    lambda c, x: np.concatenate([c[1:] * 0.5, x[:1]]),
    lambda c, x: np.sqrt(1.0 + c * c) * x,
)


@settings(max_examples=4, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
    st.sampled_from([2, 7, 41]),
    st.sampled_from([1, 3, 67]),
)
def test_random_loops_in_python_and_with_scan(parts, steps, size):
    rng = np.random.default_rng(steps)
    xs = 0.5 * rng.standard_normal((steps, size))

    def step(c, x):
        for part in parts:
            c = part(c, x)
        return c, c[0]

    def with_scan(xs):
        last, firsts = scan(step, xs[0], xs)
        return np.sum(last) + np.sum(firsts)

    def in_python(xs):
        c, total = xs[0], 0.0
        for x in xs:
            c, first = step(c, x)
            total = total + first
        return np.sum(c) + total

    for f in (with_scan, in_python):
        same(value_and_grad(f), xs)


def gated(weights, start, xs, loop):
    def step(state, x):
        h, total = state
        z = np.concatenate([h, x]) @ weights
        h = np.tanh(z[:3]) / (1 + np.exp(-z[3:]))
        return (h, total + np.sum(h * x)), None

    (h, total), _ = loop(step, (start, np.zeros(())), xs)
    return total + np.sum(h**2)


def in_python(f, state, xs):
    for x in xs:
        state, _ = f(state, x)
    return state, None


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: value_and_grad(f, (0, 1)),
        lambda f: lambda *args: jvp(f, args, args),
        lambda f: grad(lambda w, *rest: np.sum(grad(f)(w, *rest) ** 2)),
    ],
    ids=["gradient", "tangent", "second"],
)
def test_a_derivative_of_a_loop_is_that_of_scan_to_the_last_bit(derivative):
    args = RNG.standard_normal((6, 6)), RNG.standard_normal(3), RNG.standard_normal((40, 3))
    found = [jit(derivative(partial(gated, loop=loop))) for loop in (scan, in_python)]
    expected, given = (flatten(f(*args))[0] for f in found)
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    written, rolled = (len(f.lower(*args).native.program) for f in found)
    assert rolled <= written + 20


def test_steps_of_a_loop_may_be_results_beside_its_derivative():
    def loss(x):
        seen = [x]
        for _ in range(60):
            seen.append(np.tanh(seen[-1]) + 0.5 * x)
        return np.sum(seen[-1]), [seen[20], seen[59]]

    same(grad(loss, has_aux=True), RNG.standard_normal(5))
