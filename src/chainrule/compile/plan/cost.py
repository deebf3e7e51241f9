"""About how long compiled code takes, for the decisions that depend on it."""

from __future__ import annotations

import numpy as np

from ...program.equation import Equation, Var
from ..runtime.special import LIBRARY
from .schedule import HEAVY, Group, Schedule, size_of

CUBIC = frozenset(  # the work of a matrix's factors grows with the third power of its size
    (
        *("lu", "lu_solve", "triangular_solve", "cholesky"),
        *("symmetric_eigen", "singular", "orthogonal"),
    )
)
RELEASED_FROM = 20_000.0  # ns of work for which giving the interpreter's lock away pays
SHARED_FROM = 300_000.0  # ns of work for which waking other threads pays


def estimated_time(plan: Schedule) -> float:
    """Return about how many nanoseconds a program takes."""
    return sum(_time_of_group(group, plan) for group in plan.groups)


def _time_of_group(group: Group, plan: Schedule) -> float:
    if group.inner is None:
        return time_per_element(group, plan) * size_of(group.domain)
    each = sum(estimated_time(block.plan) for block in group.inner.blocks)
    if len(group.inner.blocks) == 2 and hasattr(group.inner, "test"):
        return max(100 * each, RELEASED_FROM)  # nobody knows how long it takes
    return each * getattr(group.inner, "steps", 1)


def time_per_element(group: Group, plan: Schedule) -> float:
    """Return about how many nanoseconds a loop nest takes for each point of its index space."""
    waiting: list[Equation] = list(group.roots)
    seen: set[int] = set()
    total = 0.0
    while waiting:
        equation = waiting.pop()
        if id(equation) in seen:
            continue
        seen.add(id(equation))
        total += _weight(equation)
        waiting.extend(plan.producer[v] for v in equation.inputs if v not in plan.stored)
    return total


def _weight(equation: Equation) -> float:
    """Return about how many nanoseconds an equation takes per element of its loop nest."""
    name = equation.primitive.name
    if name == "contraction":
        inner = (
            n
            for n, out in zip(equation.params["sizes"], equation.params["strides"][0], strict=True)
            if not out
        )
        return 0.05 * size_of(inner)
    if name in ("matmul", "einsum"):
        shapes = [np.shape(o) if type(o) is not Var else o.type.shape for o in equation.operands]
        return 0.05 * max(shape[-1] if shape else 1 for shape in shapes)
    if name in (
        "lu",
        "lu_solve",
        "triangular_solve",
        "cholesky",
        "symmetric_eigen",
        "singular",
        "orthogonal",
    ):
        matrix = equation.operands[0]
        shape = matrix.type.shape if type(matrix) is Var else np.shape(matrix)
        return 1.0 + 0.05 * shape[-1]
    if name in LIBRARY:
        return 30.0
    return 1.0 if name in HEAVY else 0.2
