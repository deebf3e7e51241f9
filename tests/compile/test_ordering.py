"""Compiled sorting, searching and running reductions: the same results as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, scan, value_and_grad, vmap
from chainrule.program.pytree import flatten

EVERY = (np.cumprod, np.cumsum, np.maximum.accumulate, np.minimum.accumulate)
RNG = np.random.default_rng(0)

pytestmark = pytest.mark.filterwarnings("error::chainrule.compile.JitWarning")


def same(f: Any, *args: Any, tolerance: float = 1e-13) -> None:
    """Require that a function computes the same compiled, without help of NumPy, twice."""
    compiled = jit(f)
    expected = flatten(f(*args))[0]
    for _ in range(2):
        for a, b in zip(flatten(compiled(*args))[0], expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype


def numbers(n: int, dtype: Any = float) -> Any:
    """Return numbers with ties, infinities, zeros of both signs and, if there are many, NaN."""
    x = np.round(RNG.standard_normal(n) * 4, 1)
    if np.dtype(dtype).kind == "f":
        x[::7], x[3::11], x[5::13] = 0.0, -0.0, np.inf
        x[6::17], x[16::19] = -np.inf, np.nan
        return x.astype(dtype)
    return (x * 10).astype(np.int64).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32, np.uint64, bool])
@pytest.mark.parametrize("n", [0, 1, 17, 129])
def test_sorting(n: int, dtype: Any) -> None:
    x = numbers(n, dtype)
    same(lambda x: (np.argsort(x, kind="stable"), np.sort(x)), x)


def test_every_length() -> None:
    lines = [numbers(n) for n in (2, 15, 16, 31, 32, 33, 47, 49, 64, 65, 1000)]
    same(lambda *xs: [np.argsort(x, stable=True) for x in xs], *lines)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("shape", [(5, 3, 4), (1, 0, 3), (200, 2, 2)])
def test_sorting_along_an_axis(shape: tuple[int, ...], axis: int | None) -> None:
    x = numbers(int(np.prod(shape))).reshape(shape)
    same(lambda x: (np.sort(x, axis), np.argsort(x, axis, kind="stable")), x)


def test_order_statistics() -> None:
    x = RNG.standard_normal((9, 20))

    def f(x: Any) -> Any:
        return (
            np.median(x),
            np.median(x, 0),
            np.quantile(x, 0.3, axis=1),
            np.percentile(x, [10.0, 50.0, 95.0], axis=0),
            np.partition(x, 4, axis=0)[4],
            np.max(np.partition(x, 4, axis=0)[:4], 0),
        )

    same(f, x)
    same(grad(lambda x: sum(np.sum(np.tanh(y) ** 2) for y in f(x))), x)
    same(vmap(lambda row: np.median(row) + np.sort(row)[2]), x)
    same(lambda x: np.median(x), np.array([1.0, np.nan, 2.0]))


def test_derivatives_of_sorting() -> None:
    x = RNG.standard_normal((6, 40))
    same(value_and_grad(lambda x: np.sum(np.sort(x) * np.arange(40.0))), x)
    same(grad(lambda x: np.sum(np.take_along_axis(x, np.argsort(-x, 0), 0)[:2] ** 2)), x)
    same(lambda x: scan(lambda c, row: (np.sort(c + row), np.median(row)), x[0], x), x)
    same(grad(lambda x: np.sum(scan(lambda c, r: (np.sort(c * r), None), x[0], x)[0] ** 2)), x)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 65])
def test_searching(n: int, side: Any) -> None:
    a, v = np.sort(numbers(n)), np.concatenate([numbers(40), [np.nan, np.inf, -np.inf]])
    whole = np.arange(n)

    def f(x: Any, v: Any, i: Any) -> Any:
        found = (np.searchsorted(y, w, side) for y, w in ((x, v), (x, 0.5), (i, v), (i, i)))
        return *found, np.searchsorted(a, v.reshape(1, -1), side)

    same(f, a, v, whole)


def test_interpolation_and_bins() -> None:
    xp, fp, x = np.linspace(0, 1, 9), RNG.standard_normal(9), RNG.uniform(-0.2, 1.2, 30)
    same(
        value_and_grad(lambda x, fp: np.sum(np.interp(x, xp, fp) ** 2), (0, 1)),
        x,
        fp,
        tolerance=1e-11,
    )
    same(lambda x: np.digitize(x, xp), x)
    same(lambda x, fp: scan(lambda c, v: (np.interp(c, xp, fp) + v, c), 0.0, x), x, fp)


@pytest.mark.parametrize("shape", [(7,), (1,), (3, 5), (2, 3, 4)])
def test_running(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    for axis in range(-1, len(shape)):
        same(lambda x, axis=axis: [f(x, axis) for f in EVERY], x)
        same(grad(lambda x, axis=axis: sum(np.sum(np.sin(f(x, axis))) for f in EVERY)), x)
    x.flat[x.size // 2] = np.nan
    same(lambda x: np.maximum.accumulate(x, 0), x)
    same(lambda i: (np.cumprod(i, -1), np.minimum.accumulate(i, 0)), (x > 0).astype(int) + 1)
    same(lambda x: np.cumprod(x, 0), np.zeros((0, 3)))
    same(lambda x: scan(lambda c, r: (np.cumprod(r) + c, None), x[0], x)[0], np.ones((4, 3)) * 0.5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, bool])
@pytest.mark.parametrize("shape", [(1,), (40,), (3, 5), (2, 3, 4)])
def test_places_of_extremes(shape: tuple[int, ...], dtype: Any) -> None:
    x = numbers(int(np.prod(shape)), dtype).reshape(shape)
    for axis in (None, *range(len(shape))):
        same(lambda x, a=axis: (np.argmax(x, a, keepdims=True), np.argmin(x, a)), x)
        same(lambda x, a=axis: np.count_nonzero(x, a), x)
    same(lambda x: scan(lambda c, r: (c + np.argmax(r), np.count_nonzero(r)), 0, x), x[None])


def test_bits() -> None:
    i, j = np.arange(-5, 6), np.arange(11)
    same(lambda i, j: (i & j, i | j, i ^ j, ~i), i, j)
    same(lambda i, j: (~(i > j), (i > 0) & (j > 3), (i > 0) ^ (j > 3)), i, j)
    same(lambda i, j: np.logical_xor(i, j), i, j)


SIDES = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 7.0, 1e300, -1e-300, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divisions_and_signs(dtype: Any) -> None:
    x = np.concatenate([SIDES, RNG.standard_normal(20) * 9]).astype(dtype)
    x, y = (a.ravel() for a in np.meshgrid(x, x))
    for f in (np.mod, np.floor_divide, np.fmod, np.copysign, np.heaviside, np.hypot):
        compiled, expected = jit(lambda x, y, f=f: f(x, y))(x, y), f(x, y)
        exact = f is not np.hypot
        np.testing.assert_allclose(compiled, expected, rtol=0 if exact else 4 * np.finfo(dtype).eps)
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(compiled)[known], np.signbit(expected)[known])
        assert compiled.dtype == dtype
    same(lambda x: (np.signbit(x), np.isinf(x)), x)
    x = x[np.isfinite(x) & (x != 0)][:20]
    slope = grad(lambda x: np.sum(np.hypot(x, 2.0) + np.mod(x, 0.7)))
    same(slope, x, tolerance=8 * float(np.finfo(dtype).eps))


def test_divisions_of_whole_numbers() -> None:
    i = np.arange(-9, 10)
    same(lambda i: (i % 4, i // 4, i % -3, i // -3, np.fmod(i, 4), i << 2, i >> 1), i)
    same(lambda i: (np.isinf(i), np.signbit(i.astype(float))), i)
    same(lambda x: scan(lambda c, k: (c + x[k % 3], None), 0.0, np.arange(7))[0], np.arange(3.0))
