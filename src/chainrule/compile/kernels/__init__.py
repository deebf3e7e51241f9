"""Math functions as straight-line code without branches, which LLVM vectorises.

Each emitter takes a builder and its operands, all of type ``double`` or all of type ``float``,
and returns the result. ``docs/math_kernels.md`` states how accurate each is.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import ir
from . import (
    error_function,
    exponential,
    gamma,
    inverse,
    logarithm,
    power,
    quantile,
    special,
    trigonometric,
)
from .expression import Number

Emitter = Callable[..., ir.Value]


def _emitter(kernel: Callable[..., Number]) -> Emitter:
    def emit(builder: ir.IRBuilder, *operands: ir.Value) -> ir.Value:
        return kernel(*(Number(builder, operand) for operand in operands)).value

    emit.__name__ = f"emit_{kernel.__name__}"
    emit.__doc__ = kernel.__doc__
    return emit


_KERNELS: tuple[Callable[..., Number], ...] = (
    exponential.exp,
    exponential.exp2,
    exponential.expm1,
    exponential.tanh,
    exponential.expit,
    exponential.sinh,
    exponential.cosh,
    logarithm.log,
    logarithm.log1p,
    logarithm.log2,
    logarithm.log10,
    logarithm.log_expit,
    logarithm.softplus,
    logarithm.arctanh,
    trigonometric.sin,
    trigonometric.cos,
    trigonometric.tan,
    inverse.arctan,
    inverse.arcsin,
    inverse.arccos,
    inverse.arcsinh,
    inverse.arccosh,
    inverse.arctan2,
    error_function.erf,
    error_function.erfc,
    power.pow,
    power.logaddexp,
    special.xlogy,
    special.xlog1py,
    special.entr,
    special.logit,
    special.ndtr,
    special.log_ndtr,
    special.hypot,
    special.copysign,
    special.heaviside,
    gamma.gammaln,
    gamma.psi,
    gamma.trigamma,
    quantile.erfinv,
    quantile.ndtri,
)

EMITTERS: dict[str, Emitter] = {kernel.__name__: _emitter(kernel) for kernel in _KERNELS}

# where these kernels give NaN because the argument is too great: by name, then by format width
REDUCIBLE: dict[str, dict[int, float]] = {
    kernel.__name__: trigonometric.REDUCIBLE
    for kernel in (trigonometric.sin, trigonometric.cos, trigonometric.tan)
}
