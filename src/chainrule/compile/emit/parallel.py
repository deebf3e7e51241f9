"""Large loop nests in chunks that several threads share.

The outer loop is cut into chunks whose number depends on nothing but its length. A chunk's part of
a reduction over the whole nest, or of a sum over the first axes, has a place of its own, and the
parts are put together in order. So the result is the same for every number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...program.equation import Var
from .. import ir
from ..plan.cost import SHARED_FROM, time_per_element
from ..plan.schedule import OPAQUE, REDUCTIONS, Group, Schedule, reduced_axes, size_of
from ..sizes import is_fixed
from .accumulate import Accumulator
from .circular import CircularNest, is_circular
from .codegen import BLOCK, POINTER, Buffers, Nest
from .scalar import I64, register_type

CHUNK_TIME = 50_000.0  # ns: long beside taking a chunk, short beside waiting for the last one
MOST = 256  # chunks, each of which has a place on the stack for its parts of reductions
SUMMING = 8  # chunks of which each has a place for its part of a sum over the first axes
SMALLER = 4  # times that these places must be smaller than what is summed


def split_axis(group: Group) -> int:
    """Return the axis that is cut: the first with a length of more than one."""
    return next((axis for axis, n in enumerate(group.domain) if n > 1), 0)


def is_shared(group: Group, plan: Schedule) -> bool:
    """Tell whether a group is large enough to be shared, and can be."""
    if group.roots[0].primitive.name in OPAQUE or not group.domain:
        return False
    # as a bound of the size, which may be another one for other shapes
    if size_of(group.domain) < int(SHARED_FROM / time_per_element(group, plan)):
        return False
    if chunk_length(group, plan) >= group.domain[split_axis(group)]:
        return False
    for root in group.roots:
        if root.primitive.name in REDUCTIONS and not group.flat:
            ndim = len(group.domain)
            axes = reduced_axes(root, ndim)
            if axes != tuple(range(ndim - len(axes), ndim)) and not _is_leading_sum(root, group):
                return False  # its result would be written by several
    return True


def leading_sums(group: Group) -> list[Any]:
    """Return the sums over the axis that is cut, but not over the last ones."""
    return [root for root in group.roots if _is_leading_sum(root, group)]


def _is_leading_sum(root: Any, group: Group) -> bool:
    if root.primitive.name != "sum" or group.flat or root.out.type.dtype.kind != "f":
        return False
    axes = reduced_axes(root, len(group.domain))
    if split_axis(group) not in axes or axes[-1] == len(group.domain) - 1:
        return False
    size: int = root.out.type.size
    return SMALLER * SUMMING * size <= size_of(group.domain)


def chunk_length(group: Group, plan: Schedule) -> int:
    """Return how long a chunk of the outer loop is."""
    axis = split_axis(group)
    length = group.domain[axis]
    each = time_per_element(group, plan) * size_of(group.domain[axis + 1 :])
    most = SUMMING if leading_sums(group) else MOST
    wished = max(int(CHUNK_TIME / max(each, 1e-3)), -(-length // most), 1)
    return -(-wished // BLOCK) * BLOCK if group.flat else wished


class Part(Nest):
    """Writes a nest over a part of its outer loop.

    The function takes, after the frame, where the part begins and ends, and where its reductions
    over the whole nest go.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        group: Group,
        plan: Schedule,
        buffers: Buffers,
        result: Any = None,
        spare: Sequence[Var] = (),
    ) -> None:
        extra = (I64, I64, POINTER)
        super().__init__(module, name, group, plan, buffers, result, extra, spare)
        self.is_small = False

    def span(self, axis: int) -> tuple[Any, Any]:
        """Return where the loop over an axis begins and ends."""
        if axis == split_axis(self.group):
            return self.extra[0], self.extra[1]
        return super().span(axis)

    def conclude(self, total: Accumulator, place: Any) -> None:
        """Put a finished reduction, or this part of it, where it belongs."""
        whole = whole_reductions(self.group)
        if total.root not in whole:
            total.finish(place)
            return
        value = self.b.load(total.total, typ=register_type(total.dtype))
        at = self.b.gep(self.extra[2], [I64(whole.index(total.root))], source_etype=I64)
        self.b.store(value, at)


