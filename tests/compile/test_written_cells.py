"""Loops in Python that go over the cells of arrays and write them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, hvp, jit
from chainrule.compile.native import Native

pytestmark = pytest.mark.filterwarnings("error::chainrule.compile.JitWarning")


def soft_dtw(x, y):
    r = np.full((len(x) + 1, len(y) + 1), 1e6)
    r[0, 0] = 0.0
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            a, b, c = r[i - 1, j - 1], r[i - 1, j], r[i, j - 1]
            low = np.minimum(np.minimum(a, b), c)
            total = np.exp(low - a) + np.exp(low - b) + np.exp(low - c)
            r[i, j] = (x[i - 1] - y[j - 1]) ** 2 + low - np.log(total)
    return r[-1, -1]


def knapsack(x, y):
    best = np.zeros(30)
    for value in x:
        for c in range(29, 4, -1):
            best[c] = np.logaddexp(best[c] * y[0], best[c - 5] + value)
    return best[-1]


def cholesky(x, y):
    n = len(x)
    a = x[:, None] * x + n * np.eye(n)
    factor = np.zeros((n, n))
    for j in range(n):
        for i in range(j, n):
            s = a[i, j]
            for k in range(j):
                s = s - factor[i, k] * factor[j, k]
            factor[i, j] = np.sqrt(s) if i == j else s / factor[j, j]
    return np.sum(np.log(np.diag(factor)) * y[:n])


def product(x, y):
    n = 6
    a = np.reshape(np.concatenate([x, y, x, y])[: n * n], (n, n))
    c = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            for k in range(n):
                c[i, j] = c[i, j] + a[i, k] * a[k, j]
    return np.sum(np.sin(c))


def sweeps(x, y):
    u = x[:, None] * y
    for _ in range(2):
        for i in range(1, len(x) - 1):
            for j in range(1, len(y) - 1):
                u[i, j] = np.sin(u[i - 1, j] + u[i + 1, j] + u[i, j - 1] * u[i, j + 1])
    return np.sum(u * np.tanh(u))


def exchanged(x, y):
    u = np.copy(x)
    for k in range(60):
        i, j = k % len(x), (7 * k + 1) % len(x)
        u[i], u[j] = u[j] * y[0], np.sin(u[i])
    return np.sum(u)


def two_cells_of_many(x, y):
    u = np.zeros(1000)
    u[1] = y[0]
    for k in range(200):
        u[0] = np.sin(u[0] * u[1] + x[k % 3])
        u[1] = np.tanh(u[1] + u[0])
    return u[0] + u[1]


def rows(x, y):
    u = np.zeros((40, len(y))) + y
    for t in range(1, 40):
        u[t, 1:] = np.tanh(u[t - 1, :-1] * u[t, 1:] + x[0])
        u[t, 0] = np.sum(u[t - 1] ** 2)
        u[t] /= 1.0 + np.max(np.abs(u[t]))
    return np.sum(u**2)


PROGRAMS = [
    *(soft_dtw, knapsack, cholesky, product, sweeps, exchanged, two_cells_of_many, rows),
]
RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal(9) * 0.5, RNG.standard_normal(11) * 0.5


def close(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * max(1.0, np.max(np.abs(b))))


@pytest.mark.parametrize("f", PROGRAMS)
def test_gradients(f):
    gradient = grad(f, (0, 1))
    compiled = jit(gradient)
    close(compiled(X, Y), gradient(X, Y))
    assert type(compiled.lower(X, Y).native) is Native


@pytest.mark.parametrize("f", [knapsack, exchanged, two_cells_of_many])
def test_second_derivatives(f):
    v = np.cos(np.arange(len(X)))
    product = lambda x, v: hvp(lambda x: f(x, Y), (x,), (v,))
    close(jit(product)(X, v), product(X, v))


@pytest.mark.parametrize("f", [soft_dtw, two_cells_of_many])
def test_states_of_the_array_are_not_kept(f):
    x, y = np.resize(X, 20), np.resize(Y, 20)
    native = jit(grad(f)).lower(x, y).native
    steps, state = (400, 21 * 21 * 8) if f is soft_dtw else (200, 1000 * 8)
    assert native.workspace < 20 * steps * 8 + 4 * state < steps * state / 4


def written(seed: int) -> tuple[Any, str]:
    """Return a random function that writes cells of arrays in loops."""
    rng = np.random.default_rng(seed)
    places = ["i", "i-1", "(3*i+1)%n", "n-1-i", "0", "2"]
    values = ["u[{}]*w[{}]", "np.sin(u[{}])+w[{}]", "u[{}]-0.5*u[{}]", "np.tanh(w[{}]*u[{}])"]
    pick = lambda options: options[rng.integers(len(options))]
    lines = ["def f(x, y):", "    u, w, n = np.copy(x), np.zeros(len(x)) + y[0], len(x)"]
    lines.append(f"    for i in range({rng.integers(2)}, n):")
    for _ in range(rng.integers(1, 4)):
        value = pick(values).format(pick(places), pick(places))
        lines.append(f"        {pick(['u', 'w'])}[{pick(places)}] {pick(['=', '+='])} {value}")
    if rng.integers(2):
        lines.append("        for j in range(4):")
        value = pick(values).format(pick(places), "(i+j)%n")
        lines.append(f"            {pick(['u', 'w'])}[{pick(['j', '(i+j)%n', 'i'])}] += {value}")
    lines.append("    return np.sum(np.cos(u) * w)")
    space: dict[str, Any] = {"np": np}
    exec("\n".join(lines), space)
    return space["f"], "\n".join(lines)


@pytest.mark.parametrize("seed", range(12))
def test_random_writes(seed):
    f, text = written(seed)
    x = np.random.default_rng(seed).standard_normal(33)
    try:
        close(jit(grad(f, (0, 1)))(x, Y), grad(f, (0, 1))(x, Y))
    except AssertionError as error:
        raise AssertionError(text) from error


def test_a_sum_of_thousands_of_terms():
    def f(x):
        total = 0.0
        for k in range(2500):
            total = total + np.sum(x[k % 7 : k % 7 + 3]) ** (1 + k % 2)
        return total

    x = np.cos(np.arange(12.0))
    close([jit(grad(f))(x)], [grad(f)(x)])
