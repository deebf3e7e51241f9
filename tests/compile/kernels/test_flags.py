"""Kernels raise no flag of the processor's without reason: each would cost a run by NumPy."""

import ctypes
import ctypes.util
import functools
import platform
import sys

import numpy as np
import pytest
import scipy.special

from tests.compile.kernels.loops import KERNELS, OPERANDS, loop, plain_name
from tests.compile.kernels.table import CASES
from tests.compile.kernels.test_accuracy import DTYPES, points

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() != "x86_64",
    reason="the numbers of flags are those of Linux on x86",
)

INVALID, DIVIDE, OVERFLOW = 1, 4, 8
TEXTS = {"invalid": INVALID, "divide": DIVIDE, "overflow": OVERFLOW}
# noted by the code generator, beside the flags
EVENTS = {"log", "log2", "log10", "log1p", "pow", "xlog1py"}
AT_INFINITY = {"sinh", "cosh", "arcsinh", "entr", "logit"}  # flags there are documented
PLAIN = {"pow": np.power, "arctan2": np.arctan2, "logaddexp": np.logaddexp}
PLAIN |= {name: getattr(np, name) for name in ("hypot", "copysign", "heaviside")}
PLAIN |= {name: getattr(scipy.special, name) for name in ("xlogy", "xlog1py", "gammaln", "psi")}
PLAIN["trigamma"] = lambda x: scipy.special.polygamma(1, x)


@functools.cache
def mathematics():
    return ctypes.CDLL(ctypes.util.find_library("m"))


def raised(call):
    library = mathematics()
    library.feclearexcept(INVALID | DIVIDE | OVERFLOW)
    call()
    return library.fetestexcept(INVALID | DIVIDE | OVERFLOW)


def told_by_numpy(plain, *arguments):
    texts = []
    with np.errstate(all="call", call=lambda text, _: texts.append(text)):
        plain(*arguments)
    return sum(flag for word, flag in TEXTS.items() if any(word in text for text in texts))


def arguments(name, dtype):
    if name in CASES:
        x = points(name, dtype)
        ends = [] if name in AT_INFINITY else [-np.inf]
        return (np.concatenate([x[:: 1 + x.size // 60], np.array(ends, dtype)]),)
    rng = np.random.default_rng(5)
    x = np.exp2(rng.uniform(-60, 60, 60))
    y = 3 * rng.normal(size=60)
    both = x.astype(dtype), y.astype(dtype)
    return both if name in OPERANDS else both[1:]


# one element, computed as a number, and as many as fill vectors, where it is one of them
@pytest.mark.parametrize("many", [1, 32])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNELS)
def test_flags_are_raised_only_where_numpy_tells_of_something(name, dtype, many):
    plain = CASES[plain_name(name)].plain if plain_name(name) in CASES else PLAIN[name]
    for values in zip(*arguments(plain_name(name), dtype), strict=True):
        given = [np.full(many, value, dtype) for value in values]
        out = np.empty_like(given[0])
        got = raised(loop(name, dtype).bind(*given, out))
        wanted = told_by_numpy(plain, *given)
        if wanted and plain_name(name) not in EVENTS:
            assert got & wanted == wanted, values
        # NumPy is asked what happened anyway if one flag is right; SciPy doesn't tell of overflow
        overflown = name == "log_ndtr" and np.isinf(out[0])
        assert wanted or not got or overflown, (values, got)
