"""The special functions of ``scipy.special``: its ufuncs, found by name.

SciPy is imported when one of them is computed for the first time, which their user has done.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..maps import LinearMap, scale
from ..program.arraytype import ndim_of
from ..program.primitive import BY_NAME, FUNCTIONS, Primitive, Rule
from .elementwise import LN10, STOP
from .families import elementwise_type, normalize_axes, unsupported
from .reductions import LOGSUMEXP

SQRT_PI = math.sqrt(math.pi)
SQRT_2PI = math.sqrt(2.0 * math.pi)
SQRT_HALF_PI = math.sqrt(0.5 * math.pi)


@functools.cache
def _ufunc(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special, name)


def special(
    name: str,
    *d: Rule | None,
    text: str = "",
    symbol: str = "",
    also: tuple[str, ...] = (),
) -> Primitive:
    """Declare a ufunc of SciPy, under the name that the ufunc itself has."""
    primitive = Primitive(
        name,
        lambda *xs: _ufunc(name)(*xs),
        type_rule=lambda *types: elementwise_type(_ufunc(name))(*types),
        d=d,
        elementwise=True,
        text=text or name + "({" + "}, {".join(map(str, range(len(d)))) + "})",
        symbol=symbol,
    )
    for spelling in (name, *also):
        BY_NAME[spelling] = primitive
    return primitive


def _no_rule(function: str, parameter: str) -> Rule:
    """Return the rule of a parameter by which no derivative is known in closed form."""

    def rule(y: Any, *operands: Any) -> NoReturn:
        unsupported(
            f"scipy.special.{function} by its parameter {parameter}",
            why="that derivative is no elementary or common special function",
            help=f"pass {parameter} as a plain number, or stop_gradient({parameter})",
        )

    return rule


# -- logistic ------------------------------------------------------------------------------------

EXPIT: Primitive = special(
    "expit", lambda y, x: scale(y * (1.0 - y)), text="sigmoid({0})", symbol="sigmoid"
)
LOG_EXPIT = special("log_expit", lambda y, x: scale(EXPIT(-x)), text="log sigmoid({0})")
LOGIT = special("logit", lambda y, x: scale(1.0 / (x * (1.0 - x))))


# -- error functions and the normal distribution -------------------------------------------------

ERF = special("erf", lambda y, x: scale((2.0 / SQRT_PI) * np.exp(-x * x)))
ERFC = special("erfc", lambda y, x: scale((-2.0 / SQRT_PI) * np.exp(-x * x)))
ERFCX = special("erfcx", lambda y, x: scale(2.0 * x * y - 2.0 / SQRT_PI))
ERFINV = special("erfinv", lambda y, x: scale((0.5 * SQRT_PI) * np.exp(y * y)))
ERFCINV = special("erfcinv", lambda y, x: scale((-0.5 * SQRT_PI) * np.exp(y * y)))
DAWSN = special("dawsn", lambda y, x: scale(1.0 - 2.0 * x * y))
NDTR = special("ndtr", lambda y, x: scale(np.exp(-0.5 * x * x) / SQRT_2PI), text="Φ({0})")
LOG_NDTR = special(
    "log_ndtr", lambda y, x: scale(np.exp(-0.5 * x * x - y) / SQRT_2PI), text="log Φ({0})"
)
ERFI = special("erfi", lambda y, x: scale((2.0 / SQRT_PI) * np.exp(x * x)))
NDTRI_EXP = special("ndtri_exp", lambda y, x: scale(SQRT_2PI * np.exp(x + 0.5 * y * y)))
NDTRI = special("ndtri", lambda y, x: scale(SQRT_2PI * np.exp(0.5 * y * y)), text="Φ⁻¹({0})")


# -- gamma and beta ------------------------------------------------------------------------------


def _polygamma(x: Any, n: int) -> Any:
    if n == 0:
        return _ufunc("psi")(x)
    return (-1.0) ** (n + 1) * math.factorial(n) * _ufunc("zeta")(n + 1.0, x)


POLYGAMMA: Primitive = Primitive(
    "polygamma",
    _polygamma,
    type_rule=lambda x, n: elementwise_type(_ufunc("psi"))(x),
    d=(lambda y, x, n: scale(POLYGAMMA(x, n=n + 1)),),
    elementwise=True,
    text="ψ{n}({0})",
    symbol="polygamma",
)
PSI = special("psi", lambda y, x: scale(POLYGAMMA(x, n=1)), text="ψ({0})", symbol="digamma")
GAMMA = special("gamma", lambda y, x: scale(y * PSI(x)), text="Γ({0})")
GAMMALN = special("gammaln", lambda y, x: scale(PSI(x)), text="log Γ({0})", symbol="log-gamma")
LOGGAMMA = special("loggamma", lambda y, x: scale(PSI(x)), text="log Γ({0})", symbol="log-gamma")
BETA = special(
    "beta",
    lambda y, a, b: scale(y * (PSI(a) - PSI(a + b))),
    lambda y, a, b: scale(y * (PSI(b) - PSI(a + b))),
    text="B({0}, {1})",
)
BETALN = special(
    "betaln",
    lambda y, a, b: scale(PSI(a) - PSI(a + b)),
    lambda y, a, b: scale(PSI(b) - PSI(a + b)),
    text="log B({0}, {1})",
)
POCH = special(
    "poch",
    lambda y, z, m: scale(y * (PSI(z + m) - PSI(z))),
    lambda y, z, m: scale(y * PSI(z + m)),
)
BINOM = special(
    "binom",
    lambda y, n, k: scale(y * (PSI(n + 1.0) - PSI(n - k + 1.0))),
    lambda y, n, k: scale(y * (PSI(n - k + 1.0) - PSI(k + 1.0))),
)
GAMMAINC = special(
    "gammainc",
    _no_rule("gammainc", "a"),
    lambda y, a, x: scale(_gamma_density(a, x)),
)
GAMMAINCC = special(
    "gammaincc",
    _no_rule("gammaincc", "a"),
    lambda y, a, x: scale(-_gamma_density(a, x)),
)
BETAINC = special(
    "betainc",
    _no_rule("betainc", "a"),
    _no_rule("betainc", "b"),
    lambda y, a, b, x: scale(_beta_density(a, b, x)),
)


def _gamma_density(a: Any, x: Any) -> Any:
    a = _as_beside(a, x)
    return np.exp(XLOGY(a - 1.0, x) - x - GAMMALN(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    a, b = _as_beside(a, x), _as_beside(b, x)
    return np.exp(XLOGY(a - 1.0, x) + XLOG1PY(b - 1.0, -x) - BETALN(a, b))


BETAINCC = special(
    "betaincc",
    _no_rule("betaincc", "a"),
    _no_rule("betaincc", "b"),
    lambda y, a, b, x: scale(-_beta_density(a, b, x)),
)
GAMMAINCINV = special(
    "gammaincinv",
    _no_rule("gammaincinv", "a"),
    lambda y, a, p: scale(1.0 / _gamma_density(a, y)),
)
BETAINCINV = special(
    "betaincinv",
    _no_rule("betaincinv", "a"),
    _no_rule("betaincinv", "b"),
    lambda y, a, b, p: scale(1.0 / _beta_density(a, b, y)),
)
RGAMMA = special("rgamma", lambda y, x: scale(-y * PSI(x)), text="1/Γ({0})")


def _student(y: Any, df: Any, t: Any) -> LinearMap:
    df = _as_beside(df, t)
    constant = np.exp(GAMMALN(0.5 * (df + 1.0)) - GAMMALN(0.5 * df)) / np.sqrt(math.pi * df)
    return scale(constant * np.exp(-0.5 * (df + 1.0) * np.log1p(t * t / df)))


STDTR = special("stdtr", _no_rule("stdtr", "df"), _student)


# -- entropies -----------------------------------------------------------------------------------


def _as_beside(a: Any, x: Any) -> Any:
    """Return a Python number as one of the dtype of ``x``, which SciPy would promote else."""
    return x.dtype.type(a) if isinstance(a, int | float) and hasattr(x, "dtype") else a


def _share(x: Any, y: Any) -> Any:
    """Return x / y, and 0 where x is 0: there x log(y) is 0 for every y."""
    nothing = np.equal(x, 0)
    return np.where(nothing, 0.0, x / np.where(nothing, 1.0, y))


XLOGY: Primitive = special(
    "xlogy",
    lambda out, x, y: scale(np.log(y)),
    lambda out, x, y: scale(_share(x, y)),
    text="{0} log({1})",
)
XLOG1PY: Primitive = special(
    "xlog1py",
    lambda out, x, y: scale(np.log1p(y)),
    lambda out, x, y: scale(_share(x, 1.0 + y)),
    text="{0} log1p({1})",
)
ENTR = special("entr", lambda y, x: scale(-1.0 - np.log(x)), symbol="entropy")
REL_ENTR = special(
    "rel_entr",
    lambda out, x, y: scale(np.log(x / y) + 1.0),
    lambda out, x, y: scale(-x / y),
    symbol="relative entropy",
)
KL_DIV = special(
    "kl_div",
    lambda out, x, y: scale(np.log(x / y)),
    lambda out, x, y: scale(1.0 - x / y),
)


# -- Bessel functions ----------------------------------------------------------------------------


def _bessel(name: str, below: float, above: float, factor: Any = None) -> Primitive:
    """Declare a Bessel function of any order, from its neighbours: y' = (± y₋ ± y₊) / 2.

    The scaled ones have a factor besides, whose logarithm has the slope ``factor(x)``.
    """

    def rule(y: Any, order: Any, x: Any) -> LinearMap:
        slope = below * primitive(order - 1.0, x) + above * primitive(order + 1.0, x)
        return scale(slope if factor is None else slope + factor(x) * y)

    primitive = special(name, _no_rule(name, "v"), rule)
    return primitive


JV = _bessel("jv", 0.5, -0.5)
YV = _bessel("yv", 0.5, -0.5)
IV = _bessel("iv", 0.5, 0.5)
KV = _bessel("kv", -0.5, -0.5)
IVE = _bessel("ive", 0.5, 0.5, lambda x: -np.sign(x))

J1 = special("j1", lambda y, x: scale(0.5 * (J0(x) - JV(2.0, x))))
J0: Primitive = special("j0", lambda y, x: scale(-J1(x)))
Y1 = special("y1", lambda y, x: scale(0.5 * (Y0(x) - YV(2.0, x))))
Y0: Primitive = special("y0", lambda y, x: scale(-Y1(x)))
I1 = special("i1", lambda y, x: scale(0.5 * (I0(x) + IV(2.0, x))))
I0: Primitive = special("i0", lambda y, x: scale(I1(x)))
K1 = special("k1", lambda y, x: scale(-0.5 * (K0(x) + KV(2.0, x))))
K0: Primitive = special("k0", lambda y, x: scale(-K1(x)))
I1E = special("i1e", lambda y, x: scale(0.5 * (I0E(x) + IVE(2.0, x)) - np.sign(x) * y))
I0E: Primitive = special("i0e", lambda y, x: scale(I1E(x) - np.sign(x) * y))


KVE = _bessel("kve", -0.5, -0.5, lambda x: 1.0)
K1E = special("k1e", lambda y, x: scale(y - 0.5 * (K0E(x) + KVE(2.0, x))))
K0E: Primitive = special("k0e", lambda y, x: scale(y - K1E(x)))


# -- others --------------------------------------------------------------------------------------


def _exprel(y: Any, x: Any) -> LinearMap:
    """(exp(x) - exprel(x)) / x cancels near 0; there the series Σ k xᵏ⁻¹ / (k+1)! is used."""
    small = np.less(np.abs(x), 0.1)
    near, far = np.where(small, x, 0.0), np.where(small, 1.0, x)
    series = near * 0.0
    for k in range(10, 0, -1):
        series = series * near + k / math.factorial(k + 1)
    return scale(np.where(small, series, (np.exp(far) - EXPREL(far)) / far))


def _huber_width(y: Any, delta: Any, r: Any) -> LinearMap:
    return scale(np.maximum(np.abs(r) - delta, 0.0))


EXPREL: Primitive = special("exprel", _exprel)
COSM1 = special("cosm1", lambda y, x: scale(-np.sin(x)))
EXP10 = special("exp10", lambda y, x: scale(LN10 * y), text="10^{0}")
EXP1 = special("exp1", lambda y, x: scale(-np.exp(-x) / x), text="E₁({0})")
EXPI = special("expi", lambda y, x: scale(np.exp(x) / x), text="Ei({0})")
HUBER = special(
    "huber", _huber_width, lambda y, delta, r: scale(np.minimum(np.maximum(r, -delta), delta))
)
PSEUDO_HUBER = special(
    "pseudo_huber",
    lambda y, delta, r: scale(2.0 * y / delta - r * r / np.hypot(delta, r)),
    lambda y, delta, r: scale(r / np.hypot(1.0, r / delta)),
)

HYP0F1: Primitive = special(
    "hyp0f1", _no_rule("hyp0f1", "v"), lambda y, v, z: scale(HYP0F1(v + 1.0, z) / v)
)
HYP1F1: Primitive = special(
    "hyp1f1",
    _no_rule("hyp1f1", "a"),
    _no_rule("hyp1f1", "b"),
    lambda y, a, b, z: scale(a / b * HYP1F1(a + 1.0, b + 1.0, z)),
)
HYP2F1: Primitive = special(
    "hyp2f1",
    *(_no_rule("hyp2f1", name) for name in "abc"),
    lambda y, a, b, c, z: scale(a * b / c * HYP2F1(a + 1.0, b + 1.0, c + 1.0, z)),
)


def _box_cox(x: Any, power: Any) -> Any:
    if isinstance(power, int | float):
        return np.expm1(power * np.log(x)) / power if power else np.log(x)
    zero = np.equal(power, 0)
    safe = np.where(zero, 1.0, power)
    return np.where(zero, np.log(x), np.expm1(safe * np.log(x)) / safe)


def _inverse_box_cox(y: Any, power: Any) -> Any:
    if isinstance(power, int | float):
        return np.exp(np.log1p(power * y) / power) if power else np.exp(y)
    zero = np.equal(power, 0)
    safe = np.where(zero, 1.0, power)
    return np.where(zero, np.exp(y), np.exp(np.log1p(safe * y) / safe))


FUNCTIONS[np.i0] = I0
BY_NAME.update(
    boxcox=_box_cox,
    boxcox1p=lambda x, power: _box_cox(1.0 + x, power),
    inv_boxcox=_inverse_box_cox,
    inv_boxcox1p=lambda y, power: _inverse_box_cox(y, power) - 1.0,
    cbrt=np.cbrt,
    exp2=np.exp2,
    expm1=np.expm1,
    log1p=np.log1p,
)


# -- the functions of SciPy that are no ufuncs ---------------------------------------------------


def polygamma(n: Any, x: Any) -> Any:
    """Answer :func:`scipy.special.polygamma`."""
    orders = np.asarray(n)
    if orders.ndim:
        parts = [polygamma(int(k), x) for k in orders.ravel()]
        if ndim_of(x):
            unsupported(
                "scipy.special.polygamma with several orders for an array",
                why="each order is a function of its own",
                help="call it once per order",
            )
        return np.reshape(np.stack(parts), orders.shape)
    return POLYGAMMA(_double(x), n=int(orders))


def _double(x: Any) -> Any:
    """Return ``x`` in the double precision in which SciPy's Python functions compute."""
    return x if isinstance(x, float) else x.astype(np.result_type(x.dtype, float))


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """Answer :func:`scipy.special.logsumexp`."""
    if return_sign:
        unsupported(
            "scipy.special.logsumexp with return_sign=True",
            why="the sign of the sum is piecewise constant",
            help="leave return_sign away if the sum is positive",
        )
    axes = normalize_axes(axis, ndim_of(a))
    if b is None:
        return LOGSUMEXP(a, axis=axes, keepdims=bool(keepdims))
    a = np.where(np.equal(b, 0), -np.inf, a)
    top = STOP(np.max(a, axes, keepdims=True))
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(b * np.exp(a - top), axes, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axes)


def softmax(x: Any, axis: Any = None) -> Any:
    """Answer :func:`scipy.special.softmax`."""
    return np.exp(log_softmax(x, axis))


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Answer :func:`scipy.special.log_softmax`."""
    return x - logsumexp(x, axis, keepdims=True)


def multigammaln(a: Any, d: int) -> Any:
    """Answer :func:`scipy.special.multigammaln`."""
    a = _double(a)
    total: Any = 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(d):
        total = total + GAMMALN(a - 0.5 * j)
    return total


SCIPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "polygamma": polygamma,
    "multigammaln": multigammaln,
}
"""What answers the functions of ``scipy.special`` that ask no protocol, by name."""
