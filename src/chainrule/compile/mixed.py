"""A program of which some operations are left to NumPy: native parts between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program.equation import Equation, Var
from ..program.program import Program
from .native import Native
from .plan.schedule import UnsupportedError


class Mixed:
    """A program as a sequence of native functions and NumPy calls.

    Attributes
    ----------
    parts : list of (Native or Equation, tuple of Var, tuple of Var)
        What is run, the variables it takes and those it gives.
    left : dict
        The equations that are left to NumPy, and why.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.left: dict[int, tuple[Equation, str]] = {}
        while True:
            try:
                self.parts = [self._built(run) for run in self._runs()]
                break
            except UnsupportedError as unsupported:
                # each round leaves one more equation to NumPy, so this comes to an end
                self.left[id(unsupported.equation)] = (unsupported.equation, str(unsupported))
        for part, _, _ in self.parts:
            if type(part) is Native:
                part.compile()

    def _runs(self) -> list[list[Equation]]:
        """Return the equations in runs: each all native, or one that is left to NumPy."""
        runs: list[list[Equation]] = []
        native = False
        for equation in self.program.equations:
            if id(equation) in self.left:
                runs.append([equation])
                native = False
            elif native:
                runs[-1].append(equation)
            else:
                runs.append([equation])
                native = True
        return runs

    def _built(self, run: list[Equation]) -> tuple[Any, tuple[Var, ...], tuple[Var, ...]]:
        made = {out for equation in run for out in equation.outs}
        taken = dict.fromkeys(v for e in run for v in e.inputs if v not in made)
        inside = {id(e) for e in run}
        needed = {o for o in self.program.outputs if type(o) is Var}
        for equation in self.program.equations:
            if id(equation) not in inside:
                needed.update(equation.inputs)
        given = tuple(v for e in run for v in e.outs if v in needed)
        if id(run[0]) in self.left:
            return run[0], run[0].inputs, run[0].outs
        part = Program(tuple(taken), tuple(run), given)
        return Native(part), part.inputs, given

    def __call__(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the outputs for values of the inputs."""
        env: dict[Var, Any] = dict(zip(self.program.inputs, leaves, strict=True))
        for part, taken, given in self.parts:
            results: Sequence[Any]
            if type(part) is Native:
                results = part.run([env[v] for v in taken])
            else:
                results = _host(part, env)
            env.update(zip(given, results, strict=True))
        own = {id(x) for x in leaves}
        return [_owned(env[o] if type(o) is Var else o, own) for o in self.program.outputs]

    run = __call__


def _host(equation: Equation, env: dict[Var, Any]) -> Sequence[Any]:
    values = (env[o] if type(o) is Var else o for o in equation.operands)
    result = equation.primitive.impl(*values, **equation.params)
    return (result,) if equation.primitive.joint is None else result


def _owned(value: Any, own: set[int]) -> Any:
    if type(value) is not np.ndarray:
        return value
    shared = id(value) in own or value.base is not None or not value.flags.writeable
    own.add(id(value))
    return value.copy() if shared else value
