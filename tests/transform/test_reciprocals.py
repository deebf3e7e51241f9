"""Quotients that are divided again by the same divisor: multiplied by its reciprocal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import jit, value_and_grad
from chainrule.trace.program import trace_program
from chainrule.transform.reciprocals import multiply_by_reciprocals

RNG = np.random.default_rng(8)
A, B = RNG.standard_normal((5, 7)), RNG.standard_normal((5, 1)) + 3.0


def names(f: Any, *args: Any) -> list[str]:
    program, _ = trace_program(f, *args, abstract=True)
    changed = multiply_by_reciprocals(program)
    for got, expected in zip(changed.evaluate(*args), program.evaluate(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-15)
    return [e.primitive.name for e in changed.equations]


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
    ]
    for f in kept:
        assert "mul" not in names(f, A, B)


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
