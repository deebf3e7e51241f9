"""The dense Hessian of a function of 100 variables: log-sum-exp of a linear map, and a bowl."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return x and the matrix."""
    rng = numpy.random.default_rng(0)
    n = 5 if quick else 100
    return rng.standard_normal(n), rng.standard_normal((n, n)) / 10


def build(np: Any, scan: Any) -> Any:
    """Return the function of x and the matrix."""

    def f(x: Any, A: Any) -> Any:
        return np.log(np.sum(np.exp(A @ x))) + 0.5 * np.sum(np.sin(x) * x)

    return f


def torch_function() -> Any:
    """Return the function in PyTorch."""
    import torch

    return build(torch, None)


def by_hand(x: Any, A: Any) -> Any:
    """Return the Hessian."""
    e = numpy.exp(A @ x)
    p = e / numpy.sum(e)
    mean = p @ A
    curved = (A.T * p) @ A - numpy.outer(mean, mean)
    return curved + numpy.diag(numpy.cos(x) - 0.5 * x * numpy.sin(x))


CASES = (
    Case(
        name="dense_hessian",
        title="Hessian of a function of 100 variables",
        target=0.6,
        inputs=inputs,
        forms={"NumPy": build},
        derivative="hessian",
        wrt=1,
        torch=torch_function,
        by_hand=by_hand,
        flops=2 * 100**3,
        traffic=2 * 8 * 100**2,
    ),
)
