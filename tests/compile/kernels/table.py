"""What each kernel computes: in mpmath, in NumPy, and where it is hard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special

from chainrule.compile.kernels.fit import _normal_quantile as normal_quantile


@dataclass(frozen=True)
class Case:
    exact: Callable[[Any], Any]
    plain: Callable[[Any], Any]
    ranges: tuple[tuple[float, float], ...]
    # dense neighbourhoods: where branches meet, where results cancel, the ends of the domain
    hard: tuple[float, ...] = (0.0,)


def expit(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x))


def erfc(x):
    return mp.erfc(x) if x < 1000 else mp.mpf(0)


def logit(x):
    return mp.log(x / (1 - x)) if 0 < x < 1 else (-mp.inf if x == 0 else mp.inf)


def ndtr(x):
    return erfc(-x / mp.sqrt(2)) / 2


def log_ndtr(x):
    if x < -100000:
        return -x * x / 2 - mp.log(-x * mp.sqrt(2 * mp.pi)) - 1 / x**2
    return mp.log1p(-ndtr(-x)) if x > -1 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def ndtri(p):
    below = min(p, 1 - p)
    if below > 1e-20:
        x = mp.sqrt(2) * mp.erfinv(2 * below - 1)
    else:
        x = -normal_quantile(mp.sqrt(-2 * mp.log(below))) if below else -mp.inf
    return -x if p > 0.5 else x


def entr(x):
    return -mp.inf if x < 0 else (mp.mpf(0) if x == 0 else -x * mp.log(x))


LN2 = float(np.log(2.0))
OVERFLOW = (709.782712893384, 88.722839)
UNDERFLOW = (-708.396, -745.13, -87.33655, -103.972)
WIDE = ((-1.0, 1.0), (-20.0, 20.0), (-720.0, 720.0))
HALVES = tuple(LN2 * (i + 0.5) for i in range(-3, 3))
QUARTERS = tuple(np.pi / 4 * i for i in (*range(-8, 9), 355, 710, 100_001))
# the number of the format nearest to a multiple of π/2, below the limits of the reduction
NEAREST_TO_QUARTER = (6381956970095103.0 * 2.0**-13, 16367173.0 * 2.0**-5)

CASES = {
    "exp": Case(mp.exp, np.exp, WIDE, (0.0, *HALVES, *OVERFLOW, *UNDERFLOW)),
    "exp2": Case(
        lambda x: mp.mpf(2) ** x,
        np.exp2,
        WIDE,
        (0.0, 0.5, 1.5, -0.5, 1024.0, 128.0, -1022.0, -1074.0, -126.0, -149.0),
    ),
    "expm1": Case(mp.expm1, np.expm1, WIDE, (0.0, *HALVES, *OVERFLOW, -37.4, -17.3)),
    "tanh": Case(mp.tanh, np.tanh, WIDE, (0.0, 0.5625, -0.5625, 0.1733, 9.01, 19.06)),
    "expit": Case(expit, scipy.special.expit, WIDE, (0.0, *HALVES, *UNDERFLOW)),
    "sinh": Case(mp.sinh, np.sinh, WIDE, (0.0, *HALVES, 710.47586, -710.47586, 89.41598)),
    "cosh": Case(mp.cosh, np.cosh, WIDE, (0.0, *HALVES, 710.47586, -710.47586, 89.41598)),
    "log": Case(mp.log, np.log, ((0.0, 4.0), (0.0, 1e6)), (1.0, 0.7071067811865476, 1.4142135)),
    "log1p": Case(
        mp.log1p,
        np.log1p,
        ((-1.0, 1.0), (-1.0, 30.0), (0.0, 1e6)),
        (0.0, -1.0, -0.2928932188134524, 0.4142135, 1.828427),
    ),
    "log2": Case(
        lambda x: mp.log(x) / mp.ln2, np.log2, ((0.0, 4.0), (0.0, 1e6)), (1.0, 0.70710678, 8.0)
    ),
    "log10": Case(mp.log10, np.log10, ((0.0, 4.0), (0.0, 1e6)), (1.0, 0.70710678, 1000.0)),
    "log_expit": Case(
        lambda x: -softplus(-x), scipy.special.log_expit, WIDE, (0.0, *UNDERFLOW, 708.4, 87.3)
    ),
    "softplus": Case(softplus, lambda x: np.logaddexp(x.dtype.type(0), x), WIDE, (0.0, *UNDERFLOW)),
    "arctanh": Case(mp.atanh, np.arctanh, ((-1.0, 1.0), (-0.1, 0.1)), (0.0, 1.0, -1.0, 0.5)),
    "sin": Case(mp.sin, np.sin, (*WIDE, (-1e6, 1e6)), (*QUARTERS, *NEAREST_TO_QUARTER)),
    "cos": Case(mp.cos, np.cos, (*WIDE, (-1e6, 1e6)), (*QUARTERS, *NEAREST_TO_QUARTER)),
    "tan": Case(mp.tan, np.tan, (*WIDE, (-1e6, 1e6)), (*QUARTERS, *NEAREST_TO_QUARTER)),
    "arctan": Case(mp.atan, np.arctan, WIDE, (0.0, 0.41421356, -0.41421356, 1.0, 2.4142135)),
    "arcsin": Case(mp.asin, np.arcsin, ((-1.0, 1.0), (0.9, 1.0)), (0.0, 0.5, -0.5, 1.0, -1.0)),
    "arccos": Case(mp.acos, np.arccos, ((-1.0, 1.0), (0.9, 1.0)), (0.0, 0.5, -0.5, 1.0, -1.0)),
    "arcsinh": Case(mp.asinh, np.arcsinh, WIDE, (0.0, 1.0, 2.0**25, 2.0**54)),
    "arccosh": Case(mp.acosh, np.arccosh, ((1.0, 4.0), (1.0, 1e6)), (1.0, 2.0**25, 2.0**54)),
    "erf": Case(mp.erf, scipy.special.erf, WIDE, (0.0, 1.0, -1.0, 4.0, 6.0)),
    "erfc": Case(
        erfc, scipy.special.erfc, (*WIDE, (5.0, 27.5)), (0.5, -0.5, 9.19, 10.05, 26.54, 27.22)
    ),
    "logit": Case(logit, scipy.special.logit, ((0.0, 1.0), (0.4, 0.6)), (0.5, 0.25, 1.0, 1e-300)),
    "ndtr": Case(
        ndtr, scipy.special.ndtr, (*WIDE, (-39.0, -5.0)), (0.0, 0.708, -0.708, -14.2, -37.5, 8.3)
    ),
    "log_ndtr": Case(
        log_ndtr,
        scipy.special.log_ndtr,
        (*WIDE, (-39.0, 9.0), (0.0, 38.0)),
        (0.0, 0.708, -1.0, -14.2, -37.5, 8.3),
    ),
    "erfinv": Case(
        lambda x: mp.erfinv(x) if abs(x) < 1 else mp.inf * x,
        scipy.special.erfinv,
        ((-1.0, 1.0), (0.7, 0.8), (0.99, 1.0)),
        (0.0, 0.75, -0.75, 1.0, -1.0),
    ),
    "ndtri": Case(
        ndtri, scipy.special.ndtri, ((0.0, 1.0), (0.1, 0.3)), (0.0, 0.125, 0.25, 0.5, 0.875, 1.0)
    ),
    "entr": Case(entr, scipy.special.entr, ((0.0, 2.0), (0.0, 1e6)), (0.0, 1.0, 0.36)),
}

# what the documentation promises, in units of the last place
BOUNDS = {
    "exp": 1.2,
    "exp2": 1.1,
    "expm1": 1.6,
    "tanh": 1.6,
    "expit": 1.5,
    "sinh": 1.9,
    "cosh": 1.6,
    "log": 1.0,
    "log1p": 1.1,
    "log2": 0.8,
    "log10": 0.8,
    "log_expit": 1.8,
    "softplus": 1.8,
    "arctanh": 1.4,
    "sin": 1.1,
    "cos": 1.1,
    "tan": 1.6,
    "arctan": 1.5,
    "arcsin": 1.7,
    "arccos": 1.7,
    "arcsinh": 1.8,
    "arccosh": 1.3,
    "arctan2": 1.5,
    "erf": 1.6,
    "erfc": 2.0,
    "pow": 1.4,
    "logaddexp": 2.0,
    "xlogy": 1.6,
    "xlog1py": 1.6,
    "entr": 1.6,
    "logit": 1.6,
    "ndtr": 2.0,
    "log_ndtr": 2.0,
    "hypot": 1.0,
    "copysign": 0.0,
    "heaviside": 0.0,
    "gammaln": 2.0,  # in a test of its own
    "psi": 1.6,
    "trigamma": 2.0,
    "erfinv": 1.3,
    "ndtri": 2.0,
}
