"""L-BFGS: a quasi-Newton method that remembers a few steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .scaling import LearningRate, zero_count
from .transformation import Transformation, check_between, need_extra, need_params
from .vector import Layout

__all__ = ["LbfgsState", "lbfgs"]

Closure = Callable[[Any], tuple[Any, Any]]

# A pair with less curvature than this would spoil the approximation of the Hessian.
LEAST_CURVATURE = 1e-10


class LbfgsState(NamedTuple):
    """What is remembered of the last updates, all parameters as one vector.

    ``steps`` and ``changes`` are tuples of vectors, the latest last, of which the last ``stored``
    count: the steps taken, and how the gradient changed along them.
    """

    count: Any
    stored: Any
    gradient: Any
    step: Any
    steps: tuple[Any, ...]
    changes: tuple[Any, ...]


def lbfgs(
    learning_rate: LearningRate = 1.0, history: int = 10, line_search: bool = True
) -> Transformation:
    r"""L-BFGS with the two-loop recursion and a line search for the strong Wolfe conditions.

    The direction is :math:`-H g`, where :math:`H` approximates the inverse Hessian from pairs
    :math:`(s_i, y_i)` of steps and changes of the gradient. With
    :math:`\rho_i = 1 / s_i \cdot y_i`,

    .. math::

        q &\leftarrow g; \qquad
        a_i = \rho_i \, s_i \cdot q, \quad q \leftarrow q - a_i y_i
        \qquad \text{(latest to earliest)} \\
        r &\leftarrow \frac{s \cdot y}{y \cdot y} q; \qquad
        r \leftarrow r + s_i (a_i - \rho_i \, y_i \cdot r) \qquad \text{(earliest to latest)}

    It is for gradients without noise, on all of the data. With a line search it needs a closure:
    ``update(gradients, state, params, value=loss, closure=closure)``, where ``closure(params)``
    returns ``(value, gradients)``, as :func:`chainrule.value_and_grad` makes it. ``value`` may be
    left out, and is then asked from the closure.

    Parameters
    ----------
    learning_rate : float or callable
        The first step length that is tried, or the step length if there is no line search.
    history : int
        How many steps are remembered.
    line_search : bool
        Whether to search for a step length with :func:`scipy.optimize.line_search`.

    Notes
    -----
    PyTorch remembers 100 steps and has no line search by default. The first step is shortened
    to :math:`1 / \lVert g \rVert_1`, and pairs with :math:`s \cdot y \le 10^{-10}` are left out,
    both as in PyTorch. A direction that does not descend is replaced by the steepest one. Where no
    step brings the loss down, the update is zero and the history is forgotten.

    References
    ----------
    J. Nocedal, S. Wright, "Numerical optimization", 2006, algorithms 7.4, 3.5 and 3.6.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> def rosenbrock(x):
    ...     return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> closure = cr.value_and_grad(rosenbrock)
    >>> optimiser = optim.lbfgs()
    >>> x = np.array([-1.0, 2.0, 0.5])
    >>> state = optimiser.init(x)
    >>> for step in range(40):
    ...     value, gradients = closure(x)
    ...     updates, state = optimiser.update(gradients, state, x, value=value, closure=closure)
    ...     x = optim.apply(x, updates)
    >>> x.round(6)
    array([1., 1., 1.])
    """
    check_between(1, np.inf, history=history)

    def init(params: Any) -> LbfgsState:
        layout = Layout(params)
        nothing = np.zeros(layout.ravel(params).shape, layout.dtype)
        slots = (nothing,) * history
        return LbfgsState(zero_count(), zero_count(), nothing, nothing, slots, slots)

    def update(
        gradients: Any,
        state: LbfgsState,
        params: Any = None,
        *,
        value: Any = None,
        closure: Closure | None = None,
        **extra: Any,
    ) -> tuple[Any, LbfgsState]:
        layout = Layout(need_params(params, "lbfgs"))
        gradient = layout.ravel(gradients)
        state = _remember(state, gradient)
        direction = _direction(state, gradient)
        if np.dot(gradient, direction) >= 0:  # the history belongs to another landscape
            state = state._replace(stored=zero_count())
            direction = -gradient
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        rate = rate if state.count else rate / max(1.0, float(np.sum(np.abs(gradient))))
        step = (float(rate) * direction).astype(layout.dtype)
        if line_search and np.any(step):
            evaluate = _at(need_extra(closure, "closure", "lbfgs"), layout)
            length = _search(evaluate, layout.ravel(params, "params"), step, value, gradient)
            step = (length * step).astype(layout.dtype)
            if not length:
                state = state._replace(stored=zero_count())
        kept = state._replace(count=state.count + 1, gradient=gradient, step=step)
        return layout.unravel(step), kept

    return Transformation(init, update)


def _remember(state: LbfgsState, gradient: Any) -> LbfgsState:
    """Add the last step, and what it changed, to the history."""
    change = gradient - state.gradient
    if state.count == 0 or np.dot(change, state.step) <= LEAST_CURVATURE:
        return state
    return state._replace(
        stored=np.minimum(state.stored + 1, len(state.steps)),
        steps=(*state.steps[1:], state.step),
        changes=(*state.changes[1:], change),
    )


def _direction(state: LbfgsState, gradient: Any) -> Any:
    """Return the product of the approximate inverse Hessian with minus the gradient."""
    used = int(state.stored)
    if not used:
        return -gradient
    pairs = [
        (s, y, 1 / np.dot(s, y))
        for s, y in zip(state.steps[-used:], state.changes[-used:], strict=True)
    ]
    q, parts = -gradient, []
    for s, y, rho in reversed(pairs):
        parts.append(rho * np.dot(s, q))
        q = q - parts[-1] * y
    _, y, rho = pairs[-1]
    r = q / (rho * np.dot(y, y))
    for (s, y, rho), a in zip(pairs, reversed(parts), strict=True):
        r = r + s * (a - rho * np.dot(y, r))
    return r


def _at(closure: Closure, layout: Layout) -> Callable[[Any], tuple[float, Any]]:
    """Return a closure of vectors that knows the last point it was asked for."""
    last: list[Any] = [None, None]

    def evaluate(point: Any) -> tuple[float, Any]:
        if last[0] is None or not np.array_equal(point, last[0]):
            value, gradients = closure(layout.unravel(point))
            last[:] = point, (float(value), layout.ravel(gradients))
        return last[1]

    return evaluate


def _search(
    evaluate: Callable[[Any], tuple[float, Any]], point: Any, step: Any, value: Any, gradient: Any
) -> float:
    """Return a factor for the step that fulfils the Wolfe conditions, or just descends, or 0."""
    from scipy.optimize import line_search as strong_wolfe

    start = evaluate(point)[0] if value is None else float(value)
    slope = float(np.dot(gradient, step))
    if -slope <= 10 * np.finfo(step.dtype).eps * abs(start):
        # The value cannot show a descent as small as this; the slope along the step still can.
        flatter = abs(np.dot(evaluate(point + step)[1], step)) <= 0.9 * abs(slope)
        return 1.0 if flatter else 0.0
    with warnings.catch_warnings():  # it warns where it finds none, which is dealt with below
        warnings.simplefilter("ignore")
        found = strong_wolfe(
            lambda x: evaluate(x)[0], lambda x: evaluate(x)[1], point, step, gradient, start
        )[0]
    if found is not None:
        return float(found)
    for halving in range(30):
        length = 0.5**halving
        if evaluate(point + length * step)[0] <= start + 1e-4 * length * slope:
            return length
    return 0.0
