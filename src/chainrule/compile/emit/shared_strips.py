"""Strips of rows that several threads share.

A chunk is a run of strips, always the same ones. What is local to a strip has as many places as
there are chunks, but a chunk takes the first free one: so a single thread, which has one chunk at a
time, finds the same memory in its cache all the time. Sums over rows have a place
per chunk, and are added in order.
"""

from __future__ import annotations

from typing import Any

from ...program.arraytype import ArrayType
from ...program.equation import Var
from .. import ir
from ..plan.schedule import Group, Schedule
from ..plan.strips import StripPlan
from .codegen import POINTER, Buffers
from .parallel import add_chunks, begin_entry, bounds_of_chunk, handed, pool
from .scalar import I8, I64
from .stripped import StripNest


def _spares(strip: StripPlan) -> list[Var]:
    """Return memory for the sums of all chunks but the first."""
    return [
        Var(-1, None, ArrayType((strip.chunks - 1, *out.type.shape), out.type.dtype))
        for out in strip.added
    ]


class _Chunk(StripNest):
    """Writes the strips of one chunk.

    The function takes, after the frame, its first row and the one behind its last, which of the
    places for local values is its own, and where the strips' parts of reductions go.
    """

    def write(self) -> ir.Function:
        strip, b = self.strip, self.b
        first, last, place, room = self.extra
        for var in strip.local:
            if var in self.pointer:
                size = var.type.size // strip.rows * strip.length * var.type.dtype.itemsize
                self.pointer[var] = self._behind(self.pointer[var], place, size)
        number = b.sdiv(first, I64(strip.chunk))
        is_first = b.icmp_signed("==", number, I64(0))
        before = b.select(is_first, I64(0), b.sub(number, I64(1)))
        summed = strip.added
        for out, spare in zip(summed, self.slots[len(self.slots) - len(summed) :], strict=True):
            size = out.type.size * out.type.dtype.itemsize
            own = self._behind(self.pointer[spare], before, size)
            self.pointer[out] = b.select(is_first, self.pointer[out], own)
        self.write_strips(first, last, room)
        b.ret_void()
        return self.function

    def _behind(self, pointer: Any, count: Any, size: int) -> Any:
        distance = self.b.mul(count, I64(size), flags=["nsw"])
        return self.b.gep(pointer, [distance], source_etype=I8)


class SharedStripNest(StripNest):
    """Writes strips that are handed to the pool of threads in chunks."""

    def __init__(
        self, module: ir.Module, name: str, group: Group, plan: Schedule, buffers: Buffers
    ) -> None:
        spares = _spares(group.inner)
        super().__init__(module, f"{name}.all", group, plan, buffers, spare=spares)
        self.module = module
        extra = (I64, I64, I64, POINTER)
        given = (module, name, group, plan, buffers)
        self.chunk = _Chunk(*given, extra=extra, spare=spares)

    def parts_in(self, module: ir.Module, name: str) -> list[Any]:
        """Return nothing: the chunk has them."""
        return []

    def write(self) -> ir.Function:
        """Write the function, that of a chunk, and what calls that one."""
        self.chunk.write()
        entry = self._write_entry()
        b = self.b
        room = self.room()
        taken = b.alloca(I64)
        b.store(I64(0), taken)
        pointers = [self.pointer[slot] for slot in self.slots]
        self.copy_panels()
        given = handed(b, [*pointers, self.frame, room, taken])
        b.call(pool(self.module), [entry, given, I64(self.strip.chunks)])
        self.combine(room)
        self._add()
        b.ret_void()
        return self.function

    def _add(self) -> None:
        """Add what the chunks have summed up, in order."""
        summed = self.strip.added
        for out, spare in zip(summed, self.slots[len(self.slots) - len(summed) :], strict=True):
            add_chunks(self, out, spare, self.strip.chunks)

    def _write_entry(self) -> ir.Function:
        """Write what calls the chunk's function, with a place for local values."""
        count = len(self.slots) + 3
        function, b, chunk, (*pointers, room, taken) = begin_entry(self.function, count)
        begin, end = bounds_of_chunk(b, chunk, self.strip.chunk, self.strip.rows)
        place, bit = _take(b, taken)
        b.call(self.chunk.function, [*pointers, begin, end, place, room])
        b.atomic_rmw("and", taken, b.not_(bit), "seq_cst")
        b.ret_void()
        return function


def _take(b: ir.IRBuilder, taken: Any) -> tuple[Any, Any]:
    """Write the search for the first place that nobody has; there are as many as chunks."""
    again, done = b.append_basic_block("again"), b.append_basic_block("taken")
    b.branch(again)
    b.position_at_end(again)
    kind = ir.FunctionType(I64, [I64, ir.IntType(1)])
    count = b.module.declare_intrinsic("llvm.cttz", (I64,), kind)
    free = b.not_(b.load_atomic(taken, "monotonic", 8, typ=I64))
    place = b.call(count, [free, ir.IntType(1)(0)])
    bit = b.shl(I64(1), place)
    old = b.atomic_rmw("or", taken, bit, "seq_cst")
    lost = b.icmp_signed("!=", b.and_(old, bit), I64(0))
    b.cbranch(lost, again, done)
    b.position_at_end(done)
    return place, bit
