"""Sums of overlapping windows that move in steps, one phase at a time.

Where windows are ``step`` apart, element ``step·q + r`` of their sum has terms from just every
``step``-th place of a window: those of phase r. So a window is cut into phases, and each is a sum
of windows that move by single elements. Zeros between the elements would be multiplied instead.
"""

from __future__ import annotations

from ...program.records import frozen_record
from .chains import Overlap, contiguous_strides
from .selects import Rewriting
from .spec import Ints, Operand, Spec, pair_of


@frozen_record
class _Phase:
    """An axis of the result in steps: labels of positions and windows, and how these are cut."""

    overlap: Overlap
    position: int
    window: int

    @property
    def terms(self) -> int:
        """How many places of a window a phase has at most."""
        return -(-self.overlap.length // self.overlap.step)

    @property
    def count(self) -> int:
        """How many elements of each phase the result has."""
        return -(-self.overlap.size // self.overlap.step)


def by_phases(
    to: Rewriting, spec: Spec, overlaps: tuple[Overlap, ...], shape: Ints
) -> tuple[Spec, Ints] | None:
    """Return a contraction over the phases, and the shape of its result, which may be longer.

    None if windows don't move in steps, or in another way than from the first element on.
    """
    if all(o.step == 1 for o in overlaps):
        return None
    phases = []
    for o in overlaps:
        position, window = pair_of(spec, o)
        if position is None or window is None or o.within != 1 or o.start:
            return None
        phases.append(_Phase(o, position, window))
    longer = list(shape)
    for phase in phases:
        longer[phase.overlap.axis] = phase.count * phase.overlap.step
    out = _placed(spec, phases, shape, tuple(longer))
    if out is None:
        return None
    is_left = bool(spec.left.strides[phases[0].position])
    moving, fixed = (spec.left, spec.right) if is_left else (spec.right, spec.left)
    moving = _padded(to, spec, moving, phases)
    fixed = _filled(to, spec, fixed, phases)
    rooms = contiguous_strides(tuple(longer))
    return _cut(spec, phases, out, rooms, moving, fixed, is_left), tuple(longer)


def _placed(spec: Spec, phases: list[_Phase], shape: Ints, longer: Ints) -> list[int] | None:
    """Return the strides of the labels in a result whose axes are longer."""
    rooms, wider = contiguous_strides(shape), contiguous_strides(longer)
    own = {k for phase in phases for k in (phase.position, phase.window)}
    found = []
    for label, (size, stride) in enumerate(zip(spec.sizes, spec.out, strict=True)):
        if label in own or not stride:
            found.append(0)
            continue
        axis = next(
            (a for a, room in enumerate(rooms) if room <= stride and stride % room == 0), None
        )
        if axis is None or (size - 1) * stride >= rooms[axis] * shape[axis]:
            return None
        found.append(stride // rooms[axis] * wider[axis])
    return found


def _copied(
    to: Rewriting, spec: Spec, o: Operand, lengths: dict[int, int], starts: dict[int, int]
) -> Operand:
    """Return a copy of an operand with zeros around it."""
    labels = sorted((k for k, s in enumerate(o.strides) if s), key=lambda k: -abs(o.strides[k]))
    shape = tuple(lengths.get(k, spec.sizes[k]) for k in labels)
    base = to.add(
        "repack",
        o.base,
        shape=shape,
        sizes=tuple(spec.sizes[k] for k in labels),
        strides=tuple(o.strides[k] for k in labels),
        offset=o.offset,
        starts=tuple(starts.get(k, 0) for k in labels),
        steps=(1,) * len(labels),
    )
    strides = [0] * len(spec.sizes)
    for k, stride in zip(labels, contiguous_strides(shape), strict=True):
        strides[k] = stride
    return Operand(base, 0, tuple(strides))


def _padded(to: Rewriting, spec: Spec, o: Operand, phases: list[_Phase]) -> Operand:
    """Return what moves, with zeros before and after it, from the first element on."""
    lengths = {p.position: p.count + p.terms - 1 for p in phases}
    copy = _copied(to, spec, o, lengths, {p.position: p.terms - 1 for p in phases})
    offset = sum((p.terms - 1) * copy.strides[p.position] for p in phases)
    return Operand(copy.base, offset, copy.strides)


def _filled(to: Rewriting, spec: Spec, o: Operand, phases: list[_Phase]) -> Operand:
    """Return the windows, so long that all phases have as many places."""
    lengths = {p.window: p.terms * p.overlap.step for p in phases}
    if all(spec.sizes[k] == n for k, n in lengths.items()):
        return o
    return _copied(to, spec, o, lengths, {})


def _cut(
    spec: Spec,
    phases: list[_Phase],
    out: list[int],
    rooms: list[int],
    moving: Operand,
    fixed: Operand,
    is_left: bool,
) -> Spec:
    """Return the contraction with the windows' labels cut in two: place within a phase, phase."""
    by_label = {k: p for p in phases for k in (p.position, p.window)}
    columns: list[tuple[int, int, int, int]] = []
    for label, size in enumerate(spec.sizes):
        phase = by_label.get(label)
        if phase is None:
            columns.append((size, out[label], moving.strides[label], fixed.strides[label]))
            continue
        step, room = phase.overlap.step, rooms[phase.overlap.axis]
        along = moving.strides[phase.position]
        if label == phase.position:
            columns.append((phase.count, step * room, along, 0))
            continue
        stride = fixed.strides[label]
        columns.append((phase.terms, 0, -along, step * stride))
        if step > 1:
            columns.append((step, room, 0, stride))
    kept = [c for c in columns if c[0] > 1] or columns[:1]
    sizes, placed, of_moving, of_fixed = zip(*kept, strict=True)
    a = Operand(moving.base, moving.offset, of_moving)
    b = Operand(fixed.base, fixed.offset, of_fixed)
    return Spec(sizes, placed, *((a, b) if is_left else (b, a)))
