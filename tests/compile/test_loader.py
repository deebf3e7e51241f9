"""Machine code from object files, by our own loader and by LLVM's, and memory shared in a call."""

from __future__ import annotations

import ctypes
import os
import random

import pytest

from chainrule.compile.plan.memory import Buffer, arrange
from chainrule.compile.runtime import engine, loader
from chainrule.compile.runtime.loader import Loaded, UnreadableObjectError
from chainrule.compile.runtime.symbols import UnknownSymbolError, address_of

TEXT = """
@squares = internal constant [4 x i64] [i64 0, i64 1, i64 4, i64 9]
@state = global i64 5
@"chainrule.dtype.<f8" = external global i8
declare double @cos(double)
define i64 @square(i64 %k) {
  %place = getelementptr [4 x i64], ptr @squares, i64 0, i64 %k
  %value = load i64, ptr %place
  %more = load i64, ptr @state
  %sum = add i64 %value, %more
  store i64 %sum, ptr @state
  ret i64 %sum
}
define double @cosine(double %x) {
  %y = call double @cos(double %x)
  %z = fmul double %y, 3.0
  ret double %z
}
define ptr @dtype() {
  ret ptr @"chainrule.dtype.<f8"
}
"""


@pytest.fixture(scope="module")
def compiled():
    return engine.object_code({"usual": TEXT})


@pytest.fixture(params=["own", "LLVM"])
def loaded(request, compiled):
    data, externals = compiled
    if request.param == "LLVM":
        return engine.LoadedByLLVM(data, externals)
    if not loader.is_supported():
        pytest.skip("object files of this platform are left to LLVM")
    return Loaded(data, address_of)


def test_code_data_and_what_lies_outside(loaded):
    import numpy as np

    square = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loaded.address("square"))
    assert [square(k) for k in (0, 1, 2, 3)] == [5, 6, 10, 19]
    assert ctypes.c_int64.from_address(loaded.address("state")).value == 19
    cosine = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(loaded.address("cosine"))
    assert cosine(0.0) == 3.0
    dtype = ctypes.CFUNCTYPE(ctypes.c_void_p)(loaded.address("dtype"))
    assert dtype() == id(np.dtype(float))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_has_variables_of_its_own(loaded):
    state = ctypes.c_int64.from_address(loaded.address("state"))
    before = state.value
    child = os.fork()
    if child == 0:
        state.value = 12345
        os._exit(0)
    os.waitpid(child, 0)
    assert state.value == before


def test_what_is_not_an_object_file_is_refused(compiled):
    data, _ = compiled
    for wrong in (b"", b"\x7fELF", data[:200], data[:16] + b"\0" * (len(data) - 16)):
        with pytest.raises(UnreadableObjectError):
            Loaded(wrong, address_of)


@pytest.mark.parametrize("name", ["no_such_function", "chainrule.nosuchroutine"])
def test_an_unknown_symbol_is_an_error(name):
    with pytest.raises(UnknownSymbolError):
        address_of(name)


def test_buffers_that_are_needed_together_never_overlap():
    rng = random.Random(0)
    for _ in range(50):
        buffers = []
        for k in range(20):
            first = rng.randrange(10)
            buffers.append(Buffer(k, rng.randrange(1, 500), first, first + rng.randrange(4)))
        end = arrange(buffers)
        for x in buffers:
            assert 64 <= x.offset <= end - x.size
            assert x.offset % 64 == 0
            for y in buffers:
                apart = x.offset + x.size <= y.offset or y.offset + y.size <= x.offset
                assert x is y or apart or not x.meets(y)
        assert end <= 64 + sum(-(-x.size // 64) * 64 for x in buffers)
