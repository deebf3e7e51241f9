"""The text of LLVM programs, as LLVM itself reads it."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding

from chainrule.compile import ir
from chainrule.compile.runtime.engine import object_code
from chainrule.compile.runtime.image import Image
from chainrule.compile.runtime.support import in_memory

F64, F32, I64, I8 = ir.DoubleType(), ir.FloatType(), ir.IntType(64), ir.IntType(8)
POINTER = ir.PointerType()


def function(module, name, result, arguments=(), internal=False):
    made = ir.Function(module, ir.FunctionType(result, arguments), name)
    made.linkage = "internal" if internal else ""
    if internal:
        made.attributes.add("noinline")
    return made, ir.IRBuilder(made.append_basic_block("entry"))


def loaded(module):
    code, externals = object_code(module.parts())
    return in_memory(Image(code, externals, [], [], 0, {}))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=4))
def test_numbers_keep_their_bits(values):
    module = ir.Module()
    made, b = function(module, "f", ir.VoidType(), [POINTER, POINTER])
    for k, value in enumerate(values):
        b.store(ir.Constant(F64, value), b.gep(made.args[0], [I64(k)], source_etype=F64))
    near = [struct.unpack("<f", struct.pack("<f", v))[0] for v in values if abs(v) < 1e38]
    for k, value in enumerate(near):
        b.store(ir.Constant(F32, value), b.gep(made.args[1], [I64(k)], source_etype=F32))
    kind = ir.VectorType(F64, 2)
    b.store(ir.Constant(kind, values[:1] * 2), b.gep(made.args[0], [I64(8)], source_etype=F64), 8)
    b.ret_void()
    code = loaded(module)
    doubles, floats = (ctypes.c_double * 10)(), (ctypes.c_float * 4)()
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("f"))(doubles, floats)

    def bits(xs):
        return [struct.pack("<d", x) for x in xs]

    assert bits(doubles[: len(values)]) == bits(values)
    assert bits(doubles[8:]) == bits(values[:1] * 2)
    assert list(floats[: len(near)]) == near


@pytest.mark.parametrize(
    ("constant", "text"),
    [
        (I64(-3), "i64 -3"),
        (ir.IntType(1)(1), "i1 true"),
        (ir.Constant(POINTER, None), "ptr zeroinitializer"),
        (ir.Constant(F64, None), "double zeroinitializer"),
        (ir.Constant(ir.VectorType(F32, 2), [0.0, 0.0]), "<2 x float> zeroinitializer"),
        (ir.Constant(ir.VectorType(F32, 2), [-0.0, 0.0]), None),
        (ir.Constant(ir.VectorType(I64, 2), 7), "<2 x i64> splat (i64 7)"),
        (ir.Constant(F64, -0.0), "double 0x8000000000000000"),
        (ir.Constant(F64, ir.Undefined), "double undef"),
        (ir.ArrayType(I64, 2)([3, 4]), "[2 x i64] [i64 3, i64 4]"),
    ],
)
def test_constants_are_written_as_llvm_reads_them(constant, text):
    assert text is None or str(constant) == text
    module = ir.Module()
    ir.GlobalVariable(module, constant.type, "x").initializer = constant
    (part,) = module.parts().values()
    binding.parse_assembly(part).verify()


def test_there_is_one_object_of_each_type():
    assert ir.VectorType(F64, 4) is ir.VectorType(ir.DoubleType(), 4)
    assert ir.IntType(8) is not ir.IntType(1)


def branches(b, x):
    """Write code with blocks, and memory that is taken where the function begins."""
    with b.goto_entry_block():
        place = b.alloca(I64)
    with b.if_else(b.icmp_signed("<", x, I64(0))) as (yes, no):
        with yes:
            b.store(b.neg(x), place)
        with no:
            b.store(x, place)
    with b.if_then(b.icmp_signed(">", x, I64(100)), likely=False):
        b.ret(I64(100))
    return b.load(place)


def test_parts_are_one_program():
    """They call each other's functions and share a variable; what is the same stands once."""
    module = ir.Module()
    counter = ir.GlobalVariable(module, I64, "counter")
    counter.linkage, counter.initializer = "internal", I64(5)
    inner = []
    for name in ("one", "other"):
        made, b = function(module, name, I64, [I64], internal=True)
        made.effort = "long"
        b.store(b.add(b.load(counter), I64(1)), counter)
        b.ret(branches(b, made.args[0]))
        inner.append(made)
    inlined, b = function(module, "inlined", I64, [I64], internal=True)
    inlined.attributes = {"alwaysinline"}
    b.ret(b.mul(inlined.args[0], b.load(counter)))
    outer, b = function(module, "f", I64, [I64])
    outer.effort = "little"
    total = b.add(b.call(inner[0], outer.args), b.call(inner[1], outer.args))
    b.ret(b.call(inlined, [total]))
    parts = module.parts()
    assert set(parts) == {"usual", "long", "little"}
    assert sum(text.count("define hidden") for text in parts.values()) == 1
    code = loaded(module)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.address("f"))
    assert call(-7) == 14 * 7
    assert call(1000) == 200 * 9


