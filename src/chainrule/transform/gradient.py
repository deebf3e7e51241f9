"""The public transformations of first order: grad, vjp, jvp and their kin."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program.arraytype import array_type
from ..program.equation import Var
from ..program.errors import GradientError, ShapeError
from ..program.pytree import LEAF, TreeDef, flatten
from ..program.spans import Span, span_of
from ..trace import Session, Tracer
from .call import Selection, TracedCall, check_input, in_space, positions

Function = Callable[..., Any]


def value_and_grad(f: Function, argnums: Selection = 0, has_aux: bool = False) -> Function:
    """Return a function that gives the value of ``f`` and its gradient.

    Parameters
    ----------
    f : callable
        A function of arrays, scalars or pytrees of them that returns one real scalar, or with
        ``has_aux`` a pair of that scalar and anything else.
    argnums : int, str or sequence of them
        The arguments to differentiate by, by position or by name.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``.

    Returns
    -------
    callable
        With the arguments of ``f``; gives ``(value, gradient)``, or ``((value, aux), gradient)``.
        A gradient has the structure, shapes and dtypes of its argument; for several ``argnums``
        it is a tuple. For complex arguments it points along steepest ascent.

    Raises
    ------
    GradientError
        If ``f`` returns no real scalar, or an argument is not of floating point.

    Examples
    --------
    >>> import numpy as np
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        with Session(f) as (recorder, nested):
            arguments = Arguments(f, argnums, args, kwargs)
            call = TracedCall(recorder, nested, arguments.leaves)
            result = arguments.call(call)
            if has_aux:
                result, call.aux = _pair(f, result)
            call.finish(result)
            (out,) = _scalar_output(f, call)
            gradient = arguments.arrange(call.pull([_one(out)]))
            value = call.value(out)
            if has_aux:
                value = (value, _detached(call, call.aux))
        return call.settle((value, gradient)) if nested else (value, gradient)

    return differentiated


