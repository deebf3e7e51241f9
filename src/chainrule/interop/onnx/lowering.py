"""From a program to steps that ONNX has operators for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...primitives.families import real_dtype
from ...program.arraytype import ArrayType, array_type
from ...program.equation import Equation, Origin, Var
from ...program.errors import ChainruleError
from ...program.index import join_index
from ...program.program import Program
from ...program.program import needed as needed_equations
from ...program.pytree import flatten
from ...trace.body import Body
from . import draws, forms, matrices, specials  # noqa: F401 - they fill the table
from .block import Block, Step, record, refuse
from .complexes import PAIRED, Pair, as_pair
from .convolution import joined_convolutions
from .registry import COMPOSED, EMITTERS

ELSEWHERE = {"custom", "checkpoint", "while_pull"}


def lowered(program: Program) -> Block:
    """Return a program as a block."""
    return _block(program.inputs, (), program.equations, program.outputs)


def _block(
    inputs: tuple[Var, ...],
    captured: tuple[Var, ...],
    equations: Iterable[Equation],
    outputs: tuple[Any, ...],
) -> Block:
    lowering = _Lowering()
    lowering.run(joined_convolutions(needed_equations(equations, outputs)), None)
    found = tuple(lowering.operand(o) for o in outputs)
    if any(isinstance(o, Pair) for o in found):
        refuse(
            "a result is complex",
            lowering.origin,
            why="what a model, a branch or the body of a loop takes and returns is real here",
            help="return the real and the imaginary part: `return z.real, z.imag`",
        )
    return Block(inputs, captured, tuple(_needed(lowering.steps, found)), found)


def _needed(steps: list[Step], outputs: tuple[Any, ...]) -> list[Step]:
    """Return the steps that the outputs depend on."""
    wanted = {o for o in outputs if type(o) is Var}
    kept = []
    for step in reversed(steps):
        if not wanted.isdisjoint(step.outs):
            kept.append(step)
            wanted.update(o for o in step.operands if type(o) is Var)
    return kept[::-1]


class _Lowering:
    """The steps so far, and what became of variables that need none.

    A complex variable becomes a pair of real ones.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.same: dict[Var, Any] = {}
        self.origin: Origin = ()

    def operand(self, o: Any) -> Any:
        while type(o) is Var and o in self.same:
            o = self.same[o]
        return o

    def run(self, equations: Iterable[Any], origin: Origin | None) -> None:
        """Add the steps of some equations; those of composed operations keep their origin."""
        for equation in equations:
            self.origin = given = equation.origin if origin is None else origin
            operands = tuple(map(self.operand, equation.operands))
            step = equation if isinstance(equation, Step) else None
            name = step.name if step else equation.primitive.name
            params = {key: _param(value) for key, value in equation.params.items()}
            plain = Step(name, operands, params, equation.outs, given)
            if name in ("setitem", "scatter_add"):
                _check_assignment(plain)
            form = _paired(plain) if _is_complex(plain) else _form(plain, equation.params)
            if form is not None:
                self.inline(plain, form)
            elif name in EMITTERS:
                self.steps.append(plain)
            else:
                _unsupported(plain)

    def inline(self, step: Step, form: Callable[..., Any]) -> None:
        """Put what NumPy code does in the place of a step."""
        leaves, tree = flatten(step.operands)
        places = [i for i, leaf in enumerate(leaves) if type(leaf) is Var]

        def call(*given: Any) -> Any:
            operands = list(leaves)
            for i, value in zip(places, given, strict=True):
                operands[i] = value
            return form(*tree.unflatten(operands))

        try:
            program, _ = record(form, call, [leaves[i].type for i in places])
        except ChainruleError as error:
            refuse(
                f"what `{step.name}` does cannot be exported to ONNX",
                step.origin,
                why=error.title,
                help="write it in NumPy functions that can be traced without values",
            )
        self.same.update(zip(program.inputs, (leaves[i] for i in places), strict=True))
        self.run(program.equations, step.origin)
        results = iter(program.outputs)
        for out in step.outs:
            if out.type.dtype.kind != "c":
                self.alias(out, self.operand(next(results)), step.origin)
                continue
            part = out.type._replace(dtype=real_dtype(out.type.dtype), weak=False)
            pair = Pair(Var(out.id, None, part), Var(out.id, None, part))
            for var, result in zip(pair, results, strict=False):
                self.alias(var, self.operand(result), step.origin)
            self.same[out] = Pair(*map(self.operand, pair))

    def alias(self, out: Var, value: Any, origin: Origin) -> None:
        """Let a variable be another value, in its own type."""
        found = value.type if type(value) is Var else array_type(value)
        if type(value) is Var and found == out.type:
            self.same[out] = value
            return
        self.steps.append(Step("fitted", (value,), {}, (out,), origin))