def test_functions_that_differ_in_a_length_are_one():
    module = ir.Module()
    made = []
    for name, length in (("one", 5), ("other", 7), ("third", 5), ("alone", 9)):
        f, b = function(module, name, I64, [I64], internal=True)
        f.attributes = {"noinline"}
        f.length = length
        more = b.add(f.args[0], ir.Value(I64, ir.LENGTH))
        b.ret(b.mul(more, I64(2)) if name == "alone" else more)
        made.append(f)
    outer, b = function(module, "f", I64, [I64])
    outer.effort = "little"
    total = outer.args[0]
    for f in made:
        total = b.call(f, [total])
    b.ret(total)
    parts = module.parts()
    text = "".join(parts.values())
    assert text.count("define hidden") == 2
    assert text.count("(i64 %a0, i64 %length)") == 1
    assert "i64 %a0, 9" in text
    code = loaded(module)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.address("f"))
    assert call(3) == 2 * (3 + 5 + 7 + 5 + 9)


def test_a_function_that_is_handed_on_may_be_the_same_as_another():
    module = ir.Module()
    made = []
    for name in ("one", "other"):
        f, b = function(module, name, I64, [], internal=True)
        b.ret(I64(3))
        made.append(f)
    taker, b = function(module, "taker", POINTER, [POINTER], internal=True)
    b.ret(taker.args[0])
    _, b = function(module, "f", POINTER)
    b.ret(b.call(taker, [made[1]]))
    code = loaded(module)
    address = ctypes.CFUNCTYPE(ctypes.c_void_p)(code.address("f"))()
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == 3


def test_names_are_there_once():
    module = ir.Module()
    function(module, "f", I64)
    with pytest.raises(ValueError, match="`f`"):
        function(module, "f", I64)


SCRIPT = """
import sys
from chainrule.compile.runtime import blas_threads, symbols
from chainrule.compile.runtime.symbols import UnknownSymbolError, linear_algebra
threads = blas_threads.library_functions()
if symbols.bundled_library() is not None:
    assert linear_algebra("dgemm") != linear_algebra("dgesv") > 0
    assert threads is not None
    assert not any(name.startswith("scipy") for name in sys.modules)
symbols.bundled_library = blas_threads.bundled_library = lambda: None
linear_algebra.cache_clear()
found = [linear_algebra(name) for name in ("dgemm", "dgesv")]
assert "scipy.linalg" not in sys.modules
assert not any(name.startswith("scipy.linalg") for name in sys.modules)
import ctypes, scipy.linalg.cython_blas, scipy.linalg.cython_lapack, numpy as np
from chainrule.compile.runtime.symbols import _capsule_pointer
assert found[0] == _capsule_pointer(scipy.linalg.cython_blas.__pyx_capi__["dgemm"])
assert found[1] == _capsule_pointer(scipy.linalg.cython_lapack.__pyx_capi__["dgesv"])
assert blas_threads.library_functions() == threads
assert np.allclose(scipy.linalg.solve(2 * np.eye(2), np.ones(2)), 0.5)
try:
    linear_algebra("no_such_routine")
except UnknownSymbolError:
    print("fine")
"""


def test_blas_is_found_without_the_package_around_it():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout == "fine\n"
