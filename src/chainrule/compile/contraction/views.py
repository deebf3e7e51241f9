"""Views: an array as strides into the memory of another one.

An axis of a view is a list of *factors*, (size, stride), outermost first: index i along it, written
in mixed radix by the sizes, moves by the sum of digits times strides. One factor is NumPy's own
kind of axis; several come from a reshape that NumPy could only do by a copy, such as the rows of
the matrix whose rows are the windows of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

from ...program.equation import Equation, Var
from ...program.records import frozen_record
from ..emit.blocks import full_spec
from ..sizes import bounds

Factor = tuple[int, int]
Axis = tuple[Factor, ...]


@frozen_record
class View:
    """Elements of an array's memory, in the order of a (virtual) array.

    Attributes
    ----------
    base : Var or ndarray
        The array, contiguous.
    offset : int
        Where element (0, ..., 0) is.
    axes : tuple of tuple of (int, int)
        The factors of each axis; none for an axis of length 1.
    """

    base: Any
    offset: int
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(prod(size for size, _ in axis) for axis in self.axes)


def contiguous(shape: Sequence[int]) -> tuple[Axis, ...]:
    """Return the axes of a contiguous array."""
    axes: list[Axis] = []
    stride = 1
    for n in reversed(shape):
        axes.append(((n, stride),) if n != 1 else ())
        stride *= n
    return tuple(reversed(axes))


def whole(o: Any) -> View:
    """Return the view that is the array itself."""
    return View(o, 0, contiguous(o.type.shape if type(o) is Var else o.shape))


def view_of(o: Any, producer: Mapping[Var, Equation]) -> View:
    """Return an operand as a view of the array that it was taken from by changes of layout."""
    equation = producer.get(o) if type(o) is Var else None
    if equation is None or equation.primitive.name not in MOVES or 0 in o.type.shape:
        return whole(o)
    source = view_of(equation.operands[0], producer)
    if 0 in source.shape:
        return whole(o)
    return MOVES[equation.primitive.name](source, equation) or whole(o)


def regrouped(factors: Sequence[Factor], shape: Sequence[int]) -> tuple[Axis, ...] | None:
    """Divide a list of factors among axes of other lengths; None if a factor would not divide."""
    waiting = list(factors)
    axes: list[Axis] = []
    for n in reversed(shape):
        axis: list[Factor] = []
        while n > 1:
            size, stride = waiting.pop()
            if n % size == 0:
                n //= size
            elif size % n == 0:
                waiting.append((size // n, stride * n))
                size, n = n, 1
            else:
                return None
            axis.append((size, stride))
        axes.append(tuple(reversed(axis)))
    return tuple(reversed(axes))


def _reshaped(view: View, equation: Equation) -> View | None:
    axes = regrouped([f for axis in view.axes for f in axis], equation.out.type.shape)
    return None if axes is None else View(view.base, view.offset, axes)


def _transposed(view: View, equation: Equation) -> View:
    axes = tuple(view.axes[a] for a in equation.params["axes"])
    return View(view.base, view.offset, axes)


def _broadcast(view: View, equation: Equation) -> View:
    shape = equation.out.type.shape
    given = ((),) * (len(shape) - len(view.axes)) + view.axes
    axes = (
        ((n, 0),) if n != 1 and not axis else axis for axis, n in zip(given, shape, strict=True)
    )
    return View(view.base, view.offset, tuple(axes))


def _windowed(view: View, equation: Equation) -> View | None:
    axes, added = list(view.axes), []
    for window, axis in zip(equation.params["window"], equation.params["axis"], strict=True):
        if len(axes[axis]) > 1:
            return None
        size, stride = axes[axis][0] if axes[axis] else (1, 0)
        left = size - window + 1
        axes[axis] = ((left, stride),) if left > 1 else ()
        added.append(((window, stride),) if window > 1 else ())
    return View(view.base, view.offset, (*axes, *added))


def _sliced(view: View, equation: Equation) -> View | None:
    if len(equation.operands) > 1:
        return None
    axes: list[Axis] = []
    offset = view.offset
    given = iter(view.axes)
    for part in full_spec(equation.params["spec"], len(view.axes)):
        if part is None:
            axes.append(())
            continue
        axis = next(given)
        n = prod(size for size, _ in axis)
        if type(part) is slice:
            start, _, step, count = bounds(part, n)
            if (start, step, count) == (0, 1, n):
                axes.append(axis)
                continue
            if len(axis) > 1:
                return None
            stride = axis[0][1] if axis else 0
            offset += start * stride
            axes.append(((count, step * stride),) if count != 1 else ())
        elif type(part) is int:
            part %= n
            for size, stride in reversed(axis):
                offset += part % size * stride
                part //= size
        else:
            return None
    return View(view.base, offset, tuple(axes))


def _same(view: View, equation: Equation) -> View:
    return view


MOVES: dict[str, Callable[[View, Equation], View | None]] = {
    "alias": _same,
    "stop_gradient": _same,
    "reshape": _reshaped,
    "transpose": _transposed,
    "broadcast_to": _broadcast,
    "windows": _windowed,
    "getitem": _sliced,
}


def refined(systems: Sequence[Sequence[int]]) -> list[int] | None:
    """Return the coarsest mixed radix of which all the given ones are groupings, or None."""
    cuts = [1]
    for system in systems:
        below = 1
        for size in reversed(system):
            below *= size
            if below not in cuts:
                cuts.append(below)
    ordered = sorted(cuts)
    pairs = list(pairwise(ordered))
    if any(high % low for low, high in pairs):
        return None
    return [high // low for low, high in reversed(pairs)]
