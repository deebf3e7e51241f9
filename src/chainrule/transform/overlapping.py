"""Sums of arrays that lie in different rows of a larger one, taken row by row.

The derivative of what reads ``x[1:]`` and ``x[:-1]`` is a sum of two arrays, each put into zeros.
To make arrays of zeros, copy into them and add takes several passes over memory. The same sum is
the first rows, which only one term reaches, then those that both reach, then the last ones: these
are joined arrays, each of which is computed where it belongs.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from ..program.equation import Equation, Var
from ..program.program import Program
from .looping.parts import apply

PIECES = 5  # of which each is a loop of its own
LEAST = 64  # rows for which it is worth that


def join_overlapping(program: Program) -> Program:
    """Return a program that joins rows instead of adding arrays that are zero elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> from chainrule.trace.program import trace_program
    >>> f = grad(lambda x: np.sum(x[1:] * x[:-1]))
    >>> program, _ = trace_program(f, np.ones(100), abstract=True)
    >>> joined = join_overlapping(program)
    >>> "embed" in str(joined), "concatenate" in str(joined)
    (False, True)
    >>> joined.evaluate(np.ones(100))[0][[0, 1, -1]]
    array([1., 2., 1.])
    """
    if not any(e.primitive.name == "embed" for e in program.equations):
        return program
    joiner = _Joiner(program)
    for equation in program.equations:
        if not joiner.join(equation):
            joiner.equations.append(equation)
    return Program.from_trace(program.inputs, joiner.equations, program.outputs, program.name)


class _Joiner:
    """Writes sums of embedded arrays as joined pieces."""

    def __init__(self, program: Program) -> None:
        self.equations: list[Equation] = []
        self.producer = {e.out: e for e in program.equations if len(e.outs) == 1}
        self.uses = Counter(v for e in program.equations for v in e.inputs)
        self.uses.update(o for o in program.outputs if type(o) is Var)
        self.inner = {
            o
            for e in program.equations
            if e.primitive.name == "add"
            for o in e.inputs
            if self._is_sum(o, e.out.type)
        }

    def _is_sum(self, o: Any, type_: Any) -> bool:
        """Tell whether an operand is a sum of its own, of arrays of the same type."""
        made = self.producer.get(o)
        return (
            made is not None
            and made.primitive.name == "add"
            and self.uses[o] == 1
            and all(type(p) is Var and p.type == type_ for p in (o, *made.operands))
        )

    def join(self, equation: Equation) -> bool:
        """Write a whole sum as joined pieces; tell whether that can be done."""
        if equation.primitive.name != "add":
            return False
        out = equation.out
        if out in self.inner or not out.type.shape:
            return False
        if out.type.dtype.kind != "f" or out.type.shape[0] < LEAST:
            return False
        if any(type(o) is not Var or o.type != out.type for o in equation.operands):
            return False
        rows = [self._rows(term) for term in self._terms(out)]
        ends = sorted({end for pair in rows for end in pair})
        pieces = list(pairwise(ends))
        whole = 0, out.type.shape[0]
        if (ends[0], ends[-1]) != whole or not 1 < len(pieces) <= PIECES:
            return False
        if any(all(b <= first or last <= a for a, b in rows) for first, last in pieces):
            return False  # some rows are zero
        parts = tuple(self._sum(equation, first, last) for first, last in pieces)
        apply(self.equations, "concatenate", parts, equation.origin, axis=0)
        self.equations[-1] = self.equations[-1]._replace(outs=(out,))
        return True

    def _terms(self, out: Var) -> list[Var]:
        """Return what a sum adds."""
        found: list[Var] = []
        for o in self.producer[out].operands:
            assert type(o) is Var
            found.extend(self._terms(o) if o in self.inner else [o])
        return found

    def _embedded(self, term: Var) -> tuple[Var, int] | None:
        """Return what is put into zeros, and in which row it begins."""
        made = self.producer.get(term)
        if made is None or made.primitive.name != "embed" or self.uses[term] != 1:
            return None
        (value,) = made.operands
        cut, *rest = made.params["index"]
        if type(value) is not Var or value.type.shape[1:] != term.type.shape[1:]:
            return None
        if type(cut) is not slice or any(part != slice(None) for part in rest):
            return None
        if len(value.type.shape) != len(term.type.shape) or value.type.dtype != term.type.dtype:
            return None
        start, _, step = cut.indices(term.type.shape[0])
        return (value, start) if step == 1 and value.type.size else None

    def _rows(self, term: Var) -> tuple[int, int]:
        """Return in which rows a term can be other than zero."""
        found = self._embedded(term)
        if found is None:
            return 0, term.type.shape[0]
        value, start = found
        return start, start + value.type.shape[0]

    def _sum(self, equation: Equation, first: int, last: int) -> Var | None:
        """Write some rows of a sum, added in the order in which all were; None if they are zero."""
        found: list[Var] = []
        for o in equation.operands:
            assert type(o) is Var
            inner = o in self.inner
            part = (
                self._sum(self.producer[o], first, last)
                if inner
                else self._part(o, first, last, equation.origin)
            )
            if part is not None:
                found.append(part)
        if len(found) < 2:
            return found[0] if found else None
        return apply(self.equations, "add", tuple(found), equation.origin)

    def _part(self, term: Var, first: int, last: int, origin: Any) -> Var | None:
        """Write some rows of a term."""
        value, start = self._embedded(term) or (term, 0)
        n = value.type.shape[0]
        first, last = first - start, last - start
        if last <= 0 or n <= first:
            return None
        if (first, last) == (0, n):
            return value
        ends = (end - n if 2 * end > n else end for end in (first, last))  # from the nearer end
        cut = slice(*(end or None for end in ends))
        return apply(self.equations, "getitem", (value,), origin, spec=(cut,))
