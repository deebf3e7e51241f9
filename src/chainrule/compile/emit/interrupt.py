"""Ctrl-C during long native work: looking, now and then, whether a signal has come.

Python's handlers run only on its main thread and with its lock. So once in a tenth of a second the
lock is taken back for a moment. If a handler raises, the work ends as soon as it can, and the call
with it.
"""

from __future__ import annotations

from typing import Any

from .. import ir
from ..runtime.layout import STOPPED, THREAD
from .scalar import I1, I8, I64

POINTER = ir.PointerType()
I32 = ir.IntType(32)
PAUSE = 1 << 28  # of the processor's clock between looks
WORTH = 10_000_000.0  # ns of work that may be interrupted
EVERY = 1_000_000.0  # ns of work between looks at the clock


def period(time: float) -> int:
    """Return after how many steps of some nanoseconds to look at the clock; a power of two."""
    return 1 << max(0, int(EVERY / max(time, 1.0)).bit_length() - 1)


def stopped(b: ir.IRBuilder, frame: Any, count: Any, every: int) -> Any:
    """Write a look after each ``every`` steps; return whether the work is to end."""
    return b.call(_look(b.module), [frame, b.and_(count, I64(every - 1))])


def stopped_together(b: ir.IRBuilder, frame: Any, count: Any, every: int, owner: Any) -> Any:
    """Write the same for one of several threads: only the ``owner`` of the call may ask Python."""
    return b.call(_look_together(b.module), [frame, b.and_(count, I64(every - 1)), owner])


def this_thread(b: ir.IRBuilder) -> Any:
    """Return a number that tells threads apart."""
    name = "pthread_self"
    found = b.module.globals.get(name)
    return b.call(found or ir.Function(b.module, ir.FunctionType(I64, []), name), [])


def _look_together(module: ir.Module) -> ir.Function:
    name = "look_together"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(I1, [POINTER, I64, I64]), name)
    function.linkage = "internal"
    frame, rest, owner = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    with b.if_then(b.icmp_signed("!=", rest, I64(0)), likely=True):
        b.ret(I1(0))
    with b.if_then(b.icmp_signed("==", this_thread(b), owner)):
        b.ret(stopped(b, frame, I64(0), 1))
    word = b.gep(frame, [I64(STOPPED)], source_etype=I8)
    b.ret(b.icmp_signed("!=", b.load_atomic(word, "monotonic", 8, typ=I64), I64(0)))
    return function


def _look(module: ir.Module) -> ir.Function:
    name = "look"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(I1, [POINTER, I64]), name)
    function.linkage = "internal"
    function.attributes.add("alwaysinline")
    frame, rest = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    with b.if_then(b.icmp_signed("!=", rest, I64(0)), likely=True):
        b.ret(I1(0))
    b.ret(b.call(_poll(module), [frame]))
    return function


def _poll(module: ir.Module) -> ir.Function:
    """Write the function that lets Python handle signals, if it's time for that."""
    function = ir.Function(module, ir.FunctionType(I1, [POINTER]), "poll")
    function.linkage = "internal"
    function.attributes.add("noinline")
    (frame,) = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))

    def word(offset: int) -> Any:
        return b.gep(frame, [I64(offset)], source_etype=I8)

    def external(name: str, result: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        found = module.globals.get(name) or ir.Function(module, kind, name)
        return b.call(found, arguments)

    before = b.load(word(STOPPED), typ=I64)
    with b.if_then(b.icmp_signed("!=", before, I64(0)), likely=False):
        b.ret(I1(1))
    last = ir.GlobalVariable(module, I64, "last_look")
    last.linkage, last.initializer = "internal", I64(0)
    clock = module.declare_intrinsic("llvm.readcyclecounter", (), ir.FunctionType(I64, []))
    now = b.call(clock, [])
    early = b.icmp_unsigned("<", b.sub(now, b.load(last)), I64(PAUSE))
    with b.if_then(early, likely=True):
        b.ret(I1(0))
    b.store(now, last)
    thread = b.load(word(THREAD), typ=POINTER)
    released = b.icmp_unsigned("!=", thread, ir.Constant(POINTER, None))
    with b.if_then(released):
        external("PyEval_RestoreThread", ir.VoidType(), thread)
    failed = b.icmp_signed("<", external("PyErr_CheckSignals", I32), I32(0))
    b.store(b.zext(failed, I64), word(STOPPED))
    with b.if_then(released):
        b.store(external("PyEval_SaveThread", POINTER), word(THREAD))
    b.ret(failed)
    return function
