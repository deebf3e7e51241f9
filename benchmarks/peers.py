"""How each library computes the value and the gradients of a workload."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Run = Callable[[], tuple[Any, Any]]


def chainrule(workload: ModuleType) -> Run:
    """Differentiate the plain NumPy function."""
    from chainrule import value_and_grad

    args = workload.inputs()
    both = value_and_grad(workload.build(np), tuple(range(len(args))))
    return lambda: both(*args)


def chainrule_jit(workload: ModuleType) -> Run:
    """Compile value and gradients to one native function."""
    from chainrule import jit, value_and_grad

    args = workload.inputs()
    both = jit(value_and_grad(workload.build(np), tuple(range(len(args)))))
    return lambda: both(*args)


def autograd(workload: ModuleType) -> Run:
    """Use HIPS autograd with its own NumPy namespace."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    args = workload.inputs()
    both = value_and_grad(workload.build(anp), tuple(range(len(args))))
    return lambda: both(*args)


def jax(workload: ModuleType) -> Run:
    """Compile value and gradients with JAX in float64, inputs kept on its side."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    args = tuple(jnp.asarray(a) for a in workload.inputs())
    both = jax.jit(jax.value_and_grad(workload.build(jnp), tuple(range(len(args)))))
    return lambda: jax.block_until_ready(both(*args))


def numpy(workload: ModuleType) -> Run:
    """Evaluate the function alone, without any derivative: the floor of the interpreter."""
    args = workload.inputs()
    function = workload.build(np)
    return lambda: (function(*args), None)


PEERS = {
    "chainrule": chainrule,
    "chainrule jit": chainrule_jit,
    "autograd": autograd,
    "jax": jax,
    "numpy": numpy,
}
