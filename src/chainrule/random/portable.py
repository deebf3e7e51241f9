"""Elementary functions that round alike on every platform.

``np.log`` and ``np.exp`` differ in the last bit between processors and libraries. Random numbers
should not, so here both are made of additions, multiplications, divisions and square roots alone,
which IEEE 754 defines to the last bit. The errors are below 3 units in the last place.

References
----------
.. [1] M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
   Applied Statistics 37, 1988.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..maps import scale
from ..primitives.families import elementwise_type
from ..program.primitive import Primitive

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # ends in zeros: its multiples are exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_SQRT_HALF = math.sqrt(0.5)
_ARTANH = [1.0 / (2 * k + 1) for k in range(11)]
_EXP = [1.0 / math.factorial(k) for k in range(14)]


def polynomial(coefficients: Any, x: Any) -> Any:
    """Return the polynomial with these coefficients, the constant one first (Horner)."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def log(x: Any) -> Any:
    """Return log(x) = e log 2 + 2 artanh((m - 1) / (m + 1)) for x = m 2ᵉ."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < _SQRT_HALF
    mantissa, exponent = np.where(low, 2.0 * mantissa, mantissa), exponent - low
    with np.errstate(divide="ignore", invalid="ignore"):  # of negative numbers, which give NaN
        s = (mantissa - 1.0) / (mantissa + 1.0)
    series = 2.0 * s * polynomial(_ARTANH, s * s)
    value = exponent * _LN2_HIGH + (series + exponent * _LN2_LOW)
    if np.all((x > 0.0) & (x < np.inf)):
        return value
    limit = np.where(x == 0.0, -np.inf, np.where(x == np.inf, np.inf, np.nan))
    return np.where((x > 0.0) & (x < np.inf), value, limit)


def exp(x: Any) -> Any:
    """Return exp(x) = 2ⁿ exp(r) for x = n log 2 + r."""
    x = np.clip(x, -800.0, 800.0)
    n = np.rint(x * (1.0 / math.log(2.0)))
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.ldexp(polynomial(_EXP, r), n.astype(np.int32))


_CENTRE = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3),
        *(1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4),
        *(3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4),
        5.2264952788528545610e3,
    ),
)
_TAIL = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0),
        *(3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1),
        *(2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4),
        1.05075007164441684324e-9,
    ),
)
_FAR_TAIL = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0),
        *(2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3),
        *(2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7),
        2.04426310338993978564e-15,
    ),
)


def _ratio(coefficients: Any, x: Any) -> Any:
    above, below = coefficients
    return polynomial(above, x) / polynomial(below, x)


def normal_quantile(u: Any) -> Any:
    """Return the standard normal quantile Φ⁻¹(u) for 0 < u < 1, by AS 241."""
    u = np.asarray(u)
    q = u - 0.5
    value = np.asarray(q * _ratio(_CENTRE, 0.180625 - q * q))
    outside = np.abs(q) > 0.425
    if np.any(outside):
        tail = u[outside]
        r = np.sqrt(-log(np.minimum(tail, 1.0 - tail)))
        size = np.where(r <= 5.0, _ratio(_TAIL, r - 1.6), _ratio(_FAR_TAIL, r - 5.0))
        value[outside] = np.copysign(size, q[outside])
    return value[()]


LOG = Primitive(
    "portable_log",
    log,
    type_rule=elementwise_type(np.log),
    d=(lambda y, x: scale(1.0 / x),),
    elementwise=True,
    text="log({0})",
    symbol="logarithm",
)
EXP = Primitive(
    "portable_exp",
    exp,
    type_rule=elementwise_type(np.exp),
    d=(lambda y, x: scale(y),),
    elementwise=True,
    text="exp({0})",
    symbol="exponential",
)
QUANTILE = Primitive(
    "normal_quantile",
    normal_quantile,
    type_rule=elementwise_type(np.log),
    d=(lambda y, u: scale(math.sqrt(2.0 * math.pi) * EXP(0.5 * y * y)),),
    elementwise=True,
    text="Φ⁻¹({0})",
    symbol="normal quantile",
)
