"""One number per row, put where an index says, as a comparison with the index.

The derivative of ``scores[arange(n), labels]`` adds to an array of zeros. As a comparison it is
element-wise, so that the array of zeros, and the passes over it, need not be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..program.arraytype import array_type
from ..program.equation import Equation, Var
from ..program.index import Hole
from ..program.primitive import call
from ..program.program import Program
from ..trace.program import trace_program

_SPEC = (Hole(0), Hole(1))


def compare_with_indices(program: Program) -> Program:
    """Return a program that compares instead of adding to zeros, where there is one index per row.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> f = grad(lambda x, i: np.sum(np.exp(x[np.arange(3), i])))
    >>> x, i = np.zeros((3, 2)), np.array([0, 1, 1])
    >>> program, _ = trace_program(f, x, i, abstract=True)
    >>> compared = compare_with_indices(program)
    >>> "scatter_add" in str(program), "scatter_add" in str(compared)
    (True, False)
    >>> compared.evaluate(x, i)[0]
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    equations: list[Equation] = []
    for equation in program.equations:
        index, columns = _index_per_row(equation)
        if index is None:
            equations.append(equation)
        else:
            equations.extend(_compared(equation, index, columns))
    if len(equations) == len(program.equations):
        return program
    return program.replace(equations=tuple(equations))


def _index_per_row(equation: Equation) -> tuple[Var | None, int]:
    """Return the index of what is added at ``[arange(n), index]``, and the number of columns."""
    nothing = None, 0
    if equation.primitive.name != "scatter_add" or len(equation.operands) != 3:
        return nothing
    if equation.params["spec"] != _SPEC:  # of two arrays then, so that these are their places
        return nothing
    _, rows, index = equation.operands
    shape = equation.params["shape"]
    if type(index) is not Var or type(rows) is not np.ndarray or len(shape) != 2:
        return nothing
    if index.type.shape != shape[:1] or index.type.dtype.kind not in "iu":
        return nothing
    return (index, shape[1]) if np.array_equal(rows, np.arange(shape[0])) else nothing


def _compared(equation: Equation, index: Var, columns: int) -> Iterable[Equation]:
    """Yield what puts a value per row into the column of its index."""
    value = equation.operands[0]
    places = np.arange(columns, dtype=np.int32)

    def put(value: Any, index: Any) -> Any:
        # the same number, counted from the start, and an error if it is out of bounds
        column = call("getitem", places, index, spec=(Hole(0),))
        # an addition to zero makes 0.0 of -0.0
        return np.where(places == column[:, None], value[:, None] + 0.0, 0.0)

    types = [o.type if type(o) is Var else array_type(o) for o in (value, index)]
    samples = [np.zeros(t.shape, t.dtype) for t in types]
    written, _ = trace_program(put, *samples, abstract=True)
    new = dict(zip(written.inputs, (value, index), strict=True))
    for inner in written.equations:
        operands = tuple(new.get(o, o) if type(o) is Var else o for o in inner.operands)
        last = inner.out is written.outputs[0]
        new[inner.out] = equation.out if last else Var(equation.out.id, None, inner.out.type)
        yield Equation(inner.primitive, operands, inner.params, (new[inner.out],), equation.origin)
