"""Indices that count with the iteration: ``x[t]`` in a loop's body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...primitives.indexing import SETITEM
from ...program.arraytype import ArrayType
from ...program.index import Hole
from .sources import Fixed, Row, Scanned, Source, Step, Window, holes, type_of

_INDEX = ArrayType((), np.dtype(np.intp))


def moving(step: Step, specs: Sequence[tuple[Any, ...]]) -> Step | None:
    """Return a step that reads or writes at another place in each iteration."""
    places = [i for i in range(len(specs[0])) if len({_key(spec[i]) for spec in specs}) > 1]
    row = _row(step, specs, places)
    return _by_operands(step, specs, places) if row is None else row


def _key(part: Any) -> Any:
    return (part.start, part.stop, part.step) if type(part) is slice else part


def _row(step: Step, specs: Sequence[tuple[Any, ...]], places: list[int]) -> Step | None:
    """Return a reading that goes along one axis as the loop's own: the array's rows are scanned."""
    assert step.primitive is not None
    if step.primitive.name != "getitem" or len(step.sources) > 1 or len(places) != 1:
        return None
    (axis,) = places
    array = step.sources[0]
    spec = specs[0]
    if type(array) is not Fixed or type(spec[axis]) is not int:
        return None
    if any(part != slice(None) for part in spec[:axis]):
        return None
    n = type_of(array.operand).shape[axis]
    indices = [s[axis] % n for s in specs]
    step_size = indices[1] - indices[0]
    if not step_size or indices != [indices[0] + t * step_size for t in range(len(indices))]:
        return None
    rest = spec[:axis] + spec[axis + 1 :]
    row = (Row(array.operand, axis, indices[0], step_size),)
    if all(type(part) is slice and part == slice(None) for part in rest):
        return Step(None, {}, row, step.equation)
    return Step(step.primitive, {"spec": rest}, row, step.equation)


def _by_operands(step: Step, specs: Sequence[tuple[Any, ...]], places: list[int]) -> Step | None:
    """Return a reading or writing whose index is an operand, read from a list of indices."""
    assert step.primitive is not None
    spec = list(specs[0])
    sources: list[Source] = list(step.sources)
    primitive, operands = step.primitive, step.equation.operands
    if primitive.name == "embed":  # what is put into zeros is written into zeros
        out = step.equation.out.type
        primitive = SETITEM
        sources.insert(0, Fixed(np.zeros(out.shape, out.dtype)))
        shape = out.shape
    else:
        shape = type_of(operands[0]).shape
    for place in places:
        parts = [s[place] for s in specs]
        source = _index_source(parts, place, spec, shape)
        if source is None:
            return None
        spec[place] = Hole(holes(spec))
        sources.append(source)
    return Step(primitive, {"spec": tuple(spec)}, tuple(sources), step.equation)


def _index_source(
    parts: list[Any], place: int, spec: list[Any], shape: tuple[int, ...]
) -> Source | None:
    if all(type(p) is int for p in parts):
        return Scanned(tuple(np.intp(p) for p in parts), _INDEX)
    others = [part for i, part in enumerate(spec) if i != place]
    if place or any(part != slice(None) for part in others):
        return None
    ranges = [range(*p.indices(shape[0])) for p in parts]
    offsets = {tuple(i - r[0] for i in r) if len(r) else () for r in ranges}
    if len(offsets) != 1 or offsets == {()}:
        return None
    return Window(tuple(r[0] for r in ranges), offsets.pop())
