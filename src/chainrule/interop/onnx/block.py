"""The form of a program on its way to a graph: steps by name, with bodies of the same form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from ...program.arraytype import ArrayType
from ...program.equation import Origin, Var
from ...program.errors import UnsupportedError
from ...program.program import Program
from ...program.pytree import TreeDef, flatten
from ...program.spans import Span, span_of
from ...trace import Session, Tracer
from ...trace.draws import refusing_draws


class Step(NamedTuple):
    """One operation: ``outs = name(*operands, **params)``.

    It is an equation that need not be one of a primitive: several equations that ONNX has one
    operator for become one step.
    """

    name: str
    operands: tuple[Any, ...]
    params: dict[str, Any]
    outs: tuple[Var, ...]
    origin: Origin


class Block(NamedTuple):
    """Steps with inputs and outputs: a whole program, or the body of a loop.

    ``captured`` are a body's variables for values around it; the step that has the body gets
    these values as its last operands.
    """

    inputs: tuple[Var, ...]
    captured: tuple[Var, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Any, ...]


def record(
    f: Callable[..., Any],
    call: Callable[..., Any],
    types: Sequence[ArrayType],
    names: Sequence[str | None] | None = None,
) -> tuple[Program, TreeDef]:
    """Return what ``call`` does to values of the given types.

    ``f`` is the user's function in it, whose own names for NumPy's functions are looked through.
    """
    given = [None] * len(types) if names is None else names
    with Session(f, keep=True) as (recorder, _):
        inputs = [recorder.variable(None, t, n) for t, n in zip(types, given, strict=True)]
        with refusing_draws():
            results, tree = flatten(call(*(Tracer(recorder, var) for var in inputs)))
        outputs = [r._operand() if isinstance(r, Tracer) else r for r in results]
        return Program.from_trace(inputs, recorder.equations, outputs), tree


def place(origin: Origin) -> Span | None:
    """Return the user's code that a step comes from."""
    return span_of(*origin[0]) if origin else None


def refuse(title: str, origin: Origin, why: str, help: str) -> NoReturn:
    """Say at the user's line what cannot be exported."""
    raise UnsupportedError(title, span=place(origin), why=why, help=help)
