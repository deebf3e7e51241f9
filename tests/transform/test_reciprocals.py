"""Divisions by few numbers, and quotients that are divided again: products with reciprocals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.trace.program import trace_program
from chainrule.transform.reciprocals import multiply_by_reciprocals

RNG = np.random.default_rng(8)
A, B = RNG.standard_normal((5, 7)), RNG.standard_normal((5, 1)) + 3.0


def names(f: Any, *args: Any) -> list[str]:
    program, _ = trace_program(f, *args, abstract=True)
    changed = multiply_by_reciprocals(program)
    for got, expected in zip(changed.evaluate(*args), program.evaluate(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)
    return [e.primitive.name for e in changed.equations]


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def test_a_quotient_is_multiplied_where_there_is_a_reciprocal():
    assert names(lambda a, b: (1.0 / b, a / b / b), A, B) == ["div", "div", "mul"]
    assert names(lambda a, b: (1.0 / b, -(a / b) / b), A, B) == ["div", "div", "neg", "mul"]


def test_other_quotients_are_divided():
    kept = [
        lambda a, b: (a / b / b, 1.0 / b),  # the reciprocal comes later
        lambda a, b: (1.0 / b, a / b),
        lambda a, b: (2.0 / b, a / b / b),
        lambda a, b: (1.0 / b, b / a / b),
        lambda a, b: (1.0 / a, a / b / b),
        lambda a, b: a / np.sum(np.exp(a), axis=1, keepdims=True),  # which may overflow
        lambda a, b: a / np.sum(np.exp(a - np.max(a)), axis=1, keepdims=True),  # or underflow
        lambda a, b: a / np.sum(a - np.max(a, axis=1, keepdims=True), axis=1, keepdims=True),
        lambda a, b: b / np.sqrt(b),  # as many as there are divisors
    ]
    for f in kept:
        assert "mul" not in names(f, A, B)


def test_rows_are_multiplied_by_reciprocals_of_roots_and_of_sums_of_exponentials():
    assert names(lambda a: a / np.sqrt(np.sum(a + a, 1) ** 2)[:, None], A)[-2:] == ["div", "mul"]
    for axis in (0, 1):
        f = lambda a, axis=axis: np.swapaxes(softmax(np.swapaxes(a, axis, 1)), axis, 1)
        assert "mul" in names(f, A)

    def as_vectors(a: Any) -> Any:
        e = np.exp(a - np.max(a, axis=1)[:, None])
        return e / np.sum(e, axis=1).reshape(5, 1)

    assert "mul" in names(as_vectors, A)


def test_a_reciprocal_is_computed_once():
    f = lambda a, b: (a / np.sqrt(b), 1.0 / np.sqrt(b), 2.0 * a / np.sqrt(b))
    program, _ = trace_program(
        lambda a, b: (lambda r: (a / r, 1.0 / r, 2.0 * a / r))(np.sqrt(b)), A, B, abstract=True
    )
    changed = multiply_by_reciprocals(program)
    assert [e.primitive.name for e in changed.equations].count("div") == 1
    for got, expected in zip(changed.evaluate(A, B), f(A, B), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_divisor_gives_what_division_gives(dtype: Any):
    info = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal]
    v = np.array([*special, -1.0, 1.0, 0.1, info.max / 3, info.tiny * 7], dtype)[:, None]
    x = np.concatenate([special, RNG.standard_normal(30), [1e30, -1e-30]]).astype(dtype)
    f = lambda x, v: (x[None, :] + 0.0 * x) / np.sqrt(v)
    with np.errstate(all="ignore"):
        got, expected = jit(f)(x, v), f(x, v)
        tiny = np.abs(expected) < info.tiny
        np.testing.assert_allclose(got[~tiny], expected[~tiny], rtol=3 * info.eps)
        np.testing.assert_allclose(got[tiny], expected[tiny], atol=3 * info.smallest_subnormal)
        rows = np.array([[0.0, -np.inf, 1.0, 2.0], [np.inf, 0.0, 1.0, 2.0], [-np.inf] * 4], dtype)
        np.testing.assert_allclose(jit(softmax)(rows), softmax(rows), rtol=3 * info.eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_of_quotients(dtype: Any):
    a, b = A.astype(dtype), B.astype(dtype)
    f = value_and_grad(lambda a, b: np.sum(np.sin(a / b)), (0, 1))
    compiled = jit(f)
    divided = [
        e for e in compiled.lower(a, b).native.program.equations if e.primitive.name == "div"
    ]
    assert len(divided) == 2
    (_, got), (_, expected) = compiled(a, b), f(a, b)
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=20 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_derivative_of_a_softmax_needs_the_quotients_alone(dtype: Any):
    x, c = A.astype(dtype), RNG.standard_normal((5, 7)).astype(dtype)
    f = grad(lambda x: np.sum(softmax(x) * c))
    compiled = jit(f)
    program = compiled.lower(x).native.program
    (power,) = (e.out for e in program.equations if e.primitive.name == "exp")
    users = [e.primitive.name for e in program.equations if power in e.inputs]
    assert sorted(users) == ["mul", "sum"]
    np.testing.assert_allclose(compiled(x), f(x), atol=10 * np.finfo(dtype).eps)
    p = softmax(x)
    by_hand = p * (c - np.sum(c * p, axis=1, keepdims=True))
    np.testing.assert_allclose(compiled(x), by_hand, atol=10 * np.finfo(dtype).eps)
