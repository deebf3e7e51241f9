"""Leading axes that are only carried along, made one.

A network takes sequences in batches: arrays of batch, place and feature. Most of what is computed
treats each place by itself, so batch and place could as well be one axis of rows. Written that way,
all rows are alike: as many of them as fit into a cache can be taken at a time, where there may be
just a few batches, and each of them larger than that.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np

from ..program.equation import Equation, Var
from ..program.program import Program
from .looping.parts import apply, type_of

Shape = tuple[int, ...]
REDUCTIONS = frozenset({"sum", "mean", "max", "min", "prod"})


def merge_leading_axes(program: Program) -> Program:
    """Return a program with one axis in the place of those that products carry along.

    Examples
    --------
    >>> from chainrule.trace.program import trace_program
    >>> f = lambda x, w: np.tanh(x @ w) @ w
    >>> program, _ = trace_program(f, np.ones((2, 5, 3)), np.ones((3, 3)), abstract=True)
    >>> [e.out.type.shape for e in merge_leading_axes(program).equations]
    [(10, 3), (10, 3), (10, 3), (10, 3), (2, 5, 3)]
    """
    leads = Counter(
        e.operands[0].type.shape[:-1]
        for e in program.equations
        if e.primitive.name == "matmul" and _carries(e)
    )
    for lead, products in leads.items():
        if products > 1:
            first = _Merger(program, lead)
            first.merged()
            program = _Merger(program, lead, first.inside()).merged()
    return program


def _carries(equation: Equation) -> bool:
    left, right = equation.operands
    shape = left.type.shape if type(left) is Var else ()
    return len(shape) > 2 and len(type_of(right).shape) == 2 and prod(shape) > 0


class _Merger:
    """Writes a program again, with rows in the place of some leading axes."""

    def __init__(self, program: Program, lead: Shape, only: set[Var] | None = None) -> None:
        self.program = program
        self.only = only
        self.takers: set[Var] = set()  # results of what reads rows, though they aren't rows
        self.lead = lead
        self.rows = prod(lead)
        self.equations: list[Equation] = []
        self.merged_of: dict[Var, Any] = {}
        self.whole_of: dict[Var, Any] = {}

    def merged(self) -> Program:
        """Return the program."""
        for equation in self.program.equations:
            self._write(equation)
        p = self.program
        outputs = tuple(self._whole(o, ()) for o in p.outputs)
        return Program.from_trace(p.inputs, self.equations, outputs, p.name)

    def inside(self) -> set[Var]:
        """Return what is worth being written with rows: products, and what rows are needed of.

        The last values before others that need all axes would be copied else.
        """
        needed: set[Var] = set()
        found: set[Var] = set()
        for equation in reversed(self.program.equations):
            if len(equation.outs) != 1:
                continue
            out, name = equation.out, equation.primitive.name
            if out in self.takers or (
                out in self.merged_of and (out in needed or name in ("matmul", "reshape"))
            ):
                found.add(out)
                needed.update(equation.inputs)
        return found

    def _write(self, equation: Equation) -> None:
        is_one = len(equation.outs) == 1 and (self.only is None or equation.out in self.only)
        made = self._rewritten(equation) if is_one else None
        if made is None:
            operands = tuple(self._whole(o, equation.origin) for o in equation.operands)
            self.equations.append(equation._replace(operands=operands))
        elif type_of(made).shape == equation.out.type.shape:
            self.equations[-1] = self.equations[-1]._replace(outs=equation.outs)
            self.takers.add(equation.out)
        else:
            self.merged_of[equation.out] = self._named(made, equation.out.name)

    def _named(self, made: Var, name: str | None) -> Var:
        if name is None or self.equations[-1].outs != (made,):
            return made
        named = Var(made.id, None, made.type, name)
        self.equations[-1] = self.equations[-1]._replace(outs=(named,))
        return named

    # -- values, in one form and in the other ------------------------------------------------------

    def _is_led(self, shape: Shape) -> bool:
        n = len(self.lead)
        return shape[:n] == self.lead and len(shape) <= n + 1

    def _short(self, shape: Shape) -> Shape:
        return self.rows, *shape[len(self.lead) :]

    def _whole(self, o: Any, origin: Any) -> Any:
        """Return a value with the axes that it has in the program."""
        if type(o) is not Var or o not in self.merged_of:
            return o
        if o not in self.whole_of:
            given = (self.merged_of[o],)
            self.whole_of[o] = apply(self.equations, "reshape", given, origin, shape=o.type.shape)
        return self.whole_of[o]

    def _rows_of(self, o: Any, origin: Any) -> Any:
        """Return a value with rows."""
        shape = self._short(type_of(o).shape)
        if type(o) is not Var:
            if not any(o.strides):  # the same number everywhere
                return np.broadcast_to(o.reshape(-1)[0], shape)
            return np.reshape(o, shape)
        if o not in self.merged_of:
            self.merged_of[o] = apply(self.equations, "reshape", (o,), origin, shape=shape)
            self.whole_of[o] = o
        return self.merged_of[o]

    # -- equations ---------------------------------------------------------------------------------

    def _rewritten(self, equation: Equation) -> Any:
        """Write an equation with rows and return its result; None if that can't be."""
        name, out = equation.primitive.name, equation.out.type
        if name in REDUCTIONS:
            return self._reduced(equation)
        if not self._is_led(out.shape):
            return self._reshaped_away(equation) if name == "reshape" else None
        if name == "matmul":
            return self._product(equation)
        if name == "reshape" or (name == "getitem" and self._only_adds_axes(equation)):
            return self._reshaped(equation)
        if name == "broadcast_to" or equation.primitive.elementwise or name in ("alias", "cast"):
            return self._elementwise(equation)
        return None

    def _elementwise(self, equation: Equation) -> Any:
        shape, operands = equation.out.type.shape, []
        for o in equation.operands:
            own = type_of(o).shape
            if self._is_led(own) and len(own) == len(shape):
                operands.append(self._rows_of(o, equation.origin))
            elif len(own) <= len(shape) - len(self.lead):
                operands.append(o)
            else:
                return None
        params = dict(equation.params)
        if "shape" in params:
            params["shape"] = self._short(shape)
        if (
            not any(type_of(o).shape[:1] == (self.rows,) for o in operands)
            and "shape" not in params
        ):
            return None
        name = equation.primitive.name
        made = apply(self.equations, name, tuple(operands), equation.origin, **params)
        return made if made.type.dtype == equation.out.type.dtype else None

    def _product(self, equation: Equation) -> Any:
        if not _carries(equation):
            return None
        left, right = equation.operands
        pair = (self._rows_of(left, equation.origin), right)
        return apply(self.equations, "matmul", pair, equation.origin)

    def _reduced(self, equation: Equation) -> Any:
        (x,) = equation.operands
        shape = type_of(x).shape
        n = len(self.lead)
        if x not in self.merged_of if type(x) is Var else True:
            return None
        axis, keepdims = equation.params["axis"], equation.params["keepdims"]
        over = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = {a % len(shape) for a in over}
        leading = set(range(n))
        if leading <= axes:
            if keepdims:
                return None
            own = (0, *(a - n + 1 for a in sorted(axes - leading)))
        elif axes.isdisjoint(leading):
            own = tuple(a - n + 1 for a in sorted(axes))
        else:
            return None
        params = {**equation.params, "axis": own}
        given = (self.merged_of[x],)
        return apply(self.equations, equation.primitive.name, given, equation.origin, **params)

    def _reshaped(self, equation: Equation) -> Any:
        """Write a change of axes into rows."""
        (x,) = equation.operands
        shape = self._short(equation.out.type.shape)
        given = self.merged_of.get(x, x) if type(x) is Var else x
        if type(given) is Var and given.type.shape == shape and given is not x:
            return given
        return apply(self.equations, "reshape", (given,), equation.origin, shape=shape)

    def _reshaped_away(self, equation: Equation) -> Any:
        """Write a change of rows into other axes."""
        (x,) = equation.operands
        if type(x) is not Var or x not in self.merged_of:
            return None
        given, shape = (self.merged_of[x],), equation.out.type.shape
        return apply(self.equations, "reshape", given, equation.origin, shape=shape)

    def _only_adds_axes(self, equation: Equation) -> bool:
        parts = equation.params["spec"]
        whole = (
            p is None or p is Ellipsis or (type(p) is slice and p == slice(None)) for p in parts
        )
        return len(equation.operands) == 1 and all(whole)
