"""Full-batch problems: SciPy's minimisers with our gradients and Hessian products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import hvp, value_and_grad
from .. import jit as compiled
from ..tree import map as tree_map
from .vector import Layout

__all__ = ["Minimum", "minimize"]

WITHOUT_GRADIENTS = frozenset({"nelder-mead", "powell", "cobyla", "cobyqa"})
WITH_PRODUCTS = frozenset({"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"})
WITH_HESSIAN = frozenset({"dogleg", "trust-exact"})


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Attributes
    ----------
    params : pytree
        The best parameters, with the structure, shapes and dtypes of the first ones.
    value : float
        The function there.
    gradients : pytree
        Its gradient there.
    success : bool
        Whether the method's own criteria are met.
    message : str
        Why it ended.
    iterations, evaluations, products : int
        Iterations, evaluations of the function (with its gradient, where the method uses one),
        and Hessian products.
    scipy : scipy.optimize.OptimizeResult
        What SciPy returned, about the parameters as one vector.
    """

    params: Any
    value: float
    gradients: Any
    success: bool
    message: str
    iterations: int
    evaluations: int
    products: int
    scipy: Any


def minimize(
    f: Callable[[Any], Any],
    params: Any,
    method: str = "L-BFGS-B",
    *,
    bounds: tuple[Any, Any] | None = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[[Any], Any] | None = None,
    jit: bool = False,
) -> Minimum:
    """Minimise a function of a pytree with :func:`scipy.optimize.minimize`.

    Parameters
    ----------
    f : callable
        From parameters to one real scalar, without noise.
    params : pytree
        Where to begin. A complex parameter counts as two real ones.
    method : str
        One of SciPy's. It is given the gradient if it can use one; Newton-CG, trust-ncg,
        trust-krylov and trust-constr the products of :func:`chainrule.hvp`; trust-exact and
        dogleg the whole Hessian, made of n such products.
    bounds : pair, optional
        The least and the greatest parameters, for methods that take bounds: trees like ``params``,
        or numbers for all of it; ``-np.inf`` and ``np.inf`` where there are none.
    tol, options
        As in SciPy.
    callback : callable, optional
        Called with the parameters after each iteration; it may raise ``StopIteration``.
    jit : bool
        Whether to compile the function and its derivatives (:func:`chainrule.jit`).

    Returns
    -------
    Minimum
        With ``params``, ``value``, ``success`` and more.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import optim
    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> y = np.array([1.0, 3.0, 5.0])
    >>> def loss(params):
    ...     return np.mean((X @ params["w"] + params["b"] - y) ** 2)
    >>> found = optim.minimize(loss, {"w": np.zeros(2), "b": 0.5}, method="trust-ncg")
    >>> found.success, bool(found.value < 1e-12)
    (True, True)
    >>> float(found.params["w"][1].round(6))
    2.0
    """
    from scipy.optimize import Bounds
    from scipy.optimize import minimize as minimize_vector

    problem = _Problem(f, params, jit)
    kind = method.lower()
    arguments: dict[str, Any] = {"method": method, "tol": tol, "options": dict(options or {})}
    if kind in WITHOUT_GRADIENTS:
        arguments["fun"] = problem.value
    else:
        arguments |= {"fun": problem.value_and_gradient, "jac": True}
    if kind in WITH_PRODUCTS:
        arguments["hessp"] = problem.product
    elif kind in WITH_HESSIAN:
        arguments["hess"] = problem.hessian
    if bounds is not None:
        arguments["bounds"] = Bounds(*(problem.bound(bound) for bound in bounds))
    if callback is not None:
        arguments["callback"] = lambda vector, *_: callback(problem.layout.unravel(vector))
    return problem.minimum(minimize_vector(x0=problem.start, **arguments))


class _Problem:
    """A function of a tree as a function of a vector in double precision."""

    def __init__(self, f: Callable[[Any], Any], params: Any, jit: bool) -> None:
        made = compiled if jit else lambda function: function
        self.f, self.params = made(f), params
        self.slope = made(value_and_grad(f))
        self.times = made(lambda at, along: hvp(f, (at,), (along,)))
        self.layout = Layout(params)
        self.start = self.vector(params, "params")
        self.evaluations = self.products = 0

    def vector(self, tree: Any, name: str = "gradients") -> Any:
        return self.layout.ravel(tree, name).astype(np.float64)

    def value(self, vector: Any) -> float:
        self.evaluations += 1
        return float(self.f(self.layout.unravel(vector)))

    def value_and_gradient(self, vector: Any) -> tuple[float, Any]:
        self.evaluations += 1
        value, gradients = self.slope(self.layout.unravel(vector))
        return float(value), self.vector(gradients)

    def product(self, vector: Any, direction: Any) -> Any:
        self.products += 1
        unravel = self.layout.unravel
        return self.vector(self.times(unravel(vector), unravel(direction)))

    def hessian(self, vector: Any) -> Any:
        return np.stack([self.product(vector, axis) for axis in np.eye(len(vector))])

    def bound(self, bound: Any) -> Any:
        if isinstance(bound, int | float | np.floating):
            bound = tree_map(lambda p: np.full(np.shape(p), bound), self.params)
        return self.vector(bound, "bounds")

    def minimum(self, found: Any) -> Minimum:
        params = self.layout.unravel(found.x)
        value, gradients = self.slope(params)
        return Minimum(
            params=params,
            value=float(value),
            gradients=gradients,
            success=bool(found.success),
            message=str(found.message),
            iterations=int(found.get("nit", 0)),
            evaluations=self.evaluations,
            products=self.products,
            scipy=found,
        )
