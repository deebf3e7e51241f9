"""A compiled program: its machine code, its memory, and how it is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from llvmlite import ir

from ..program.equation import Var
from ..program.program import Program
from ..program.spans import span_of
from .codegen import POINTER, Buffers
from .engine import Code
from .entry import EntryWriter, python_function
from .loops import writer_of
from .scalar import I64
from .schedule import Schedule, schedule

ALIGNMENT = 64
empty = np.empty  # a trace in another thread may replace the name


class Native:
    """A program as one native function.

    Attributes
    ----------
    program : Program
        What was compiled.
    plan : Schedule
        Its loop nests.
    code : Code
        The machine code and its LLVM text.
    seconds : dict
        How long each stage took.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.seconds: dict[str, float] = {}
        begin = time.perf_counter()
        self.plan: Schedule = schedule(program)
        self.seconds["schedule"] = time.perf_counter() - begin
        self.buffers = Buffers()
        self.keep: list[Any] = []
        begin = time.perf_counter()
        module = ir.Module("chainrule")
        nests = [
            writer_of(module, f"nest_{k}", group, self.plan, self.buffers)
            for k, group in enumerate(self.plan.groups)
        ]
        for nest in nests:
            nest.write()
        self._write_entry(module, nests)
        self._text = str(module)
        self.seconds["emit"] = time.perf_counter() - begin
        self.makers = [(o.type.shape, o.type.dtype) for o in self.outputs]
        self.select = self._selector()

    def compile(self) -> Native:
        """Turn what was written into machine code."""
        begin = time.perf_counter()
        self.code = Code(self._text)
        self.seconds["optimise"] = time.perf_counter() - begin
        self.call = python_function(self.code.address("entry"))
        return self

    @property
    def outputs(self) -> list[Var]:
        """The outputs that are computed, each once."""
        found = [o for o in self.program.outputs if type(o) is Var]
        return list(dict.fromkeys(o for o in found if o not in self.program.inputs))

    def _write_entry(self, module: ir.Module, nests: list[Any]) -> None:
        writer = EntryWriter(module, "entry")
        pointer: dict[Any, Any] = {}
        for k, var in enumerate(self.program.inputs):
            if var.type.weak:
                slot = self._memory((), np.dtype(float))
                pointer[var] = writer.number(k, float, slot)
            else:
                pointer[var] = writer.array(k, var.type)
        first = len(self.program.inputs)
        for k, var in enumerate(self.outputs):
            pointer[var] = writer.data(first + k)
        for var in self.plan.stored:
            if var not in pointer:
                pointer[var] = self._memory(var.type.shape, var.type.dtype)
        for nest in nests:
            arguments = [self._pointer_of(slot, pointer) for slot in nest.slots]
            writer.b.call(nest.function, arguments)
        writer.finish()

    def _pointer_of(self, slot: Any, pointer: dict[Any, Any]) -> Any:
        if slot in pointer:
            return pointer[slot]
        array = np.ascontiguousarray(self.buffers.constants[slot])
        self.keep.append(array)
        return I64(array.__array_interface__["data"][0]).inttoptr(POINTER)

    def _memory(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return the address of memory of the program's own, kept from call to call."""
        count = int(np.prod(shape))
        raw = np.empty(count * dtype.itemsize + ALIGNMENT, np.uint8)
        self.keep.append(raw)
        start = raw.__array_interface__["data"][0]
        return I64(start + -start % ALIGNMENT).inttoptr(POINTER)

    def __call__(self, leaves: Sequence[Any]) -> list[Any] | None:
        """Return the outputs, or None if the arguments are not what was compiled for."""
        made = [empty(shape, dtype) for shape, dtype in self.makers]
        if not self.call(*leaves, *made):
            return None
        if self.buffers.noted and self.buffers.error[0]:
            self._raise_noted()
        return self.select(leaves, made)

    def run(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the outputs for values of the right types, however they lie in memory."""
        results = self(leaves)
        if results is None:  # scalars, strided or misaligned arrays: bring them into order
            results = self(list(map(_ordered, leaves, self.program.inputs)))
        if results is None:
            raise RuntimeError("a native function refused the arrays that were made for it")
        return results

    def _raise_noted(self) -> NoReturn:
        number, index, length = self.buffers.error.tolist()
        self.buffers.error[:] = 0
        equation = self.buffers.noted[number - 1]
        where = ""
        if equation.origin:
            span = span_of(*equation.origin[0])
            where = f" ({span.file}:{span.line}: {span.text})"
        shown = index if index >= 0 else index - length
        raise IndexError(f"index {shown} is out of bounds for an axis of size {length}{where}")

    def _selector(self) -> Callable[[Any, Any], list[Any]]:
        """Return what finds the outputs among the inputs and what was computed.

        Written as one expression, because a call per output takes longer than small programs do.
        """
        constants: dict[str, Any] = {"own": _own}
        parts = []
        for k, o in enumerate(self.program.outputs):
            if type(o) is not Var:
                constants[f"c{k}"] = o
                parts.append(f"own(c{k})")
            elif o in self.program.inputs:
                parts.append(f"own(x[{self.program.inputs.index(o)}])")
            else:
                scalar = ".item()" if o.type.weak else "" if o.type.shape else "[()]"
                parts.append(f"m[{self.outputs.index(o)}]{scalar}")
        select: Callable[[Any, Any], list[Any]] = eval(
            f"lambda x, m: [{', '.join(parts)}]", constants
        )
        return select


def _own(value: Any) -> Any:
    return value.copy() if type(value) is np.ndarray else value


def _ordered(x: Any, var: Var) -> Any:
    """Return an input as the native function takes it: contiguous, aligned, of its very dtype."""
    if var.type.weak:
        return float(x)
    array = np.empty(var.type.shape, var.type.dtype)
    array[...] = x
    return array
