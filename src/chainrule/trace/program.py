"""From a function to the program that it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ..program.arraytype import array_type
from ..program.codecs import CODECS, Codec
from ..program.equation import Var
from ..program.program import Program
from ..program.pytree import TreeDef, flatten
from .body import Body
from .draws import refusing_draws
from .recorder import Recorder, current, recording
from .session import Session
from .tracer import Tracer


def trace_program(
    f: Callable[..., Any],
    *args: Any,
    abstract: bool = False,
    full_origins: bool = False,
    rolls: bool = False,
    **kwargs: Any,
) -> tuple[Program, TreeDef]:
    """Run ``f`` and return what it computes as a program.

    Arrays, and Python's floats and complex numbers, become inputs of the program, in the order of
    the flattened arguments. Everything else (integers, booleans, strings) is a fixed part of it.

    Parameters
    ----------
    f : callable
        Any function of arrays, scalars and pytrees of them; a gradient as well.
    *args, **kwargs : pytree
        Its arguments.
    abstract : bool
        Whether to look at shapes and dtypes alone. The program then holds for all values; a
        branch on a value is refused. Otherwise the values are known to ``f``, any control flow
        works, and the program is the one for these values.
    full_origins : bool
        Whether equations keep the whole chain of calls that led to them.
    rolls : bool
        Whether long Python loops may become loops before they are differentiated.

    Returns
    -------
    program : Program
        Its outputs are the leaves of what ``f`` returned.
    out_tree : TreeDef
        How these leaves are arranged.

    Raises
    ------
    TraceError
        If ``f`` needs a value in an abstract trace, or does to a traced value what a program
        cannot follow.

    Examples
    --------
    >>> import numpy as np
    >>> def f(x, b):
    ...     y = np.tanh(x) + b
    ...     return y
    >>> program, _ = trace_program(f, np.ones(2), 0.5, abstract=True)
    >>> print(program)  # doctest: +ELLIPSIS
    f(x: float64[2], b: float64*[]):
        t0: float64[2] = tanh x   # ...
        y: float64[2] = add t0 b  # ...
        return y
    """
    leaves, treedef = flatten((args, kwargs))
    paths = _argument_paths(f, args, kwargs)
    with _recorder(f, full_origins) as recorder:
        recorder.rolls = rolls
        inputs: list[Var] = []
        given: list[Any] = []
        for leaf, path in zip(leaves, paths, strict=True):
            if not _is_traced(leaf):
                given.append(leaf)
                continue
            value = None
            if not abstract:
                value = recorder.constant(leaf) if type(leaf) is np.ndarray else leaf
            var = recorder.variable(value, array_type(leaf), path)
            inputs.append(var)
            given.append(Tracer(recorder, var))
        positional, named = treedef.unflatten(given)
        with refusing_draws() if abstract else nullcontext():
            results, out_tree = flatten(f(*positional, **named))
        outputs = [r._operand() if isinstance(r, Tracer) else r for r in results]
        program = Program.from_trace(inputs, recorder.equations, outputs, _name(f))
    return program, out_tree


@contextmanager
def _recorder(f: Callable[..., Any], full_origins: bool) -> Iterator[Recorder]:
    """Give a recorder of our own, also inside of another trace."""
    if current() is None:
        with Session(f, keep=True, full_origins=full_origins) as (recorder, _):
            yield recorder
        return
    recorder = Recorder(full_origins, keep=True)
    with recording(recorder):
        try:
            yield recorder
        finally:
            recorder.end()


def _is_traced(leaf: Any) -> bool:
    return isinstance(leaf, float | complex | np.generic) or type(leaf) is np.ndarray


def _argument_paths(f: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    import inspect

    try:
        names = [
            p.name for p in inspect.signature(f).parameters.values() if p.kind < p.VAR_POSITIONAL
        ]
    except (ValueError, TypeError):
        names = []
    paths = []
    for position, arg in enumerate(args):
        root = names[position] if position < len(names) else f"arg{position}"
        paths += flatten(arg)[1].leaf_paths(root)
    for name in sorted(kwargs):
        paths += flatten(kwargs[name])[1].leaf_paths(name)
    return paths


def _taken_apart(body: Body) -> tuple[Program, int]:
    inputs = (*body.inputs, *body.captured)
    return Program.from_trace(inputs, body.equations, body.outputs, "body"), len(body.inputs)


def _put_together(parts: tuple[Program, int]) -> Body:
    program, count = parts
    captures: list[Any] = [(None, var) for var in program.inputs[count:]]
    tree = flatten(list(program.outputs))[1]
    inputs, equations = program.inputs[:count], program.equations
    return Body(inputs, captures, equations, program.outputs, tree)


CODECS[Body] = Codec("body", _taken_apart, _put_together)


def _name(f: Callable[..., Any]) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return name if name.isidentifier() else "program"
