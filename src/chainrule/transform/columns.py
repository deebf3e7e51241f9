"""Arrays of many short rows as columns, so that one loop over the rows is all that is left.

A function of one example, applied to a batch of them, works on arrays of shapes such as (n, 3),
(n,) and (n, 11). As loops over arrays they don't fit into each other. Element by element of a row
they do: then all is element-wise over n, and what joins, splits and reshapes rows is no operation
at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..primitives.families import made_late
from ..program.arraytype import ArrayType, array_type
from ..program.equation import Equation, Var
from ..program.index import Hole
from ..program.primitive import PRIMITIVES, Primitive
from ..program.program import Program
from .simplification import simplify

LEAST_ROWS = 256
WIDEST = 64  # elements of a row
LONGEST = 3000  # equations
LEAST = 8  # operations that take rows apart or join them; with fewer, whole rows are faster

Columns = np.ndarray[Any, np.dtype[np.intp]]
"""The shape of a row, filled with numbers of elements."""


def _rows(*columns: Any, shape: tuple[int, ...]) -> Any:
    return np.stack([np.broadcast_to(c, shape[:1]) for c in columns], axis=1).reshape(shape)


def _rows_type(*columns: ArrayType, shape: tuple[int, ...]) -> ArrayType:
    return ArrayType(shape, columns[0].dtype)


ROWS = Primitive(
    "rows", _rows, type_rule=_rows_type, d=(made_late,), variadic=True, text="rows({0})"
)
"""Rows from the columns of their elements: columns, or single numbers."""


class _UnfitError(Exception):
    """An operation mixes rows, or joins what has another length."""


def split_rows(program: Program) -> Program:
    """Return a program in which arrays of short rows are split into their columns.

    It is all or nothing: a program that also multiplies matrices of rows, say, stays as it is.
    Zeros that a derivative has by structure are not added: only the sign of a zero can differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> def f(x):
    ...     for _ in range(8):
    ...         x = np.stack([x[:, 1], x[:, 0] * 2.0], axis=1)
    ...     return x[:, 0]
    >>> program, _ = trace_program(f, np.ones((300, 2)), abstract=True)
    >>> len(program), len(split_rows(program))
    (33, 5)
    """
    rows = _count_of_rows(program)
    if rows is None:
        return program
    try:
        found = _Splitter(simplify(program), rows).program()
    except _UnfitError:
        return program
    return simplify(found)


def _count_of_rows(program: Program) -> int | None:
    """Return the length that many arrays of short rows share."""
    lengths = Counter(
        _longest(equation)
        for equation in program.equations
        if equation.primitive.name in ("getitem", "embed", "stack", "concatenate", "sum")
    )
    for rows, count in lengths.most_common(1):
        if rows >= LEAST_ROWS and count >= LEAST:
            return rows
    return None


def _longest(equation: Equation) -> int:
    """Return the number of the rows that an operation takes apart or joins; 0 if there are none."""
    shapes = [v.type.shape for v in (*equation.inputs, *equation.outs)]
    wide = [s for s in shapes if len(s) > 1 and 1 < math.prod(s[1:]) <= WIDEST]
    return wide[0][0] if wide and all(s[:1] == wide[0][:1] for s in shapes) else 0


ZERO = 0
"""The number of the element that is zero by structure, in whatever precision."""


class _Splitter:
    """Goes through a program and writes another, column by column.

    Attributes
    ----------
    elements : list
        A variable or a constant for each number; ``None`` for the structural zero.
    split : dict
        The columns of what was split.
    """

    def __init__(self, program: Program, rows: int) -> None:
        self.source, self.rows = program, rows
        self.equations: list[Equation] = []
        self.elements: list[Any] = [None]
        self.split: dict[Var, Columns] = {}
        self.taken: dict[Any, Columns] = {}
        self.joined: dict[Var, Any] = {}
        ids = [v.id for e in program.equations for v in (*e.inputs, *e.outs)]
        self.next_id = max((*ids, *(v.id for v in program.inputs)), default=0) + 1
        self.origin: Any = ()

    def program(self) -> Program:
        for equation in self.source.equations:
            self.origin = equation.origin
            self.add(equation)
            if len(self.equations) > LONGEST:
                raise _UnfitError
        outputs = tuple(map(self.whole, self.source.outputs))
        return self.source.replace(equations=tuple(self.equations), outputs=outputs)

    def add(self, equation: Equation) -> None:
        concerned = any(self.is_split(o) for o in equation.inputs)
        results = [out for out in equation.outs if self.of_rows(out.type)]
        if concerned and len(results) == len(equation.outs) == 1:
            self.split[equation.out] = self.columns_of_result(equation)
        elif concerned and equation.primitive.name == "sum":
            self.add_total(equation)
        elif any(o in self.split and len(o.type.shape) > 1 for o in equation.inputs):
            raise _UnfitError
        else:
            operands = tuple(map(self.whole, equation.operands))
            self.equations.append(equation._replace(operands=operands))

    # -- what is split ---------------------------------------------------------------------------

    def of_rows(self, type_: ArrayType) -> bool:
        shape = type_.shape
        return bool(shape) and shape[0] == self.rows and math.prod(shape[1:]) <= WIDEST

    def is_split(self, operand: Any) -> bool:
        """Whether an operand is an array of rows, and so may be taken apart."""
        return type(operand) is Var and self.of_rows(operand.type)

    def number(self, element: Any) -> int:
        self.elements.append(element)
        return len(self.elements) - 1

    def columns(self, operand: Any) -> Columns:
        """Return the columns of an array of rows."""
        if type(operand) is Var and operand in self.split:
            return self.split[operand]
        key = operand if type(operand) is Var else id(operand)
        if key not in self.taken:
            shape = (operand.type if type(operand) is Var else array_type(operand)).shape
            self.taken[key] = self._filled(shape[1:], lambda place: self._column(operand, place))
        return self.taken[key]

    def _filled(self, shape: tuple[int, ...], element: Callable[[Any], Any]) -> Columns:
        found = np.zeros(shape, np.intp)
        for place in np.ndindex(shape):
            found[place] = self.number(element(place))
        return found

    def _column(self, operand: Any, place: tuple[int, ...]) -> Any:
        if type(operand) is not Var:
            column = operand[(slice(None), *place)]
            uniform = (column == column[0]).all() and (
                np.signbit(column) == np.signbit(column[0])
            ).all()
            return column[0] if uniform else column
        if not place:
            return operand
        type_ = ArrayType((self.rows,), operand.type.dtype)
        return self.emit("getitem", (operand,), {"spec": (slice(None), *place)}, type_)

    def emit(self, name: str, operands: Any, params: dict[str, Any], type_: ArrayType) -> Var:
        out = Var(self.next_id, None, type_)
        self.next_id += 1
        primitive = PRIMITIVES[name]
        self.equations.append(Equation(primitive, tuple(operands), params, (out,), self.origin))
        return out

    def value(self, number: int, dtype: Any) -> Any:
        return dtype.type(0) if number == ZERO else self.elements[number]

    def whole(self, operand: Any) -> Any:
        """Return an operand as it was before it was split."""
        if type(operand) is not Var or operand not in self.split:
            return operand
        if operand not in self.joined:
            self.joined[operand] = self._join(operand)
        return self.joined[operand]

    def _join(self, var: Var) -> Any:
        shape, dtype, _ = var.type
        if len(shape) == 1:
            return self._as_column(int(self.split[var]), dtype)
        columns = [self.value(int(n), dtype) for n in self.split[var].ravel()]
        return self.emit("rows", columns, {"shape": shape}, ArrayType(shape, dtype))

    def _as_column(self, number: int, dtype: Any) -> Any:
        value = self.value(number, dtype)
        type_ = value.type if type(value) is Var else array_type(value)
        if type_.shape:
            return value
        if type(value) is not Var:
            return np.full(self.rows, value, dtype)
        shape = (self.rows,)
        wide = self.emit("reshape", (value,), {"shape": (1,)}, ArrayType((1,), dtype))
        return self.emit("broadcast_to", (wide,), {"shape": shape}, ArrayType(shape, dtype))

    # -- operations ------------------------------------------------------------------------------

    def columns_of_result(self, equation: Equation) -> Columns:
        primitive = equation.primitive
        if primitive.elementwise:
            return self.elementwise(equation)
        rule = RULES.get(primitive.name)
        if rule is None:
            raise _UnfitError
        return rule(self, equation)

    def elementwise(self, equation: Equation) -> Columns:
        shape = equation.out.type.shape
        given = [self._against(o, shape) for o in equation.operands]
        found = np.zeros(shape[1:], np.intp)
        for place in np.ndindex(shape[1:]):
            found[place] = self._apply(equation, [int(columns[place]) for columns in given])
        return found

    def _against(self, operand: Any, shape: tuple[int, ...]) -> Columns:
        """Return the columns of an operand, broadcast to the row of the result."""
        own = (operand.type if type(operand) is Var else array_type(operand)).shape
        if len(own) == len(shape) and own[0] == self.rows:
            return np.broadcast_to(self.columns(operand), shape[1:])
        if len(own) == len(shape):  # one row for all
            raise _UnfitError
        if not own:
            return np.broadcast_to(np.intp(self.number(operand)), shape[1:])
        key = ("shared", operand if type(operand) is Var else id(operand))
        if key not in self.taken:
            self.taken[key] = self._filled(own, lambda place: self._part(operand, place))
        return np.broadcast_to(self.taken[key], shape[1:])

    def _part(self, operand: Any, place: tuple[int, ...]) -> Any:
        if type(operand) is not Var:
            return operand[place]
        type_ = ArrayType((), operand.type.dtype)
        return self.emit("getitem", (operand,), {"spec": place}, type_)

    def _apply(self, equation: Equation, numbers: list[int]) -> int:
        known = self._without_zeros(equation, numbers)
        if known is not None:
            return known
        types = [o.type if type(o) is Var else array_type(o) for o in equation.operands]
        operands = [self.value(n, t.dtype) for n, t in zip(numbers, types, strict=True)]
        given = [o.type if type(o) is Var else array_type(o) for o in operands]
        primitive, params = equation.primitive, equation.params
        if not any(type(o) is Var for o in operands):
            with np.errstate(all="ignore"):
                return self.number(primitive.impl(*operands, **params))
        type_ = primitive.type_rule(*given, **params)
        if type_.dtype != equation.out.type.dtype:
            raise _UnfitError
        return self.number(self.emit(primitive.name, operands, params, type_))

    def _without_zeros(self, equation: Equation, numbers: list[int]) -> int | None:
        """Return the result where structural zeros make it plain; None where they don't."""
        name, dtype = equation.primitive.name, equation.out.type.dtype
        if name == "where":
            condition = self.elements[numbers[0]]
            if type(condition) is Var or np.ndim(condition):
                return None
            chosen = 1 if condition else 2
            value = equation.operands[chosen]
            if not condition and type(value) in (int, float) and value == 0:
                return ZERO
            return numbers[chosen] if self._has_dtype(numbers[chosen], dtype) else None
        if ZERO not in numbers:
            return None
        if name in ("neg", "cast", "alias") or (name == "add" and numbers == [ZERO, ZERO]):
            return ZERO
        if name == "add" or (name == "sub" and numbers[1] == ZERO):
            other = numbers[0] if numbers[1] == ZERO else numbers[1]
            return other if self._has_dtype(other, dtype) else None
        return None

    def _has_dtype(self, number: int, dtype: Any) -> bool:
        element = self.elements[number]
        if element is None:
            return True
        type_ = element.type if type(element) is Var else array_type(element)
        return bool(type_.dtype == dtype and not type_.weak)

    def add_up(self, columns: list[int], equation: Equation) -> int:
        """Return the sum of columns, added from the first to the last."""
        dtype = equation.out.type.dtype
        if any(not self._has_dtype(n, dtype) for n in columns):
            raise _UnfitError
        columns = [n for n in columns if n != ZERO]
        if not columns:
            return ZERO
        total = columns[0]
        for number in columns[1:]:
            pair = [self.elements[total], self.elements[number]]
            longest = max((o.type if type(o) is Var else array_type(o)).shape for o in pair)
            total = self.number(self.emit("add", pair, {}, ArrayType(longest, dtype)))
        return total

    def add_total(self, equation: Equation) -> None:
        """Sum rows up: first within each row, then over all."""
        (x,) = equation.operands
        axes = _axes(equation.params["axis"], len(x.type.shape))
        if axes != tuple(range(len(x.type.shape))) or equation.params["keepdims"]:
            raise _UnfitError
        number = self.add_up([int(n) for n in self.columns(x).ravel()], equation)
        column = self._as_column(number, equation.out.type.dtype)
        params = {**equation.params, "axis": (0,)}
        self.equations.append(equation._replace(operands=(column,), params=params))


