"""HIPS autograd: the plain NumPy code, with its own namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import RATE, Case
from . import Run


def differentiated(case: Case, args: tuple[Any, ...]) -> Run:
    """Differentiate the plain form."""
    import autograd
    import autograd.numpy as anp

    f = case.autograd() if case.autograd else case.forms[case.plain](anp, None)
    argnums = case.argnums(args)
    if case.derivative == "gradient":
        both = autograd.value_and_grad(f, argnums)
        return lambda: both(*args)
    if case.derivative == "grad":
        slope = autograd.grad(f)
        return lambda: slope(*args)
    if case.derivative == "hvp":
        product = autograd.hessian_vector_product(f)
        return lambda: product(*args)
    if case.derivative == "hessian":
        hessian = autograd.hessian(f)
        return lambda: hessian(*args)
    if case.derivative == "jacobian":
        return _rows(f, args, argnums)
    both = autograd.value_and_grad(f, argnums)

    def step() -> Any:
        value, gradients = both(*args)
        return value, [p - RATE * g for p, g in zip(args, gradients, strict=False)]

    return step


def _rows(f: Any, args: tuple[Any, ...], argnums: tuple[int, ...]) -> Run:
    """Return the Jacobians of all rows; without ``vmap``, by the sum of one residual over them."""
    import autograd

    residuals = [
        autograd.grad(lambda *args, i=i: autograd.numpy.sum(f(*args)[..., i]), argnums)
        for i in range(2)
    ]

    def run() -> Any:
        first, second = (r(*args) for r in residuals)
        return [np.stack(pair, axis=1) for pair in zip(first, second, strict=True)]

    return run
