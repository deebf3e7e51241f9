"""Extremes that cancel out have no derivative, and those that don't keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, jvp, value_and_grad
from chainrule.program.equation import Var
from chainrule.trace.program import trace_program
from chainrule.transform.cancelling import EXTREMES, cancelled

Function = Callable[..., Any]


def softmax(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_of_smaller(x: Any, v: Any) -> Any:
    e = np.exp((x - np.max(x, axis=1)[:, None]) / 3.0)
    return (e / e.sum(axis=1)[:, None]) @ v


def along_first_axis(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=0))
    return e / np.sum(e, axis=0)


def divided_after_product(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return (e @ v) / np.sum(e, axis=1, keepdims=True)


def log_softmax(x: Any, v: Any) -> Any:
    y = x - np.max(x, axis=1, keepdims=True)
    return y - np.log(np.sum(np.exp(y), axis=1, keepdims=True))


def log_sum_exp(x: Any, v: Any) -> Any:
    m = np.max(x, axis=1)
    return m + np.log(np.sum(np.exp(x - m[:, None]), axis=1))


def mean_of_all(x: Any, v: Any) -> Any:
    m = np.max(x)
    return np.log(np.mean(np.exp(x - m))) + m


def with_mask(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    e = np.where(v[:4, :1].T > 0.0, e, 0.0)
    return np.transpose(e) / np.reshape(np.sum(e, axis=1), (1, 3))


def cross_entropy(x: Any, v: Any) -> Any:
    y = x - np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(y), axis=1)) - y[np.arange(3), np.array([1, 3, 1])]


def of_another_row(x: Any, v: Any) -> Any:
    y = x - np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(y), axis=1)) - y[np.array([1, 0, 2]), np.array([1, 3, 1])]


def of_the_first_row(x: Any, v: Any) -> Any:
    y = x - np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(y), axis=1)) - y[np.arange(1), np.array([1])]


def smallest(x: Any, v: Any) -> Any:
    e = np.exp(-(x - np.min(x, axis=1, keepdims=True)))
    return e / np.sum(e, axis=1, keepdims=True)


def scores_twice(x: Any, v: Any) -> Any:
    return softmax(softmax(x, v) * x, v)


def only_shifted(x: Any, v: Any) -> Any:
    return np.exp(x - np.max(x, axis=1, keepdims=True))


def added_once_too_often(x: Any, v: Any) -> Any:
    return log_sum_exp(x, v) + np.max(x, axis=1)


def summed_along_extremes(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def of_another_axis(x: Any, v: Any) -> Any:
    square = x[:, :3]
    e = np.exp(square - np.max(square, axis=1))
    return e / np.sum(e, axis=1, keepdims=True)


def squared(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e * e / np.sum(e, axis=1, keepdims=True)


def one_added(x: Any, v: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / (1.0 + np.sum(e, axis=1, keepdims=True))


WITHOUT_EFFECT = [
    *(softmax, softmax_of_smaller, along_first_axis, divided_after_product, log_softmax),
    *(log_sum_exp, mean_of_all, with_mask, smallest, scores_twice, cross_entropy),
]
WITH_EFFECT = [
    *(only_shifted, added_once_too_often, summed_along_extremes, of_another_axis, squared),
    *(one_added, of_another_row, of_the_first_row),
]


def arguments() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    return rng.standard_normal((3, 4)), rng.standard_normal((4, 2))


def outputs_with(program: Any, args: tuple[Any, ...], moved: dict[Var, Any]) -> list[Any]:
    env: dict[Any, Any] = dict(zip(program.inputs, args, strict=True))
    for e in program.equations:
        xs = [env[o] if type(o) is Var else o for o in e.operands]
        env[e.out] = e.primitive.impl(*xs, **e.params) + moved.get(e.out, 0.0)
    return [env[o] for o in program.outputs]


@pytest.mark.parametrize("f", [*WITHOUT_EFFECT, *WITH_EFFECT], ids=lambda f: f.__name__)
def test_what_cancels_is_what_may_be_moved(f: Function) -> None:
    args = arguments()
    program, _ = trace_program(f, *args, abstract=True)
    extremes = [e.out for e in program.equations if e.primitive.name in EXTREMES]
    found = cancelled(program.equations, program.outputs)
    (expected,) = outputs_with(program, args, {})
    rng = np.random.default_rng(4)
    for m in extremes:
        moved = {m: rng.standard_normal(m.type.shape) + 0.3}
        (got,) = outputs_with(program, args, moved)
        same = np.allclose(got, expected, rtol=1e-12, atol=1e-13)
        assert same == (m in found)
    assert (f in WITHOUT_EFFECT) == (found == set(extremes))


@pytest.mark.parametrize("f", [*WITHOUT_EFFECT, *WITH_EFFECT], ids=lambda f: f.__name__)
def test_compiled_derivatives_are_those_of_the_interpreter(f: Function) -> None:
    x, v = arguments()

    def loss(x: Any, v: Any) -> Any:
        return np.sum(np.sin(f(x, v)))

    def derivatives(x: Any, v: Any) -> Any:
        def curvature(x: Any) -> Any:
            return np.sum(grad(loss)(x, v) ** 2)

        value, slopes = value_and_grad(loss, (0, 1))(x, v)
        _, moved = jvp(loss, (x, v), (x * x, v))
        return value, *slopes, moved, grad(curvature)(x)

    for got, expected in zip(jit(derivatives)(x, v), derivatives(x, v), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_nothing_looks_for_a_maximum_that_cancels() -> None:
    x, v = arguments()
    compiled = jit(grad(lambda x: np.sum(np.sin(softmax(x, v))))).lower(x)
    assert "equal" not in {e.primitive.name for e in compiled.native.program.equations}
    compiled = jit(grad(lambda x: np.sum(np.sin(only_shifted(x, v))))).lower(x)
    assert "equal" in {e.primitive.name for e in compiled.native.program.equations}
