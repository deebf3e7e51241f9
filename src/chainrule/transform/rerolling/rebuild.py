"""Writing a program anew with loops in the place of what repeats."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from ...primitives.indexing import GETITEM
from ...primitives.joining import CONCATENATE, STACK
from ...primitives.layout import RESHAPE, TRANSPOSE
from ...program.arraytype import ArrayType
from ...program.equation import Equation, Origin, Var
from ...program.primitive import Primitive
from ...program.program import frozen
from ..content import content_key
from .sources import Row, type_of


class Element(NamedTuple):
    """Where a value of the old program is found in the new one: ``array[place]``.

    ``loop`` is the number of the loop that made the array; None for an array that was there.
    """

    array: Any
    place: int
    loop: int | None


class Rebuilt:
    """The equations of the new program so far.

    Attributes
    ----------
    equations : list of Equation
        What has been written.
    values : dict
        By variable of the old program: the operand of the new one.
    elements : dict
        By variable of the old program: the array of which it is an element. No equation takes it
        out of there before somebody asks for it.
    written : dict
        How many equations a loop needed outside of its body.
    taken : dict
        How many elements were taken out, by loop.
    copied : dict
        How many elements of arrays were copied side by side for a loop to read.
    loop : int or None
        The loop that is being written.
    """

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.values: dict[Var, Any] = {}
        self.elements: dict[Var, Element] = {}
        self.written: dict[int, int] = {}
        self.taken: dict[int, int] = {}
        self.copied: dict[int, int] = {}
        self.loop: int | None = None
        self._made: dict[Hashable, Any] = {}
        self._next = 0

    # -- values ----------------------------------------------------------------------------------

    def variable(self, type_: ArrayType, name: str | None = None) -> Var:
        self._next += 1
        return Var(self._next, None, type_, name)

    def operand(self, operand: Any) -> Any:
        """Return what an equation of the new program takes for an operand of the old one."""
        if type(operand) is not Var:
            return operand
        found = self.values.get(operand)
        if found is not None:
            return found
        element = self.elements.get(operand)
        if element is None:
            return operand
        if element.loop is not None:
            self.taken[element.loop] = self.taken.get(element.loop, 0) + 1
        type_ = type_of(element.array)
        row = ArrayType(type_.shape[1:], type_.dtype)
        spec = (element.place,)
        taken = self.apply(GETITEM, (element.array,), {"spec": spec}, row, name=operand.name)
        self.values[operand] = taken
        return taken

    def apply(
        self,
        primitive: Primitive,
        operands: tuple[Any, ...],
        params: dict[str, Any],
        type_: ArrayType,
        origin: Origin = (),
        name: str | None = None,
    ) -> Any:
        """Write an equation, or compute its result if all operands are constants."""
        if not any(type(o) is Var for o in operands):
            return frozen(primitive.impl(*operands, **params))
        key = primitive.name, tuple(map(content_key, operands)), content_key(params)
        if key not in self._made:
            out = self.variable(type_, name)
            self.equations.append(Equation(primitive, operands, params, (out,), origin))
            self._made[key] = out
        return self._made[key]

    # -- equations that are no loop ----------------------------------------------------------------

    def copy(self, equation: Equation) -> None:
        """Write an equation of the old program, which reads from the new one's results."""
        joined = self._joined(equation)
        if joined is not None:
            self.values[equation.out] = joined
            return
        operands = tuple(self.operand(o) for o in equation.operands)
        self.equations.append(equation._replace(operands=operands))
        self._note_element(equation, operands)

    def _note_element(self, equation: Equation, operands: tuple[Any, ...]) -> None:
        spec = equation.params.get("spec", ())
        if equation.primitive is GETITEM and len(spec) == 1 and type(spec[0]) is int:
            n = type_of(operands[0]).shape[0]
            self.values[equation.out] = equation.out
            self.elements[equation.out] = Element(operands[0], spec[0] % n, None)

    def _joined(self, equation: Equation) -> Any:
        """Return a stack, or a concatenation, of what loops have stacked already."""
        primitive, operands, params, outs, origin = equation
        if params.get("axis") != 0 or primitive not in (STACK, CONCATENATE):
            return None
        if not any(type(o) is Var and o in self.elements for o in operands):
            return None
        types = {type_of(o)._replace(weak=False) for o in operands}
        if len(types) > 1:
            return None
        (type_,) = types
        if type_.dtype != outs[0].type.dtype or len(self._segments(operands)) * 2 > len(operands):
            return None
        stacked = self.stacked(operands, type_, origin)
        if primitive is STACK:
            return stacked
        shape = outs[0].type.shape
        return self.apply(RESHAPE, (stacked,), {"shape": shape}, outs[0].type, origin)

    # -- arrays of what each iteration has ---------------------------------------------------------

    def stacked(self, operands: Sequence[Any], type_: ArrayType, origin: Origin) -> Any:
        """Return an array of the operands: slices of arrays that have them, where that is so."""
        segments = self._segments(operands)
        if len(segments) * 2 > len(operands):
            segments = [list(range(len(operands)))]
        pieces = []
        for places in segments:
            values = [operands[i] for i in places]
            if len(segments) < len(operands) and self._step(values) is not None:
                first = self.elements[values[0]]
                step = self._step(values)
                assert step is not None
                pieces.append(self.sliced(first.array, first.place, step, len(values)))
                continue
            parts = tuple(self.operand(v) for v in values)
            made = ArrayType((len(values), *type_.shape), type_.dtype)
            if self.loop is not None and any(type(o) is Var for o in parts):
                self.copied[self.loop] = self.copied.get(self.loop, 0) + made.size
            pieces.append(self.apply(STACK, parts, {"axis": 0}, made, origin))
        if len(pieces) == 1:
            return pieces[0]
        whole = ArrayType((len(operands), *type_.shape), type_.dtype)
        return self.apply(CONCATENATE, tuple(pieces), {"axis": 0}, whole, origin)

    def _segments(self, operands: Sequence[Any]) -> list[list[int]]:
        """Cut a list into stretches that lie evenly spaced in one array, and the rest between."""
        segments: list[list[int]] = []
        even = False
        for i, operand in enumerate(operands):
            if (
                segments
                and even
                and self._step([*(operands[j] for j in segments[-1][-2:]), operand])
            ):
                segments[-1].append(i)
                continue
            following = operands[i : i + 3]
            starts = len(following) == 3 and self._step(following) is not None
            if segments and not even and not starts:
                segments[-1].append(i)
                continue
            segments.append([i])
            even = starts
        return segments

    def _step(self, operands: Sequence[Any]) -> int | None:
        """Return the distance of elements that lie evenly spaced in one array."""
        found = [self.elements.get(o) if type(o) is Var else None for o in operands]
        first = found[0]
        if first is None or len(found) < 2 or found[1] is None:
            return None
        step = found[1].place - first.place
        for number, element in enumerate(found):
            if element is None or element.array is not first.array:
                return None
            if element.place != first.place + number * step:
                return None
        return step or None

    def along(self, row: Row) -> Any:
        """Return the array of a row with the axis in front."""
        array = self.operand(row.array)
        if not row.axis:
            return array
        shape, dtype, _ = type_of(array)
        axes = (row.axis, *(i for i in range(len(shape)) if i != row.axis))
        type_ = ArrayType(tuple(shape[a] for a in axes), dtype)
        return self.apply(TRANSPOSE, (array,), {"axes": axes}, type_)

    def sliced(self, array: Any, start: int, step: int, count: int) -> Any:
        """Return ``array[start], array[start + step]...`` as one array."""
        shape, dtype, _ = type_of(array)
        if (start, step, count) == (0, 1, shape[0]):
            return array
        stop = start + step * count
        spec = (slice(start, stop if stop >= 0 else None, step if step != 1 else None),)
        made = ArrayType((count, *shape[1:]), dtype)
        return self.apply(GETITEM, (array,), {"spec": spec}, made)
