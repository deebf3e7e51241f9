"""From a schedule to LLVM functions: one per loop nest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.repeated import essence
from .. import ir
from ..plan.schedule import (
    CIRCULAR,
    EVENTFUL,
    OPAQUE,
    REDUCTIONS,
    Group,
    Schedule,
    UnsupportedError,
    size_of,
)
from ..runtime.layout import ERROR, EVENTS, INDEX, LENGTH
from ..sizes import is_fixed, known
from .accumulate import Accumulator
from .blocks import source_index
from .complexes import load_part, store_joined
from .floating import DIVIDE, INVALID
from .hints import one_at_a_time
from .opaque import writer_of_whole
from .room import scratch_of
from .routines import counted
from .scalar import (
    F32,
    F64,
    I1,
    I8,
    I64,
    constant,
    convert,
    emit,
    is_wide,
    memory_type,
    wide_kernel,
)
from .signs import sign_of

POINTER = ir.PointerType()
SMALL = 64  # elements of a nest that is written into the loop around it
WIDE_FROM = 32  # elements in a row from which kernels for whole vectors are worth a call
ANY = 32  # elements from which a loop may be one for several lengths
LONG = 4096  # elements from which it doesn't matter whether a loop is unrolled
BLOCK = 4096  # elements that one running sum takes before it is added to the total
IN_MEMORY = frozenset(
    {"matmul", "contraction", "repack", "lu_solve", "triangular_solve"}
)  # read no single elements
Index = tuple[Any, ...]


class Nest:
    """Writes the function of one group: its loops, and what they load, compute and store."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        group: Group,
        plan: Schedule,
        buffers: Buffers,
        result: Any = None,
        extra: Sequence[Any] = (),
        spare: Sequence[Var] = (),
    ) -> None:
        self.group = group
        self.plan = plan
        self.buffers = buffers
        found = [*buffers.of_group(group, plan), *self._rooms()]
        self.slots = list(dict.fromkeys(group.reuse.get(slot, slot) for slot in found))
        self.scratch = scratch_of(group)
        if self.scratch is not None:
            self.slots.append(self.scratch)
        self.slots += spare  # memory of the function's own
        self.ahead = [old for old in group.reuse.values() if old in found]
        # behind the buffers comes the frame of the call, see `layout`
        given = [POINTER] * (len(self.slots) + 1)
        kind = ir.FunctionType(result or ir.VoidType(), [*given, *extra])
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        # each nest is optimised by itself: the passes take more than linear time in a function
        self.is_small = (
            known(size_of(group.domain)) <= SMALL and group.roots[0].primitive.name != "matmul"
        )
        self.function.attributes.add("noinline")
        if size_of(group.domain) >= LONG:
            self.function.effort = "long"
        for argument in self.function.args[: len(given)]:
            argument.add_attribute("noalias")
        self.frame = self.function.args[len(self.slots)]
        self.extra = self.function.args[len(given) :]
        self.pointer = dict(zip(self.slots, self.function.args, strict=False))
        self.pointer.update((out, self.pointer[old]) for out, old in group.reuse.items())
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.memo: dict[Any, Any] = {}
        self.loops: list[tuple[ir.Phi, ir.Block]] = []  # counters, and the blocks before the loops
        self._odd: Any = None
        self.reach: Any = None  # who takes circular functions, see `circular`
        self.wide = False  # whether loops are long, so that there are kernels for whole vectors
        self.wide_calls = 0
        self.is_part_of_sum = False  # whether somebody else clears and finishes sums in memory

    # -- memory ----------------------------------------------------------------------------------

    def _rooms(self) -> list[Var]:
        """Return what the group's contractions need for copies of operands."""
        roots = (r for r in self.group.roots if r.primitive.name == "contraction")
        sizes = ((root, self.scratch_size(root)) for root in roots)
        return [self.buffers.room(root, size) for root, size in sizes if size]

    def scratch_size(self, root: Equation) -> int:
        """Return how many elements a contraction needs for copies of operands."""
        from ..contraction.kernel import spec_from
        from ..contraction.writing import scratch_size

        return scratch_size(spec_from(root), root.out.type.dtype)

    def address(self, slot: Any, dtype: np.dtype[Any], linear: Any) -> Any:
        return self.b.gep(
            self.pointer[slot], [linear], inbounds=True, source_etype=memory_type(dtype)
        )

    def load(self, slot: Any, dtype: np.dtype[Any], linear: Any) -> Any:
        x = self.b.load(self.address(slot, dtype, linear), typ=memory_type(dtype))
        return self.b.trunc(x, ir.IntType(1)) if dtype.kind == "b" else x

    def store(self, slot: Any, dtype: np.dtype[Any], linear: Any, value: Any) -> None:
        if dtype.kind == "b":
            value = self.b.zext(value, ir.IntType(8))
        self.b.store(value, self.address(slot, dtype, linear))

    def linear(self, shape: Sequence[int], index: Index) -> Any:
        """Return the place of an element of a contiguous array."""
        place: Any = I64(0)
        stride = 1
        for n, i in zip(reversed(shape), reversed(index), strict=True):
            if n != 1:
                term = i if stride == 1 else self.b.mul(i, I64(stride), flags=["nsw"])
                place = term if _is_zero(place) else self.b.add(place, term, flags=["nsw"])
            stride *= n
        return place

    # -- values ----------------------------------------------------------------------------------

    def value(self, o: Any, index: Index) -> Any:
        """Return one element of an operand; ``index`` has one entry per axis, or one if flat."""
        if type(o) is not Var:
            return self._constant(o, index)
        key = (o, tuple(map(_identity, index)))
        if key not in self.memo:
            self.memo[key] = self._variable(o, index)
        return self.memo[key]

    def _constant(self, o: Any, index: Index) -> Any:
        single = self.buffers.uniform(o)
        dtype = self.buffers.dtype_of(o)
        if single is not None:
            return constant(single, dtype)
        place = index[0] if self.group.flat else self.linear(o.shape, index)
        return self.load(self.buffers.slot(o), dtype, place)

    def _variable(self, var: Var, index: Index) -> Any:
        if var in self.plan.stored:
            return self.load(var, var.type.dtype, self.place(var, index))
        return self.inline(self.plan.producer[var], index)

    def place(self, var: Var, index: Index) -> Any:
        """Return where an element of a stored value is."""
        if not self.group.flat:
            return self.linear(var.type.shape, index)
        return index[0] if var.type.size != 1 else I64(0)

    def inline(self, equation: Equation, index: Index) -> Any:
        """Return one element of an equation's result, computed here."""
        name = equation.primitive.name
        operands = equation.operands
        if name in ("alias", "stop_gradient"):
            return self.value(operands[0], index)
        if name in ("cast", "cast_to_integer", "real"):
            x = self.value(operands[0], index)
            source = self.buffers.dtype_of(operands[0])
            return convert(self.b, x, source, equation.out.type.dtype)
        if name == "part":
            return load_part(self, equation, index)
        if name in ("broadcast_to", "reshape", "transpose", "getitem", "windows"):
            return self.value(operands[0], self._moved(equation, index))
        if not equation.primitive.elementwise:
            raise UnsupportedError(equation, f"`{name}` is not compiled yet")
        args = [self.value(o, self._broadcast(o, index)) for o in operands]
        if name in EVENTFUL and args[0].type in (F32, F64):
            self._watch(args[0], *self._event_of(equation))
        if name in CIRCULAR and self.reach is not None:
            return self.reach.emit(equation, args[0], self.buffers.dtype_of(operands[0]))
        wide = ""
        if self.wide and is_wide(name):
            sign = sign_of(operands[0], self.plan.producer, self.buffers.uniform)
            wide = wide_kernel(name, sign)
            self.wide_calls += 1
        return emit(self.b, equation, args, [self.buffers.dtype_of(o) for o in operands], wide)

    def _event_of(self, equation: Equation) -> tuple[str, float]:
        """Return for which arguments a kernel raises no flag of the processor's as it should."""
        name, exponent = equation.primitive.name, equation.operands[-1]
        known = None if type(exponent) is Var else self.buffers.uniform(exponent)
        if name != "pow" or known is None:
            return "<=", EVENTFUL[name]
        if float(known).is_integer():
            return ("==" if known < 0 else ""), 0.0
        return ("<" if known > 0 else "<="), 0.0

    def _watch(self, x: Any, comparison: str, bound: float) -> None:
        """Note that an element compares so with a bound."""
        if not comparison:
            return
        if self._odd is None:
            with self.b.goto_entry_block():
                self._odd = self.b.alloca(I1)
                self.b.store(I1(0), self._odd)
        odd = self.b.fcmp_ordered(comparison, x, ir.Constant(x.type, bound))
        self.b.store(self.b.or_(self.b.load(self._odd, typ=I1), odd), self._odd)

    def _tell_events(self) -> None:
        if self._odd is not None:
            with self.b.if_then(self.b.load(self._odd, typ=I1), likely=False):
                place = self.b.gep(self.frame, [I64(EVENTS)], source_etype=I8)
                # other threads may be at other parts of the same nest
                self.b.atomic_rmw("or", place, I64(DIVIDE | INVALID), "monotonic")

    def _broadcast(self, o: Any, index: Index) -> Index:
        shape = self.buffers.shape_of(o)
        if self.group.flat:
            return index if size_of(shape) != 1 else (I64(0),)
        last = index[len(index) - len(shape) :]
        return tuple(I64(0) if n == 1 else i for n, i in zip(shape, last, strict=True))

    def _moved(self, equation: Equation, index: Index) -> Index:
        """Return where a change of layout takes an element from."""
        x = equation.operands[0]
        shape = self.buffers.shape_of(x)
        if self.group.flat:
            return index if size_of(shape) != 1 else (I64(0),)
        name = equation.primitive.name
        if name == "broadcast_to":
            return self._broadcast(x, index)
        if name == "transpose":
            source: list[Any] = [None] * len(shape)
            for i, axis in zip(index, equation.params["axes"], strict=True):
                source[axis] = i
            return tuple(source)
        if name == "reshape":
            return self._reshaped(equation, shape, index)
        if name == "windows":
            return self._windowed(equation, len(shape), index)
        spec, parts = equation.params["spec"], equation.operands[1:]
        return source_index(self, equation, spec, shape, parts, index)

    def _reshaped(self, equation: Equation, shape: Sequence[int], index: Index) -> Index:
        out = equation.out.type.shape
        if [n for n in shape if n != 1] == [n for n in out if n != 1]:
            kept = iter(i for i, n in zip(index, out, strict=True) if n != 1)
            return tuple(I64(0) if n == 1 else next(kept) for n in shape)
        # the source is contiguous in memory: address it as one axis, the last that is looked at
        place, last = self.linear(out, index), max(k for k, n in enumerate(shape) if n != 1)
        return tuple(place if k == last else I64(0) for k in range(len(shape)))

    def _windowed(self, equation: Equation, ndim: int, index: Index) -> Index:
        source = list(index[:ndim])
        for k, axis in enumerate(equation.params["axis"]):
            source[axis] = self.b.add(source[axis], index[ndim + k], flags=["nsw"])
        return tuple(source)

    def checked(self, equation: Equation, i: Any, n: int) -> Any:
        """Return an index, or 0 with a note of the error if it is out of bounds."""
        b = self.b
        ok = b.icmp_unsigned("<", i, I64(n))
        number = self.buffers.note(equation)
        with b.if_then(b.not_(ok), likely=False):
            for place, word in ((ERROR, I64(number)), (INDEX, i), (LENGTH, I64(n))):
                b.store(word, b.gep(self.frame, [I64(place)], source_etype=I8))
        return b.select(ok, i, I64(0))

    def added(self, dtype: np.dtype[Any], x: Any, y: Any) -> Any:
        """Return x + y."""
        if dtype.kind == "f":
            return self.b.fadd(x, y)
        return self.b.or_(x, y) if dtype.kind == "b" else self.b.add(x, y)

    def multiplied(self, dtype: np.dtype[Any], x: Any, y: Any) -> Any:
        """Return x y."""
        return self.b.fmul(x, y) if dtype.kind == "f" else self.b.mul(x, y)  # of bits: and

    # -- loops -----------------------------------------------------------------------------------

    @contextmanager
    def loop(self, stop: Any, start: Any = None, step: int = 1) -> Iterator[Any]:
        """Write a loop; the body is what is written inside of the context."""
        calls = self.wide_calls
        before = self.b.block
        with counted(self.b, stop, start, step) as i:
            self.loops.append((i, before))
            yield i
            self.loops.pop()
        if self.wide_calls > calls:
            one_at_a_time(self.b, i)

    def write(self) -> ir.Function:
        """Write the whole function."""
        self.write_body()
        self.b.ret_void()
        return self.function

    def write_body(self) -> None:
        """Write the function up to its end."""
        name = self.group.roots[0].primitive.name
        if name in OPAQUE:
            writer_of_whole(name)(self, self.group.roots[0])
        else:
            lengths = map(known, reversed(self.group.domain))
            self.wide = next((n for n in lengths if n > 1), 0) >= WIDE_FROM
            if self.group.flat:
                self._write_flat()
            else:
                self._write_nested()
        self._tell_events()

    def _write_flat(self) -> None:
        (size,) = self.group.domain
        first, last = self.span(0)
        sums = [Accumulator(self, r) for r in self.group.roots if r.primitive.name in REDUCTIONS]
        plain = [r for r in self.group.roots if r.primitive.name not in REDUCTIONS]

        def body(i: Any) -> None:
            self.memo.clear()
            self._read_ahead((i,))
            for root in plain:
                self._compute(root, (i,), i)
            for total in sums:
                total.add(self.value(total.operand, (i,)))

        if sums and (not is_fixed(size) or size > BLOCK):
            with self.loop(last, first, step=BLOCK) as start:
                for total in sums:
                    total.begin()
                end = self.b.add(start, I64(BLOCK))
                stop = self.b.select(self.b.icmp_signed("<", end, last), end, last)
                with self.loop(stop, start) as i:
                    body(i)
                for total in sums:
                    total.carry()
        elif size == 1:
            for total in sums:
                total.begin()
            body(I64(0))
            for total in sums:
                total.carry()
        else:
            for total in sums:
                total.begin()
            with self.loop(last, first) as i:
                body(i)
            for total in sums:
                total.carry()
        for total in sums:
            self.conclude(total, I64(0))

    def span(self, axis: int) -> tuple[Any, Any]:
        """Return where the loop over an axis begins and ends."""
        size = self.group.domain[axis]
        sums = any(root.primitive.name in REDUCTIONS for root in self.group.roots)
        if type(self) is Nest and self.group.flat and not sums and is_fixed(size) and size >= ANY:
            self.function.length = size  # others may be the same but for theirs
            return I64(0), ir.Value(I64, ir.LENGTH)
        return I64(0), I64(size)

    def conclude(self, total: Accumulator, place: Any) -> None:
        """Put a finished reduction where it belongs."""
        total.finish(place)

    def _compute(self, root: Equation, index: Index, place: Any) -> None:
        """Store an element, and keep it for those that need it next."""
        if root.primitive.name == "joined":
            store_joined(self, root, index, place)
            return
        value = self.inline(root, index)
        slot = self.plan.placed[root.out][0] if root.out in self.plan.placed else root.out
        self.store(slot, root.out.type.dtype, place, value)
        self.memo[root.out, tuple(map(_identity, index))] = value

    def _home(self, var: Var, index: Index) -> Any:
        """Return where an element is stored, in an array of its own or as a part of another."""
        if var not in self.plan.placed:
            return self.linear(var.type.shape, index)
        whole, axis, start = self.plan.placed[var]
        moved = list(index)
        moved[axis] = self.b.add(index[axis], I64(start), flags=["nsw"])
        return self.linear(whole.type.shape, tuple(moved))

    def _read_ahead(self, index: Index) -> None:
        """Read what is written over before somebody writes it."""
        for old in self.ahead:
            self.value(old, index)

    def _write_nested(self) -> None:
        domain = self.group.domain
        sums = [Accumulator(self, r) for r in self.group.roots if r.primitive.name in REDUCTIONS]
        plain = [r for r in self.group.roots if r.primitive.name not in REDUCTIONS]
        in_memory = [t for t in sums if not (t.trailing or self.is_part_of_sum)]
        for total in in_memory:
            total.clear()
        self._level(0, (), domain, sums, plain)
        for total in in_memory:
            total.finish_all()

    def _level(
        self,
        depth: int,
        index: Index,
        domain: tuple[int, ...],
        sums: list[Accumulator],
        plain: list[Equation],
    ) -> None:
        starting = [t for t in sums if t.trailing and t.kept_axes == depth]
        for total in starting:
            total.begin()
        if depth == len(domain):
            self.memo.clear()
            self._read_ahead(index)
            for root in plain:
                self._store_root(root, index)
            for total in sums:
                total.take(index)
        elif domain[depth] == 1:
            self._level(depth + 1, (*index, I64(0)), domain, sums, plain)
        else:
            first, last = self.span(depth)
            with self.loop(last, first) as i:
                self._level(depth + 1, (*index, i), domain, sums, plain)
        for total in starting:
            total.carry()
            self.conclude(total, total.place(index))

    def _store_root(self, root: Equation, index: Index) -> None:
        dtype = root.out.type.dtype
        if root.primitive.name != "rows":
            self._compute(root, index, self._home(root.out, index))
            return
        start = self.b.mul(index[0], I64(len(root.operands)), flags=["nsw"])
        for k, column in enumerate(root.operands):
            place = self.b.add(start, I64(k), flags=["nsw"])
            self.store(root.out, dtype, place, self.value(column, self._broadcast(column, index)))


