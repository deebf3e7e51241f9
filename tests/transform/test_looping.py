"""Loops that do less: the same results, and what is left in the bodies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import checkpoint, cond, grad, jvp, scan, value_and_grad, while_loop
from chainrule.program.equation import Equation
from chainrule.program.program import Program
from chainrule.program.pytree import flatten
from chainrule.trace.program import trace_program
from chainrule.transform import simplify
from chainrule.transform.looping import improve_loops

RNG = np.random.default_rng(0)


def improved(f: Any, *args: Any) -> Program:
    """Return the program of a function with better loops, having compared the results."""
    program, _ = trace_program(f, *args, abstract=True)
    found = improve_loops(simplify(program))
    expected = flatten(f(*args))[0]
    for program in (found, simplify(found)):
        for a, b in zip(program.evaluate(*flatten(args)[0]), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
            assert np.asarray(a).dtype == np.asarray(b).dtype
            assert np.shape(a) == np.shape(b)
    return found


def loops(program: Program) -> list[Equation]:
    return [e for e in program.equations if e.primitive.name == "scan"]


def inside(equation: Equation) -> list[str]:
    return [e.primitive.name for e in equation.params["body"].equations]


def outside(program: Program) -> list[str]:
    return [e.primitive.name for e in program.equations]


W, U = RNG.standard_normal((3, 4)), 0.5 * RNG.standard_normal((4, 4))
B, XS = RNG.standard_normal(4), RNG.standard_normal((7, 3))


def recurrent(w, u, b, xs):
    return np.sum(scan(lambda h, x: (np.tanh(x @ w + h @ u + b), None), b, xs)[0] ** 2)


def test_a_gradient_computes_no_step_twice_and_takes_large_products() -> None:
    program = improved(value_and_grad(recurrent, (0, 1, 2)), W, U, B, XS)
    forward, backward = loops(program)
    assert inside(forward).count("matmul") == inside(backward).count("matmul") == 1
    assert "tanh" not in inside(backward)
    assert outside(program).count("matmul") == 3  # x w for all steps, and two sums of products


def test_columns_and_batches_and_gradients_of_the_rows() -> None:
    def columns(w, u, xs):
        return np.sum(scan(lambda h, x: (np.tanh(w.T @ x + u @ h), None), B, xs)[0] ** 2)

    assert outside(improved(grad(columns, (0, 1, 2)), W, U, XS)).count("matmul") == 4
    batches = RNG.standard_normal((7, 5, 3))
    f = lambda w, u, xs: recurrent(w, u, np.ones((5, 4)), xs)
    program = improved(grad(f, (0, 1, 2)), W, U, batches)
    assert [inside(loop).count("matmul") for loop in loops(program)] == [1, 1]
    improved(lambda w, u: jvp(lambda w, u: f(w, u, batches), (w, u), (w, u)), W, U)
    improved(grad(lambda w: np.sum(grad(f)(w, U, batches) ** 2)), W)


def test_what_a_loop_does_not_change_is_moved_out_of_it() -> None:
    def f(x, xs):
        def step(c, row):
            unused, same, total = c
            return (unused * 2.0, same, total + row * np.exp(x) * same), (total, unused, row)

        (_, same, total), (totals, _, rows) = scan(step, (x, x, x), xs)
        return same, total, totals, rows

    (loop,) = loops(improved(f, XS[0], XS))
    assert "exp" not in inside(loop)
    assert len(loop.outs) == 2


def test_an_unused_loop_is_left_out() -> None:
    assert not loops(improved(lambda xs: (scan(lambda c, x: (c + x, x), XS[0], xs), 1.0)[1], XS))


def test_loops_that_never_run() -> None:
    index = np.array([2])

    def f(x, i, xs):
        return scan(lambda c, row: (c + x[i], row @ W), np.zeros(1), xs)

    improved(f, np.ones(3), index, XS[:0])


def test_branches_whiles_and_checkpoints_do_just_what_is_needed() -> None:
    def f(x, flag):
        first, _ = cond(flag > 0, lambda v: (v, np.exp(v)), lambda v: (-v, np.cos(v)), x)
        a, _, _ = while_loop(
            lambda s: s[2] < 3.0, lambda s: (s[0] * x, s[1] + x, s[2] + 1), (x, x, flag)
        )
        part = checkpoint(lambda v: (np.sin(v), np.tan(v)))
        return first, a, part(x)[0]

    program = improved(f, 0.5, 1.0)
    text = str(program)
    assert all(name not in text for name in ("exp", "cos", "tan "))
    loop = next(e for e in program.equations if e.primitive.name == "while")
    assert len(loop.outs) == 2


def test_loops_within_loops() -> None:
    def f(w, xs):
        def outer(c, row):
            d, ys = scan(lambda d, v: (np.tanh(d @ w + v), np.sum(d)), c, row)
            return d, np.sum(ys)

        last, ys = scan(outer, np.ones(3), xs)
        return np.sum(last) + np.sum(ys**2)

    xs, w = RNG.standard_normal((4, 5, 3)), 0.4 * RNG.standard_normal((3, 3))
    improved(value_and_grad(f, (0, 1)), w, xs)


STEPS = st.lists(
    st.sampled_from(
        [
            lambda c, x, w: (c[0] @ w, c[1]),
            lambda c, x, w: (c[1], c[0] + x),
            lambda c, x, w: (np.tanh(c[0]), c[1] + np.exp(c[0] * 0.1)),
            lambda c, x, w: (c[0] * x, c[1] - x @ w),
            lambda c, x, w: (c[0], np.sin(c[1] + x)),
            lambda c, x, w: (c[0] - np.sum(c[1]) * 0.1, c[1]),
        ]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, count=st.sampled_from([0, 1, 5]), reverse=st.booleans())
def test_random_bodies(steps: Any, count: int, reverse: bool) -> None:
    xs, w = 0.5 * RNG.standard_normal((count, 3)), 0.4 * RNG.standard_normal((3, 3))

    def f(w, xs):
        def step(c, x):
            before = c
            for part in steps:
                c = part(c, x, w)
            return c, (before[0], c[1], x)

        (a, b), ys = scan(step, (np.ones(3), np.zeros(3)), xs, length=count, reverse=reverse)
        return np.sum(a * 0.3) + np.sum(b) + sum(np.sum(y**2) for y in ys)

    improved(value_and_grad(f, (0, 1)), w, xs)


@pytest.mark.parametrize("budget", [None, 200])
def test_a_budget_is_kept(budget: int | None) -> None:
    def f(w, xs):
        return np.sum(scan(lambda h, x: (np.tanh(h @ w + x), None), xs[0], xs, budget=budget)[0])

    improved(grad(f), U, RNG.standard_normal((9, 4)))


def test_arrays_that_a_loop_writes_are_written_once() -> None:
    def f(x, i):
        def step(c, row):
            k, v = row
            a, b, d = c
            a = a.copy()
            a[k] = v * 2.0
            return (a, b + x[k], d + np.where(np.arange(6) == 2, v, 0.0)), None

        start = (np.zeros(6), 0.0, np.zeros(6))
        a, b, d = scan(step, start, (i, x[:4] ** 2))[0]
        return np.sum(a**2) + b**2 + np.sum(d)

    x = RNG.standard_normal(6)
    for i in ([0, 1, 2, 3], [5, 4, 3, 2], [0, 2, 2, -1]):
        index = np.array(i)
        improved(lambda x, index=index: value_and_grad(f)(x, index), x)
        program = improved(lambda x, index=index: f(x, index), x)
        assert all("setitem" not in inside(loop) for loop in loops(program))
    improved(lambda x, i: grad(f)(x, i), x, np.array([0, 2, 2, -1]))


@pytest.mark.parametrize("axis", [0, 1])
def test_pieces_are_joined(axis: int) -> None:
    def f(x):
        x = x if axis == 0 else x.T
        parts = (x[0], x[1:3] * 2.0, x[3:4], x[5])
        return sum(np.sum(np.sin(p) * (k + 1)) for k, p in enumerate(parts))

    x = RNG.standard_normal((6, 3) if axis == 0 else (3, 6))
    names = outside(improved(grad(f), x))
    assert names.count("concatenate") == 1
    assert "add" not in names
    overlapping = lambda x: np.sum(x[0:3] ** 2) + np.sum(np.sin(x[2:5]))
    assert "concatenate" not in outside(improved(grad(overlapping), x.T[:5] if axis else x[:5]))


def test_sums_of_several_products_a_step_are_taken_after_the_loop() -> None:
    def twice(w, u, xs):
        def step(h, x):
            for k in range(2):
                h = h + 0.5 * (u @ np.tanh(w.T @ x + u @ h + k))
            return h, None

        return np.sum(scan(step, B, xs)[0] ** 2)

    program = improved(grad(twice, (0, 1)), W, U, XS)
    _, backward = loops(program)
    matrices = [o for o in backward.outs if len(o.type.shape) == 2 and o.type.shape[0] != len(XS)]
    assert not matrices
    assert outside(program).count("matmul") >= 4
    improved(grad(lambda w, u: twice(w, u, XS) + np.sum(u), (0, 1)), W, U)