# -- operations that move columns, or add them up --------------------------------------------------

Rule = Callable[[_Splitter, Equation], Columns]


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in ((axis,) if isinstance(axis, int) else axis))


def _reshape(splitter: _Splitter, equation: Equation) -> Columns:
    return splitter.columns(equation.operands[0]).reshape(equation.params["shape"][1:])


def _broadcast(splitter: _Splitter, equation: Equation) -> Columns:
    return splitter._against(equation.operands[0], equation.params["shape"]).copy()


def _transpose(splitter: _Splitter, equation: Equation) -> Columns:
    first, *rest = equation.params["axes"]
    if first != 0:
        raise _UnfitError
    return splitter.columns(equation.operands[0]).transpose([a - 1 for a in rest])


def _within_rows(spec: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """Return what an index does within a row, if it leaves the rows as they are."""
    if any(type(s) is Hole for s in spec):
        raise _UnfitError
    if spec[:1] == (slice(None),):
        return spec[1:]
    explicit = sum(s is not None and s is not Ellipsis for s in spec)
    if spec[:1] == (Ellipsis,) and explicit < ndim:
        return spec
    raise _UnfitError


def _getitem(splitter: _Splitter, equation: Equation) -> Columns:
    x, *parts = equation.operands
    if parts or not splitter.is_split(x):
        raise _UnfitError
    within = _within_rows(equation.params["spec"], len(x.type.shape))
    return np.asarray(splitter.columns(x)[within])


def _embed(splitter: _Splitter, equation: Equation) -> Columns:
    shape, index = equation.params["shape"], equation.params["index"]
    index = index if isinstance(index, tuple) else (index,)
    found = np.full(shape[1:], ZERO, np.intp)
    found[_within_rows(index, len(shape))] = splitter.columns(equation.operands[0])
    return found


def _joined(splitter: _Splitter, equation: Equation) -> Columns:
    axis = equation.params["axis"]
    if axis < 1 or any(np.shape(o)[:1] != (splitter.rows,) for o in _plain(equation.operands)):
        raise _UnfitError
    parts = [splitter.columns(o) for o in equation.operands]
    join = np.stack if equation.primitive.name == "stack" else np.concatenate
    return join(parts, axis=axis - 1)


def _plain(operands: tuple[Any, ...]) -> list[Any]:
    return [o for o in operands if type(o) is not Var]


def _sum(splitter: _Splitter, equation: Equation) -> Columns:
    (x,) = equation.operands
    columns = splitter.columns(x)
    axes = tuple(a - 1 for a in _axes(equation.params["axis"], columns.ndim + 1))
    if -1 in axes:
        raise _UnfitError
    kept = [a for a in range(columns.ndim) if a not in axes]
    rest = [columns.shape[a] for a in kept]
    moved = columns.transpose([*kept, *axes]).reshape((*rest, -1))
    found = np.zeros(rest, np.intp)
    for place in np.ndindex(*rest):
        found[place] = splitter.add_up([int(n) for n in moved[place]], equation)
    return found.reshape(equation.out.type.shape[1:])


RULES: dict[str, Rule] = {
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "transpose": _transpose,
    "getitem": _getitem,
    "embed": _embed,
    "stack": _joined,
    "concatenate": _joined,
    "sum": _sum,
}
