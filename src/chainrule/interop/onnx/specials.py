"""Special functions, in NumPy terms of what ONNX has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .registry import composed, is_wide

Coefficients = tuple[float, ...]

# Of W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23, 1969;
# highest power first.
_NEAR: tuple[Coefficients, Coefficients] = (
    (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
     7.00332514112805075473e3, 5.55923013010394962768e4),
    (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
     2.26290000613890934246e4, 4.92673942608635921086e4),
)  # fmt: skip
_MIDDLE: tuple[Coefficients, Coefficients] = (
    (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
     4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
     9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2),
    (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
     9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
     1.65666309194161350182e3, 5.57535340817727675546e2),
)  # fmt: skip
_FAR: tuple[Coefficients, Coefficients] = (
    (5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0,
     6.16021097993053585195e0, 7.40974269950448939160e0, 2.97886665372100240670e0),
    (1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1,
     1.70814450747565897222e1, 9.60896809063285878198e0, 3.36907645100081516050e0),
)  # fmt: skip


def _ratio(coefficients: tuple[Coefficients, Coefficients], x: Any) -> Any:
    totals = []
    for row in coefficients:
        total = row[0] + 0.0 * x
        for c in row[1:]:
            total = total * x + c
        totals.append(total)
    return totals[0] / totals[1]


# -- the error function --------------------------------------------------------------------------


def _scaled_complement(x: Any) -> Any:
    """Return exp(x²) erfc(x) for x ≥ 1/2."""
    far = x > 8.0
    middle = _ratio(_MIDDLE, np.where(far, 1.0, x))
    # by 1/x, so that no power of a large number is taken
    inverse = 1.0 / np.where(far, x, 8.0)
    above, below = (tuple(reversed(row)) for row in _FAR)
    return np.where(far, inverse * _ratio((above, below), inverse), middle)


def _near(x: Any) -> Any:
    return x * _ratio(_NEAR, x * x)


@composed("erf", when=is_wide)
def erf(x: Any) -> Any:
    """Return the error function."""
    size = np.abs(x)
    near = size < 0.5
    outer = np.where(near, 1.0, np.minimum(size, 6.0))
    far = 1.0 - np.exp(-outer * outer) * _scaled_complement(outer)
    return np.where(near, _near(np.where(near, x, 0.0)), np.sign(x) * far)


@composed("erfc")
def erfc(x: Any) -> Any:
    """Return the complement of the error function."""
    size = np.abs(x)
    near = size < 0.5
    outer = np.where(near, 1.0, np.minimum(size, 27.5))
    far = np.exp(-outer * outer) * _scaled_complement(outer)
    far = np.where(x < 0, 2.0 - far, far)
    return np.where(near, 1.0 - _near(np.where(near, x, 0.0)), far)


@composed("erfcx")
def erfcx(x: Any) -> Any:
    """Return exp(x²) erfc(x)."""
    size = np.abs(x)
    far = size >= 0.5
    outer = _scaled_complement(np.where(far, size, 1.0))
    inner = np.where(x < 26.7, np.where(x < 0.5, x, 0.0), 0.0)
    near = np.exp(inner * inner) * (1.0 - _near(np.where(far, 0.0, x)))
    negative = 2.0 * np.exp(inner * inner) - outer
    return np.where(far, np.where(x < 0, negative, outer), near)


@composed("ndtr")
def ndtr(x: Any) -> Any:
    """Return the distribution function of the normal distribution."""
    return 0.5 * erfc(x * -math.sqrt(0.5))


@composed("log_ndtr")
def log_ndtr(x: Any) -> Any:
    """Return its logarithm."""
    low = x < -1.0
    below = np.where(low, x, -1.0)
    tail = np.log(0.5 * erfcx(below * -math.sqrt(0.5))) - 0.5 * below * below
    return np.where(low, tail, np.log1p(-0.5 * erfc(np.where(low, 0.0, x) * math.sqrt(0.5))))


# -- the gamma function --------------------------------------------------------------------------

_SHIFT = 8  # arguments are moved above it, where the asymptotic series has all digits
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def _log_gamma_above(x: Any) -> Any:
    """Return log Γ(x) for x > 0, by Stirling's series."""
    large = x >= _SHIFT
    product: Any = 1.0
    for k in range(_SHIFT):
        product = product * np.where(large, 1.0, x + float(k))
    z = np.where(large, x, x + float(_SHIFT))
    inverse = 1.0 / z
    total = 0.0 * z
    for k in range(len(_BERNOULLI), 0, -1):
        total = _BERNOULLI[k - 1] / (2 * k * (2 * k - 1)) + inverse * inverse * total
    stirling = (z - 0.5) * np.log(z) - z + 0.5 * math.log(2 * math.pi) + inverse * total
    return stirling - np.log(product)


