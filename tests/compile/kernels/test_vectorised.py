"""The loop over a kernel becomes code of the machine's full width, without calls or branches."""

import re

import numpy as np
import pytest
from llvmlite import binding

from chainrule.compile.kernels import EMITTERS
from tests.compile.kernels.loops import KERNELS, WIDE, loop

DTYPES = (np.float64, np.float32)


def host_width():
    features = binding.get_host_cpu_features()
    return 512 if features.get("avx512f") else 256 if features.get("avx2") else 128


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNELS)
def test_loop_is_vectorised_at_full_width(name, dtype):
    # a kernel may compute in double precision what it returns in single
    vectors = re.findall(r"<(\d+) x (double|float)>", loop(name, dtype).text)
    widths = [int(lanes) * (64 if real == "double" else 32) for lanes, real in vectors]
    assert max(widths, default=0) >= host_width()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EMITTERS)
def test_no_library_is_called(name, dtype):
    # what is left of LLVM's intrinsics after code generation would be a call too
    assert not re.search(r"\bcallq?\b", loop(name, dtype).assembly)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WIDE)
def test_only_what_no_vector_is_filled_with_calls_a_wide_kernel(name, dtype):
    compute = loop(f"wide {name}", dtype)
    assert len(re.findall(r"\bcallq?\b", compute.assembly)) == 1
    # with the same bits
    x = np.random.default_rng(3).uniform(0.1, 3.0, 1024).astype(dtype)
    parts = [compute(part) for part in np.split(x, [1, 3, 10, 500, 1023])]
    np.testing.assert_array_equal(compute(x), np.concatenate(parts))