class _Chunk(Part):
    """Writes a part that has places of its own for sums over the first axes."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        group: Group,
        plan: Schedule,
        buffers: Buffers,
        result: Any = None,
    ) -> None:
        super().__init__(module, name, group, plan, buffers, result)
        b = self.b
        length = chunk_length(self.group, self.plan)
        number = b.sub(b.sdiv(self.extra[0], I64(length)), I64(1))
        first = b.icmp_signed("<", number, I64(0))
        for root in leading_sums(self.group):
            out = root.out
            moved = b.mul(b.select(first, I64(0), number), I64(out.type.size), flags=["nsw"])
            kind = register_type(out.type.dtype)
            own = b.gep(self.pointer[self.buffers.room(root)], [moved], source_etype=kind)
            self.pointer[out] = b.select(first, self.pointer[out], own)

    def _rooms(self) -> list[Var]:
        return [*super()._rooms(), *rooms_of_sums(self.group, self.plan, self.buffers)]


def rooms_of_sums(group: Group, plan: Schedule, buffers: Buffers) -> list[Var]:
    """Return memory for the parts of sums over the first axes, of all chunks but the first."""
    sums = leading_sums(group)
    if not sums:
        return []
    count = -(-group.domain[split_axis(group)] // chunk_length(group, plan))
    return [buffers.room(root, (count - 1) * root.out.type.size) for root in sums]


def whole_reductions(group: Group) -> list[Any]:
    """Return the reductions to which every chunk contributes."""
    axis = split_axis(group)
    ndim = len(group.domain)
    return [
        root
        for root in group.roots
        if root.primitive.name in REDUCTIONS
        and (group.flat or ndim - len(reduced_axes(root, ndim)) <= axis)
        and not _is_leading_sum(root, group)
    ]


class ParallelNest(Nest):
    """Writes a nest that hands its chunks to the pool of threads."""

    def __init__(
        self, module: ir.Module, name: str, group: Group, plan: Schedule, buffers: Buffers
    ) -> None:
        super().__init__(module, name, group, plan, buffers)
        self.module = module
        self.is_small = False
        given = (module, f"{name}.part", group, plan, buffers)
        self.part: Any = (
            CircularNest(*given, cls=_Chunk) if is_circular(group, plan) else _Chunk(*given)
        )
        self.length = chunk_length(group, plan)
        self.steps = group.domain[split_axis(group)]

    def write(self) -> ir.Function:
        """Write the function, its part and what calls the part for a chunk."""
        self.part.write()
        chunk = self._write_chunk()
        b = self.b
        count = -(-self.steps // self.length)
        whole = whole_reductions(self.group)
        room = (count if is_fixed(count) else MOST) * len(whole)
        parts = b.alloca(ir.ArrayType(I64, max(1, room)))
        given = handed(b, [*(self.pointer[slot] for slot in self.slots), self.frame, parts])
        b.call(pool(self.module), [chunk, given, I64(count)])
        for k, root in enumerate(whole):
            total = Accumulator(self, root)
            with self.loop(I64(count)) as i:
                place = b.add(b.mul(i, I64(len(whole))), I64(k))
                kind = register_type(total.dtype)
                part = b.load(b.gep(parts, [place], source_etype=I64), typ=kind)
                b.store(part, total.partial)
                total.carry()
            total.finish(I64(0))
        self.conclude_chunks()
        b.ret_void()
        return self.function

    def conclude_chunks(self) -> None:
        """Put together what else the chunks have left: sums over the first axes, in order."""
        count = -(-self.steps // self.length)
        for root in leading_sums(self.group):
            add_chunks(self, root.out, self.buffers.room(root), count)

    def _rooms(self) -> list[Var]:
        return [*super()._rooms(), *rooms_of_sums(self.group, self.plan, self.buffers)]

    def _write_chunk(self) -> ir.Function:
        function, b, chunk, (*pointers, parts) = begin_entry(self.function, len(self.slots) + 2)
        begin, end = bounds_of_chunk(b, chunk, self.length, self.steps)
        place = b.mul(chunk, I64(len(whole_reductions(self.group))))
        parts = b.gep(parts, [place], source_etype=I64)
        b.call(self.part.function, [*pointers, begin, end, parts])
        b.ret_void()
        return function


def begin_entry(
    caller: ir.Function, count: int
) -> tuple[ir.Function, ir.IRBuilder, ir.Value, list[ir.Value]]:
    """Begin the function that is called for each chunk.

    Returns it, where to go on writing it, the chunk's number, and so many pointers as `handed`.
    """
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I64])
    function = ir.Function(caller.module, kind, f"{caller.name}.chunk")
    function.linkage, function.effort = "internal", "little"
    given, chunk = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    places = (b.gep(given, [I64(k)], source_etype=POINTER) for k in range(count))
    return function, b, chunk, [b.load(place, typ=POINTER) for place in places]


def bounds_of_chunk(b: ir.IRBuilder, chunk: Any, length: Any, total: Any) -> tuple[Any, Any]:
    """Return where a chunk begins and ends; the last one may be shorter."""
    begin = b.mul(chunk, I64(length))
    end = b.add(begin, I64(length))
    return begin, b.select(b.icmp_signed("<", end, I64(total)), end, I64(total))


def add_chunks(nest: Nest, out: Var, rest: Var, count: int) -> None:
    """Add the sums of the other chunks to those of the first one, in order."""
    size, dtype = out.type.size, out.type.dtype
    with nest.loop(I64(size)) as i:
        total = nest.load(out, dtype, i)
        for k in range(count - 1):
            place = nest.b.add(i, I64(k * size), flags=["nsw"])
            total = nest.added(dtype, total, nest.load(rest, dtype, place))
        nest.store(out, dtype, i, total)


def handed(b: ir.IRBuilder, pointers: Sequence[Any]) -> Any:
    """Return memory on the stack with pointers in it, to be handed to all chunks."""
    given = b.alloca(ir.ArrayType(POINTER, len(pointers)))
    for k, pointer in enumerate(pointers):
        b.store(pointer, b.gep(given, [I64(k)], source_etype=POINTER))
    return given


def pool(module: ir.Module) -> ir.Function:
    """Return the function that calls another one for each chunk, on several threads."""
    name = "chainrule.runtime.parallel"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64])
    return ir.Function(module, kind, name)
