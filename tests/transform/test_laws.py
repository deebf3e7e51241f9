"""Laws of the transformations on random programs, in pairs and to third order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import checkpoint, grad, hessian, jacobian, jvp, map, scan, vjp, vmap
from tests.transform.test_random_programs import points, programs, run

quick = settings(max_examples=30)
V = np.cos(np.arange(6.0)).reshape(2, 3)


def close(mine, theirs, factor=1e-10):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(mine, theirs, atol=factor * (1 + np.max(abs(theirs), initial=0)))


@given(programs(max_size=4), points)
@quick
def test_vmap_equals_the_stacked_loop(steps, point):
    batch = np.stack([point[0], point[1], point[0] - point[1]])
    f = lambda x: run(steps, x, point[1])
    close(vmap(f)(batch), np.stack([f(x) for x in batch]))
    loss = lambda x: np.sum(np.sin(f(x)))
    close(vmap(grad(loss))(batch), np.stack([grad(loss)(x) for x in batch]))
    close(map(grad(loss), batch), np.stack([grad(loss)(x) for x in batch]))
    shared = lambda y: np.sum(np.sin(vmap(lambda x: run(steps, x, y))(batch)))
    by_hand = lambda y: sum(np.sum(np.sin(run(steps, x, y))) for x in batch)
    close(grad(shared)(point[1]), grad(by_hand)(point[1]))


@given(programs(max_size=3), points, st.integers(1, 4))
@quick
def test_scan_equals_the_python_loop_in_every_order(steps, point, length):
    step = lambda state, y: np.tanh(run(steps, state, y))
    rows = np.stack([point[1] * (k + 1) / length for k in range(length)])

    def by_scan(x):
        last, sums = scan(lambda s, y: (step(s, y), np.sum(s)), x, rows)
        return np.sum(last**2) + np.sum(np.sin(sums))

    def by_loop(x):
        total = 0.0
        for y in rows:
            total = total + np.sin(np.sum(x))
            x = step(x, y)
        return np.sum(x**2) + total

    x = point[0]
    close(by_scan(x), by_loop(x))
    close(grad(by_scan)(x), grad(by_loop)(x))
    close(jvp(grad(by_scan), (x,), (V,))[1], jvp(grad(by_loop), (x,), (V,))[1], factor=1e-9)
    close(vmap(grad(by_scan))(point), np.stack([grad(by_loop)(p) for p in point]))


@given(programs(max_size=4), points)
@quick
def test_checkpoint_changes_nothing_but_memory(steps, point):
    f = lambda x: np.sum(np.sin(run(steps, x, point[1])))
    saved = checkpoint(f)
    close(grad(saved)(point[0]), grad(f)(point[0]), factor=1e-13)
    close(hessian(saved)(point[0]), hessian(f)(point[0]))
    close(vmap(grad(saved))(point), vmap(grad(f))(point))


def smooth(x):
    return np.sum(np.sin(x) * np.exp(-x * np.flip(x)) + x**3)


# each takes a function of a vector to a scalar and gives such a function again
SCALAR = {
    "grad": lambda f: lambda x: np.sum(np.cos(grad(f)(x))),
    "jvp": lambda f: lambda x: jvp(f, (x,), (np.ones(3),))[1],
    "vjp": lambda f: lambda x: np.sum(vjp(f, x)[1](1.0)[0] ** 2),
    "jacobian": lambda f: lambda x: np.sum(jacobian(lambda x: np.sin(x) * f(x))(x)),
    "vmap": lambda f: lambda x: np.sum(vmap(lambda a: f(x * a))(np.array([0.5, 1.0]))),
    "scan": lambda f: lambda x: scan(lambda c, a: (c + f(x * a) * c, None), 1.0, np.ones(2))[0],
    "checkpoint": lambda f: checkpoint(f),
}
# the same by other means, without the transformation in question
PLAIN = {
    "vmap": lambda f: lambda x: f(x * 0.5) + f(x * 1.0),
    "scan": lambda f: lambda x: (1.0 + f(x)) * (1.0 + f(x)),
    "checkpoint": lambda f: f,
}


@pytest.mark.parametrize("first", SCALAR)
@pytest.mark.parametrize("second", SCALAR)
def test_every_pair_in_every_order(first, second):
    """The derivative of a composition agrees with differences, whatever is composed."""
    f = SCALAR[second](SCALAR[first](smooth))
    plain = PLAIN.get(second, SCALAR[second])(PLAIN.get(first, SCALAR[first])(smooth))
    x = np.array([0.3, -0.5, 0.8])
    close(f(x), plain(x))
    v = np.array([0.2, 0.7, -0.4])
    h = 1e-3
    weights = {1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
    expected = sum(w * (plain(x + k * h * v) - plain(x - k * h * v)) for k, w in weights.items())
    close(jvp(f, (x,), (v,))[1], expected / h, factor=1e-7)
    close(grad(f)(x) @ v, expected / h, factor=1e-7)


@pytest.mark.parametrize("inner", ["vmap", "scan", "checkpoint"])
def test_third_order_through_each(inner):
    f, plain = SCALAR[inner](smooth), PLAIN[inner](smooth)
    x = np.array([0.3, -0.5, 0.8])
    third = [jacobian(hessian(g))(x) for g in (f, plain)]
    close(third[0], third[1], factor=1e-9)
    mixed = [
        jvp(lambda x, g=g: grad(lambda x: jvp(g, (x,), (np.ones(3),))[1])(x), (x,), (x,))[1]
        for g in (f, plain)
    ]
    close(mixed[0], mixed[1], factor=1e-9)
