"""Sums of products as products of sums: the same results with smaller products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit
from chainrule.trace.program import trace_program
from chainrule.transform.simplification import simplify
from chainrule.transform.summing import sum_before_products

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal(shape) for shape in ((9, 4), (4, 5), (9, 5)))
T, U = RNG.standard_normal((9, 3, 4)), RNG.standard_normal((3, 5, 4))

MOVED = {
    "rows": lambda: np.sum(A @ B, axis=0),
    "columns": lambda: np.sum(A @ B, axis=1),
    "everything": lambda: np.sum(A @ B),
    "kept axes": lambda: np.sum(A @ B, axis=0, keepdims=True),
    "signs and sums": lambda: np.sum(-(C - A @ B) + C, axis=0),
    "scaled along": lambda: np.sum((A @ B) * B[0] / 2.0, axis=0),
    "scaled from the left": lambda: np.sum(B[0] * (A @ B), axis=0),
    "scaled by a row": lambda: np.sum((A @ B) * B[:1], axis=0),
    "scaled by a column": lambda: np.sum(A[:, :1] * (A @ B), axis=1),
    "divided": lambda: np.sum((A @ B) / B[0], axis=0),
    "stack": lambda: np.sum(np.einsum("nki,kji->nkj", T, U), axis=0),
    "stack and axis": lambda: np.sum(np.einsum("nki,kji->nkj", T, U), axis=(0, 2)),
    "three": lambda: np.sum(np.einsum("nki,kji,j->nkj", T, U, B[0]), axis=0),
}
KEPT = {
    "nothing to gain": lambda: np.sum(np.einsum("nki,kji->nkj", T, U), axis=1),
    "scaled across": lambda: np.sum((A @ B) * C, axis=0),
    "divisor": lambda: np.sum(B[0] / (A @ B), axis=0),
    "no product": lambda: np.sum(C * 2.0 + C, axis=0),
    "vector": lambda: np.sum(A @ B[:, 0]),
}


def of_operands(f: Any) -> Any:
    """Return a function of the arrays that another one uses, so that they are traced."""

    def g(a: Any, b: Any, c: Any, t: Any, u: Any) -> Any:
        names = {"A": a, "B": b, "C": c, "T": t, "U": u, "np": np}
        return type(f)(f.__code__, names)()

    return g


def pushed(f: Any, *args: Any, tolerance: float = 1e-12) -> Any:
    program, _ = trace_program(f, *args, abstract=True)
    program = simplify(program)
    found = sum_before_products(program)
    for got, expected in zip(found.evaluate(*args), program.evaluate(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
        assert np.shape(got) == np.shape(expected)
    return program, found


def largest(program: Any) -> int:
    return max(
        e.out.type.size for e in program.equations if e.primitive.name in ("matmul", "einsum")
    )


@pytest.mark.parametrize("name", MOVED)
def test_products_become_smaller(name: str) -> None:
    before, after = pushed(of_operands(MOVED[name]), A, B, C, T, U)
    assert largest(after) < largest(before)


@pytest.mark.parametrize("name", KEPT)
def test_what_gains_nothing_stays(name: str) -> None:
    before, after = pushed(of_operands(KEPT[name]), A, B, C, T, U)
    assert after is before


def test_a_product_that_is_read_elsewhere_stays() -> None:
    def f(a, b):
        product = a @ b
        return np.sum(product, axis=0), np.exp(product)

    before, after = pushed(f, A, B)
    assert after is before


def test_compiled_gradients_of_what_is_broadcast() -> None:
    def f(mean, factor, x):
        return np.sum(np.tanh((x - mean) @ factor) ** 2)

    args = RNG.standard_normal(4), B, A
    expected = grad(f, (0, 1))(*args)
    for got, theirs in zip(jit(grad(f, (0, 1)))(*args), expected, strict=True):
        np.testing.assert_allclose(got, theirs, rtol=1e-12, atol=1e-12)


def test_float32_stays_float32() -> None:
    a, b = A.astype(np.float32), B.astype(np.float32)
    program, found = pushed(lambda a, b: np.sum(a @ b * 2.0, axis=0), a, b, tolerance=1e-5)
    assert program is not found
    assert found.evaluate(a, b)[0].dtype == np.float32
