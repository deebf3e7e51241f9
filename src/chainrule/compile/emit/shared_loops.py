"""Loops that several threads share: each takes some rows from the first step to the last."""

from __future__ import annotations

from typing import Any

from ...program.arraytype import ArrayType
from ...program.equation import Var
from .. import ir
from ..contraction.intrinsics import intrinsic
from ..plan.control import Carry
from ..plan.loop_rows import LoopRows
from ..plan.schedule import Group, Schedule
from .codegen import POINTER, Buffers, Nest
from .interrupt import stopped_together, this_thread
from .loops import LoopWriter
from .parallel import begin_entry, handed, pool
from .scalar import I1, I8, I64, register_type
from .stripped import part_of


class _Chunk(LoopWriter):
    """Writes the loop for some rows.

    The function takes, after the frame, the number of the chunk and the thread that was called.
    """

    extra_types = (I64, I64)

    def __init__(
        self, module: ir.Module, name: str, group: Group, buffers: Buffers, rows: LoopRows
    ) -> None:
        self.rows = rows
        self.by_rows: set[int] = set()
        self.spare: dict[Var, Var] = {}
        super().__init__(module, name, group, buffers)
        b = self.b
        self.number, self.owner = self.function.args[-2:]
        self.first = b.mul(self.number, I64(rows.length))
        end = b.add(self.first, I64(rows.length))
        self.last = b.select(b.icmp_signed("<", end, I64(rows.rows)), end, I64(rows.rows))
        self.is_first = b.icmp_signed("==", self.number, I64(0))
        before = b.select(self.is_first, I64(0), b.sub(self.number, I64(1)))
        for var, spare in self.spare.items():
            own = self.row(self.pointer[spare], before, var)
            self.pointer[var] = b.select(self.is_first, self.pointer[var], own)

    @property
    def sums(self) -> list[Var]:
        """The results of the loop to which every chunk contributes."""
        return [c.out for c in self.plan.carries if c.var in self.rows.partial]

    def _outer_slots(self) -> list[Any]:
        found = super()._outer_slots()
        own = [v for v in found if type(v) is Var and v in self.rows.partial]
        for var in dict.fromkeys([*own, *self.sums]):
            shape = (self.rows.chunks - 1, *var.type.shape)
            self.spare[var] = Var(-1, None, ArrayType(shape, var.type.dtype))
        return [*found, *self.spare.values()]

    def writer_of(self, module: ir.Module, name: str, group: Group, plan: Schedule) -> Any:
        """Return what writes the function of a group: for some rows, or for sums over them."""
        if not any(group is g for g in self.rows.groups):
            return Nest(module, name, group, plan, self.buffers)
        part = part_of(self.rows, module, name, group, plan, self.buffers)
        self.by_rows.add(id(part))
        return part

    def run(self, i: int) -> None:
        """Write what a step does."""
        for nest in self.nests[i]:
            given = [*(self.pointer[slot] for slot in nest.slots), self.frame]
            if id(nest) in self.by_rows:
                each = nest.group.domain[0] // self.rows.rows if nest.group.flat else 1
                span = (self.b.mul(x, I64(each), flags=["nsw"]) for x in (self.first, self.last))
                given += [*span, ir.Constant(POINTER, None)]
            self.b.call(nest.function, given)

    def copy(self, target: Any, source: Any, var: Var) -> None:
        """Copy the rows of a value, or a whole sum."""
        if var in self.rows.partial:
            super().copy(target, source, var)
        elif target is not source and var.type.size:
            size = var.type.size // self.rows.rows * var.type.dtype.itemsize
            b = self.b
            start = b.mul(self.first, I64(size), flags=["nsw"])
            count = b.mul(b.sub(self.last, self.first), I64(size), flags=["nsw"])
            places = [b.gep(p, [start], source_etype=I8) for p in (target, source)]
            b.call(self._intrinsic("llvm.memmove.p0.p0.i64"), [*places, count, I1(0)])

    def _start(self, k: int, carry: Carry) -> Any:
        """Let a sum begin with its first value in the first chunk, and with zero in the others."""
        place = super()._start(k, carry)
        if carry.var in self.rows.partial:
            kinds = [POINTER, I8, I64, I1]
            clear = intrinsic(self.b.module, "llvm.memset.p0.i64", ir.VoidType(), kinds)
            size = I64(carry.var.type.size * carry.var.type.dtype.itemsize)
            with self.b.if_then(self.b.not_(self.is_first)):
                self.b.call(clear, [place, I8(0), size, I1(0)])
        return place

    def stopped(self, count: Any, every: int) -> Any:
        """Write a look for an interrupt; return whether to end."""
        return stopped_together(self.b, self.frame, count, every, self.owner)


class SharedLoop:
    """Writes a loop that is handed to the pool of threads in chunks of rows."""

    is_small = False

    def __init__(
        self, module: ir.Module, name: str, group: Group, buffers: Buffers, rows: LoopRows
    ) -> None:
        self.module = module
        self.group = group
        self.rows = rows
        self.chunk = _Chunk(module, f"{name}.rows", group, buffers, rows)
        self.slots = self.chunk.slots
        kind = ir.FunctionType(ir.VoidType(), [POINTER] * (len(self.slots) + 1))
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        for argument in self.function.args:
            argument.add_attribute("noalias")

    def write(self) -> ir.Function:
        """Write the function, that of a chunk, and what calls that one."""
        self.chunk.write()
        entry = self._write_entry()
        b = ir.IRBuilder(self.function.append_basic_block("entry"))
        owner = b.alloca(I64)
        b.store(this_thread(b), owner)
        given = handed(b, [*self.function.args, owner])
        b.call(pool(self.module), [entry, given, I64(self.rows.chunks)])
        pointer = dict(zip(self.slots, self.function.args, strict=False))
        for out in self.chunk.sums:
            _add(b, pointer[out], pointer[self.chunk.spare[out]], out, self.rows.chunks)
        b.ret_void()
        return self.function

    def _write_entry(self) -> ir.Function:
        count = len(self.slots) + 2
        function, b, number, (*pointers, place) = begin_entry(self.function, count)
        owner = b.load(place, typ=I64)
        b.call(self.chunk.function, [*pointers, number, owner])
        b.ret_void()
        return function


def _add(b: ir.IRBuilder, out: Any, parts: Any, var: Var, count: int) -> None:
    """Write a loop that adds the other chunks' sums to that of the first one, in order."""
    size, kind = var.type.size, register_type(var.type.dtype)
    before = b.block
    head, after = b.append_basic_block("add"), b.append_basic_block("added")
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(I64)
    i.add_incoming(I64(0), before)
    place = b.gep(out, [i], source_etype=kind)
    total = b.load(place, typ=kind)
    for k in range(count - 1):
        at = b.add(i, I64(k * size), flags=["nsw"])
        total = b.fadd(total, b.load(b.gep(parts, [at], source_etype=kind), typ=kind))
    b.store(total, place)
    following = b.add(i, I64(1), flags=["nsw"])
    i.add_incoming(following, head)
    b.cbranch(b.icmp_signed("<", following, I64(size)), head, after)
    b.position_at_end(after)
