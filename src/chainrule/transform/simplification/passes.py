"""The passes: dead code, common subexpressions, constants, and the rewriting rules."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ...program.arraytype import array_type
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from ...program.program import Program, frozen, needed
from ...trace.body import Body
from ..content import equation_key
from . import rules  # noqa: F401  they register themselves
from .context import RULES, Context, New, result_type, type_of

_FOLDED_BYTES = 2**16  # a larger constant costs more to keep than to compute again


def simplify(program: Program, *, fast: bool = False) -> Program:
    """Return a shorter program that computes the same.

    What no output needs is left out, what is computed twice is computed once, what depends on no
    input is computed now, and operations that change nothing are left out. Bodies of loops and
    branches are simplified as well. The variables that remain keep their names, their numbers and
    where they come from.

    Parameters
    ----------
    program : Program
        Not changed.
    fast : bool
        Whether to use rules of real numbers that don't hold for infinities and NaN, and rules
        that change rounding: ``x - x`` is 0, ``x * 0`` is 0, ``1 / (1 + exp(-z))`` is a sigmoid.

    Returns
    -------
    Program
        Its outputs are the same to the last bit, but for ``fast``, for inputs that are not views
        with gaps in memory: the order in which NumPy adds depends on those.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> def f(x):
    ...     y = np.exp(x) * 1.0
    ...     return y - -np.exp(x)
    >>> program, _ = trace_program(f, np.ones(2), abstract=True)
    >>> len(program), len(simplify(program))
    (5, 2)
    """
    equations, outputs = program.equations, program.outputs
    while True:
        before = len(equations), list(map(id, outputs))
        equations, outputs = _simplified(equations, outputs, fast)
        if (len(equations), list(map(id, outputs))) == before:
            break
    return program.replace(equations=equations, outputs=outputs)


def _simplified(
    equations: Sequence[Equation], outputs: Sequence[Any], fast: bool
) -> tuple[tuple[Equation, ...], tuple[Any, ...]]:
    rewriter = _Rewriter(fast)
    for equation in needed(equations, outputs):
        rewriter.add(equation)
    outs = tuple(rewriter.operand(o) for o in outputs)
    return tuple(needed(rewriter.equations, outs)), outs


class _Rewriter:
    """Goes through equations in program order; what comes first is simple already."""

    def __init__(self, fast: bool) -> None:
        self.fast = fast
        self.equations: list[Equation] = []
        self.context = Context()
        self.replaced: dict[Var, Any] = {}
        self.known: dict[Hashable, Equation] = {}

    def operand(self, operand: Any) -> Any:
        return self.replaced.get(operand, operand) if type(operand) is Var else operand

    def add(self, equation: Equation) -> None:
        operands = tuple(self.operand(o) for o in equation.operands)
        equation = equation._replace(operands=operands, params=self._params(equation.params))
        if len(equation.outs) == 1 and equation.primitive.joint is None:
            found = self._rewritten(equation)
            if type(found) is not Equation:
                self.replaced[equation.out] = found
                return
            equation = found
        key = equation_key(equation)
        twin = self.known.get(key)
        if twin is not None and _same_types(twin, equation):
            self.replaced.update(zip(equation.outs, twin.outs, strict=True))
            return
        self.known[key] = equation
        self.equations.append(equation)
        self.context.definitions.update((out, equation) for out in equation.outs)

    def _rewritten(self, equation: Equation) -> Any:
        """Apply rules until none applies; returns an equation, or the operand that it is."""
        while True:
            value = _folded(equation)
            if value is not None:
                return value
            for rule, fast in RULES.get(equation.primitive.name, ()):
                answer = None if fast > self.fast else rule(equation, self.context)
                if answer is not None and _fits(answer, equation):
                    break
            else:
                return equation
            if type(answer) is not New:
                return answer
            equation = equation._replace(
                primitive=PRIMITIVES[answer.primitive],
                operands=answer.operands,
                params=answer.params,
            )

    def _params(self, params: dict[str, Any]) -> dict[str, Any]:
        if not any(type(value) is Body for value in params.values()):
            return params
        return {
            name: _simple_body(value, self.fast) if type(value) is Body else value
            for name, value in params.items()
        }


def _simple_body(body: Body, fast: bool) -> Body:
    equations, outputs = _simplified(body.equations, body.outputs, fast)
    same = all(o is before for o, before in zip(outputs, body.outputs, strict=True))
    if same and len(equations) == len(body.equations):
        return body
    captures = list(zip(body.outer, body.captured, strict=True))
    return Body(body.inputs, captures, equations, outputs, body.out_tree)


def _same_types(a: Equation, b: Equation) -> bool:
    return [out.type for out in a.outs] == [out.type for out in b.outs]


def _fits(answer: Any, equation: Equation) -> bool:
    """Tell whether an answer has the type of the result that it is to replace."""
    type_ = result_type(answer) if type(answer) is New else type_of(answer)
    return type_ == equation.out.type


def _folded(equation: Equation) -> Any:
    """Return the result of an equation of constants; None if it has to stay."""
    primitive, operands, params, (out,), _ = equation
    if any(type(o) is Var for o in operands):
        return None
    if max(out.type.size, *(type_of(o).size for o in operands), 0) > _FOLDED_BYTES // 8:
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = primitive.impl(*operands, **params)
        except Exception:  # an index out of bounds, say: it has to be raised when it's run
            return None
    if array_type(value) != out.type or not getattr(value, "flags", _SCALAR).forc:
        return None
    return frozen(value)


class _Scalar:
    forc = True


_SCALAR = _Scalar()
