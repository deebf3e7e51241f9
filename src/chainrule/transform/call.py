"""One traced call of a user's function, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..maps import add, bare
from ..primitives.elementwise import ALIAS, CAST
from ..program.arraytype import array_type
from ..program.equation import Equation, Var
from ..program.pytree import LEAF, TreeDef, flatten
from ..trace import Recorder, Tracer
from ..trace.copies import copy
from ..trace.tracer import adopt, as_tracer
from .cancelling import cancelled
from .chain import Read, pull_back, push_forward, read_value

LONG = 100  # equations from which it is worth looking for loops
REPEATS = 8
_copy = np.ndarray.copy  # a trace replaces the method by one that looks for traced values


class TracedCall:
    """What one call of a function recorded: its equations, inputs and outputs.

    Attributes
    ----------
    inputs : list of Var
        The variables of the arguments' leaves that are differentiated.
    outputs : list
        Variables, or constants where an output depends on no traced value.
    out_tree : TreeDef
        How the outputs are arranged.
    constant : frozenset of Var
        What the outputs do not depend on, see `cancelling`.
    nested : bool
        Whether the call happened inside another trace, whose recorder it then shares.
    """

    def __init__(self, recorder: Recorder, nested: bool, leaves: list[Any]) -> None:
        self.recorder = recorder
        self.nested = nested
        self.first = recorder.next_id
        self.start = len(recorder.equations)
        self.inputs = [self._input(leaf) for leaf in leaves]
        self.body = len(recorder.equations)
        self.end = self.body
        self.outputs: list[Any] = []
        self.out_tree: TreeDef = LEAF
        self.aux: Any = None
        self.constant: frozenset[Var] = frozenset()

    def _input(self, leaf: Any) -> Var:
        recorder = self.recorder
        if not self.nested:
            return recorder.variable(recorder.constant(leaf) if type(leaf) is np.ndarray else leaf)
        operand = self._operand(leaf)
        if type(operand) is np.ndarray:
            operand = recorder.constant(operand)
        if type(operand) is Var:
            var = recorder.variable(operand.value, operand.type)
        else:
            var = recorder.variable(operand)
        recorder.equations.append(Equation(ALIAS, (operand,), {}, (var,), ()))
        return var

    def _operand(self, leaf: Any) -> Any:
        """Return what an equation of this trace takes for a value."""
        if type(leaf) is np.ndarray and leaf.dtype == object:
            leaf = as_tracer(leaf)  # traced values inside would be lost
        if not isinstance(leaf, Tracer):
            return leaf
        return (leaf if leaf._recorder is self.recorder else adopt(leaf, self.recorder))._operand()

    def finish(self, result: Any) -> None:
        """Note what the function returned."""
        if type(result) is Tracer:
            self.out_tree, self.outputs = LEAF, [self._operand(result)]
        else:
            leaves, self.out_tree = flatten(result)
            self.outputs = [self._operand(o) for o in leaves]
        self.end = len(self.recorder.equations)
        if not self.nested:
            self.recorder.end()
        elif self.recorder.rolls and not self._has_traced_aux():
            if self.end - self.body > LONG:
                self._roll()
            self.constant = cancelled(self.equations, self.outputs)

    def _has_traced_aux(self) -> bool:
        return any(isinstance(leaf, Tracer) for leaf in flatten(self.aux)[0])

    def _roll(self) -> None:
        """Let what repeats be loops: a derivative of one takes no longer than that of a step.

        What was recorded stays where it is, for values that were kept elsewhere.
        """
        # most programs need none of it
        from .rerolling import reroll_equations
        from .scanning import SCAN, with_states

        found = reroll_equations(self.equations, self.outputs, REPEATS)
        if found is None:
            return
        recorder, new = self.recorder, dict[Var, Var]()

        def operand(o: Any) -> Any:
            return new.get(o, o) if type(o) is Var else o

        self.body = len(recorder.equations)
        for equation in found[0]:
            operands = tuple(map(operand, equation.operands))
            outs = tuple(recorder.variable(None, o.type, o.name) for o in equation.outs)
            new.update(zip(equation.outs, outs, strict=True))
            copied = equation._replace(operands=operands, outs=outs)
            if copied.primitive is SCAN:
                copied = with_states(copied, lambda t: recorder.variable(None, t))
            recorder.equations.append(copied)
        self.outputs = list(map(operand, found[1]))
        self.end = len(recorder.equations)

    @property
    def equations(self) -> list[Equation]:
        """The equations between inputs and outputs."""
        return self.recorder.equations[self.body : self.end]

    @property
    def _varying(self) -> list[Equation]:
        """The equations but for those of results whose derivatives cancel."""
        if not self.constant:
            return self.equations
        return [e for e in self.equations if self.constant.isdisjoint(e.outs)]

    @property
    def read(self) -> Read:
        """How the derivative gets at values: as they are, or traced if it's traced in turn."""
        if not self.nested:
            return read_value
        recorder = self.recorder
        return lambda var: Tracer(recorder, var)

    def value(self, operand: Any) -> Any:
        """Return an output as the caller gets it."""
        return self.read(operand) if type(operand) is Var else operand

    def values(self) -> Any:
        """Return the function's result as the caller gets it."""
        return self.out_tree.unflatten(self.value(o) for o in self.outputs)

    def pull(self, cotangents: list[Any], observe: Any = None, *, last: bool = False) -> list[Any]:
        """Return the cotangents of the inputs for given cotangents of the outputs.

        A cotangent is a value, a :class:`Masked` one, or None for a structural zero. With ``last``
        nobody will pull again, and the memory of the recorded values is freed on the way.
        """
        seeds: dict[Var, Any] = {}
        for out, ct in zip(self.outputs, cotangents, strict=True):
            if type(out) is Var and ct is not None:
                seeds[out] = add(seeds[out], ct) if out in seeds else ct
        equations = self._consumed() if last and not self.nested else self._varying
        with np.errstate(all="ignore"):
            found = pull_back(equations, seeds, self.first, self.read, observe)
        return self._in_space([found.get(v) for v in self.inputs], self.inputs, cotangents)

    def _consumed(self) -> Iterator[Equation]:
        """Yield the equations from the last to the first, keeping none of them."""
        equations = self.recorder.equations
        while equations:
            yield equations.pop()

    def push(self, tangents: list[Any]) -> list[Any]:
        """Return the tangents of the outputs for given tangents of the inputs.

        A tangent is a value, a :class:`Masked` one, or None for a structural zero.
        """
        pairs = zip(self.inputs, tangents, strict=True)
        given = {var: tangent for var, tangent in pairs if tangent is not None}
        with np.errstate(all="ignore"):
            found = push_forward(self._varying, given, self.read)
        moved = [found.get(o) if type(o) is Var else None for o in self.outputs]
        return self._in_space(moved, self.outputs, tangents)

    def _in_space(self, given: list[Any], like: Sequence[Any], foreign: list[Any]) -> list[Any]:
        """Return derivatives in the space of what they belong to, each an array of its own."""
        taken = {id(bare(d)) for d in foreign}
        return [
            in_space(bare(d), o.value if type(o) is Var else o, o, taken)
            for d, o in zip(given, like, strict=True)
        ]

    def settle(self, tree: Any) -> Any:
        """Unwrap results that depend on no value of an enclosing trace."""
        if not self.nested:
            return tree
        leaves, treedef = flatten(tree)
        outer = self._depends_on_outside()
        return treedef.unflatten(self._plain(leaf, outer) for leaf in leaves)

    def _plain(self, leaf: Any, outer: set[Var]) -> Any:
        if not isinstance(leaf, Tracer):
            return leaf
        operand = leaf._operand()
        if type(operand) is not Var:
            return operand
        if operand.value is None or operand.id < self.first or operand in outer:
            return leaf
        return operand.value

    def _depends_on_outside(self) -> set[Var]:
        # what was captured from an enclosing trace is outside, however late it was
        dependent = {inner for _, inner in self.recorder.captured.values()}
        for equation in self.recorder.equations[self.start :]:
            for o in equation.operands:
                if type(o) is Var and (o.id < self.first or o in dependent):
                    dependent.update(equation.outs)
                    break
        return dependent


def in_space(d: Any, value: Any, operand: Any, taken: set[int]) -> Any:
    """Return a derivative with the shape and dtype of ``value``, sharing memory with nothing."""
    kind = type(value)
    dtype = float if kind is float else getattr(value, "dtype", None)
    if d is None or dtype is None:
        type_ = operand.type if type(operand) is Var else array_type(operand)
        dtype = type_.dtype if type_.is_differentiable else np.dtype(float)
        if d is None:
            zeros = np.zeros(type_.shape, dtype)
            return zeros if kind is np.ndarray else zeros[()]
    if isinstance(d, Tracer):
        return copy(d) if d.dtype == dtype else CAST(d, dtype=np.dtype(dtype))
    if type(d) is float or d.dtype != dtype:
        d = CAST.impl(d, dtype=np.dtype(dtype))
    if type(d) is not np.ndarray:
        return np.array(d) if kind is np.ndarray else d
    if d.base is not None or not d.flags.writeable or id(d) in taken:
        d = _copy(d)
    taken.add(id(d))
    return d if kind is np.ndarray or d.ndim else d[()]
