"""Gradients of functions that return one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.arraytype import ArrayType
from ..program.equation import Var
from ..program.errors import GradientError
from ..program.pytree import LEAF, flatten
from ..trace import Session, Tracer
from .arguments import (
    Arguments,
    Function,
    Selection,
    definition,
    described,
    record,
    type_of,
    wrapping,
)
from .call import TracedCall


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

    @wrapping(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        with Session(f, args=None if kwargs else args) as (recorder, nested):
            arguments = Arguments(f, argnums, args, kwargs)
            call = record(arguments, recorder, nested, has_aux)
            out = scalar_output(f, call)
            gradient = arguments.arrange(call.pull([one(out)], last=True))
            value = call.value(out)
            if has_aux:
                value = (value, call.aux)
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
    >>> bool(grad(f)(0.5) == np.cos(0.5) * 0.5 + np.sin(0.5))
    True
    >>> bool(grad(grad(np.sin))(1.0) == -np.sin(1.0))
    True
    """
    both = value_and_grad(f, argnums, has_aux)

    @wrapping(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


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


def scalar_output(f: Function, call: TracedCall) -> Any:
    """Return the one output of a function that has to be a real scalar."""
    if call.out_tree is LEAF:
        out = call.outputs[0]
        type_ = type_of(out)
        if type_.shape == () and type_.dtype.kind == "f":
            return out
        if type(out) is int:  # an empty sum, say: a constant like 0.0
            return out
    raise _not_a_real_scalar(f, call)


def _not_a_real_scalar(f: Function, call: TracedCall) -> GradientError:
    span = definition(f)
    if call.out_tree is not LEAF:
        if not call.outputs:
            return GradientError(
                "grad needs a function that returns one scalar; this one returns nothing",
                span=span,
                why=f"its result is {call.out_tree.unflatten([])}",
                help="end it with `return loss`",
            )
        return GradientError(
            "grad needs a function that returns one scalar; this one returns "
            f"{described(call.out_tree)}",
            span=span,
            why="each * stands for one value",
            help="return the loss alone (has_aux=True allows `return loss, extra`), or use "
            "vjp or jacobian",
        )
    type_: ArrayType = type_of(call.outputs[0])
    if type_.dtype.kind not in "fiubc":
        title, help = f"a {type(call.outputs[0]).__name__}", "return a number"
    elif type_.shape != ():
        title = f"an array of shape {type_.shape}"
        help = "reduce it (np.sum, np.mean), or use jacobian for all its derivatives"
    elif type_.dtype.kind == "c":
        title = f"a {type_.dtype} number"
        help = "return a real value, such as np.abs(z)**2 or z.real"
    else:
        title = f"a {type_.dtype}, which changes in steps and has no derivative"
        help = "return a floating-point value"
    return GradientError(
        f"grad needs a real scalar, but the function returns {title}", span=span, help=help
    )


def one(out: Any) -> Any:
    """Return the cotangent of an output by itself: 1, in its precision."""
    dtype = out.type.dtype if type(out) is Var else np.dtype(float)
    return dtype.type(1)
