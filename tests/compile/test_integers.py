"""Compiled functions of integers and truth values: NumPy's values, in NumPy's types."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import jit

TYPES = [np.bool_, np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64]
PAIRS = [
    *((t, t) for t in TYPES),
    (np.bool_, np.int8),
    (np.uint8, np.bool_),
    (np.int8, np.uint8),
    (np.uint8, np.int64),
    (np.int64, np.uint64),
    (np.uint32, np.float32),
    (np.float64, np.uint64),
]
UNARY = [
    *(np.abs, np.sign, np.square, np.sqrt, np.exp, np.floor, np.ceil, np.trunc, np.rint, np.fabs),
    *(np.negative, np.reciprocal, np.isnan, np.isinf, np.isfinite, np.signbit, np.deg2rad),
    *(np.logical_not, np.invert, np.sum, np.mean, np.max, np.min, np.prod, np.any, np.all, np.ptp),
    *(np.argmax, np.argmin, np.cumsum, np.cumprod, np.sort, np.std, np.median, np.count_nonzero),
    lambda x: x * 2,
    lambda x: x + 1,
    lambda x: x / 2,
    lambda x: x * 2.5,
    lambda x: x // 2,
    lambda x: x % 3,
    lambda x: x > 1,
    lambda x: x @ x,
    lambda x: x[:, None] @ x[None],
    lambda x: np.outer(x, x),
    lambda x: np.einsum("i,i->", x, x),
    lambda x: np.where(x > 0, x, 0),
    lambda x: np.clip(x, 0, 1),
    lambda x: np.quantile(x // 4, 0.3),  # NumPy overflows where neighbours are far apart
    lambda x: np.quantile(x, 0.3, method="lower"),
    lambda x: np.searchsorted(np.sort(x), x),
    lambda x: x.astype(np.float32),
    lambda x: x.astype(np.int16),
    lambda x: x[np.array([0, -1])],
    lambda x: x.reshape(2, 2).max(0),
    lambda x: x.reshape(2, 2).sum(0),
]
BINARY = [
    *(np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin),
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and, np.bitwise_or),
    *(np.arctan2, np.hypot, np.mod, np.floor_divide, np.copysign, np.matmul),
]


def numbers(dtype):
    """Numbers of a type, the smallest and the largest among them."""
    if dtype is np.bool_:
        return np.array([True, False, True, True])
    if np.dtype(dtype).kind == "f":
        return np.array([0.5, -1.5, 2.0, 0.0], dtype)
    limits = np.iinfo(dtype)
    return np.array([limits.min, 3, 1, limits.max], dtype)


def compared(functions, *args):
    """Compile what NumPy can do with these arguments in one function, and compare."""
    able, expected = [], []
    with np.errstate(all="ignore"):
        for f in functions:
            try:
                expected.append(np.asarray(f(*args)))
            except TypeError:
                continue
            able.append(f)
        found = jit(lambda *args: tuple(f(*args) for f in able))(*args)
    assert len(able) > len(functions) // 2
    for f, a, b in zip(able, expected, found, strict=True):
        assert (a.dtype, a.shape) == (np.asarray(b).dtype, np.shape(b)), f
        # float16 holds functions of eight bits
        np.testing.assert_allclose(b, a, rtol=1e-2 if a.dtype == np.float16 else 1e-6, err_msg=f)


@pytest.mark.filterwarnings("ignore::chainrule.compile.JitWarning")
@pytest.mark.parametrize("dtype", TYPES)
def test_functions_of_one_array(dtype):
    compared(UNARY, numbers(dtype))


@pytest.mark.filterwarnings("ignore::chainrule.compile.JitWarning")
@pytest.mark.parametrize("dtypes", PAIRS)
def test_functions_of_two_arrays(dtypes):
    compared(BINARY, numbers(dtypes[0]), numbers(dtypes[1])[::-1].copy())


@pytest.mark.parametrize("dtype", [np.int8, np.int64])
def test_extremes_of_negative_numbers(dtype):
    x = np.array([-5, -3, -9], dtype)
    assert jit(lambda x: (x.max(), x.min()))(x) == (-3, -9)


@pytest.mark.parametrize("f", [np.max, lambda x: x.min(0)])
def test_an_empty_array_has_no_extreme(f):
    with pytest.raises(ValueError, match="zero-size"):
        jit(f)(np.ones((0, 3)))
    with pytest.raises(ValueError, match="zero-size"):
        jit(lambda x: x.max(1))(np.ones((0, 0)))
    assert jit(lambda x: np.max(x, initial=2.0))(np.ones((0, 3))) == 2.0
    assert jit(lambda x: x.max(1))(np.ones((0, 3))).shape == (0,)
