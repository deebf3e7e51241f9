"""Program transformations: derivatives of all kinds."""

from .check import GradientReport, check_gradients
from .gradient import grad, stop_gradient, value_and_grad
from .jacobian import hessian, hvp, jacobian
from .linear import jvp, linearize, vjp

__all__ = [
    "GradientReport",
    "check_gradients",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
