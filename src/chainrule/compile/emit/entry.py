"""The way into native code: a Python function that reads NumPy's array objects itself.

An ordinary call through ctypes costs about a microsecond per array. This one is emitted with the
program: it takes Python's arguments as they are, compares type, dtype, shape and strides with those
that the program was compiled for, makes the arrays of the results and computes them.

It answers a tuple of the results; a list of that tuple and what else there is to tell (see
`_finish`); None if the arguments are of other types; or NotImplemented if it needs memory.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from typing import Any

from ...program.arraytype import ArrayType
from .. import ir
from ..runtime import layout as at
from ..runtime.buffers import LEAST
from ..sizes import is_fixed
from .scalar import F64, I64, memory_type

POINTER = ir.PointerType()
I32, I8, I1 = ir.IntType(32), ir.IntType(8), ir.IntType(1)
ON_STACK = 8192  # bytes of memory that a call takes from the machine's stack
X86_FLAGS = 0b1101  # overflow, division by zero, invalid


class EntryWriter:
    """Writes the function that Python calls."""

    def __init__(self, module: ir.Module, name: str, workspace: int, releases: bool) -> None:
        kind = ir.FunctionType(POINTER, [POINTER, POINTER, I64])
        self.module = module
        self.function = ir.Function(module, kind, name)
        self.function.effort = "little"
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.refused = self.function.append_basic_block("refused")
        self.workspace = workspace
        self.releases = releases
        self.scalars: list[tuple[int, ArrayType, Any]] = []
        self._shapes: dict[tuple[str, ...], str] = {}

    # -- writing calls and accesses ----------------------------------------------------------------

    def field(self, pointer: Any, offset: int, kind: Any) -> Any:
        return self.b.load(self.place(pointer, offset), typ=kind)

    def place(self, pointer: Any, offset: int) -> Any:
        return self.b.gep(pointer, [I64(offset)], source_etype=I8)

    def external(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call a function of Python, NumPy or the C library."""
        function = self.module.globals.get(name) or ir.Function(
            self.module, ir.FunctionType(result, [a.type for a in arguments]), name
        )
        return self.b.call(function, arguments)

    def object(self, symbol: str) -> Any:
        """Return the address of an object of Python or NumPy."""
        if symbol not in self.module.globals:
            ir.GlobalVariable(self.module, I8, symbol)
        return self.module.globals[symbol]

    def _is(self, value: Any, expected: int, kind: Any = I64) -> Any:
        return self.b.icmp_signed("==", value, kind(expected))

    def _same(self, pointer: Any, symbol: str) -> Any:
        return self.b.icmp_unsigned("==", pointer, self.object(symbol))

    # -- arguments ---------------------------------------------------------------------------------

    def require(self, condition: Any) -> None:
        """Go on if a condition holds; else refuse the arguments."""
        following = self.function.append_basic_block("ok")
        self.b.cbranch(condition, following, self.refused)
        self.b.position_at_end(following)

    def count(self, n: int) -> None:
        """Check that there are n arguments."""
        self.require(self._is(self.function.args[2], n))

    def argument(self, k: int) -> Any:
        """Return the k-th argument, a pointer to a Python object."""
        return self.field(self.function.args[1], 8 * k, POINTER)

    def number(self, k: int, type_: ArrayType) -> Any:
        """Check that an argument is a number of Python's, and return where its value is."""
        o = self.argument(k)
        cls = "PyComplex_Type" if type_.dtype.kind == "c" else "PyFloat_Type"
        self.require(self._same(self.field(o, at.TYPE, POINTER), cls))
        return self.place(o, at.FLOAT)

    def array(self, k: int, type_: ArrayType, needed: int = at.ALIGNED) -> Any:
        """Check that an argument is a contiguous array of a type; return where its data are."""
        o = self.argument(k)
        ok = self._same(self.field(o, at.TYPE, POINTER), f"chainrule.numpy.{at.ARRAY_TYPE}")
        ok = self.b.and_(ok, self._is(self.field(o, at.NDIM, I32), len(type_.shape), I32))
        dtype = f"chainrule.dtype.{type_.dtype.str}"
        ok = self.b.and_(ok, self._same(self.field(o, at.DESCR, POINTER), dtype))
        needed |= at.CONTIGUOUS  # which also holds where strides mean nothing
        flags = self.b.and_(self.field(o, at.FLAGS, I32), I32(needed))
        self.require(self.b.and_(ok, self._is(flags, needed, I32)))
        if type_.shape:
            dims = self.field(o, at.DIMENSIONS, POINTER)
            same = [self._is(self.field(dims, 8 * k, I64), n) for k, n in enumerate(type_.shape)]
            self.require(functools.reduce(self.b.and_, same))
        return self.field(o, at.DATA, POINTER)

    def apart(self, a: Any, type_a: ArrayType, b: Any, type_b: ArrayType) -> None:
        """Check that two arrays don't overlap."""
        begin, end = ([self.b.ptrtoint(p, I64) for p in (a, b)] for _ in range(2))
        for k, type_ in enumerate((type_a, type_b)):
            end[k] = self.b.add(end[k], I64(type_.size * type_.dtype.itemsize))
        before = self.b.icmp_unsigned("<=", end[0], begin[1])
        after = self.b.icmp_unsigned("<=", end[1], begin[0])
        self.require(self.b.or_(before, after))

    # -- memory ------------------------------------------------------------------------------------

    def frame(self) -> Any:
        """Take memory for this call: from the stack, or else from what is kept for calls."""
        if self.workspace <= ON_STACK:
            with self.b.goto_entry_block():
                memory = self.b.alloca(ir.ArrayType(I8, self.workspace))
                memory.align = 64
            taken: Any = memory
        else:
            head = ir.GlobalVariable(self.module, POINTER, "frames")
            head.linkage = "internal"
            head.initializer = ir.Constant(POINTER, None)
            taken = self.b.load(head, typ=POINTER)
            with self.b.if_then(self._is_null(taken), likely=False):
                self._answer("_Py_NotImplementedStruct")
            self.b.store(self.field(taken, at.NEXT, POINTER), head)
            self._write_give(head)
        self.b.store(I64(0), self.place(taken, at.ERROR))
        self.b.store(I64(0), self.place(taken, at.STOPPED))
        self.b.store(I64(0), self.place(taken, at.EVENTS))
        self.b.store(I64(0), self.place(taken, at.THREAD))
        self._frame = taken
        return taken

    def _write_give(self, head: Any) -> None:
        """Write the function that gives memory back to what is kept for calls."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER])
        self._give = ir.Function(self.module, kind, "give")
        self._give.effort = "little"
        b = ir.IRBuilder(self._give.append_basic_block("entry"))
        (frame,) = self._give.args
        b.store(b.load(head, typ=POINTER), frame)
        b.store(frame, head)
        b.ret_void()

    def _leave(self) -> None:
        if self.workspace > ON_STACK:
            self.b.call(self._give, [self._frame])

    def _is_null(self, pointer: Any) -> Any:
        return self.b.icmp_unsigned("==", pointer, ir.Constant(POINTER, None))

    # -- results -----------------------------------------------------------------------------------

    def results(
        self, types: Sequence[ArrayType], slots: dict[int, Any], over: dict[int, int]
    ) -> list[Any]:
        """Make the arrays of the results; return where their data are.

        A single number is computed in ``slots`` and becomes an object at the end. Some results are
        written ``over`` arguments: then these are the arrays.
        """
        places = []
        for k, type_ in enumerate(types):
            if not type_.shape:
                self.scalars.append((k, type_, slots[k]))
                places.append(slots[k])
                continue
            if k in over:
                array = self.argument(over[k])
                self.external("Py_IncRef", ir.VoidType(), array)
            else:
                array = self._new_array(type_)
                self._need(array)
            self._set(k, array)
            places.append(self.field(array, at.DATA, POINTER))
        return places

    def _new_array(self, type_: ArrayType) -> Any:
        size = type_.size * type_.dtype.itemsize
        if not is_fixed(size):
            return self._array_of_any_size(type_, size)
        return self._ordinary_array(type_) if size < LEAST else self._kept_array(type_)

    def _array_of_any_size(self, type_: ArrayType, size: Any) -> Any:
        with self.b.goto_entry_block():
            place = self.b.alloca(POINTER)
        with self.b.if_else(self.b.icmp_signed("<", I64(size), I64(LEAST))) as (small, large):
            with small:
                self.b.store(self._ordinary_array(type_), place)
            with large:
                self.b.store(self._kept_array(type_), place)
        return self.b.load(place, typ=POINTER)

    def _kept_array(self, type_: ArrayType) -> Any:
        # its memory comes from arrays that are gone
        handler = self.object("chainrule.runtime.buffers")
        name = f"chainrule.numpy.{at.SET_ALLOCATOR}"
        before = self.external(name, POINTER, handler)
        self._need(before)
        array = self._ordinary_array(type_)
        ours = self.external(name, POINTER, before)
        for o in (before, ours):
            self.external("Py_DecRef", ir.VoidType(), o)
        return array

    def _ordinary_array(self, type_: ArrayType) -> Any:
        kind = ir.ArrayType(I64, len(type_.shape))
        key = tuple(I64(n).text for n in type_.shape)
        if key not in self._shapes:
            self._shapes[key] = f"shape_{len(self._shapes)}"
            shape = ir.GlobalVariable(self.module, kind, self._shapes[key])
            shape.linkage, shape.global_constant = "internal", True
            shape.initializer = kind(list(type_.shape))
        null, cls = ir.Constant(POINTER, None), self.object(f"chainrule.numpy.{at.ARRAY_TYPE}")
        given = (
            cls,
            I32(len(type_.shape)),
            self.module.globals[self._shapes[key]],
            I32(type_.dtype.num),
        )
        name = f"chainrule.numpy.{at.ARRAY_NEW}"
        return self.external(name, POINTER, *given, null, null, I32(0), I32(0), null)

    def _set(self, k: int, value: Any) -> None:
        self.b.store(value, self._items[k])

    def nest(self, nesting: tuple[Any, ...]) -> None:
        """Make the tuple that is answered, and those in it; numbers stand for the results."""
        self.tuple: Any = ir.Constant(POINTER, None)
        self._write_failure()
        self._items: dict[int, Any] = {}
        self.tuple = self._nested(nesting)

    def _nested(self, nesting: tuple[Any, ...], place: Any = None) -> Any:
        made = self.external("PyTuple_New", POINTER, I64(len(nesting)))
        self._need(made)
        if place is None:
            self.tuple = made  # from now on it owns what is put into it
        else:
            self.b.store(made, place)
        for k, item in enumerate(nesting):
            here = self.place(made, at.TUPLE_ITEMS + 8 * k)
            if type(item) is int:
                self._items[item] = here
            else:
                self._nested(item, here)
        return made

    def _need(self, value: Any) -> None:
        """Answer with Python's exception if a result could not be made."""
        following = self.function.append_basic_block("made")
        self._given_up.add_incoming(self.tuple, self.b.block)
        self.b.cbranch(self._is_null(value), self._failed, following, likely=False)
        self.b.position_at_end(following)

    def _fail(self) -> None:
        self._given_up.add_incoming(self.tuple, self.b.block)
        self.b.branch(self._failed)

    def _write_failure(self) -> None:
        """Write what gives up what has been made so far, for all that may fail."""
        before = self.b.block
        self._failed = self.function.append_basic_block("failed")
        self.b.position_at_end(self._failed)
        self._given_up = self.b.phi(POINTER)
        self.external("Py_DecRef", ir.VoidType(), self._given_up)
        self._leave()
        self.b.ret(ir.Constant(POINTER, None))
        self.b.position_at_end(before)

    def _scalar(self, type_: ArrayType, slot: Any) -> Any:
        if not type_.weak:
            name = f"chainrule.numpy.{at.ARRAY_SCALAR}"
            dtype = self.object(f"chainrule.dtype.{type_.dtype.str}")
            return self.external(name, POINTER, slot, dtype, ir.Constant(POINTER, None))
        if type_.dtype.kind == "c":
            parts = [self.field(slot, offset, F64) for offset in (0, 8)]
            return self.external("PyComplex_FromDoubles", POINTER, *parts)
        value = self.b.load(slot, typ=memory_type(type_.dtype))
        maker = "PyFloat_FromDouble" if type_.dtype.kind == "f" else "PyLong_FromLongLong"
        return self.external(maker, POINTER, value)

    # -- around the work ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Clear the processor's floating-point flags, and release the interpreter's lock."""
        self._flags_before = self._clear_flags()
        if self.releases:
            state = self.external("PyEval_SaveThread", POINTER)
            self.b.store(state, self.place(self._frame, at.THREAD))

    def stop_if(self, condition: Any) -> None:
        """Answer with Python's exception if the user interrupted the work."""
        with self.b.if_then(condition, likely=False):
            self._take_lock()
            self._fail()

    def _take_lock(self) -> None:
        if self.releases:
            state = self.field(self._frame, at.THREAD, POINTER)
            self.external("PyEval_RestoreThread", ir.VoidType(), state)

    def finish(self) -> None:
        """Answer the results, or what else there is to tell.

        That is a list of the results, the floating-point flags, the number of the equation that
        met an index out of bounds or 0, that index, and the length that it met.
        """
        self._take_lock()
        flags = self._read_flags()
        with self.b.if_then(self._is_set(at.STOPPED), likely=False):
            self._fail()  # the exception is set already
        for k, type_, slot in self.scalars:
            value = self._scalar(type_, slot)
            self._need(value)
            self._set(k, value)
        number = self.field(self._frame, at.ERROR, I64)
        told = self.b.or_(number, flags)
        with self.b.if_then(self.b.icmp_signed("!=", told, I64(0)), likely=False):
            self._tell(flags, number)
        self._leave()
        self.b.ret(self.tuple)
        self.b.position_at_end(self.refused)
        self._answer("_Py_NoneStruct")

    def _is_set(self, offset: int) -> Any:
        return self.b.icmp_signed("!=", self.field(self._frame, offset, I64), I64(0))

    def _tell(self, flags: Any, number: Any) -> None:
        words = [number, *(self.field(self._frame, word, I64) for word in (at.INDEX, at.LENGTH))]
        told = self.external("PyList_New", POINTER, I64(5))
        self._need(told)
        for k, word in enumerate([flags, *words]):
            value = self.external("PyLong_FromLongLong", POINTER, word)
            self.external("PyList_SetItem", I32, told, I64(k + 1), value)
        self.external("PyList_SetItem", I32, told, I64(0), self.tuple)
        self._leave()
        self.b.ret(told)

    def _answer(self, symbol: str) -> None:
        result = self.object(symbol)
        self.external("Py_IncRef", ir.VoidType(), result)
        self.b.ret(result)

    # -- floating-point flags ----------------------------------------------------------------------

    def _control(self, name: str, slot: Any) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER])
        function = self.module.globals.get(name) or ir.Function(self.module, kind, name)
        self.b.call(function, [slot])

    def _clear_flags(self) -> Any:
        if platform.machine() not in ("x86_64", "AMD64"):
            return None
        with self.b.goto_entry_block():
            slot = self.b.alloca(I32)
        self._control("llvm.x86.sse.stmxcsr", slot)
        before = self.b.load(slot, typ=I32)
        some = self.b.and_(before, I32(X86_FLAGS))
        with self.b.if_then(self.b.icmp_signed("!=", some, I32(0)), likely=False):
            self.b.store(self.b.and_(before, I32(~X86_FLAGS)), slot)
            self._control("llvm.x86.sse.ldmxcsr", slot)
        return slot

    def _read_flags(self) -> Any:
        """Return which of division by zero, overflow and invalid values the work met."""
        events = self.field(self._frame, at.EVENTS, I64)
        if self._flags_before is None:
            return events
        slot = self._flags_before
        self._control("llvm.x86.sse.stmxcsr", slot)
        flags = self.b.and_(self.b.load(slot, typ=I32), I32(X86_FLAGS))
        return self.b.or_(events, self.b.zext(flags, I64))
