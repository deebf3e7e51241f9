"""Running a program, one NumPy operation per equation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arraytype import ArrayType, array_type
from .equation import Equation, Var
from .errors import ProgramError

if TYPE_CHECKING:
    from .program import Program


def interpret(program: Program, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the outputs of a program for values of its inputs."""
    if len(values) != len(program.inputs):
        raise ProgramError(
            f"{program.name} takes {len(program.inputs)} values, but was given {len(values)}"
        )
    env: dict[Var, Any] = {}
    for position, (var, value) in enumerate(zip(program.inputs, values, strict=True)):
        env[var] = _taken(
            value, var.type, f"input {position}" + (f" ({var.name})" * bool(var.name))
        )
    last = _last_uses(program)
    with np.errstate(all="ignore"):
        for number, equation in enumerate(program.equations):
            results = _run(equation, env)
            env.update(zip(equation.outs, results, strict=True))
            for var in last.get(number, ()):
                env.pop(var, None)
    given = {id(value) for value in values}
    return tuple(_returned(env[o] if type(o) is Var else o, given) for o in program.outputs)


def _run(equation: Equation, env: dict[Var, Any]) -> tuple[Any, ...]:
    primitive, operands, params, _, _ = equation
    given = [env[o] if type(o) is Var else o for o in operands]
    try:
        result = primitive.impl(*given, **params)
    except (ZeroDivisionError, OverflowError):
        # Python's own numbers stand for arrays without axes here, and divide as these do
        result = primitive.impl(
            *(np.float64(v) if type(v) is float else v for v in given), **params
        )
    return (result,) if primitive.joint is None else tuple(result)


def _last_uses(program: Program) -> dict[int, list[Var]]:
    """Return by equation the variables that nobody needs after it."""
    last: dict[Var, int] = {}
    for number, equation in enumerate(program.equations):
        for var in (*equation.inputs, *equation.outs):
            last[var] = number
    for output in program.outputs:
        if type(output) is Var:
            last.pop(output, None)
    uses: dict[int, list[Var]] = {}
    for var, number in last.items():
        uses.setdefault(number, []).append(var)
    return uses


def _taken(value: Any, type_: ArrayType, which: str) -> Any:
    """Return a value as the input of a program, after checking that it fits."""
    given = array_type(value)
    if given.shape != type_.shape:
        raise ProgramError(f"{which} has shape {given.shape} instead of {type_.shape}")
    castable = np.can_cast(given.dtype, type_.dtype, "safe") or (
        given.weak and np.can_cast(given.dtype, type_.dtype, "same_kind")
    )
    if not castable:
        raise ProgramError(f"{which} is of {given.dtype} instead of {type_.dtype}")
    if type_.weak:  # a Python number, whose type gives way to that of an array
        return np.asarray(value).item()
    if given.dtype == type_.dtype and not given.weak:
        return value
    return np.asarray(value, type_.dtype)[()]


def _returned(value: Any, given: set[int]) -> Any:
    """Return an output that shares memory with nothing else."""
    if type(value) is not np.ndarray:
        return value
    own = value.base is None and value.flags.writeable and id(value) not in given
    given.add(id(value))
    return value if own else value.copy()