def grad(f: Function, argnums: Selection = 0, has_aux: bool = False) -> Function:
    """Return a function that gives the gradient of ``f``.

    Parameters
    ----------
    f : callable
        A function that returns one real scalar, or with ``has_aux`` a pair of it and anything.
    argnums : int, str or sequence of them
        The arguments to differentiate by, by position or by name.
    has_aux : bool
        Whether ``f`` returns ``(value, aux)``; the result is then ``(gradient, aux)``.

    Raises
    ------
    GradientError
        If ``f`` returns no real scalar, or an argument is not of floating point.

    See Also
    --------
    value_and_grad : gives the value of the function as well, at no cost.

    Examples
    --------
    >>> import numpy as np
    >>> def f(x):
    ...     return np.sin(x) * x
    >>> float(grad(f)(0.5)) == np.cos(0.5) * 0.5 + np.sin(0.5)
    True
    >>> float(grad(grad(np.sin))(1.0)) == -np.sin(1.0)
    True
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


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
        primal. It may be called again and again.
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
        call = TracedCall(recorder, nested, arguments.leaves)
        result = arguments.call(call)
        if has_aux:
            result, call.aux = _pair(f, result)
        call.finish(result)
    value = _copied(call.settle(call.values()))

    def pull(cotangent: Any) -> Any:
        given = _matching(call, cotangent, "cotangent")
        return call.settle(arguments.arrange_all(call.pull(given)))

    return (value, pull, _detached(call, call.aux)) if has_aux else (value, pull)


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
        call = TracedCall(recorder, nested, arguments.leaves)
        result = arguments.call(call)
        if has_aux:
            result, call.aux = _pair(f, result)
        call.finish(result)
        moved = call.out_tree.unflatten(call.push(directions))
        value = call.values()
    value, moved = call.settle((value, moved))
    return (value, moved, _detached(call, call.aux)) if has_aux else (value, moved)


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """Return the value of ``f`` and its derivative at that point as a linear function.

    Parameters
    ----------
    f : callable
        Any function of the primals.
    *primals : pytree
        The point.

    Returns
    -------
    value : pytree
        What ``f`` returned.
    push : callable
        Takes one tangent per primal; gives the tangent of the value.

    Examples
    --------
    >>> import numpy as np
    >>> y, push = linearize(lambda x: x**2, 3.0)
    >>> push(1.0), push(10.0)
    (np.float64(6.0), np.float64(60.0))
    """
    with Session(f, keep=True) as (recorder, nested):
        arguments = Arguments(f, tuple(range(len(primals))), primals, {})
        call = TracedCall(recorder, nested, arguments.leaves)
        call.finish(arguments.call(call))
    value = _copied(call.settle(call.values()))

    def push(*tangents: Any) -> Any:
        moved = call.push(arguments.tangents(tangents))
        return call.settle(call.out_tree.unflatten(moved))

    return value, push


def stop_gradient(tree: Any) -> Any:
    """Return values that count as constants: no derivative of any order passes through them.

    Inside a transformed function this gives plain arrays, which may be printed, logged or passed
    to code that cannot be traced.

    Examples
    --------
    >>> float(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    from ..primitives.elementwise import STOP

    leaves, treedef = flatten(tree)
    return treedef.unflatten(STOP(x) if isinstance(x, Tracer) else x for x in leaves)


class Arguments:
    """The arguments of a call, and which of their leaves are differentiated."""

    def __init__(self, f: Function, wanted: Selection, args: tuple[Any, ...], kwargs: Any) -> None:
        self.f = f
        self.args = args
        self.kwargs = kwargs
        self.single = isinstance(wanted, int | str)
        self.keys = [wanted] if wanted == 0 and args else positions(f, wanted, args, kwargs)
        self.leaves: list[Any] = []
        self.parts: list[tuple[Any, TreeDef, int]] = []
        for key in self.keys:
            leaves, treedef = flatten(kwargs[key] if isinstance(key, str) else args[key])
            for i, leaf in enumerate(leaves):
                kind = type(leaf)
                if kind is float or (kind is np.ndarray and leaf.dtype.kind == "f"):
                    continue
                names = treedef.leaf_paths(self._argument(key))
                check_input(leaf, f, names[i])
            self.parts.append((key, treedef, len(leaves)))
            self.leaves.extend(leaves)

    def _argument(self, key: Any) -> str:
        import inspect

        if isinstance(key, str):
            return key
        try:
            return list(inspect.signature(self.f).parameters)[key]
        except (ValueError, TypeError, IndexError):
            return f"argument {key}"

    def call(self, call: TracedCall) -> Any:
        """Call the function with traced leaves in the place of the differentiated ones."""
        args, kwargs = list(self.args), self.kwargs
        recorder = call.recorder
        tracers = [Tracer(recorder, var) for var in call.inputs]
        for (key, _, _), tree in zip(self.parts, self.arrange_all(tracers), strict=True):
            if isinstance(key, str):
                kwargs = {**kwargs, key: tree}
            else:
                args[key] = tree
        return self.f(*args, **kwargs)

    def arrange_all(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return derivatives in the structures of their arguments, one per argument."""
        trees = []
        start = 0
        for _, treedef, count in self.parts:
            if treedef is LEAF:
                trees.append(leaves[start])
            else:
                trees.append(treedef.unflatten(leaves[start : start + count]))
            start += count
        return tuple(trees)

    def arrange(self, leaves: Sequence[Any]) -> Any:
        """Return derivatives in the structure in which the arguments were asked for."""
        arranged = self.arrange_all(leaves)
        return arranged[0] if self.single else arranged

    def tangents(self, given: Sequence[Any]) -> list[Any]:
        """Return the leaves of tangents, checked against the arguments."""
        if len(given) != len(self.parts):
            raise GradientError(f"{len(given)} tangents for {len(self.parts)} arguments")
        leaves: list[Any] = []
        for (key, treedef, _), tangent in zip(self.parts, given, strict=True):
            leaves.extend(treedef.flatten_like(tangent, self._argument(key)))
        return [
            _checked(t, array_type(x), "tangent") for t, x in zip(leaves, self.leaves, strict=True)
        ]


def _checked(given: Any, type_: Any, what: str) -> Any:
    if np.shape(given) != type_.shape:
        raise ShapeError(
            f"a {what} has shape {np.shape(given)}, but its value has shape {type_.shape}",
            help=f"give the {what} the shape of the value",
        )
    if isinstance(given, Tracer | float):
        return given
    array = np.asarray(given)
    if array.dtype.kind == "c" and type_.dtype.kind != "c":
        raise GradientError(f"a complex {what} for a real value")
    return array.astype(type_.dtype)[()] if type_.is_differentiable else array


def _matching(call: TracedCall, cotangent: Any, what: str) -> list[Any]:
    leaves = call.out_tree.flatten_like(cotangent, what)
    types = [o.type if type(o) is Var else array_type(o) for o in call.outputs]
    return [_checked(ct, t, what) for ct, t in zip(leaves, types, strict=True)]


def _pair(f: Function, result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise GradientError(
            "with has_aux=True the function has to return a pair (value, aux)",
            span=_definition(f),
            help="`return loss, extra`",
        )
    return result


def _scalar_output(f: Function, call: TracedCall) -> list[Any]:
    outs = call.outputs
    if call.out_tree is not LEAF:
        raise GradientError(
            f"grad needs a function that returns one scalar; this one returns {call.out_tree}",
            span=_definition(f),
            help="return the loss alone (has_aux=True allows `return loss, extra`), or use "
            "vjp or jacobian",
        )
    type_ = outs[0].type if type(outs[0]) is Var else array_type(outs[0])
    if type_.shape != ():
        raise GradientError(
            f"grad needs a scalar, but the function returns an array of shape {type_.shape}",
            span=_definition(f),
            help="reduce it (np.sum, np.mean), or use jacobian for all its derivatives",
        )
    if type_.dtype.kind not in "fiub":
        raise GradientError(
            f"grad needs a real scalar, but the function returns {type_}",
            span=_definition(f),
            help="return a real value, such as np.abs(z)**2 or z.real",
        )
    return outs


def _definition(f: Function) -> Span | None:
    code = getattr(f, "__code__", None)
    return None if code is None else span_of(code, 0)


def _one(out: Any) -> Any:
    dtype = out.type.dtype if type(out) is Var else np.dtype(float)
    return dtype.type(1)


def _copied(tree: Any) -> Any:
    # what a kept derivative reads later must not change with the caller's copy of the value
    leaves, treedef = flatten(tree)
    return treedef.unflatten(x.copy() if type(x) is np.ndarray else x for x in leaves)


def _detached(call: TracedCall, aux: Any) -> Any:
    """Return auxiliary results: plain at the outside, traced if an enclosing trace goes on."""
    if call.nested:
        return aux
    leaves, treedef = flatten(aux)
    return treedef.unflatten(x._value if isinstance(x, Tracer) else x for x in leaves)


__all__ = [
    "grad",
    "in_space",
    "jvp",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
