"""The loop over a kernel becomes code of the machine's full width, without calls or branches."""

import re

import numpy as np
import pytest
from llvmlite import binding

from tests.compile.kernels.loops import loop
from tests.compile.kernels.table import CASES

DTYPES = (np.float64, np.float32)


def lanes(dtype):
    features = binding.get_host_cpu_features()
    bits = 512 if features.get("avx512f") else 256 if features.get("avx2") else 128
    return bits // np.finfo(dtype).bits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_loop_is_vectorised_at_full_width(name, dtype):
    real = "double" if dtype is np.float64 else "float"
    widths = {int(w) for w in re.findall(rf"<(\d+) x {real}>", loop(name, dtype).text)}
    assert max(widths, default=1) >= lanes(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_no_library_is_called(name, dtype):
    # what is left of LLVM's intrinsics after code generation would be a call too
    assert not re.search(r"\bcallq?\b", loop(name, dtype).assembly)