def _form(step: Step, params: dict[str, Any]) -> Callable[..., Any] | None:
    """Return the NumPy code for a step, if it has one."""
    if step.name in ELSEWHERE:
        return forms.inlined(step.name, params)
    for applies, form in COMPOSED.get(step.name, ()):
        if applies(step.outs[0].type, *step.operands, **params):
            return lambda *operands: form(*operands, **params)
    return None


def _param(value: Any) -> Any:
    if isinstance(value, Body):
        return _block(value.inputs, value.captured, value.equations, value.outputs)
    return value


def supported() -> list[str]:
    """Return the names of all primitives that can be exported."""
    from ...program.primitive import PRIMITIVES

    return sorted((set(EMITTERS) | set(COMPOSED) | set(PAIRED) | ELSEWHERE) & set(PRIMITIVES))


def _check_assignment(step: Step) -> None:
    """Refuse to assign a value that does not fit, which a trace without values does not see."""
    types = [_type(o.re if isinstance(o, Pair) else o) for o in step.operands]
    shape = step.params["shape"] if step.name == "scatter_add" else types.pop(0).shape
    given, *parts = (t.shape for t in types)
    if any(t.dtype == bool for t in types[1:]):
        return  # a mask is known, and has been applied
    places = [np.zeros(part, int) for part in parts]
    target = np.broadcast_to(False, shape)[join_index(places, step.params["spec"])].shape
    while len(given) > len(target) and given[0] == 1:
        given = given[1:]
    try:
        fits = np.broadcast_shapes(given, target) == target
    except ValueError:
        fits = False
    if not fits:
        refuse(
            f"a value of shape {types[0].shape} is assigned to elements of shape {target}",
            step.origin,
            why="NumPy would refuse it",
            help="assign a value that broadcasts to these elements; a length that stays open "
            "has to be open on both sides",
        )


def _type(o: Any) -> ArrayType:
    return o.type if type(o) is Var else array_type(o)


def _is_complex(step: Step) -> bool:
    return any(
        isinstance(o, Pair) or _type(o).dtype.kind == "c" for o in (*step.operands, *step.outs)
    )


def _paired(step: Step) -> Callable[..., Any]:
    """Return the NumPy code that does a step on real and imaginary parts."""
    code = PAIRED.get(step.name)
    if code is None or any(type(o) is Var and o.type.dtype.kind == "c" for o in step.operands):
        refuse(
            f"`{step.name}` of complex numbers cannot be exported to ONNX",
            step.origin,
            why="ONNX's operators take real numbers, and only some operations are written here for "
            "pairs of them",
            help="compute with the real and the imaginary part in arrays of their own",
        )
    return lambda *operands: code(*map(as_pair, operands), **step.params)


def _unsupported(step: Step) -> None:
    from textwrap import shorten

    names = ", ".join(supported())
    refuse(
        f"`{step.name}` cannot be exported to ONNX",
        step.origin,
        why="ONNX has no operator for it, and it is not written here in terms of others; "
        f"supported are {shorten(names, 3000)}",
        help="compute it outside of the exported function, or write it with other functions",
    )
