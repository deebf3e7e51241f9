"""What a rewriting rule may ask about the program around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Var
from ...program.primitive import PRIMITIVES
from ...program.repeated import essence


class New(NamedTuple):
    """The equation that a rule puts in the place of another one."""

    primitive: str
    operands: tuple[Any, ...]
    params: dict[str, Any] = {}  # noqa: RUF012  a field's default, and never changed


# What a rule answers: an operand that is the result already, another equation, or nothing.
Answer = Any
Rule = Callable[[Equation, "Context"], Answer]

RULES: dict[str, list[tuple[Rule, bool]]] = {}
"""By primitive: its rules, and whether they are for ``fast`` alone."""


def rule(*primitives: str, fast: bool = False) -> Callable[[Rule], Rule]:
    """Say that the decorated function rewrites equations of these primitives.

    It is asked only about equations with one result. An answer is taken only if it has the type of
    the result, so that a rule need not think about promotion and broadcasting.
    """

    def register(function: Rule) -> Rule:
        for name in primitives:
            RULES.setdefault(name, []).append((function, fast))
        return function

    return register


# Their results are arrays of their own, which lie in memory without gaps.
_FRESH = frozenset(
    {"matmul", "stack", "concatenate", "sum", "embed", "setitem", "scatter_add", "cast"}
)
# Their results lie in memory as their operand does.
_KEEPING = frozenset({"reshape", "transpose", "alias", "stop_gradient"})


class Context:
    """The equations so far.

    Attributes
    ----------
    definitions : dict
        The equation that computed a variable.
    """

    def __init__(self) -> None:
        self.definitions: dict[Var, Equation] = {}

    def definition(self, operand: Any, *primitives: str) -> Equation | None:
        """Return the equation behind an operand, if it is of one of these primitives."""
        if type(operand) is not Var:
            return None
        found = self.definitions.get(operand)
        return found if found is not None and found.primitive.name in primitives else None

    def is_packed(self, operand: Any) -> bool:
        """Tell whether an array surely lies in memory without gaps.

        A copy of such an array has its layout, so that what is computed from either is the same to
        the last bit; NumPy adds up the elements of a view with gaps in another order. Inputs of a
        program count as packed, as every array is that is not a view.
        """
        if type(operand) is not Var or not operand.type.shape:
            return True
        found = self.definitions.get(operand)
        if found is None:
            return True
        if found.primitive.name in _KEEPING:
            return self.is_packed(found.operands[0])
        return found.primitive.elementwise or found.primitive.name in _FRESH


def type_of(operand: Any) -> ArrayType:
    """Return the type of a variable or a constant."""
    return operand.type if type(operand) is Var else array_type(operand)


def constant(operand: Any) -> float | int | None:
    """Return the real number that a constant operand is everywhere; None for anything else."""
    if type(operand) is Var or isinstance(operand, complex):
        return None
    if isinstance(operand, bool | np.bool_):
        return None
    if isinstance(operand, int | float):
        return operand
    if isinstance(operand, np.generic | np.ndarray) and _is_uniform(operand):
        number: float | int = operand.flat[0].item()
        return number
    return None


def _is_uniform(array: Any) -> bool:
    # a matrix may differ in layout from the other operand, and so decide about the result's
    if array.dtype.kind not in "iuf" or array.ndim > 1 or not array.size:
        return False
    array = essence(array)
    first = array.flat[0]
    return bool(np.all(array == first) and np.all(np.signbit(array) == np.signbit(first)))


def is_exactly(operand: Any, number: float) -> bool:
    """Tell whether an operand is a constant with this value; 0.0 is not -0.0."""
    value = constant(operand)
    if value is None or value != number:
        return False
    return number != 0 or np.signbit(value) == np.signbit(number)


def result_type(new: New) -> ArrayType:
    """Return the type of what an equation would compute."""
    primitive = PRIMITIVES[new.primitive]
    types = [type_of(o) for o in new.operands]
    found = primitive.type_rule(*types, **new.params)
    return found._replace(weak=primitive.elementwise and all(t.weak for t in types))
