"""Circular functions: by our kernels within their reach, by the C library for any argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, scan
from chainrule.compile.native import Native

RNG = np.random.default_rng(0)
TOLERANCE = {np.float64: 1e-15, np.float32: 4e-7}


def table(x: Any) -> Any:
    y = np.sin(x)
    return y, np.cos(x) * 2.0, np.sum(np.tan(x) * 1e-3, 1), np.max(np.cos(x), 0), np.mean(y * y)


@pytest.mark.parametrize("great", [None, 2.0**39, -(2.0**41), 1e22, 1e300, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_argument(great, dtype):
    x = (RNG.standard_normal((7, 11)) * 100).astype(dtype)
    if great is not None:
        x[3, 4] = great if dtype is np.float64 or abs(great) > 1e30 else great / 2**20
    native = jit(table)
    assert type(native.lower(x).native) is Native
    for got, expected in zip(native(x), table(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=40 * TOLERANCE[dtype], atol=1e-6)


def test_a_nest_is_run_again_only_where_it_must():
    x = RNG.standard_normal(1000)
    text = jit(np.sin).lower(x).native.code
    assert "nest_0.quick" in text.text
    assert "nest_0.full" in text.text
    assert "<8 x double>" in text.optimised or "<4 x double>" in text.optimised


@pytest.mark.parametrize("great", [1.0, 1e30])
def test_in_loops(great):
    def f(x: Any) -> Any:
        step = lambda c, _: (np.sin(c) * 1.5 + c / 2, np.cos(c))
        last, rows = scan(step, x, None, length=4)
        return np.sum(last) + np.sum(rows)

    x = np.append(RNG.standard_normal(99), great)
    np.testing.assert_allclose(jit(f)(x), f(x), rtol=1e-12)
    np.testing.assert_allclose(jit(grad(f))(x), grad(f)(x), rtol=1e-11, atol=1e-12)
