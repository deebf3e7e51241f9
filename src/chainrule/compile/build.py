"""From a program to an image of machine code: schedule, loop nests, entry, LLVM."""

from __future__ import annotations

import functools
import re
import time
from typing import Any

import numpy as np

from ..program.equation import Var
from ..program.program import Program
from ..program.records import record
from . import ir
from .contraction.forming import form_contractions
from .emit.codegen import POINTER, Buffers
from .emit.entry import ON_STACK, EntryWriter
from .emit.interrupt import WORTH, stopped
from .emit.loops import writer_of
from .emit.scalar import I64
from .emit.ways import ways_of
from .plan.cost import RELEASED_FROM, estimated_time
from .plan.memory import Buffer, arrange
from .plan.schedule import Group, Schedule, UnsupportedError, reads_in_place, schedule
from .plan.strips import StripPlan, form_strips, rows_kept
from .runtime import engine
from .runtime.image import Image, all_equations, constant_references
from .runtime.layout import ALIGNED, WRITEABLE
from .runtime.turns import give_way
from .sizes import Scope

_ADDRESS = re.compile(r"inttoptr \(?i64 \d{5,}")  # of this process: such code must not be kept


@record
class Symbols:
    """What else is to be known of a generic program, see `generic`.

    Attributes
    ----------
    scope : Scope
        Its sizes.
    instance : Program
        One of the programs that it stands for.
    captured : dict
        By inputs that are no arguments: where the array is found, equation and operand.
    numbers : dict
        By the identity of an equation's parameters: the number of the equation there.
    """

    scope: Scope
    instance: Program
    captured: dict[Var, list[int]]
    numbers: dict[int, int]


class Build:
    """The making of a program's machine code.

    Attributes
    ----------
    plan : Schedule
        Its loop nests.
    buffers : list of Buffer
        What memory a call needs for values in between, and where each lies.
    parts : dict of str to str
        The module, as LLVM assembly, in parts by how much is worth doing to them.
    seconds : dict
        How long each stage took.
    """

    def __init__(
        self,
        program: Program,
        donated: frozenset[int] = frozenset(),
        nesting: tuple[Any, ...] | None = None,
        symbols: Symbols | None = None,
    ) -> None:
        self.program = program
        self.symbols = symbols
        self._captured = symbols.captured if symbols else {}
        self._nesting = nesting
        self._given_away = [program.inputs[k] for k in sorted(donated)]
        self.seconds: dict[str, float] = {}
        self.inputs = tuple(v for v in program.inputs if v not in self._captured)
        self.outputs = computed_outputs(program)
        begin = time.perf_counter()
        formed = form_contractions(program)
        self.seconds["form"] = time.perf_counter() - begin
        give_way()
        try:
            self._write(formed)
        except UnsupportedError as unsupported:
            if any(unsupported.equation is e for e in program.equations):
                raise
            self._write(program)  # as it is: to know which of its own equations it is about

    def _write(self, program: Program) -> None:
        begin = time.perf_counter()
        self.plan: Schedule = form_strips(schedule(program), program.outputs)
        self.seconds["schedule"] = time.perf_counter() - begin
        give_way()
        self.over = written_over(self.plan, self._given_away, self.outputs)
        begin = time.perf_counter()
        module = ir.Module("chainrule")
        self.named = Buffers()
        self.nests = [
            writer_of(module, f"nest_{k}", group, self.plan, self.named)
            for k, group in enumerate(self.plan.groups)
        ]
        for nest in self.nests:
            nest.write()
            give_way()
        self._plan_memory()
        self.releases = estimated_time(self.plan) >= RELEASED_FROM
        self._write_entry(module)
        self.parts = module.parts()
        if self.symbols is not None:
            declared = self.symbols.scope.declarations()
            self.parts = {effort: text + declared for effort, text in self.parts.items()}
        self.seconds["emit"] = time.perf_counter() - begin

    @functools.cached_property
    def ways(self) -> list[str]:
        """How each loop nest is run."""
        return ways_of(self.plan)

    def image(self) -> Image:
        """Return the machine code."""
        begin = time.perf_counter()
        code, externals = engine.object_code(self.parts)
        self.seconds["optimise"] = time.perf_counter() - begin
        # a loop's body is planned in other variables, but with the very same parameters
        numbers = {id(e.params): k for k, e in enumerate(all_equations(self.program))}
        facts = {
            "releases the lock": self.releases,
            "buffers": [
                [x.key.type.dtype.name, x.key.type.shape, x.size, x.offset, x.first, x.last]
                for x in self.buffers
            ],
            "in place": len(self.over),
            "bytes of code": len(code),
            "bytes of results": sum(_bytes(o) for o in self.outputs if o not in self.over),
            "bytes of arguments": sum(map(_bytes, self.inputs)),
            "keeps frames": self.workspace > ON_STACK,
            "bytes without reuse": sum(x.size for x in self.buffers),
            "seconds": sum(self.seconds.values()),
        }
        portable = _ADDRESS.search("".join(self.parts.values())) is None
        if self.symbols is not None:
            numbers = self.symbols.numbers
            facts["ways"] = self.ways
        return Image(
            code,
            externals,
            self._references() if portable else None,
            [numbers.get(id(e.params), -1) for e in self.named.noted],
            self.workspace,
            facts,
            [] if self.symbols else [np.ascontiguousarray(array) for array in self.constants],
        )

    def _references(self) -> list[Any] | None:
        """Return where each array constant is found in the program that is compiled."""
        program = self.symbols.instance if self.symbols else self.program
        own = [c for c in self.constants if type(c) is not Var]
        found = constant_references(program, own)
        if found is None:
            return None
        places = iter(found)
        return [self._captured[c] if type(c) is Var else next(places) for c in self.constants]

    def _plan_memory(self) -> None:
        used: dict[Var, list[int]] = {}
        for k, nest in enumerate(self.nests):
            for slot in nest.slots:
                if type(slot) is Var:
                    used.setdefault(slot, []).append(k)
        known = {*self.program.inputs, *(o for o in self.outputs if o.type.shape)}
        end = len(self.nests)
        kept = rows_kept(self.plan)
        self.buffers = [
            Buffer(
                var,
                max(_part(_bytes(var), *kept.get(var, (1, 1))), var.type.dtype.itemsize),
                min(steps),
                end if var in self.outputs else max(steps),
            )
            for var, steps in used.items()
            if var not in known
        ]
        if self.symbols is None:
            self.workspace = arrange(self.buffers)
            return
        self.workspace = ON_STACK + 1  # or another number: it is known when the code is loaded
        for k, buffer in enumerate(self.buffers):
            buffer.offset = self.symbols.scope.unknown("buffer", k)

    def _write_entry(self, module: ir.Module) -> None:
        writer = EntryWriter(module, "entry", self.workspace, self.releases)
        writer.count(len(self.inputs))
        pointer: dict[Any, Any] = {}
        given = set(self.over.values())
        for k, var in enumerate(self.inputs):
            needed = ALIGNED | WRITEABLE if var in given else ALIGNED
            weak = var.type.weak
            pointer[var] = writer.number(k, var.type) if weak else writer.array(k, var.type, needed)
        for old in given:
            others = [v for v in self.inputs if v is not old and not v.type.weak]
            for other in others:
                writer.apart(pointer[old], old.type, pointer[other], other.type)
        frame = writer.frame()
        for buffer in self.buffers:
            pointer[buffer.key] = writer.place(frame, buffer.offset)
        slots = {k: pointer[o] for k, o in enumerate(self.outputs) if not o.type.shape}
        numbers = {
            k: self.inputs.index(self.over[o]) for k, o in enumerate(self.outputs) if o in self.over
        }
        writer.nest(self._nesting or tuple(range(len(self.outputs))))
        places = writer.results([o.type for o in self.outputs], slots, numbers)
        pointer.update(zip(self.outputs, places, strict=True))
        self._write_constants(module, writer, pointer)
        writer.begin()
        long = estimated_time(self.plan) > WORTH
        for nest in self.nests:
            writer.b.call(nest.function, [*(pointer[slot] for slot in nest.slots), frame])
            if long:
                writer.stop_if(stopped(writer.b, frame, I64(0), 1))
        writer.finish()

    def _write_constants(
        self, module: ir.Module, writer: EntryWriter, pointer: dict[Any, Any]
    ) -> None:
        """Let the module have a table of the addresses of array constants."""
        slots = list(dict.fromkeys(s for nest in self.nests for s in nest.slots))
        wanted = [slot for slot in slots if slot not in pointer]
        self.constants = [s if s in self._captured else self.named.constants[s] for s in wanted]
        kind = ir.ArrayType(POINTER, max(len(wanted), 1))
        table = ir.GlobalVariable(module, kind, "constants")
        table.initializer = ir.Constant(kind, None)
        for k, slot in enumerate(wanted):
            pointer[slot] = writer.field(table, 8 * k, POINTER)


