"""Kernels for arguments whose sign is known beforehand."""

import functools

import mpmath as mp
import numpy as np
import pytest

from chainrule.compile.kernels import variants, wide
from tests.compile.kernels.loops import WIDE, Loop, loop
from tests.compile.kernels.table import BOUNDS, CASES
from tests.compile.kernels.test_accuracy import DTYPES, errors, points

pytestmark = pytest.mark.skipif(not WIDE, reason="this processor has no such kernels")


@functools.cache
def signed(name, dtype):
    kernel = variants.of_sign(name, wide.SIGNED[name][0])
    assert kernel != name
    return Loop(functools.partial(variants.call, name=kernel), dtype)


def allowed(name, x):
    """Those arguments that have the sign; for log1p, -0.0 is none of them."""
    return x[x <= 0] if name == "exp" else x[~np.signbit(x)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", wide.SIGNED)
def test_as_accurate_as_the_kernel_for_any_sign(name, dtype):
    sign, _ = wide.SIGNED[name]
    near_powers = np.exp2(np.arange(0, 60)) * (1 + np.array([[-1e-3], [0.0], [1e-3]])) - 1
    more = np.abs(np.concatenate([near_powers.ravel(), np.random.default_rng(1).normal(size=500)]))
    x = allowed(name, np.concatenate([points(name, dtype), sign * more]).astype(dtype))
    with mp.workdps(60):
        error = errors(signed(name, dtype)(x), x, CASES[name].exact, dtype)
    assert error.max() <= BOUNDS[name], x[error.argmax()]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", wide.SIGNED)
def test_special_values(name, dtype):
    info = np.finfo(dtype)
    sizes = [0.0, info.smallest_subnormal, info.tiny, 1.0, 1000.0, info.max, np.inf, np.nan]
    x = wide.SIGNED[name][0] * np.array(sizes, dtype)
    with np.errstate(all="ignore"):
        wanted = CASES[name].plain(x)
    got = signed(name, dtype)(x)
    np.testing.assert_allclose(got, wanted, rtol=4 * info.eps)
    np.testing.assert_array_equal(np.signbit(got[:-1]), np.signbit(wanted[:-1]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_have_the_same_bits(dtype):
    x = -np.abs(np.random.default_rng(2).normal(size=1003) * 30).astype(dtype)
    np.testing.assert_array_equal(signed("exp", dtype)(x), loop("wide exp", dtype)(x))
