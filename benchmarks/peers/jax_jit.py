"""JAX: everything under one ``jit``, arguments kept on its side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import RATE, Case
from . import Run


def compiled(case: Case, args: tuple[Any, ...], plain: bool = False) -> Run:
    """Compile the derivative; ``plain`` takes the NumPy code without JAX's own functions."""
    import jax

    single = all(a.dtype != np.float64 for a in args if isinstance(a, np.ndarray))
    jax.config.update("jax_enable_x64", not single)
    import jax.numpy as jnp

    if case.jax is not None and not plain:
        f = case.jax()
    else:
        f = case.forms[case.plain if plain else case.main](jnp, jax.lax.scan)
    run = jax.jit(_derivative(case, args, f))
    there = tuple(jnp.asarray(a) for a in args)
    return lambda: jax.block_until_ready(run(*there))


def _derivative(case: Case, args: tuple[Any, ...], f: Any) -> Any:
    import jax

    argnums = case.argnums(args)
    if case.derivative == "gradient":
        return jax.value_and_grad(f, argnums)
    if case.derivative == "grad":
        return jax.grad(f, argnums)
    if case.derivative == "hvp":
        return lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1]
    if case.derivative == "hessian":
        return jax.hessian(f)
    if case.derivative == "jacobian":
        return jax.vmap(jax.jacrev(f, argnums))
    both = jax.value_and_grad(f, argnums)

    def step(*args: Any) -> Any:
        value, gradients = both(*args)
        return value, [p - RATE * g for p, g in zip(args, gradients, strict=False)]

    return step
