"""What the recurrent workloads share: sizes, inputs and the two ways to write a loop over time."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from ..case import Case

SIZES = {
    # steps, batch, features, hidden, dtype
    "large": (100, 32, 128, 128, numpy.float32),
    "small": (200, 1, 32, 32, numpy.float64),
}


def inputs(gates: int, biases: int, size: str, quick: bool) -> tuple[Any, ...]:
    """Return Wx, Wh, one or two biases, and the sequence."""
    steps, batch, features, hidden, dtype = SIZES[size]
    if quick:
        steps, batch, features, hidden = 6, min(batch, 2), 4, 3
    rng = numpy.random.default_rng(0)
    width = gates * hidden
    Wx = (rng.standard_normal((features, width)) / features**0.5).astype(dtype)
    Wh = (rng.standard_normal((hidden, width)) / hidden**0.5).astype(dtype)
    bias = [(0.1 * rng.standard_normal(width)).astype(dtype) for _ in range(biases)]
    return Wx, Wh, *bias, rng.standard_normal((steps, batch, features)).astype(dtype)


def looped(f: Any, state: Any, xs: Any) -> Any:
    """Do what ``scan`` does, in Python."""
    for x in xs:
        state, _ = f(state, x)
    return state, None


def forms(build: Any) -> dict[str, Any]:
    """Return the form with scan and that with a Python loop."""
    return {"scan": build, "Python loop": lambda np, scan: build(np, looped)}


def case(
    kind: str, build: Any, torch: Any, gates: int, biases: int, size: str, target: float
) -> Case:
    """Return the case of one kind of cell in one size."""
    steps, batch, features, hidden, dtype = SIZES[size]
    bits = 32 if dtype is numpy.float32 else 64
    products = steps * batch * gates * hidden * (2 * features + 3 * hidden)
    return Case(
        name=f"{kind.lower()}_{size}",
        title=f"{kind}, T = {steps}, h = {hidden}, batch {batch}, float{bits}",
        target=target,
        inputs=partial(inputs, gates, biases, size),
        forms=forms(build),
        wrt=2 + biases,
        tolerance=1e-4 if bits == 32 else 1e-6,
        torch=torch,
        flops=2 * products,
    )
