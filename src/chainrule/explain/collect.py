"""What an explanation is made from: the gradient's own computation, watched edge by edge.

The pull that computes the gradient is observed, so every number shown is one that the gradient
was really made of. The same equations are then pulled once more with traced values, which only
writes down how each number came about; that is where the formulas are read from, and a formula
is shown only where it reproduces the observed number.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from ..maps import LinearMap, bare
from ..program.equation import Equation, Origin, Var
from ..program.errors import ChainruleError, GradientError
from ..trace import Recorder, Session, Tracer
from ..trace.recorder import current
from ..transform.arguments import Arguments, Function, Selection, record
from ..transform.chain import pull_back
from ..transform.gradient import one, scalar_output

MAX_EDGES = 200_000


@dataclass(slots=True, eq=False)
class Flow:
    """One operand of one equation, and the cotangents that met there.

    Attributes
    ----------
    equation : Equation
        The operation.
    position : int
        Which of its operands.
    map : LinearMap
        The local derivative that was used.
    given, moved : array or Masked
        The cotangent of the result, and what the map's transpose made of it. Where an operation
        has several results, ``given`` is a list.
    traced : Tracer or array or None
        ``moved`` again, with the equations that computed it.
    """

    equation: Equation
    position: int
    map: LinearMap
    given: Any
    moved: Any
    traced: Any = None

    @property
    def results(self) -> list[tuple[Var, Any]]:
        """The results that have a cotangent, with it."""
        return cotangents_of(self.equation, self.given)

    @property
    def operand(self) -> Var:
        """The variable that the cotangent flows to."""
        operand = self.equation.operands[self.position]
        assert type(operand) is Var
        return operand


def cotangents_of(equation: Equation, given: Any) -> list[tuple[Var, Any]]:
    """Return an equation's results that have a cotangent, with it."""
    if equation.primitive.joint is None:
        return [(equation.outs[0], given)]
    return [(out, ct) for out, ct in zip(equation.outs, given, strict=True) if ct is not None]


@dataclass(slots=True, eq=False)
class Collected:
    """One gradient with everything that was seen while it was computed.

    Attributes
    ----------
    arguments : Arguments
        The call's arguments, and which of them are differentiated.
    inputs, leaves : list
        The variables of the differentiated leaves, and the gradients by them.
    equations : list of Equation
        The forward computation.
    output : Var or None
        The result; None if it does not depend on any input.
    value, gradient : Any
        What ``value_and_grad`` gives.
    flows : list of Flow
        In the order of the pull: from the result back to the inputs.
    cotangents : dict
        For each variable that the result depends on, its total cotangent.
    backward : list of Equation
        How the cotangents and the maps' coefficients are computed.
    traced : dict
        For each variable, the variable of ``backward`` that is its cotangent.
    sources : dict
        For each result of ``backward``, the flow that it was computed for.
    lifted : dict
        For each constant array that is a variable in ``backward``: the array it stands for.
    """

    arguments: Arguments
    inputs: list[Var]
    equations: list[Equation]
    output: Var | None
    value: Any
    gradient: Any
    leaves: list[Any]
    flows: list[Flow] = field(default_factory=list)
    cotangents: dict[Var, Any] = field(default_factory=dict)
    backward: list[Equation] = field(default_factory=list)
    traced: dict[Var, Any] = field(default_factory=dict)
    sources: dict[Var, Flow] = field(default_factory=dict)
    lifted: dict[Var, Any] = field(default_factory=dict)
    seed: Var | None = None


class SourceRecorder(Recorder):
    """A recorder that keeps for each equation every frame up to the one that began the trace."""

    __slots__ = ("base",)

    def __init__(self) -> None:
        super().__init__(full_origins=True)
        self.base: FrameType | None = None

    def origin(self, depth: int) -> Origin:
        """Return the frames of the current operation, the machinery's own included."""
        frame: FrameType | None = sys._getframe(depth)
        chain = []
        while frame is not None and frame is not self.base:
            chain.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        return tuple(chain)


