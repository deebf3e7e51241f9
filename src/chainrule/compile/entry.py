"""The way into native code: a Python function that reads NumPy's array objects itself.

An ordinary call through ctypes costs about a microsecond per array. This one is emitted with the
program: it takes Python's arguments as they are, compares type, dtype, shape and strides with those
that the program was compiled for, and either runs it or answers False, upon which the caller takes
the slow way.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from llvmlite import ir

from ..program.arraytype import ArrayType
from .scalar import I64

POINTER = ir.PointerType()
I32 = ir.IntType(32)
# Offsets in CPython's and NumPy's object structures (64 bit); checked by `layout_is_known`.
TYPE, DATA, NDIM, DIMENSIONS, STRIDES, DESCR, FLAGS, FLOAT = 8, 16, 24, 32, 40, 56, 64, 16
ALIGNED = 0x0100
METH_FASTCALL = 0x0080


def layout_is_known() -> bool:
    """Tell whether array and float objects look in memory as the entry reads them."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    array = np.arange(6.0).reshape(2, 3)
    base = id(array)

    def word(at: int) -> int:
        return ctypes.c_int64.from_address(at).value

    number = 1.25
    return bool(
        word(base + TYPE) == id(np.ndarray)
        and word(base + DATA) == array.__array_interface__["data"][0]
        and ctypes.c_int32.from_address(base + NDIM).value == 2
        and [word(word(base + DIMENSIONS) + 8 * k) for k in (0, 1)] == [2, 3]
        and [word(word(base + STRIDES) + 8 * k) for k in (0, 1)] == [24, 8]
        and word(base + DESCR) == id(array.dtype)
        and ctypes.c_int32.from_address(base + FLAGS).value & ALIGNED
        and ctypes.c_double.from_address(id(number) + FLOAT).value == 1.25
    )


class EntryWriter:
    """Writes the function that Python calls."""

    def __init__(self, module: ir.Module, name: str) -> None:
        kind = ir.FunctionType(POINTER, [POINTER, POINTER, I64])
        self.function = ir.Function(module, kind, name)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.refused = self.function.append_basic_block("refused")
        count = self.function.args[2]
        self._count = count

    def at(self, pointer: Any, offset: int, kind: Any) -> Any:
        place = self.b.gep(pointer, [I64(offset)], source_etype=ir.IntType(8))
        return self.b.load(place, typ=kind)

    def require(self, condition: Any) -> None:
        """Go on if a condition holds; else answer False."""
        following = self.function.append_basic_block("ok")
        self.b.cbranch(condition, following, self.refused)
        self.b.position_at_end(following)

    def argument(self, k: int) -> Any:
        """Return the k-th argument, a pointer to a Python object."""
        return self.at(self.function.args[1], 8 * k, POINTER)

    def _is(self, value: Any, expected: int, kind: Any = I64) -> Any:
        return self.b.icmp_signed("==", value, kind(expected))

    def number(self, k: int, cls: type, slot: Any) -> Any:
        """Check that an argument is a float of a class, and put its value into ``slot``."""
        o = self.argument(k)
        self.require(self._is(self.at(o, TYPE, I64), id(cls)))
        value = self.at(o, FLOAT, ir.DoubleType())
        self.b.store(value, slot)
        return slot

    def array(self, k: int, type_: ArrayType) -> Any:
        """Check that an argument is a contiguous array of a type; return where its data are."""
        o = self.argument(k)
        ok = self._is(self.at(o, TYPE, I64), id(np.ndarray))
        ok = self.b.and_(ok, self._is(self.at(o, NDIM, I32), len(type_.shape), I32))
        ok = self.b.and_(ok, self._is(self.at(o, DESCR, I64), id(type_.dtype)))
        flags = self.b.and_(self.at(o, FLAGS, I32), I32(ALIGNED))
        self.require(self.b.and_(ok, self._is(flags, ALIGNED, I32)))
        if type_.shape:
            dims, strides = self.at(o, DIMENSIONS, POINTER), self.at(o, STRIDES, POINTER)
            ok = ir.IntType(1)(1)
            stride = type_.dtype.itemsize
            for axis in reversed(range(len(type_.shape))):
                n = type_.shape[axis]
                ok = self.b.and_(ok, self._is(self.at(dims, 8 * axis, I64), n))
                if n > 1 and type_.size:  # other strides mean nothing
                    ok = self.b.and_(ok, self._is(self.at(strides, 8 * axis, I64), stride))
                stride *= n
            self.require(ok)
        return self.at(o, DATA, POINTER)

    def data(self, k: int) -> Any:
        """Return where the data of an array are that was made for this call."""
        return self.at(self.argument(k), DATA, POINTER)

    def finish(self) -> None:
        """Answer True, and False from where the arguments were refused."""
        self._answer(True)
        self.b.position_at_end(self.refused)
        self._answer(False)

    def _answer(self, value: bool) -> None:
        address = I64(id(value))
        result = self.b.inttoptr(address, POINTER)
        if sys.version_info < (3, 12):  # from then on True and False aren't counted
            references = self.b.load(result, typ=I64)
            self.b.store(self.b.add(references, I64(1)), result)
        self.b.ret(result)


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


# Python reads a function's definition once more when the function goes away, so a definition must
# outlive its function, whatever the order in which objects are freed: these few bytes stay.
_definitions: list[_MethodDef] = []


def python_function(address: int) -> Any:
    """Return a callable for an emitted entry, whose machine code the caller has to keep."""
    definition = _MethodDef(b"native", address, METH_FASTCALL, None)
    _definitions.append(definition)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.POINTER(_MethodDef), ctypes.c_void_p, ctypes.c_void_p]
    return make(ctypes.byref(definition), None, None)
