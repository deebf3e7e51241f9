"""Gradients of plain NumPy code: plain, visible and fast."""

from typing import TYPE_CHECKING, Any

from . import errors, tree
from .transform import (
    checkpoint,
    cond,
    custom_rule,
    fori_loop,
    gauss_newton_product,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    map,
    scan,
    stop_gradient,
    switch,
    value_and_grad,
    vjp,
    vmap,
    while_loop,
)
from .tree import register as register_pytree

if TYPE_CHECKING:
    from . import data, nn, optim, random, train
    from .compile import jit
    from .explain import explain
    from .transform import check_gradients

__version__ = "0.1.0"

__all__ = [
    "check_gradients",
    "checkpoint",
    "cond",
    "custom_rule",
    "data",
    "errors",
    "explain",
    "fori_loop",
    "gauss_newton_product",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "linearize",
    "map",
    "nn",
    "optim",
    "random",
    "register_pytree",
    "scan",
    "stop_gradient",
    "switch",
    "train",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]

_LAZY = frozenset({"data", "explain", "nn", "optim", "random", "train"})


def __getattr__(name: str) -> Any:
    """Import a part that takes longer to load when it is first asked for."""
    if name == "jit":
        from .compile import jit

        return jit
    if name == "check_gradients":
        from .transform import check_gradients

        return check_gradients
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
