"""Writing a loop: its body, what it carries, what it reads per iteration, and what it leaves."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ...primitives.elementwise import ADD
from ...program.arraytype import ArrayType
from ...program.equation import Equation, Var
from ...program.printing import user_names
from ...program.pytree import flatten
from ...trace.body import Body
from ..content import content_key
from ..scanning import SCAN
from .rebuild import Element, Rebuilt
from .sources import Fixed, Lagged, Local, Loop, Row, Scanned, Source, Step, Window, type_of

Result = tuple[int, int]  # position in the block, and which of the equation's results


class LoopWriter:
    """Writes one loop into a rebuilt program.

    Attributes
    ----------
    trips : int
        The number of iterations.
    """

    def __init__(self, loop: Loop, number: int, old: Sequence[Equation], new: Rebuilt) -> None:
        self.loop = loop
        self.number = number
        self.block = old[loop.run.start : loop.run.stop]
        self.new = new
        self.trips = loop.run.trips
        self.equations: list[Equation] = []
        self.local: dict[Result, Any] = {}
        # by a key: the body's variable, and what it is outside
        self.carried: dict[Hashable, tuple[Var, Any]] = {}
        self.after: dict[Var, Any] = {}
        # which of the carried values is, in the end, a result of the last iteration or before
        self.last: dict[tuple[Result, int], int] = {}
        self.scanned: dict[Hashable, tuple[Var, Any]] = {}
        self.captured: dict[Var, Var] = {}
        names = user_names(tuple(self.block[-loop.run.period :]))
        self.names = [[names.get(out) for out in e.outs] for e in self.block[-loop.run.period :]]
        self.origin = next((e.origin for e in self.block if e.origin), ())

    def write(self, outside: Iterable[tuple[int, int, int]]) -> None:
        """Write the loop; ``outside`` says which results of which iteration are used after it."""
        self.new.loop, before = self.number, len(self.new.equations)
        for position, step in enumerate(self.loop.steps):
            self._write_step(position, step)
        self._close_carries()
        self._finish(sorted(outside))
        self.new.loop = None
        self.new.written[self.number] = len(self.new.equations) - before

    def type(self, result: Result) -> ArrayType:
        position, out = result
        return self.block[position].outs[out].type

    # -- the body --------------------------------------------------------------------------------

    def _write_step(self, position: int, step: Step) -> None:
        operands = tuple(self._operand(source) for source in step.sources)
        if step.primitive is None:
            self.local[position, 0] = operands[0]
            return
        outs = []
        for j, out in enumerate(step.equation.outs):
            var = self.new.variable(out.type, self.names[position][j])
            self.local[position, j] = var
            outs.append(var)
        self.equations.append(
            Equation(step.primitive, operands, step.params, tuple(outs), step.equation.origin)
        )

    def _operand(self, source: Source) -> Any:
        match source:
            case Local(position, out):
                return self.local[position, out]
            case Lagged():
                return self._register(source, 0)
            case Fixed(operand):
                return self._capture(self.new.operand(operand))
            case Row():
                return self._row(source)
            case Scanned(operands, type_):
                key = ("values", *(content_key(o) for o in operands))
                return self._scan(
                    key, type_, lambda: self.new.stacked(operands, type_, self.origin)
                )
            case Window(starts, offsets):
                return self._window(starts, offsets)

    def _register(self, source: Lagged, age: int) -> Var:
        """Return the variable that holds the result of some iterations ago.

        A result of two iterations ago has been carried on once by the iteration in between.
        """
        result = source.position, source.out
        waiting = source.initial[age:]
        key = (result, *(content_key(v) for v in waiting))
        if key not in self.carried:
            type_ = self.type(result)
            var = self.new.variable(type_, self.names[result[0]][result[1]])
            self.carried[key] = var, self.new.operand(waiting[0])
            self.last.setdefault((result, len(waiting)), len(self.carried) - 1)
            more = len(waiting) > 1
            self.after[var] = self._register(source, age + 1) if more else result
        return self.carried[key][0]

    def _close_carries(self) -> None:
        for var, after in self.after.items():
            if type(after) is tuple:
                self.after[var] = self.local[after]

    def _capture(self, operand: Any) -> Any:
        if type(operand) is not Var:
            return operand
        if operand not in self.captured:
            self.captured[operand] = self.new.variable(operand.type, operand.name)
        return self.captured[operand]

    def _row(self, row: Row) -> Var:
        array = self.new.along(row)
        shape, dtype, _ = type_of(array)
        key = ("row", content_key(array), row.start, row.step)
        whole = row.start == 0 and row.step == 1 and type(array) is Var and array.name
        return self._scan(
            key,
            ArrayType(shape[1:], dtype),
            lambda: self.new.sliced(array, row.start, row.step, self.trips),
            f"{array.name}_t" if whole else None,
        )

    def _scan(self, key: Hashable, type_: ArrayType, make: Any, name: str | None = None) -> Var:
        if key not in self.scanned:
            array = make()
            # the same array may have been found in two ways
            for var, known in self.scanned.values():
                if known is array:
                    self.scanned[key] = var, array
                    return var
            self.scanned[key] = self.new.variable(type_, name), array
        return self.scanned[key][0]

    def _window(self, starts: tuple[int, ...], offsets: tuple[int, ...]) -> Var:
        index = ArrayType((), np.dtype(np.intp))
        counters = tuple(np.intp(s) for s in starts)
        first = self._operand(Scanned(counters, index))
        whole = np.array(offsets, np.intp)
        out = self.new.variable(ArrayType(whole.shape, whole.dtype))
        self.equations.append(Equation(ADD, (whole, first), {}, (out,), self.origin))
        return out

    # -- what is left of it ------------------------------------------------------------------------

    def _finish(self, outside: list[tuple[int, int, int]]) -> None:
        carried = list(self.carried.values())
        rows: list[Result] = []
        for t, position, out in outside:
            kept = ((position, out), self.trips - t) in self.last or self._is_row(position)
            if not kept and (position, out) not in rows:
                rows.append((position, out))
        outs = self._scan_equation(carried, rows)
        stacked = dict(zip(rows, outs[len(carried) :], strict=True))
        for t, position, out in outside:
            old = self.block[t * self.loop.run.period + position].outs[out]
            final = self.last.get(((position, out), self.trips - t))
            if final is not None:
                self.new.values[old] = outs[final]
            if (position, out) in stacked:
                self.new.elements[old] = Element(stacked[position, out], t, self.number)
            elif self._is_row(position):
                (row,) = self.loop.steps[position].sources
                assert isinstance(row, Row)
                index = row.start + t * row.step
                self.new.elements[old] = Element(self.new.along(row), index, self.number)

    def _is_row(self, position: int) -> bool:
        return self.loop.steps[position].primitive is None

    def _scan_equation(self, carried: list[tuple[Var, Any]], rows: list[Result]) -> list[Var]:
        unique = dict(self.scanned.values())
        inputs = (*(var for var, _ in carried), *unique)
        results = [self.local[result] for result in rows]
        outputs = (*(self.after[var] for var, _ in carried), *results)
        captures: list[Any] = [(None, inner) for inner in self.captured.values()]
        tree = flatten(list(outputs))[1]
        body = Body(inputs, captures, self.equations, outputs, tree)
        params = {
            "body": body,
            "carries": len(carried),
            "scanned": len(unique),
            "steps": self.trips,
            "reverse": False,
        }
        operands = (*(initial for _, initial in carried), *unique.values(), *self.captured)
        outs = [self.new.variable(var.type, var.name) for var, _ in carried]
        for value, (position, out) in zip(results, rows, strict=True):
            shape, dtype, _ = type_of(value)
            type_ = ArrayType((self.trips, *shape), dtype)
            outs.append(self.new.variable(type_, self.names[position][out]))
        self.new.equations.append(Equation(SCAN, operands, params, tuple(outs), self.origin))
        return outs