class _FormulaRecorder(Recorder):
    """A recorder for the second pull, which shares its constants with the first."""

    __slots__ = ()

    def origin(self, depth: int) -> Origin:
        return ()

    def constant(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return array  # the user's function is over, so nobody changes it; and it stays known


def collect(f: Function, argnums: Selection, args: tuple[Any, ...], kwargs: Any) -> Collected:
    """Compute a gradient and note each edge that it passes."""
    if current() is not None:
        raise GradientError(
            "explain cannot be used inside a function that is being differentiated",
            why="it shows a finished gradient",
            help="explain the outer function, or call explain outside of it",
        )
    session = Session(f)
    recorder = session.recorder = SourceRecorder()
    with session as (_, nested):
        recorder.base = sys._getframe()
        arguments = Arguments(f, argnums, args, kwargs)
        call = record(arguments, recorder, nested)
        recorder.base = None
        out = scalar_output(f, call)
        flows: list[Flow] = []
        leaves = call.pull([one(out)], lambda *edge: flows.append(Flow(*edge)))
        found = Collected(
            arguments,
            call.inputs,
            call.equations,
            out if type(out) is Var else None,
            call.value(out),
            arguments.arrange(leaves),
            leaves,
            flows,
        )
    _sum_up(found)
    _trace_pull(found, f, call.first, recorder.next_id)
    return found


def _sum_up(found: Collected) -> None:
    """Note the total cotangent of every variable that has one."""
    for flow in found.flows:
        for out, given in flow.results:
            found.cotangents.setdefault(out, given)
    for var, leaf in zip(found.inputs, found.leaves, strict=True):
        found.cotangents[var] = leaf


def _trace_pull(found: Collected, f: Function, first: int, next_id: int) -> None:
    """Pull once more with traced values, to learn how each cotangent is computed."""
    if found.output is None or len(found.flows) > MAX_EDGES:
        return
    session = Session(f)
    recorder = session.recorder = _FormulaRecorder()
    recorder.next_id = next_id
    equations = _lift(found, recorder)
    try:
        with session, np.errstate(all="ignore"):
            _watch(found, recorder, equations, first)
    except (ChainruleError, TypeError, ValueError, AttributeError, NotImplementedError):
        # A rule that works on plain arrays only. Its step then says what is done in words.
        for flow in found.flows:
            flow.traced = None
        found.traced.clear()
    found.backward = recorder.equations


def _watch(found: Collected, recorder: Recorder, equations: Any, first: int) -> None:
    assert found.output is not None
    found.seed = recorder.variable(one(found.output))
    watched = iter(found.flows)
    noted = 0

    def observe(equation: Equation, position: int, map: Any, given: Any, moved: Any) -> None:
        nonlocal noted
        flow = next(watched)
        flow.traced = bare(moved)
        for out, ct in cotangents_of(equation, given):
            found.traced[out] = _variable(bare(ct))
        for made in recorder.equations[noted:]:
            found.sources[made.outs[0]] = flow
        noted = len(recorder.equations)

    seeds = {found.output: Tracer(recorder, found.seed)}
    read = lambda var: Tracer(recorder, var)  # noqa: E731
    totals = pull_back(equations, seeds, first, read, observe)
    for var, total in totals.items():
        found.traced[var] = _variable(bare(total))


def _variable(traced: Any) -> Any:
    return traced._operand() if isinstance(traced, Tracer) else None


_LIFTED = frozenset({"matmul", "einsum", "solve"})


def _lift(found: Collected, recorder: Recorder) -> list[Equation]:
    """Make constant arrays variables, so that what is computed from them is written down.

    Their numbers are negative, below those of the inputs, so that no cotangent is computed for
    them. Indices stay as they are: a map takes them for what they are.
    """
    known: dict[int, Var] = {}

    def lifted(operand: Any) -> Any:
        if type(operand) is not np.ndarray or operand.dtype.kind not in "fciu" or not operand.ndim:
            return operand
        if id(operand) not in known:
            var = known[id(operand)] = Var(-1 - len(known), operand)
            found.lifted[var] = operand
        return known[id(operand)]

    return [
        equation._replace(operands=tuple(map(lifted, equation.operands)))
        if equation.primitive.elementwise or equation.primitive.name in _LIFTED
        else equation
        for equation in found.equations
    ]
