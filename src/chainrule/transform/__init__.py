"""Program transformations: derivatives of all kinds."""

from typing import TYPE_CHECKING, Any

from .branching import cond, switch, while_loop
from .checkpointing import checkpoint
from .custom import custom_rule
from .gradient import grad, stop_gradient, value_and_grad
from .jacobian import gauss_newton_product, hessian, hvp, jacobian
from .linear import jvp, linearize, vjp
from .scanning import fori_loop, map, scan
from .vmap import vmap

if TYPE_CHECKING:
    from .check import GradientReport, check_gradients
    from .rerolling import reroll
    from .simplification import simplify

__all__ = [
    "GradientReport",
    "check_gradients",
    "checkpoint",
    "cond",
    "custom_rule",
    "fori_loop",
    "gauss_newton_product",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "map",
    "reroll",
    "scan",
    "simplify",
    "stop_gradient",
    "switch",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]

_LAZY = {
    "GradientReport": "check",
    "check_gradients": "check",
    "reroll": "rerolling",
    "simplify": "simplification",
}


def __getattr__(name: str) -> Any:
    """Import what a derivative does not need when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
