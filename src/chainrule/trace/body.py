"""A part of a program that is recorded once and run on other values later.

The function given to ``vmap``, the body of a loop and the branches of a condition are such parts.
What they use of the values around them becomes an input as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from ..program.arraytype import ArrayType
from ..program.equation import Equation, Var
from ..program.primitive import Traced
from ..program.pytree import TreeDef, flatten
from .draws import refusing_draws
from .recorder import STATE, Recorder
from .tracer import Tracer, adopt

Step = tuple[Equation, tuple[Var, ...]]


class Body:
    """A recorded function of its inputs and of the values that it captured.

    Attributes
    ----------
    inputs : tuple of Var
        The inputs, of which only the types are known.
    captured : tuple of Var
        Our variables for values of enclosing traces.
    outer : tuple of Tracer
        Those values.
    equations : tuple of Equation
        What leads to the outputs, in program order.
    outputs : tuple
        Variables, or constants.
    out_tree : TreeDef
        How the outputs are arranged.
    lean : list or None
        What is run on plain arrays, where no derivative follows that might need more than the
        outputs: pairs of an equation and the variables that nobody needs after it.
    """

    __slots__ = (
        "captured",
        "equations",
        "inputs",
        "lean",
        "out_tree",
        "outer",
        "outputs",
    )

    def __init__(
        self,
        inputs: tuple[Var, ...],
        captures: Sequence[tuple[Tracer, Var]],
        equations: Sequence[Equation],
        outputs: tuple[Any, ...],
        out_tree: TreeDef,
    ) -> None:
        self.inputs = inputs
        self.outer = tuple(outer for outer, _ in captures)
        self.captured = tuple(inner for _, inner in captures)
        self.equations = _needed(equations, outputs)
        self.outputs = outputs
        self.out_tree = out_tree
        self.lean: list[Step] | None = None

    def with_outputs(self, outputs: tuple[Any, ...]) -> Body:
        """Return the same function with other outputs, all of them known to it."""
        captures = tuple(zip(self.outer, self.captured, strict=True))
        return Body(self.inputs, captures, self.equations, outputs, flatten(list(outputs))[1])

    def run(self, values: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        """Return the outputs for values of the inputs and of what was captured."""
        env: dict[Var, Any] = dict(zip(self.inputs, values, strict=True))
        env.update(zip(self.captured, captured, strict=True))
        if any(isinstance(v, Traced) for v in env.values()):
            steps: Iterable[Step] = ((equation, ()) for equation in self.equations)
        else:
            steps = self.lean = self.lean or _lean(self.equations, self.outputs)
        for (primitive, operands, params, outs, _), done in steps:
            result = primitive(
                *(env[o] if type(o) is Var else o for o in operands),
                **params,
            )
            env.update(zip(outs, (result,) if primitive.joint is None else result, strict=True))
            for var in done:
                del env[var]
        return [env[o] if type(o) is Var else o for o in self.outputs]


def record_body(
    f: Callable[..., Any], types: Sequence[ArrayType], values: Sequence[Any] | None = None
) -> tuple[Body, list[Any]]:
    """Record ``f`` of inputs with these types, within the trace that runs now.

    Parameters
    ----------
    f : callable
        Takes one traced value per type; returns a pytree.
    types : sequence of ArrayType
        The types of the inputs.
    values : sequence, optional
        The values of the inputs, where the recording is for these alone: any control flow works.

    Returns
    -------
    body : Body
        What was recorded, without the values.
    results : list
        The values of the outputs; None where they are not known.
    """
    parent = STATE.recorder
    assert parent is not None
    recorder = Recorder(parent.full_origins, parent.keep, parent)
    known = [None] * len(types) if values is None else values
    inputs = tuple(recorder.variable(v, t) for v, t in zip(known, types, strict=True))
    STATE.recorder = recorder
    try:
        with refusing_draws() if values is None else nullcontext():
            leaves, out_tree = flatten(f(*(Tracer(recorder, var) for var in inputs)))
        outputs = tuple(_operand(leaf, recorder) for leaf in leaves)
    finally:
        STATE.recorder = parent
        recorder.end()
        parent.take_locks(recorder)
    captures = [(Tracer(parent, outer), inner) for outer, inner in recorder.captured.values()]
    results = [o.value if type(o) is Var else o for o in outputs]
    _forget(recorder, [*inputs, *(inner for _, inner in captures)])
    return Body(inputs, captures, recorder.equations, outputs, out_tree), results


def _forget(recorder: Recorder, inputs: list[Var]) -> None:
    """Drop the values, which would keep memory that a later run may be meant to save."""
    for var in (*inputs, *(out for equation in recorder.equations for out in equation.outs)):
        if var.value is not None:
            var.forget()


def _operand(leaf: Any, recorder: Recorder) -> Any:
    if not isinstance(leaf, Tracer):
        return leaf
    return (leaf if leaf._recorder is recorder else adopt(leaf, recorder))._operand()


def _needed(equations: Sequence[Equation], outputs: Sequence[Any]) -> tuple[Equation, ...]:
    """Return the equations that the outputs depend on."""
    wanted = {o for o in outputs if type(o) is Var}
    kept = []
    for equation in reversed(equations):
        if not wanted.isdisjoint(equation.outs):
            kept.append(equation)
            wanted.update(equation.inputs)
    return tuple(reversed(kept))


def _lean(equations: Sequence[Equation], outputs: Sequence[Any]) -> list[Step]:
    """Return equations without results that nobody uses, and what each was the last to use."""
    later = {o for o in outputs if type(o) is Var}
    steps: list[Step] = []
    for equation in reversed(equations):
        if equation.primitive.trim is not None:
            equation = equation.primitive.trim(equation, later)
        mentioned = dict.fromkeys((*equation.inputs, *equation.outs))
        steps.append((equation, tuple(var for var in mentioned if var not in later)))
        later.update(mentioned)
    steps.reverse()
    return steps
