"""The derivative of any function as a linear map: pulled back, or pushed forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program.errors import TraceError
from ..program.pytree import flatten
from ..trace import Recorder, Session, Tracer, current, recording
from .arguments import Arguments, Function, cotangents, record
from .call import TracedCall

_copy = np.ndarray.copy  # a trace replaces the method by one that looks for traced values


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of ``f`` and the function that pulls cotangents back.

    Parameters
    ----------
    f : callable
        Any function of the primals.
    *primals : pytree
        Its arguments; all are differentiated.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``.

    Returns
    -------
    value : pytree
        What ``f`` returned.
    pull : callable
        Takes a cotangent with the structure of ``value``; gives a tuple with one cotangent per
        primal. It may be called again and again, also inside other transformed functions.
    aux : Any
        Only with ``has_aux``.

    Examples
    --------
    >>> import numpy as np
    >>> y, pull = vjp(lambda a, b: a * b, np.array([1.0, 2.0]), 3.0)
    >>> pull(np.ones(2))
    (array([3., 3.]), np.float64(3.0))
    """
    with Session(f, keep=True) as (recorder, nested):
        arguments = Arguments(f, tuple(range(len(primals))), primals, {})
        call = record(arguments, recorder, nested, has_aux)
    value, aux = call.settle((_copied(call.values()), call.aux))

    def pull(cotangent: Any) -> Any:
        _check_alive(call, "pull")
        given = cotangents(call, cotangent)
        return _settled(call, arguments.arrange_all(call.pull(given)), given)

    return (value, pull, aux) if has_aux else (value, pull)


def pull_values(f: Function, primals: Sequence[Any], given: Sequence[Any]) -> Any:
    """Return what ``vjp`` pulls back, for a function that contains no user code.

    Between plain values nothing of it stays: an enclosing trace would note every step, and hold
    its results until it ends.
    """
    if any(isinstance(v, Tracer) for v in (*primals, *given)):
        return vjp(f, *primals)[1](given)
    forward, backward = Recorder(), Recorder()
    try:
        with recording(forward):
            arguments = Arguments(f, tuple(range(len(primals))), tuple(primals), {})
            call = record(arguments, forward, nested=False)
        with recording(backward):
            return arguments.arrange_all(call.pull(cotangents(call, given)))
    finally:
        forward.unlock()
        backward.unlock()


def linearize(f: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of ``f`` and its derivative at that point as a linear function.

    Parameters
    ----------
    f : callable
        Any function of the primals.
    *primals : pytree
        The point.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``.

    Returns
    -------
    value : pytree
        What ``f`` returned.
    push : callable
        Takes one tangent per primal; gives the tangent of the value.
    aux : Any
        Only with ``has_aux``.

    Examples
    --------
    >>> import numpy as np
    >>> y, push = linearize(lambda x: x**2, 3.0)
    >>> push(1.0), push(10.0)
    (np.float64(6.0), np.float64(60.0))
    """
    with Session(f, keep=True) as (recorder, nested):
        arguments = Arguments(f, tuple(range(len(primals))), primals, {})
        call = record(arguments, recorder, nested, has_aux)
    value, aux = call.settle((_copied(call.values()), call.aux))

    def push(*tangents: Any) -> Any:
        _check_alive(call, "push")
        given = arguments.tangents(tangents)
        return _settled(call, call.out_tree.unflatten(call.push(given)), given)

    return (value, push, aux) if has_aux else (value, push)


def jvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the value of ``f`` and its derivative along ``tangents``.

    Parameters
    ----------
    f : callable
        Any function of the primals.
    primals, tangents : sequence of pytrees
        The arguments, and their directions with the same structures and shapes.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``; ``aux`` is then the third result.

    Examples
    --------
    >>> import numpy as np
    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    with Session(f) as (recorder, nested):
        arguments = Arguments(f, tuple(range(len(primals))), tuple(primals), {})
        directions = arguments.tangents(tangents)
        call = record(arguments, recorder, nested, has_aux)
        moved = call.out_tree.unflatten(call.push(directions))
        value = _copied(call.values())
    value, moved, aux = call.settle((value, moved, call.aux))
    return (value, moved, aux) if has_aux else (value, moved)


def _check_alive(call: TracedCall, what: str) -> None:
    """Refuse a derivative that was made inside a trace that is over."""
    if call.nested and (current() is None or not call.recorder.open):
        raise TraceError(
            f"this {what} function was made inside a derivative that is finished",
            why="the values that it needs were traced for that derivative only",
            help="call it inside the function that made it, and return its results",
        )


def _settled(call: TracedCall, tree: Any, given: list[Any]) -> Any:
    # A traced direction may belong to a transformation that began after this call; what the
    # equations since then depend on says nothing about it.
    later = current() is not call.recorder or any(isinstance(d, Tracer) for d in given)
    return tree if later else call.settle(tree)


def _copied(tree: Any) -> Any:
    # what a kept derivative reads later must not change with the caller's copy of the value
    leaves, treedef = flatten(tree)
    return treedef.unflatten(_copy(x) if type(x) is np.ndarray else x for x in leaves)
