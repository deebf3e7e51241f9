"""Program transformations: derivatives of all kinds."""

from .gradient import grad, jvp, linearize, stop_gradient, value_and_grad, vjp

__all__ = ["grad", "jvp", "linearize", "stop_gradient", "value_and_grad", "vjp"]