class Buffers:
    """What has an address: inputs, stored values and constant arrays."""

    def __init__(self) -> None:
        self.constants: dict[int, Any] = {}
        self._uniform: dict[int, Any] = {}
        self.noted: list[Equation] = []
        self._rooms: dict[Var, Var] = {}

    def note(self, equation: Equation) -> int:
        """Return the number under which an equation reports an error."""
        self.noted.append(equation)
        return len(self.noted)

    def slot(self, o: Any) -> Any:
        """Return the key of an operand's buffer."""
        if type(o) is Var:
            return o
        self.constants[id(o)] = o
        return id(o)

    def uniform(self, o: Any) -> Any:
        """Return the value of a constant whose elements are all the same."""
        if not isinstance(o, np.ndarray):
            return o
        if id(o) not in self._uniform:
            self.constants[id(o)] = o  # keeps the id from being given to another array
            elements = essence(o)
            first: Any = elements.flat[0] if o.size else None
            same = o.size and (elements == first).all()
            if same and o.dtype.kind == "f":
                same = (np.signbit(elements) == np.signbit(first)).all()
            self._uniform[id(o)] = first if same else None
        return self._uniform[id(o)]

    def dtype_of(self, o: Any) -> np.dtype[Any]:
        """Return the dtype with which an operand takes part."""
        if type(o) is Var:
            return o.type.dtype
        return o.dtype if hasattr(o, "dtype") else np.dtype(type(o))

    def shape_of(self, o: Any) -> tuple[int, ...]:
        return o.type.shape if type(o) is Var else getattr(o, "shape", ())

    def room(self, root: Equation, size: int = 0) -> Var:
        """Return the variable of the memory that a contraction copies operands to."""
        if root.out not in self._rooms:
            self._rooms[root.out] = Var(-1, None, ArrayType((size,), root.out.type.dtype))
        return self._rooms[root.out]

    def of_group(self, group: Group, plan: Schedule) -> list[Any]:
        """Return the buffers that a group reads or writes."""
        found: dict[Any, None] = {}
        waiting: list[Equation] = list(group.roots)
        seen: set[Var] = set()
        for root in group.roots:
            found[plan.placed[root.out][0] if root.out in plan.placed else root.out] = None
        while waiting:
            equation = waiting.pop()
            for o in equation.operands:
                if type(o) is not Var:
                    # products read memory, also where all elements are the same
                    read = equation.primitive.name in IN_MEMORY
                    in_memory = read or self.uniform(o) is None
                    if isinstance(o, np.ndarray) and in_memory:
                        found[self.slot(o)] = None
                elif o in plan.stored:
                    found[o] = None
                elif o not in seen:
                    seen.add(o)
                    waiting.append(plan.producer[o])
        return list(found)


def _identity(i: Any) -> Any:
    return i.text


def _is_zero(i: Any) -> bool:
    return isinstance(i, ir.Constant) and i.constant == 0
