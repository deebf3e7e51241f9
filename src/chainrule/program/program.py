"""Programs: what a function computes, as a list of named equations over arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .codecs import CODECS
from .equation import Equation, Var
from .errors import ProgramError
from .repeated import frozen_array

_FIELDS = ("inputs", "equations", "outputs", "name")


class Program:
    """A function as equations: no control flow, no names of the machine, nothing to change.

    Attributes
    ----------
    inputs : tuple of Var
        What it takes.
    equations : tuple of Equation
        What it does, each equation after those whose results it takes.
    outputs : tuple
        What it returns: variables, or constants.
    name : str
        What it is called in print.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.trace.program import trace_program
    >>> program, _ = trace_program(lambda x: 2.0 * np.sin(x), np.ones(3), abstract=True)
    >>> len(program)
    2
    >>> program.evaluate(np.zeros(3))
    (array([0., 0., 0.]),)
    """

    __slots__ = ("equations", "inputs", "name", "outputs")

    inputs: tuple[Var, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Any, ...]
    name: str

    def __init__(
        self,
        inputs: tuple[Var, ...],
        equations: tuple[Equation, ...],
        outputs: tuple[Any, ...],
        name: str = "program",
    ) -> None:
        for field, value in zip(_FIELDS, (inputs, equations, outputs, name), strict=True):
            object.__setattr__(self, field, value)
        self._check()

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a program does not change: make another with `replace({name}=...)`")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a program does not change")

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, tuple(getattr(self, field) for field in _FIELDS)

    def replace(self, **changes: Any) -> Program:
        """Return a program with some of its attributes changed."""
        return Program(**{field: getattr(self, field) for field in _FIELDS} | changes)

    def _check(self) -> None:
        known: set[Var] = set()
        for var in self.inputs:
            _define(var, known)
        for equation in self.equations:
            for operand in equation.inputs:
                if operand not in known:
                    raise ProgramError(f"{operand!r} is used before it is computed")
            for out in equation.outs:
                _define(out, known)
        for output in self.outputs:
            if type(output) is Var and output not in known:
                raise ProgramError(f"{output!r} is returned but never computed")

    @classmethod
    def from_trace(
        cls,
        inputs: Sequence[Var],
        equations: Iterable[Equation],
        outputs: Sequence[Any],
        name: str = "program",
    ) -> Program:
        """Return what a trace recorded as a program of its own.

        Equations that no output needs are left out, and so are mere renamings. The variables are
        new ones, numbered in order and without values; constants can no longer be changed.

        Raises
        ------
        ProgramError
            If an output depends on a variable that is neither an input nor computed.
        """
        builder = _Builder()
        taken = tuple(builder.variable(var) for var in inputs)
        kept = tuple(builder.equation(e) for e in needed(equations, outputs) if not builder.skip(e))
        return cls(taken, kept, tuple(builder.operand(o) for o in outputs), name)

    def evaluate(self, *values: Any) -> tuple[Any, ...]:
        """Return the outputs for values of the inputs, computed by NumPy.

        Raises
        ------
        ProgramError
            If values are missing, or differ in shape or dtype from the inputs.
        """
        from .interpret import interpret

        return interpret(self, values)

    def fingerprint(self) -> str:
        """Return a hash of what the program computes.

        It is the same for two programs with the same equations and constants, whatever their
        variables are called and wherever they come from; also in another process.
        """
        from .serialize import fingerprint

        return fingerprint(self)

    def to_json(self) -> str:
        """Return the program as JSON text; see :meth:`from_json`."""
        from .serialize import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Return the program that :meth:`to_json` wrote. Reading it runs no code.

        Raises
        ------
        ProgramError
            If the text is not such a program, or uses a primitive that does not exist here.
        """
        from .serialize import from_json

        return from_json(text)

    def __len__(self) -> int:
        return len(self.equations)

    def __str__(self) -> str:
        from .printing import program_text

        return program_text(self)


def _define(var: Var, known: set[Var]) -> None:
    if var in known:
        raise ProgramError(f"{var!r} is defined twice")
    known.add(var)


def needed(equations: Iterable[Equation], outputs: Sequence[Any]) -> list[Equation]:
    """Return the equations that the outputs depend on, in their order."""
    wanted = {o for o in outputs if type(o) is Var}
    kept = []
    for equation in reversed(list(equations)):
        if not wanted.isdisjoint(equation.outs):
            kept.append(equation)
            wanted.update(equation.inputs)
    return kept[::-1]


class _Builder:
    """Copies equations onto new variables."""

    def __init__(self) -> None:
        self.known: dict[Var, Any] = {}

    def variable(self, var: Var) -> Var:
        new = Var(len(self.known), None, var.type, var.name)
        self.known[var] = new
        return new

    def operand(self, operand: Any) -> Any:
        if type(operand) is Var:
            if operand not in self.known:
                raise ProgramError(
                    f"{operand!r} is neither an input of the program nor computed in it",
                    why="the function uses a value of a trace around it",
                    help="pass that value in as an argument",
                )
            return self.known[operand]
        return frozen(operand)

    def skip(self, equation: Equation) -> bool:
        """Treat an equation that only renames its operand as that operand."""
        if equation.primitive.name != "alias" or type(equation.operands[0]) is not Var:
            return False
        if equation.operands[0].type != equation.out.type:
            return False
        self.known[equation.out] = self.operand(equation.operands[0])
        return True

    def equation(self, equation: Equation) -> Equation:
        operands = tuple(self.operand(o) for o in equation.operands)
        params = {name: frozen(value) for name, value in equation.params.items()}
        outs = tuple(self.variable(out) for out in equation.outs)
        return Equation(equation.primitive, operands, params, outs, equation.origin)


def frozen(value: Any) -> Any:
    """Return a constant that nobody can change any more."""
    if type(value) is np.ndarray:
        return frozen_array(value)
    if isinstance(value, tuple):
        return value if type(value) is not tuple else tuple(frozen(v) for v in value)
    if isinstance(value, Mapping):
        return {key: frozen(v) for key, v in value.items()}
    codec = CODECS.get(type(value))
    # taken apart and put together again, it holds on to nothing of the trace
    return value if codec is None else codec.decode(codec.encode(value))
