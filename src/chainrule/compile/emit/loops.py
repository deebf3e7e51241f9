"""Loops and branches as LLVM functions, around calls of the functions of their bodies' nests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...program.equation import Var
from .. import ir
from ..plan.control import Block, BranchPlan, Carry, LoopPlan, inside
from ..plan.cost import estimated_time
from ..plan.loop_rows import rows_of_loop
from ..plan.schedule import Group, Schedule, UnsupportedError
from ..plan.strips import StripPlan
from ..runtime.layout import ERROR
from .circular import CircularNest, is_circular
from .codegen import POINTER, Buffers, Nest
from .interrupt import WORTH, period, stopped
from .parallel import ParallelNest, is_shared
from .scalar import I8, I64, memory_type
from .shared import SharedContraction, shared_cut
from .shared_strips import SharedStripNest
from .stripped import StripNest


def writer_of(module: ir.Module, name: str, group: Group, plan: Schedule, buffers: Buffers) -> Any:
    """Return what writes the function of a group."""
    if group.inner is None:
        if is_shared(group, plan):
            return ParallelNest(module, name, group, plan, buffers)
        if shared_cut(group) is not None:
            return SharedContraction(module, name, group, plan, buffers)
        if is_circular(group, plan):
            return CircularNest(module, name, group, plan, buffers)
        return Nest(module, name, group, plan, buffers)
    if isinstance(group.inner, StripPlan):
        strips = SharedStripNest if group.inner.chunks > 1 else StripNest
        return strips(module, name, group, plan, buffers)
    if isinstance(group.inner, BranchPlan):
        return BranchWriter(module, name, group, buffers)
    rows = rows_of_loop(group.inner)
    if rows is not None:
        from .shared_loops import SharedLoop

        return SharedLoop(module, name, group, buffers, rows)
    return LoopWriter(module, name, group, buffers)


class ControlWriter:
    """What loops and branches have in common: blocks, and where their values are."""

    is_small = False
    extra_types: tuple[Any, ...] = ()  # of what the function takes behind the frame

    def __init__(self, module: ir.Module, name: str, group: Group, buffers: Buffers) -> None:
        self.group = group
        self.buffers = buffers
        self.nests: dict[int, list[Any]] = {
            i: [
                self.writer_of(module, f"{name}.{i}.{k}", inner, block.plan)
                for k, inner in enumerate(block.plan.groups)
            ]
            for i, block in enumerate(group.inner.blocks)
        }
        self.slots = self._outer_slots()
        given = [POINTER] * (len(self.slots) + 1)
        kind = ir.FunctionType(ir.VoidType(), [*given, *self.extra_types])
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        *arguments, self.frame = self.function.args[: len(given)]
        for argument in (*arguments, self.frame):
            argument.add_attribute("noalias")
        self.pointer: dict[Any, Any] = dict(zip(self.slots, arguments, strict=True))
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        for block in group.inner.blocks:
            for var in block.made:
                if not block.is_large(var):
                    self.pointer[var] = self.stack(var)

    def writer_of(self, module: ir.Module, name: str, group: Group, plan: Schedule) -> Any:
        """Return what writes the function of a group of a block."""
        return writer_of(module, name, group, plan, self.buffers)

    def _outer_slots(self) -> list[Any]:
        """Return what the function is handed: all that it reads or writes and does not make."""
        plan = self.group.inner
        own = {v for block in plan.blocks for v in (*block.inputs, *block.made)}
        found: dict[Any, None] = dict.fromkeys(self.group.roots[0].outs)
        operands = [*self.operands(), *(o for block in plan.blocks for o in block.outputs)]
        found.update((self.slot(o), None) for o in operands)
        for nests in self.nests.values():
            found.update((slot, None) for nest in nests for slot in nest.slots)
        found.update((var, None) for var in plan.workspaces)
        return [slot for slot in found if slot not in own or slot in plan.workspaces]

    def operands(self) -> Iterable[Any]:
        """Return the operands that the control itself reads."""
        raise NotImplementedError

    def slot(self, o: Any) -> Any:
        return self.buffers.slot(o)

    def stack(self, var: Var) -> Any:
        """Return memory on the stack for a small value."""
        size = max(var.type.size, 1)
        kind = memory_type(var.type.dtype)
        with self.b.goto_entry_block():
            place = self.b.alloca(kind if size == 1 else ir.ArrayType(kind, size))
        place.align = 64 if size > 1 else var.type.dtype.itemsize
        return place

    def copy(self, target: Any, source: Any, var: Var) -> None:
        """Copy a whole value."""
        if target is source or not var.type.size:
            return
        if var.type.size == 1:
            kind = memory_type(var.type.dtype)
            self.b.store(self.b.load(source, typ=kind), target)
            return
        size = I64(var.type.size * var.type.dtype.itemsize)
        move = self._intrinsic("llvm.memmove.p0.p0.i64")
        self.b.call(move, [target, source, size, ir.IntType(1)(0)])

    def _intrinsic(self, name: str) -> ir.Function:
        module = self.b.module
        if name not in module.globals:
            arguments = [POINTER, POINTER, I64, ir.IntType(1)]
            ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
        return module.globals[name]

    def row(self, base: Any, t: Any, var: Var) -> Any:
        """Return where row ``t`` of an array of such values begins."""
        size = var.type.size * var.type.dtype.itemsize
        return self.b.gep(base, [self.b.mul(t, I64(size), flags=["nsw"])], source_etype=I8)

    def at(self, o: Any) -> Any:
        return self.pointer[self.slot(o)]

    def run(self, i: int) -> None:
        """Write what a block does."""
        for nest in self.nests[i]:
            self.b.call(nest.function, [*(self.pointer[slot] for slot in nest.slots), self.frame])

    def write(self) -> ir.Function:
        """Write the whole function."""
        for nests in self.nests.values():
            for nest in nests:
                self._write_nest(nest)
        self.write_control()
        self.b.ret_void()
        return self.function

    def _write_nest(self, nest: Any) -> None:
        try:
            nest.write()
        except UnsupportedError as unsupported:
            raise inside(self.group.roots[0], unsupported) from None
        if nest.is_small:
            nest.function.attributes.discard("noinline")
            nest.function.attributes.add("alwaysinline")

    def write_control(self) -> None:
        """Write what surrounds the blocks."""
        raise NotImplementedError


class LoopWriter(ControlWriter):
    """Writes a scan or a while loop."""

    @property
    def plan(self) -> LoopPlan:
        plan: LoopPlan = self.group.inner
        return plan

    def operands(self) -> Iterable[Any]:
        return [*(c.initial for c in self.plan.carries), *(a for a, _, _ in self.plan.arrays)]

    def write_control(self) -> None:
        self.phis: dict[int, Any] = {}
        self.cells = [self._start(k, c) for k, c in enumerate(self.plan.carries)]
        if self.plan.test is not None:
            self._write_while()
        elif self.plan.steps:
            self._write_scan()
        else:
            for carry in self.plan.carries:
                self.copy(self.pointer[carry.out], self.at(carry.initial), carry.var)

    # -- carries ---------------------------------------------------------------------------------

    def _start(self, k: int, carry: Carry) -> Any:
        """Return where a carried value is before the first step."""
        initial = self.at(carry.initial)
        place = initial
        if carry.kind == "stack":
            place = self.stack(carry.var)
        elif carry.kind == "in place":
            place = self.pointer[carry.out]
        elif carry.kind == "tape" and self.plan.steps:
            first = I64(self.plan.steps - 1 if self.plan.reverse else 0)
            place = self.row(self.pointer[self.plan.stacked[carry.row]], first, carry.var)
        self.copy(place, initial, carry.var)
        return place

    def _is_moving(self, carry: Carry) -> bool:
        return carry.kind in ("moving", "rows", "tape")

    def _enter(self, before: Any) -> None:
        """Begin a step: where the carried values are now."""
        for k, carry in enumerate(self.plan.carries):
            place = self.cells[k]
            if self._is_moving(carry):
                place = self.phis[k] = self.b.phi(POINTER, "state")
                place.add_incoming(self.cells[k], before)
            self.pointer[carry.var] = place
        if self.plan.test is not None:
            for var, carry in zip(self.plan.test.inputs, self.plan.carries, strict=True):
                self.pointer[var] = self.pointer[carry.var]

    def _leave(self, homes: list[Any]) -> None:
        """End a step: bring the new values to where the next step finds them."""
        plan = self.plan
        for carry, home in zip(plan.carries, homes, strict=True):
            if not plan.lands(carry) and carry.kind not in ("in place", "stack"):
                self.copy(home, self.at(carry.after), carry.var)
        small = [c for c in plan.carries if c.kind == "stack" and c.after is not c.var]
        values = [self._taken(c, small) for c in small]
        for carry, value in zip(small, values, strict=True):
            self.copy(self.pointer[carry.var], value, carry.var)

    def _taken(self, carry: Carry, others: list[Carry]) -> Any:
        """Return where a new value is; in a place of its own if it is carried elsewhere now."""
        place = self.at(carry.after)
        if not any(carry.after is c.var for c in others):
            return place
        aside = self.stack(carry.var)
        self.copy(aside, place, carry.var)
        return aside

    # -- scan ------------------------------------------------------------------------------------

    def _write_scan(self) -> None:
        plan, b = self.plan, self.b
        before = b.block
        head, after = b.append_basic_block("scan"), b.append_basic_block("done")
        b.branch(head)
        b.position_at_end(head)
        t = b.phi(I64, "t")
        t.add_incoming(I64(0), before)
        self._enter(before)
        place = b.sub(I64(plan.steps - 1), t) if plan.reverse else t
        rows = plan.block.inputs[len(plan.carries) :]
        for (array, first, step), var in zip(plan.arrays, rows, strict=True):
            at = place if step == 1 else b.mul(place, I64(step), flags=["nsw"])
            at = b.add(at, I64(first), flags=["nsw"]) if first else at
            self.pointer[var] = self.row(self.at(array), at, var)
        homes = [self._home(k, c, t, place) for k, c in enumerate(plan.carries)]
        targets = self._targets(place)
        before_run = [id(v) for v in plan.block.inputs]
        for value, target, like in targets:
            if id(value) in before_run:
                self.copy(target, self.at(value), like)
        self.run(0)
        for value, target, like in targets:
            if id(value) not in before_run:
                self.copy(target, self.at(value), like)
        self._leave(homes)
        following = b.add(t, I64(1), flags=["nsw", "nuw"])
        more = b.icmp_signed("<", following, I64(plan.steps))
        time = estimated_time(plan.block.plan)
        if time * plan.steps > WORTH:
            more = b.and_(more, b.not_(self.stopped(following, period(time))))
        t.add_incoming(following, b.block)
        for k, phi in self.phis.items():
            phi.add_incoming(homes[k], b.block)
        b.cbranch(more, head, after)
        b.position_at_end(after)
        for k, carry in enumerate(plan.carries):
            if carry.kind in ("stack", "rows"):
                last = self.pointer[carry.var] if carry.kind == "stack" else homes[k]
                self.copy(self.pointer[carry.out], last, carry.var)

    def stopped(self, count: Any, every: int) -> Any:
        """Write a look for an interrupt after so many steps; return whether to end."""
        return stopped(self.b, self.frame, count, every)

    def _targets(self, place: Any) -> list[tuple[Any, Any, Var]]:
        """Return what is to be copied into rows of the stacked results, where to, and its type."""
        plan = self.plan
        found = []
        values = plan.block.outputs[len(plan.carries) :]
        tapes = {c.row for c in plan.carries if c.kind == "tape"}
        for j, (value, out) in enumerate(zip(values, plan.stacked, strict=True)):
            like = Var(-1, None, out.type._replace(shape=out.type.shape[1:]))
            row = self.row(self.pointer[out], place, like)
            if type(value) is Var and plan.homes.get(value) == j:
                self.pointer[value] = row
            elif j not in tapes:
                found.append((value, row, like))
        return found

    def _home(self, k: int, carry: Carry, t: Any, place: Any) -> Any:
        """Return where a step puts a new value, and let the body compute it there."""
        plan, b = self.plan, self.b
        out = self.pointer[carry.out]
        if carry.kind in ("stack", "in place"):
            return self._stay(carry)
        if carry.kind == "rows":
            home = self.row(self.pointer[plan.stacked[carry.row]], place, carry.var)
        elif carry.kind == "tape":
            step = b.sub(place, I64(1)) if plan.reverse else b.add(place, I64(1))
            following = self.row(self.pointer[plan.stacked[carry.row]], step, carry.var)
            home = b.select(b.icmp_signed("==", t, I64(plan.steps - 1)), out, following)
        else:  # such that the last one ends in the result
            odd = b.trunc(b.sub(I64(plan.steps - 1), t), ir.IntType(1))
            home = b.select(odd, self.pointer[carry.spare], out)
        if plan.lands(carry):
            self.pointer[carry.after] = home
        return home

    def _stay(self, carry: Carry) -> Any:
        if carry.kind == "in place" and self.plan.lands(carry):
            value = carry.after
            over = {out: old for g in self.plan.block.plan.groups for out, old in g.reuse.items()}
            while value is not carry.var:
                self.pointer[value] = self.pointer[carry.var]
                value = over[value]
        return self.pointer[carry.var]

    # -- while -----------------------------------------------------------------------------------

    def _write_while(self) -> None:
        plan, b = self.plan, self.b
        assert plan.test is not None
        before = b.block
        head, body = b.append_basic_block("while"), b.append_basic_block("body")
        after = b.append_basic_block("done")
        b.branch(head)
        b.position_at_end(head)
        t = b.phi(I64, "t")
        t.add_incoming(I64(0), before)
        self._enter(before)
        odd = b.trunc(t, ir.IntType(1))
        self.run(1)
        more = b.load(self.at(plan.test.outputs[0]), typ=I8)
        b.cbranch(b.icmp_unsigned("!=", more, I8(0)), body, after)
        b.position_at_end(body)
        homes = [self._alternate(carry, odd) for carry in plan.carries]
        self.run(0)
        self._leave(homes)
        following = b.add(t, I64(1))
        every = period(estimated_time(plan.block.plan) + estimated_time(plan.test.plan))
        end = b.or_(stopped(b, self.frame, following, every), self._failed())
        t.add_incoming(following, b.block)
        for k, phi in self.phis.items():
            phi.add_incoming(homes[k], b.block)
        b.cbranch(end, after, head)
        b.position_at_end(after)
        for carry in plan.carries:
            self.copy(self.pointer[carry.out], self.pointer[carry.var], carry.var)

    def _failed(self) -> Any:
        """Tell whether there was an error: what the test says after one has no meaning."""
        place = self.b.gep(self.frame, [I64(ERROR)], source_etype=I8)
        return self.b.icmp_signed("!=", self.b.load(place, typ=I64), I64(0))

    def _alternate(self, carry: Carry, odd: Any) -> Any:
        if carry.kind != "moving":
            return self._stay(carry)
        home = self.b.select(odd, self.pointer[carry.spare], self.pointer[carry.out])
        if self.plan.lands(carry):
            self.pointer[carry.after] = home
        return home


class BranchWriter(ControlWriter):
    """Writes a choice."""

    def operands(self) -> Iterable[Any]:
        plan: BranchPlan = self.group.inner
        return [plan.predicate, *(o for o in plan.given)]

    def write_control(self) -> None:
        plan: BranchPlan = self.group.inner
        b = self.b
        decision = b.load(self.at(plan.predicate), typ=I8)
        with b.if_else(b.icmp_unsigned("!=", decision, I8(0))) as (yes, no):
            with yes:
                self._branch(0, plan.blocks[0])
            with no:
                self._branch(1, plan.blocks[1])

    def _branch(self, i: int, block: Block) -> None:
        plan: BranchPlan = self.group.inner
        for var, o in zip(block.inputs, plan.given, strict=True):
            self.pointer[var] = self.at(o)
        landed = set()
        for value, out in zip(block.outputs, plan.outs, strict=True):
            if block.is_large(value) and value not in landed:
                self.pointer[value] = self.pointer[out]
                landed.add(value)
        self.run(i)
        for value, out in zip(block.outputs, plan.outs, strict=True):
            if self.at(value) is not self.pointer[out]:
                self.copy(self.pointer[out], self.at(value), out)
