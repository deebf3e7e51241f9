"""Leading axes that are one, and parts that are laid out before they are joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.compile import num_threads, set_num_threads
from chainrule.compile.contraction.tiling import host
from chainrule.compile.plan import strips
from chainrule.trace.program import trace_program
from chainrule.transform.joining import join_last
from chainrule.transform.merging import merge_leading_axes

RNG = np.random.default_rng(2)
X, W, V = (RNG.standard_normal(s) for s in ((2, 5, 4), (4, 6), (6, 4)))
B, M = RNG.standard_normal(6), RNG.standard_normal((2, 5))


def normalised(x: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1)[..., None] + 1e-5)


def heads(x: Any, w: Any) -> Any:
    q, k, v = np.transpose(np.reshape(normalised(x) @ w, (2, 5, 3, 2, 1)), (2, 0, 3, 1, 4))
    weights = np.exp(0.1 * q @ np.swapaxes(k, -1, -2))
    return np.sum(np.reshape(np.swapaxes(weights @ v, 1, 2), (2, 5, 2)) ** 2)


FUNCTIONS = {
    "layer": lambda x, w: np.tanh(x @ w + B),
    "two layers": lambda x, w: np.maximum(np.tanh(x @ w + B) @ V, 0.0) + x,
    "normalised": lambda x, w: normalised(x) @ w,
    "sums": lambda x, w: np.sum(x @ w, axis=(0, 1)) * np.sum(x @ w) + np.mean(x @ w, axis=(0, 1)),
    "sums of places": lambda x, w: np.sum(x @ w, axis=1) + np.max(x @ w, axis=(1, 2))[:, None],
    "kept sums": lambda x, w: x @ w - np.sum(x @ w, axis=(0, 1), keepdims=True),
    "weights of places": lambda x, w: (x @ w) * M[..., None] + M[:, :, None],
    "a constant for each": lambda x, w: np.where(x @ w > 0, np.ones((2, 5, 6)), x @ w),
    "of places": lambda x, w: np.exp(np.max(x @ w, axis=-1)) * M,
    "other axes": lambda x, w: np.transpose(x @ w, (1, 0, 2)) * 2.0,
    "slices": lambda x, w: (x @ w)[:, 1:] - (x @ w)[:, :-1],
    "joined": lambda x, w: np.concatenate([x @ w, x], axis=-1),
    "of one batch": lambda x, w: x[0] @ w + (x @ w)[1],
    "broadcast": lambda x, w: x @ w + np.broadcast_to(B, (5, 6)) + np.float32(1.0),
    "heads": heads,
    "four axes": lambda x, w: np.tanh(np.reshape(x, (2, 5, 2, 2)) @ w[:2]) @ V,
}


def check(program: Any, changed: Any, *args: Any) -> None:
    for got, expected in zip(changed.evaluate(*args), program.evaluate(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)
        assert got.dtype == expected.dtype


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_results(name: str):
    f = FUNCTIONS[name]
    w = np.ascontiguousarray(W)
    total = lambda x, w: np.sum(np.sin(f(x, w)))
    for g in (f, grad(total, (0, 1))):
        program, _ = trace_program(g, X, w, abstract=True)
        merged = merge_leading_axes(program)
        check(program, merged, X, w)
        check(program, join_last(merged), X, w)
    for got, expected in zip(
        jit(grad(total, (0, 1)))(X, w), grad(total, (0, 1))(X, w), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def shapes(f: Any) -> list[Any]:
    program, _ = trace_program(f, X, W, abstract=True)
    return [e.out.type.shape for e in merge_leading_axes(program).equations]


def test_rows_are_one_axis():
    two_products = shapes(lambda x, w: (np.tanh(x @ w + B) * 2.0) @ V)
    assert two_products[-1] == (2, 5, 4)
    assert all(s[0] == 10 for s in two_products[:-1])


def test_axes_stay_where_others_need_them():
    assert shapes(lambda x, w: np.tanh(x)) == [(2, 5, 4)]
    assert shapes(lambda x, w: np.tanh(x @ w)) == [(2, 5, 6), (2, 5, 6)]
    assert shapes(lambda x, w: x[0] @ w) == [(5, 4), (5, 6)]
    last = shapes(lambda x, w: np.tanh(np.tanh(x @ w) @ V) * 2.0)
    assert last[-2:] == [(2, 5, 4)] * 2


JOINED = {
    "transposed": lambda x: np.transpose(np.concatenate([x, 2 * x, -x]), (2, 0, 1)),
    "moved inwards": lambda x: np.reshape(
        np.transpose(np.concatenate([x[None], -x[None]]), (1, 2, 0, 3)), (10, 8)
    ),
    "split": lambda x: np.reshape(np.concatenate([x, -x], axis=2), (10, 4, 2)),
    "uneven": lambda x: np.reshape(np.concatenate([x, x[:, :, :2]], axis=2), (10, 6)),
    "uneven parts": lambda x: np.reshape(np.concatenate([x, x[:, :, :2]], axis=2), (2, 30)),
    "not to be split": lambda x: np.reshape(np.concatenate([x, x[:, :, :1]], axis=2), (5, 10)),
    "used twice": lambda x: (lambda y: y.T + np.reshape(y, (5, 16)))(np.concatenate([x[0].T] * 4)),
    "flat": lambda x: np.reshape(np.concatenate([x, -x]), -1),
}


@pytest.mark.parametrize("name", JOINED)
def test_parts_are_laid_out_before_they_are_joined(name: str):
    program, _ = trace_program(JOINED[name], X, abstract=True)
    changed = join_last(program)
    check(program, changed, X)
    if name in ("transposed", "moved inwards", "split", "uneven", "flat"):
        assert changed.equations[-1].primitive.name == "concatenate"
    np.testing.assert_allclose(jit(JOINED[name])(X), JOINED[name](X), rtol=1e-12)


def block(x: Any, w: Any, c: Any, v: Any) -> Any:
    return np.mean((x + np.tanh(normalised(x) @ w + c) @ v) ** 2)


@pytest.mark.parametrize("batch", [(1, 256), (4, 96), (3, 5, 31)])
def test_products_one_after_the_other(batch: Any, monkeypatch: Any):
    monkeypatch.setattr(strips, "MUCH", 0)
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", "")
    shapes = ((*batch, 128), (128, 256), (256,), (256, 128))
    args = [(RNG.standard_normal(s) / 4).astype(np.float32) for s in shapes]
    run = value_and_grad(block, (0, 1, 2, 3))
    compiled = jit(run)
    plans = [g.inner for g in compiled.lower(*args).native.plan.groups]
    several = [
        p
        for p in plans
        if isinstance(p, strips.StripPlan) and sum(c.paneled for c in p.cuts.values()) > 1
    ]
    if host().width == 64 and batch != (3, 5, 31):
        assert several
    before, results = num_threads(), []
    for threads in (1, 2):
        set_num_threads(threads)
        try:
            results.append(compiled(*args))
        finally:
            set_num_threads(before)
    (value, slopes), (again, same) = results
    assert value == again
    expected, others = run(*(a.astype(np.float64) for a in args))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for a, b, c in zip(slopes, others, same, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.max(np.abs(b)))
        np.testing.assert_array_equal(a, c)