def _bytes(var: Var) -> int:
    return var.type.size * var.type.dtype.itemsize


def _part(n: int, some: int, of: int) -> int:
    return n if some == of else -(-n * some // of)


def written_over(plan: Schedule, given: list[Var], outputs: list[Var]) -> dict[Var, Var]:
    """Return which outputs are written over which of the inputs that are given away.

    That is possible where nothing reads the input later; where the step that makes the output
    reads it, then only if it does so element by element.
    """
    last = {v: step for step, group in enumerate(plan.groups) for v in group.reads(plan)}
    made = {
        out: step for step, g in enumerate(plan.groups) for root in g.roots for out in root.outs
    }
    free = list(given)
    found: dict[Var, Var] = {}
    for out in outputs:
        for old in free if out.type.shape else ():
            if out.type.dtype.kind == "c":
                continue  # an element is more than one access
            if old.type != out.type or last.get(old, -1) > made.get(out, -2):
                continue
            if last.get(old, -1) == made[out]:
                group = plan.groups[made[out]]
                maker = _maker(group, out, old, plan)
                if maker is None or not reads_in_place(maker, out, old, plan):
                    continue
                group.reuse[out] = maker.reuse[out] = old
            found[out] = old
            free.remove(old)
            break
    return found


def _maker(group: Group, out: Var, old: Var, plan: Schedule) -> Group | None:
    """Return the group that makes an output, within strips too if nothing else there reads old."""
    if not isinstance(group.inner, StripPlan):
        return group
    makers = [g for g in group.inner.groups if any(root.out is out for root in g.roots)]
    readers = [g for g in group.inner.groups if old in g.reads(plan)]
    return makers[0] if makers == readers else None


def computed_outputs(program: Program) -> list[Var]:
    """Return the outputs that are computed, each once."""
    found = [o for o in program.outputs if type(o) is Var]
    return list(dict.fromkeys(o for o in found if o not in program.inputs))
