"""Program transformations: derivatives of all kinds."""

from .branching import cond, switch, while_loop
from .check import GradientReport, check_gradients
from .checkpointing import checkpoint
from .custom import custom_rule
from .gradient import grad, stop_gradient, value_and_grad
from .jacobian import hessian, hvp, jacobian
from .linear import jvp, linearize, vjp
from .reroll import reroll
from .scanning import fori_loop, map, scan
from .simplify import simplify
from .vmap import vmap

__all__ = [
    "GradientReport",
    "check_gradients",
    "checkpoint",
    "cond",
    "custom_rule",
    "fori_loop",
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