@composed("gammaln", "loggamma")
def gammaln(x: Any) -> Any:
    """Return log |Γ(x)|."""
    low = x < 0.5
    above = _log_gamma_above(np.where(low, 1.0 - x, x))
    sine = np.abs(np.sin(math.pi * (x - np.floor(x))))
    reflected = math.log(math.pi) - np.log(np.where(low, sine, 1.0)) - above
    return np.where(low, reflected, np.where(np.equal(x, np.inf), np.inf, above))


def _sign_of_gamma(x: Any) -> Any:
    whole = np.floor(x)
    even = np.equal(whole, 2.0 * np.floor(0.5 * whole))
    return np.where(np.logical_or(x > 0, even), 1.0, -1.0)


@composed("gamma")
def gamma(x: Any) -> Any:
    """Return Γ(x)."""
    return _sign_of_gamma(x) * np.exp(gammaln(x))


@composed("rgamma")
def rgamma(x: Any) -> Any:
    """Return 1 / Γ(x)."""
    return _sign_of_gamma(x) * np.exp(-gammaln(x))


@composed("betaln")
def betaln(a: Any, b: Any) -> Any:
    """Return the logarithm of the size of the beta function."""
    return gammaln(a) + gammaln(b) - gammaln(a + b)


@composed("beta")
def beta(a: Any, b: Any) -> Any:
    """Return the beta function."""
    sign = _sign_of_gamma(a) * _sign_of_gamma(b) * _sign_of_gamma(a + b)
    return sign * np.exp(betaln(a, b))


@composed("poch")
def poch(a: Any, m: Any) -> Any:
    """Return Γ(a + m) / Γ(a)."""
    return _sign_of_gamma(a + m) * _sign_of_gamma(a) * np.exp(gammaln(a + m) - gammaln(a))


@composed("binom")
def binom(n: Any, k: Any) -> Any:
    """Return the binomial coefficient of real numbers."""
    above, below, rest = n + 1.0, k + 1.0, n - k + 1.0
    sign = _sign_of_gamma(above) * _sign_of_gamma(below) * _sign_of_gamma(rest)
    return sign * np.exp(gammaln(above) - gammaln(below) - gammaln(rest))


@composed("psi")
def psi(x: Any) -> Any:
    """Return the derivative of log Γ."""
    low = x < 0.5
    z = np.where(low, 1.0 - x, x)
    total = 0.0 * z
    for k in range(_SHIFT):
        total = total - 1.0 / (z + float(k))
    z = z + float(_SHIFT)
    inverse = 1.0 / (z * z)
    series = 0.0 * z
    for k in range(len(_BERNOULLI), 0, -1):
        series = inverse * (_BERNOULLI[k - 1] / (2 * k) + series)
    total = total + np.log(z) - 0.5 / z - series
    part = math.pi * (x - np.floor(x))
    return np.where(low, total - math.pi * np.cos(part) / np.sin(np.where(low, part, 1.0)), total)


def _positive_order(out: Any, *operands: Any, n: int) -> bool:
    return n >= 1


