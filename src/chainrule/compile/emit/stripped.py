"""The code of loop nests that are run in strips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...program.equation import Var
from .. import ir
from ..contraction.intrinsics import intrinsic
from ..contraction.kernel import spec_from
from ..contraction.writing import scratch_size, write_panels, write_part, write_rows
from ..plan.loop_rows import LoopRows
from ..plan.schedule import Group, Schedule
from ..plan.strips import StripPlan
from .accumulate import Accumulator
from .blocks import source_index
from .circular import CircularNest, is_circular
from .codegen import Buffers, Nest
from .parallel import Part, whole_reductions
from .scalar import I1, I8, I64, convert, register_type


class RowPart(Part):
    """Writes an operation on some rows: of a contraction, or of a sum of scattered elements."""

    def __init__(self, strip: StripPlan | LoopRows, *given: Any) -> None:
        self.strip = strip
        super().__init__(*given)

    def scratch_size(self, root: Any) -> int:
        return rows_scratch(self.strip, root)

    def _rooms(self) -> list[Any]:
        return [*super()._rooms(), *self._needed_soon()]

    def _needed_soon(self) -> list[Any]:
        """Return the arrays of which others need the rows that a product over panels makes."""
        strip = self.strip
        out = self.group.roots[0].out
        if out not in strip.cuts or not strip.cuts[out].paneled:
            return []
        found: dict[Any, None] = {}
        for group in strip.groups:
            found.update(dict.fromkeys((*group.reads(self.plan), *(r.out for r in group.roots))))
        alike = (
            v for v in found if v.type.size == out.type.size and v.type.dtype == out.type.dtype
        )
        return [v for v in alike if v is not out and v not in strip.local]

    def write(self) -> ir.Function:
        (root,) = self.group.roots
        if root.primitive.name == "contraction":
            self._contract(root)
        else:
            self._scatter(root)
        self.b.ret_void()
        return self.function

    def _contract(self, root: Any) -> None:
        rows = self.strip.cuts[root.out]
        begin = self.b.mul(self.extra[0], I64(rows.each))
        spec = spec_from(root)
        strides = (spec.out, spec.left.strides, spec.right.strides)
        slots = (root.out, *(self.buffers.slot(o.base) for o in (spec.left, spec.right)))
        kind = register_type(root.out.type.dtype)
        bases = [
            self.b.gep(
                self.pointer[slot], [self.b.mul(begin, I64(own[rows.label]))], source_etype=kind
            )
            for slot, own in zip(slots, strides, strict=True)
        ]
        part = rows.part(spec, self.strip.length)
        number = self.b.sdiv(self.extra[0], I64(self.strip.chunk))
        size = scratch_size(part, root.out.type.dtype)
        room: Any = self.pointer[self.buffers.room(root)] if rows.paneled or size else None
        if rows.paneled:
            moved = self.b.mul(begin, I64(spec.out[rows.label]))
            ahead = [
                self.b.gep(self.pointer[var], [moved], source_etype=kind)
                for var in self._needed_soon()
            ]
            write_rows(self, root, part, bases, room, number, ahead)
            return
        if size:
            room = self.b.gep(room, [self.b.mul(number, I64(size))], source_etype=kind)
        write_part(self, root, part, bases, rows.accumulates, room)

    def _scatter(self, root: Any) -> None:
        values, *parts = root.operands
        out, shape = root.out, root.out.type.shape
        dtype, spec = out.type.dtype, root.params["spec"]
        row = out.type.size // self.strip.rows * dtype.itemsize
        begin, end = self.extra[0], self.extra[1]
        start = self.b.gep(self.pointer[out], [self.b.mul(begin, I64(row))], source_etype=I8)
        _clear(self.b, start, self.b.mul(self.b.sub(end, begin), I64(row)))
        given = self.buffers.shape_of(values)
        assert len(given) == 1
        with self.loop(end, begin) as i:
            self.memo.clear()
            x = convert(self.b, self.value(values, (i,)), self.buffers.dtype_of(values), dtype)
            place = self.linear(shape, source_index(self, root, spec, shape, parts, (i,)))
            so_far = self.load(out, dtype, place)
            self.store(out, dtype, place, self.added(dtype, so_far, x))


def _clear(b: ir.IRBuilder, pointer: Any, count: Any) -> None:
    kinds = [pointer.type, I8, I64, I1]
    function = intrinsic(b.module, "llvm.memset.p0.i64", ir.VoidType(), kinds)
    b.call(function, [pointer, I8(0), count, I1(0)])


def rows_scratch(strip: StripPlan | LoopRows, root: Any) -> int:
    """Return how many elements a contraction in strips needs for copies of operands."""
    rows, spec, dtype = strip.cuts[root.out], spec_from(root), root.out.type.dtype
    if rows.paneled:
        return scratch_size(spec, dtype, strip.chunks)
    return strip.chunks * scratch_size(rows.part(spec, strip.length), dtype)


class _Panels(Nest):
    """Writes the copy of what all rows are multiplied by."""

    def write(self) -> ir.Function:
        (root,) = self.group.roots
        slots = (root.out, *(self.buffers.slot(o) for o in root.operands))
        bases = [self.pointer[slot] for slot in slots]
        write_panels(self, root, bases, self.pointer[self.buffers.room(root)])
        self.b.ret_void()
        return self.function


def part_of(
    strip: StripPlan | LoopRows,
    module: ir.Module,
    name: str,
    group: Group,
    plan: Schedule,
    buffers: Buffers,
) -> Any:
    """Return what writes the function of a group for some of its rows."""
    given = (module, name, group, plan, buffers)
    if group.roots[0].primitive.name in ("contraction", "scatter_add"):
        return RowPart(strip, *given)
    return CircularNest(*given, cls=Part) if is_circular(group, plan) else Part(*given)


class StripNest(Nest):
    """Writes a loop over strips that calls the parts of all groups."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        group: Group,
        plan: Schedule,
        buffers: Buffers,
        extra: Sequence[Any] = (),
        spare: Sequence[Var] = (),
    ) -> None:
        super().__init__(module, name, group, plan, buffers, extra=extra, spare=spare)
        self.is_small = False
        self.strip: StripPlan = group.inner
        self.whole = [
            whole_reductions(g) if g.roots[0].primitive.name != "contraction" else []
            for g in self.strip.groups
        ]
        self.parts = self.parts_in(module, name)

    def scratch_size(self, root: Any) -> int:
        return rows_scratch(self.group.inner, root)

    def copy_panels(self) -> None:
        """Write the copies of what products over panels multiply all rows by."""
        for k, group in enumerate(self.strip.groups):
            (root, *_) = group.roots
            if root.out not in self.strip.cuts or not self.strip.cuts[root.out].paneled:
                continue
            name = f"{self.function.name}.panels.{k}"
            nest = _Panels(self.b.module, name, group, self.plan, self.buffers)
            nest.write()
            pointers = [self.pointer[slot] for slot in nest.slots]
            self.b.call(nest.function, [*pointers, self.frame])

    def parts_in(self, module: ir.Module, name: str) -> list[Any]:
        """Return what writes the functions of the groups."""
        parts = [
            part_of(self.strip, module, f"{name}.{k}", inner, self.plan, self.buffers)
            for k, inner in enumerate(self.strip.groups)
        ]
        for part in parts:
            part.is_part_of_sum = True
        return parts

    def write(self) -> ir.Function:
        """Write the function and its parts."""
        room = self.room()
        self.copy_panels()
        self.write_strips(I64(0), I64(self.strip.rows), room)
        self.combine(room)
        self.b.ret_void()
        return self.function

    def room(self) -> Any:
        """Return memory for the strips' parts of reductions."""
        count = self.strip.rows // self.strip.length * sum(map(len, self.whole))
        return self.b.alloca(ir.ArrayType(I64, max(1, count)))

    def write_strips(self, first: Any, last: Any, room: Any) -> None:
        """Write the parts, and the loop that calls them for the strips of some rows."""
        for part in self.parts:
            part.write()
        strip, b = self.strip, self.b
        width = sum(map(len, self.whole))
        for var in strip.added:
            _clear(b, self.pointer[var], I64(var.type.size * var.type.dtype.itemsize))
        with self.loop(last, first, step=strip.length) as begin:
            end = b.add(begin, I64(strip.length))
            number = b.mul(b.sdiv(begin, I64(strip.length)), I64(width))
            for part, whole in zip(self.parts, self.whole, strict=True):
                place = b.gep(room, [number], source_etype=I64)
                self._run(part, begin, end, place)
                number = b.add(number, I64(len(whole)))

    def combine(self, room: Any) -> None:
        """Put the strips' parts of reductions together."""
        roots = [root for whole in self.whole for root in whole]
        for first, root in enumerate(roots):
            self._combine(root, room, first, len(roots), self.strip.rows // self.strip.length)

    def _run(self, part: Any, begin: Any, end: Any, place: Any) -> None:
        b = self.b
        each = part.group.domain[0] // self.strip.rows if part.group.flat else 1
        pointers = []
        for slot in part.slots:
            pointer = self.pointer[slot]
            if slot in self.strip.local:
                row = slot.type.size // self.strip.rows * slot.type.dtype.itemsize
                back = b.mul(begin, I64(-row), flags=["nsw"])
                pointer = b.gep(pointer, [back], source_etype=I8)
            pointers.append(pointer)
        span = [b.mul(x, I64(each), flags=["nsw"]) for x in (begin, end)]
        b.call(part.function, [*pointers, self.frame, *span, place])

    def _combine(self, root: Any, room: Any, first: int, width: int, count: int) -> None:
        """Put the strips' parts of a reduction together, in order."""
        b = self.b
        total = Accumulator(self, root)
        kind = register_type(total.dtype)
        with self.loop(I64(count)) as i:
            place = b.add(b.mul(i, I64(width)), I64(first))
            b.store(b.load(b.gep(room, [place], source_etype=I64), typ=kind), total.partial)
            total.carry()
        total.finish(I64(0))
