"""The public function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..transform.arguments import Function, Selection, wrapping
from .collect import collect
from .explanation import Explanation, check_level


def explain(
    f: Function, argnums: Selection = 0, *, level: str = "statement"
) -> Callable[..., Explanation]:
    """Return a function that computes the gradient of ``f`` and explains it step by step.

    Parameters
    ----------
    f : callable
        A function of arrays, scalars or pytrees of them that returns one real scalar.
    argnums : int, str or sequence of them
        The arguments to differentiate by, by position or by name.
    level : {"statement", "primitive"}
        Whether a step is a statement of the function, or a single operation.

    Returns
    -------
    callable
        With the arguments of ``f``; gives an :class:`Explanation`. Print it to read it.

    Raises
    ------
    GradientError
        If ``f`` returns no real scalar, or an argument is not of floating point.

    Examples
    --------
    >>> import numpy as np
    >>> def loss(w, x):
    ...     z = w * x
    ...     return np.sum(np.tanh(z))
    >>> e = explain(loss)(np.array([0.5, -1.0]), 2.0)
    >>> [step.formula for step in e.steps]
    ['1 − tanh(z)²', '∂L/∂z · x']
    >>> e.gradient
    array([0.83994868, 0.14130165])
    >>> e.verified
    True
    """
    check_level(level)

    @wrapping(f)
    def explained(*args: Any, **kwargs: Any) -> Explanation:
        return Explanation(collect(f, argnums, args, kwargs), level)

    return explained