@composed("polygamma", when=_positive_order)
def polygamma(x: Any, n: int) -> Any:
    """Return the n-th derivative of ψ, for x > 0; NaN elsewhere."""
    z = np.where(x > 0, x, 1.0)
    total = 0.0 * z
    for k in range(2 * _SHIFT):
        total = total + math.factorial(n) / (z + float(k)) ** (n + 1)
    z = z + 2.0 * _SHIFT
    total = total + math.factorial(n - 1) / z**n + 0.5 * math.factorial(n) / z ** (n + 1)
    for k, bernoulli in enumerate(_BERNOULLI, 1):
        factor = bernoulli * math.factorial(2 * k + n - 1) / math.factorial(2 * k)
        total = total + factor / z ** (2 * k + n)
    return np.where(x > 0, (-1.0) ** (n + 1) * total, np.nan)


@composed("polygamma", when=lambda out, *operands, n: n == 0)
def _digamma(x: Any, n: int) -> Any:
    return psi(x)


# -- entropies, losses and others ----------------------------------------------------------------


@composed("logit")
def logit(x: Any) -> Any:
    """Return log(x / (1 - x))."""
    return np.log(x) - np.log1p(-x)


@composed("log_expit")
def log_expit(x: Any) -> Any:
    """Return log(1 / (1 + exp(-x)))."""
    return -np.logaddexp(0.0, -x)


@composed("xlogy")
def xlogy(x: Any, y: Any) -> Any:
    """Return x log(y), 0 where x is 0."""
    empty = np.logical_and(np.equal(x, 0), np.logical_not(np.isnan(y)))
    return np.where(empty, 0.0, x * np.log(np.where(empty, 1.0, y)))


@composed("xlog1py")
def xlog1py(x: Any, y: Any) -> Any:
    """Return x log(1 + y), 0 where x is 0."""
    empty = np.logical_and(np.equal(x, 0), np.logical_not(np.isnan(y)))
    return np.where(empty, 0.0, x * np.log1p(np.where(empty, 0.0, y)))


@composed("entr")
def entr(x: Any) -> Any:
    """Return -x log(x)."""
    inside = np.where(x > 0, x, 1.0)
    found = np.where(x > 0, -x * np.log(inside), np.where(np.equal(x, 0), 0.0, -np.inf))
    return np.where(np.isnan(x), x, found)


@composed("rel_entr")
def rel_entr(x: Any, y: Any) -> Any:
    """Return x log(x / y)."""
    inside = np.logical_and(np.greater(x, 0), np.greater(y, 0))
    safe_x, safe_y = np.where(inside, x, 1.0), np.where(inside, y, 1.0)
    empty = np.logical_and(np.equal(x, 0), np.greater_equal(y, 0))
    found = np.where(inside, safe_x * np.log(safe_x / safe_y), np.where(empty, 0.0, np.inf))
    return np.where(np.logical_or(np.isnan(x), np.isnan(y)), np.nan, found)


@composed("kl_div")
def kl_div(x: Any, y: Any) -> Any:
    """Return x log(x / y) - x + y."""
    found = rel_entr(x, y)
    return np.where(np.isinf(found), found, found - x + y)


@composed("huber")
def huber(delta: Any, r: Any) -> Any:
    """Return Huber's loss."""
    size = np.abs(r)
    found = np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return np.where(np.less(delta, 0), np.inf, found)


@composed("pseudo_huber")
def pseudo_huber(delta: Any, r: Any) -> Any:
    """Return the smooth form of Huber's loss."""
    flat = np.equal(delta, 0)
    u = r / np.where(flat, 1.0, delta)
    square = u * u
    found = delta * delta * (square / (1.0 + np.sqrt(1.0 + square)))
    return np.where(np.less(delta, 0), np.inf, np.where(flat, 0.0, found))


@composed("exprel")
def exprel(x: Any) -> Any:
    """Return (exp(x) - 1) / x."""
    zero = np.equal(x, 0)
    return np.where(zero, 1.0, np.expm1(x) / np.where(zero, 1.0, x))


@composed("cosm1")
def cosm1(x: Any) -> Any:
    """Return cos(x) - 1."""
    half = np.sin(0.5 * x)
    return -2.0 * half * half
