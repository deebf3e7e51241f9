"""Rosenbrock's function of 1,000 variables: gradient, and product of its Hessian with a vector."""

from __future__ import annotations

from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return x."""
    return (numpy.random.default_rng(0).standard_normal(7 if quick else 1000),)


def inputs_with_direction(quick: bool) -> tuple[Any, ...]:
    """Return x and a direction."""
    (x,) = inputs(quick)
    return x, numpy.random.default_rng(1).standard_normal(x.shape)


def build(np: Any, scan: Any) -> Any:
    """Return Rosenbrock's function."""
    return lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def torch_function() -> Any:
    """Return Rosenbrock's function in PyTorch."""
    import torch

    return build(torch, None)


def by_hand(x: Any) -> Any:
    """Return the gradient."""
    head, rest = x[:-1], x[1:] - x[:-1] ** 2
    gradient = numpy.zeros_like(x)
    gradient[:-1] = -400.0 * rest * head - 2.0 * (1.0 - head)
    gradient[1:] += 200.0 * rest
    return gradient


def product_by_hand(x: Any, v: Any) -> Any:
    """Return the product of the Hessian with a vector."""
    head, rest = x[:-1], x[1:] - x[:-1] ** 2
    change = v[1:] - 2.0 * head * v[:-1]
    product = numpy.zeros_like(x)
    product[:-1] = -400.0 * (change * head + rest * v[:-1]) + 2.0 * v[:-1]
    product[1:] += 200.0 * change
    return product


CASES = (
    Case(
        name="rosenbrock_gradient",
        title="Rosenbrock, n = 1,000: gradient",
        target=0.15,
        inputs=inputs,
        forms={"NumPy": build},
        derivative="grad",
        torch=torch_function,
        by_hand=by_hand,
        traffic=2 * 8 * 1000,
    ),
    Case(
        name="rosenbrock_hvp",
        title="Rosenbrock, n = 1,000: Hessian times vector",
        target=0.15,
        inputs=inputs_with_direction,
        forms={"NumPy": build},
        derivative="hvp",
        wrt=1,
        torch=torch_function,
        by_hand=product_by_hand,
        traffic=3 * 8 * 1000,
    ),
)
