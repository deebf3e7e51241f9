"""Sums of arrays in different rows of a larger one become joined rows."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compile import explain_compile
from chainrule.trace.program import trace_program
from chainrule.transform.overlapping import join_overlapping

JOINED = {
    "neighbours": lambda x: np.sum(x[1:] * x[:-1]),
    "Rosenbrock": lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
    "neighbours and the whole": lambda x: np.sum(np.sin(x)) + np.sum(x[1:] * x[:-1]),
    "a part and the whole": lambda x: np.sum(x**2) + np.sum(x[20:50] ** 3),
    "neighbours of neighbours": lambda x: np.sum(x[2:] * x[1:-1] * x[:-2]),
    "costly functions": lambda x: np.sum(np.exp(x[1:]) * np.tanh(x[:-1])),
    "halves": lambda x: np.sum(x[:50] ** 2) * np.sum(np.exp(x[50:])),
}
LEFT = {
    "every second one": lambda x: np.sum(x[::2]) * np.sum(x[1::2] ** 2),
    "rows that are zero": lambda x: np.sum(x[:20] ** 2) * np.sum(x[30:] ** 2),
    "one part": lambda x: np.sum(x[3:] ** 2),
    "many parts": lambda x: sum(np.sum(x[7 * k : 7 * k + 14] ** (k + 2)) for k in range(9)),
}


def names(f, *args):
    program, _ = trace_program(cr.grad(f), *args, abstract=True)
    joined = join_overlapping(program)
    for got, wanted in zip(joined.evaluate(*args), program.evaluate(*args), strict=True):
        np.testing.assert_array_equal(got, wanted)
    return {e.primitive.name for e in joined.equations}


@pytest.mark.parametrize("name", [*JOINED, *LEFT])
def test_embedded_arrays_are_joined_where_rows_are_covered(name):
    f = {**JOINED, **LEFT}[name]
    found = names(f, np.random.default_rng(0).normal(size=100))
    assert ("concatenate" in found) == (name in JOINED)


def test_beside_loops_with_several_results():
    def f(x):
        last, rows = cr.scan(lambda c, row: (c * row, c + row), x[0], x)
        return np.sum(x[1:] * x[:-1]) + last + np.sum(rows)

    x = np.random.default_rng(4).uniform(0.9, 1.1, 100)
    assert "concatenate" in names(f, x)
    np.testing.assert_allclose(cr.jit(cr.grad(f))(x), cr.grad(f)(x), rtol=1e-12)


def test_matrices_are_joined_by_rows_and_not_by_columns():
    x = np.random.default_rng(1).normal(size=(80, 9))
    assert "concatenate" in names(lambda x: np.sum(x[1:] * x[:-1]), x)
    assert "concatenate" not in names(lambda x: np.sum(x[:, 1:] * x[:, :-1]), x)


def test_short_arrays_are_left():
    assert "concatenate" not in names(lambda x: np.sum(x[1:] * x[:-1]), np.ones(10))


def test_rows_that_an_outcome_needs_too_are_kept():
    def f(x):
        differences = x[1:] - x[:-1]
        return np.sum(np.exp(differences)), differences

    x = np.random.default_rng(2).normal(size=100)
    (value, same), gradient = cr.jit(cr.value_and_grad(f, has_aux=True))(x)
    np.testing.assert_allclose(value, np.sum(np.exp(np.diff(x))))
    np.testing.assert_array_equal(same, np.diff(x))
    np.testing.assert_allclose(gradient, cr.grad(lambda x: f(x)[0])(x), rtol=1e-14)


@pytest.mark.parametrize(("n", "dtype"), [(64, np.float64), (97, np.float32)])
@pytest.mark.parametrize("name", JOINED)
def test_compiled_gradients_and_products_with_hessians(name, n, dtype):
    f = JOINED[name]
    x, v = np.random.default_rng(n).normal(size=(2, n)).astype(dtype) / 4
    close = {"rtol": 1e3 * np.finfo(dtype).eps, "atol": 300 * np.finfo(dtype).eps}
    np.testing.assert_allclose(cr.jit(cr.grad(f))(x), cr.grad(f)(x), **close)

    def product(x, v):
        return cr.hvp(f, (x,), (v,))

    np.testing.assert_allclose(cr.jit(product)(x, v), product(x, v), **close)


def test_rows_are_computed_in_one_pass():
    report = explain_compile(cr.jit(cr.grad(JOINED["Rosenbrock"])), np.ones(1000))
    (part,) = report.parts
    assert part.workspace < 1000  # nothing as long as the argument is kept in between
    assert "memset" not in part.code.text


@pytest.mark.parametrize("n", [64, 65, 100])
def test_short_pieces_at_the_ends_are_computed_in_place(n):
    def padded(x):
        return np.concatenate([x[:1] * 2.0, x[1:] - x[:-1], x[-2:]])

    x = np.random.default_rng(3).normal(size=n)
    np.testing.assert_array_equal(cr.jit(padded)(x), padded(x))
    np.testing.assert_array_equal(
        cr.jit(padded)(x.astype(np.float32)), padded(x.astype(np.float32))
    )
