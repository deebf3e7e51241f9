"""Loops that multiply vectors with matrices from outside: in which order those are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, scan, value_and_grad
from chainrule.compile.contraction.forming import form_contractions
from chainrule.program.equation import Equation
from chainrule.program.program import Program
from chainrule.program.pytree import flatten
from chainrule.trace.program import trace_program
from chainrule.transform.looping import improve_loops
from chainrule.transform.simplification import simplify

from .test_loops import same

RNG = np.random.default_rng(0)


def formed(f: Any, *args: Any) -> Program:
    """Return the program of a function as it is compiled, having compared the results."""
    program, _ = trace_program(f, *args, abstract=True)
    program = simplify(improve_loops(simplify(program)))
    found = form_contractions(program)
    given = flatten(args)[0]
    for a, b in zip(found.evaluate(*given), program.evaluate(*given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    return found


def contractions(program: Program) -> list[Equation]:
    bodies = [e.params["body"] for e in program.equations if e.primitive.name == "scan"]
    return [e for b in bodies for e in b.equations if e.primitive.name == "contraction"]


def stages(w, v, x, times):
    """Two stages per step, each with two products."""

    def slope(y, t):
        return v @ np.tanh(w @ y + t)

    def step(y, t):
        return y + 0.1 * slope(y + 0.1 * slope(y, t), t), None

    return np.sum(scan(step, x, times)[0] ** 2)


def arguments(m: int, n: int, dtype: Any = np.float64) -> list[Any]:
    shapes = (n, m), (m, n), (m,), (9,)
    return [RNG.standard_normal(shape).astype(dtype) / max(m, n) ** 0.5 for shape in shapes]


def test_a_matrix_is_copied_once_before_the_loop() -> None:
    program = formed(stages, *arguments(24, 40))
    assert [e.primitive.name for e in program.equations].count("repack") == 2
    for e in contractions(program):
        out, left, right = e.params["strides"]
        lane = out.index(1)
        assert 1 in (left[lane], right[lane])  # vectors of the result are vectors of the matrix


def test_every_other_product_goes_the_other_way() -> None:
    directions: dict[Any, list[bool]] = {}
    for e in contractions(formed(stages, *arguments(24, 40))):
        matrix = max(e.operands, key=lambda o: o.type.size)
        own = e.params["strides"][1 + e.operands.index(matrix)]
        directions.setdefault(matrix, []).append(min(own) < 0)
    assert list(directions.values()) == [[False, True], [False, True]]


def test_backward_loops_read_the_matrix_itself_in_rows() -> None:
    program = formed(grad(stages, (0, 1, 2)), *arguments(24, 40))
    assert not any(e.primitive.name == "matmul" for e in program.equations)
    for e in contractions(program):
        out, left, right = e.params["strides"]
        assert 1 in (left[out.index(1)], right[out.index(1)])


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 5), (7, 1), (3, 17), (31, 8), (64, 70)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_are_the_same(m: int, n: int, dtype: Any) -> None:
    args = arguments(m, n, dtype)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    same(value_and_grad(stages, (0, 1, 2, 3)), *args, tolerance=tolerance)


def test_loops_in_loops_and_other_uses_of_the_matrix() -> None:
    w, v, x, times = arguments(12, 12)

    def nested(w, v, x, times):
        def outer(y, t):
            z = scan(lambda c, s: (np.tanh(w.T @ c + s * y), None), y, times)[0]
            return np.tanh(v @ z + w @ z + np.sum(w.T, axis=0) * t), w[0] @ z

        last, collected = scan(outer, x, times)
        return np.sum(last**2) + np.sum(collected)

    same(value_and_grad(nested, (0, 1, 2)), w, v, x, times)


def test_matrices_that_lie_anywhere_in_memory() -> None:
    w, v, x, times = arguments(16, 24)
    expected = stages(w, v, x, times)
    f = jit(stages)
    for offset in (1, 3):
        moved = np.empty(w.size + 8)[offset : offset + w.size].reshape(w.shape)
        moved[...] = w
        np.testing.assert_allclose(f(moved, v, x, times), expected, rtol=1e-12)
    strided = np.empty((24, 32))[:, ::2]
    strided[...] = w
    np.testing.assert_allclose(f(strided, v, x, times), expected, rtol=1e-12)
    np.testing.assert_allclose(f(np.asfortranarray(w), v, x, times), expected, rtol=1e-12)


def test_a_loop_over_rows_of_matrices() -> None:
    matrices = RNG.standard_normal((5, 6, 6)) / 3

    def f(matrices, x):
        def step(y, m):
            inner = scan(lambda z, k: (m @ z + m.T @ z * k, None), y, np.arange(8) / 8.0)
            return inner[0], None

        return np.sum(scan(step, x, matrices)[0])

    same(value_and_grad(f, (0, 1)), matrices, np.ones(6))
