"""Stacks of shifted slices become windows, and compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.trace.program import trace_program
from chainrule.transform.shifted_slices import slices_as_windows

RNG = np.random.default_rng(7)


def images(
    rows: Any, columns: Any, steps: tuple[int, int], order: str = "ij"
) -> Callable[..., Any]:
    """Return a convolution by slices that begin at these rows and columns."""

    def convolve(x: Any, w: Any) -> Any:
        (height, width), (a, b) = x.shape[2:], steps
        m, n = height - max(rows), width - max(columns)
        starts = [(i, j) for i in rows for j in columns]
        if order == "ji":
            starts = [(i, j) for j in columns for i in rows]
        parts = [x[:, :, i : i + m : a, j : j + n : b] for i, j in starts]
        return np.einsum("knchw,ock->nohw", np.stack(parts), w)

    return convolve


CASES = {
    "dense": images(range(3), range(4), (1, 1)),
    "columns first": images(range(3), range(4), (1, 1), "ji"),
    "in steps": images(range(3), range(2), (2, 3)),
    "with gaps": images(range(0, 5, 2), range(0, 4, 3), (1, 1)),
    "not from the first": images(range(1, 4), range(2, 4), (1, 2)),
    "one axis": images(range(5), [0], (1, 1)),
}


def names(program: Any) -> list[str]:
    return [e.primitive.name for e in program.equations]


@pytest.mark.parametrize("name", CASES)
def test_convolutions_by_slices(name: str):
    f = CASES[name]
    x = RNG.standard_normal((2, 3, 9, 11))
    w = RNG.standard_normal((4, 3, len(range(12)) if name in ("dense", "columns first") else 6))
    if name == "one axis":
        w = w[:, :, :5]
    loss = lambda x, w: np.sum(np.sin(f(x, w)))
    program, _ = trace_program(grad(loss, (0, 1)), x, w, abstract=True)
    rewritten = slices_as_windows(program)
    assert "windows" in names(rewritten)
    assert "overlap_add" in names(rewritten)
    assert "stack" not in names(rewritten)
    for got, expected in zip(rewritten.evaluate(x, w), program.evaluate(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    for got, expected in zip(jit(grad(loss, (0, 1)))(x, w), grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_what_else_is_added_stays():
    def loss(x: Any, w: Any) -> Any:
        rows = np.stack([x[i : i + 7] for i in range(4)])
        return np.sum((w @ rows) ** 2) + np.sum(np.sin(x)) + np.sum(x[2:5] ** 3)

    x, w = RNG.standard_normal(10), RNG.standard_normal(4)
    program, _ = trace_program(grad(loss, (0, 1)), x, w, abstract=True)
    rewritten = slices_as_windows(program)
    assert "overlap_add" in names(rewritten)
    for got, expected in zip(rewritten.evaluate(x, w), grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("starts", [[0, 1, 3, 4], [3, 2, 1, 0], [0, 0, 1, 1], [0, 1, 2]], ids=str)
def test_other_slices_are_left_alone(starts: list[int]):
    def loss(x: Any, w: Any) -> Any:
        return np.sum((w @ np.stack([x[i : i + 6] for i in starts])) ** 2)

    x, w = RNG.standard_normal(10), RNG.standard_normal(len(starts))
    program, _ = trace_program(value_and_grad(loss, (0, 1)), x, w, abstract=True)
    assert slices_as_windows(program) is program


def test_slices_of_several_arrays_or_of_other_lengths_are_left_alone():
    def loss(x: Any, y: Any) -> Any:
        parts = [x[0:4], x[1:5], y[2:6], y[3:7]]
        return np.sum((np.stack(parts) @ x[:4]) ** 2)

    x, y = RNG.standard_normal(8), RNG.standard_normal(8)
    program, _ = trace_program(loss, x, y, abstract=True)
    assert slices_as_windows(program) is program


def test_a_stack_that_is_seen_elsewhere_stays():
    f = lambda x, w: (w @ np.stack([x[i : i + 7] for i in range(4)]), x[1:] * 2.0)
    g = lambda x, w: (np.stack([x[i : i + 7] for i in range(4)]) * 2.0, w)
    x, w = RNG.standard_normal(10), RNG.standard_normal(4)
    for function, changed in ((f, True), (g, False)):
        program, _ = trace_program(function, x, w, abstract=True)
        assert (slices_as_windows(program) is not program) == changed
        for got, expected in zip(jit(function)(x, w), function(x, w), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-14)
