"""Compute the coefficients and tables of the kernels.

``python -m chainrule.compile.kernels.fit coefficients`` prints ``coefficients.py``; likewise
``gamma_coefficients``, ``quantile_coefficients`` and ``tables``.

Each polynomial is the best approximation in the sense of Chebyshev, found by the exchange
algorithm of Remez (Muller, *Elementary Functions*, chapter 3) in 50 digits, and then rounded.
Only this module needs mpmath.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

DIGITS = 50
POINTS_PER_EXTREMUM = 24

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Fit:
    """A function to approximate on an interval, and the degrees for both formats."""

    function: Function
    low: Any
    high: Any
    degree64: int
    degree32: int
    weight: Function = lambda u: mp.mpf(1)


def _near(function: Function, u: Any) -> Any:
    """Evaluate a function with a removable singularity at 0."""
    # a difference near 0 loses digits
    with mp.workdps(3 * DIGITS if abs(u) < mp.mpf("1e-3") else DIGITS + 20):
        return +function(mp.mpf(u) if abs(u) > mp.mpf(10) ** -30 else mp.mpf(10) ** -30)


def _extrema(error: Function, low: Any, high: Any, count: int) -> list[Any]:
    """Return the point of greatest error in each stretch of one sign, the best ``count``."""
    n = POINTS_PER_EXTREMUM * count
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / n) for i in range(n + 1)]
    runs: list[list[tuple[Any, Any]]] = []
    for point in points:
        value = error(point)
        if runs and (value > 0) == (runs[-1][-1][1] > 0):
            runs[-1].append((point, value))
        else:
            runs.append([(point, value)])
    peaks = [max(run, key=lambda pair: abs(pair[1])) for run in runs]
    while len(peaks) > count:
        peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
    return [point for point, _ in peaks]


def remez(fit: Fit, degree: int, rounds: int = 12) -> tuple[list[Any], Any]:
    """Return the best polynomial's coefficients, the constant first, and its greatest error."""
    low, high = mp.mpf(fit.low), mp.mpf(fit.high)
    size = degree + 2
    points = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (size - 1)) for i in range(size)
    ]
    known: dict[Any, tuple[Any, Any]] = {}

    def target(u: Any) -> tuple[Any, Any]:
        if u not in known:
            known[u] = _near(fit.function, u), _near(fit.weight, u)
        return known[u]

    for _ in range(rounds):
        system, right = mp.matrix(size, size), mp.matrix(size, 1)
        for row, u in enumerate(points):
            value, weight = target(u)
            for power in range(degree + 1):
                system[row, power] = u**power
            system[row, degree + 1] = (-1) ** row / weight
            right[row] = value
        solution = mp.lu_solve(system, right)
        coefficients, level = list(solution)[:-1], abs(solution[size - 1])

        def error(u: Any, coefficients: list[Any] = coefficients) -> Any:
            value, weight = target(u)
            return weight * (value - mp.fsum(c * u**k for k, c in enumerate(coefficients)))

        points = _extrema(error, low, high, size)
        worst = max(abs(error(u)) for u in points)
        if len(points) < size:
            raise ArithmeticError(f"only {len(points)} of {size} extrema: degree {degree}")
        if worst < level * mp.mpf("1.001"):
            break
    return coefficients, worst


def rounded(value: Any, width: int) -> float:
    """Return the nearest number of the format."""
    with mp.workprec(53 if width == 64 else 24):
        return float(+mp.mpf(value))


def split(value: Any, width: int, parts: int) -> tuple[float, ...]:
    """Return numbers of the format whose sum is ``value``, each the best for what is left."""
    result = []
    for _ in range(parts):
        result.append(rounded(value, width))
        value = value - mp.mpf(result[-1])
    return tuple(result)


def _atanh_tail(z: Any) -> Any:
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def _scaled_erfc(t: Any) -> Any:
    x = 4 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def _scaled_erfc_anywhere(t: Any) -> Any:
    """Return the same to t = 1, which is infinity, by the first terms of the asymptotic series."""
    if t < 1 - mp.mpf(10) ** -5:
        return _scaled_erfc(t)
    inverse = (1 - t) / (4 * (1 + t))
    square = inverse * inverse
    series = 1 - square / 2 + 3 * square**2 / 4 - 15 * square**3 / 8 + 105 * square**4 / 16
    return (inverse + 2) / mp.sqrt(mp.pi) * series


def _stirling(z: Any) -> Any:
    x = 1 / mp.sqrt(z)
    rest = mp.loggamma(x) - (x - mp.mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2
    return rest * x


@functools.cache
def _psi_root() -> Any:
    """Return where ψ is 0."""
    with mp.workdps(4 * DIGITS):
        return mp.findroot(mp.digamma, mp.mpf("1.4616321449683623"))


def _psi_near(v: Any) -> Any:
    """Return ψ(2 + v), divided by the distance from its root."""
    return mp.digamma(2 + v) / (2 + v - _psi_root())


def _psi_tail(z: Any) -> Any:
    x = 1 / mp.sqrt(z)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / z


def _trigamma_tail(z: Any) -> Any:
    x = 1 / mp.sqrt(z)
    return (mp.psi(1, x) - 1 / x - z / 2) * x**3


def _normal_quantile(s: Any) -> Any:
    """Return where the normal distribution leaves ``exp(-s²/2)`` above, by Newton's method."""
    p = mp.exp(-s * s / 2)
    x = mp.sqrt(s * s - mp.log(2 * mp.pi * max(s * s - 2, 1)))
    for _ in range(20):
        above = mp.erfc(x / mp.sqrt(2)) / 2
        step = (mp.log(above) - mp.log(p)) * above * mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)
        x += step
        if abs(step) < mp.mpf(10) ** (5 - mp.mp.dps):
            break
    return x


def _behind(quantile: Function, center: int) -> Function:
    """Return in t how far a quantile is below ``s = center (1 + t) / (1 - t)``."""

    def of_t(t: Any) -> Any:
        s = center * (1 + t) / (1 - t)
        return s - quantile(s)

    return of_t


def _erfc_quantile(s: Any) -> Any:
    return _normal_quantile(mp.sqrt(2 * (s * s + mp.log(2)))) / mp.sqrt(2)


def _beyond(function: Function) -> Function:
    """Return what a function has beyond its value at 0, divided by the distance from there."""

    @functools.cache
    def at_zero() -> Any:
        with mp.workdps(4 * DIGITS):
            return function(mp.mpf(10) ** (-2 * DIGITS))

    return lambda u: (function(u) - at_zero()) / u


def _inverse_erf(z: Any) -> Any:
    x = mp.sqrt(z)
    return mp.erfinv(x) / x


def _ratio(s: float, center: int) -> Any:
    return (mp.mpf(s) - center) / (mp.mpf(s) + center)


NDTRI_CENTER, ERFINV_CENTER = 8, 2
_ndtri_behind = _behind(_normal_quantile, NDTRI_CENTER)
_erfinv_behind = _behind(_erfc_quantile, ERFINV_CENTER)


HALF_LN2 = mp.mpf("0.34658")
SMALL_LN2 = mp.mpf("0.021661")  # ln(2) / 32
LARGEST_S = mp.mpf("0.17158")  # (sqrt(2) - 1) / (sqrt(2) + 1)
QUARTER_PI = mp.mpf("0.7855")
TAN_EIGHTH_PI = mp.mpf("0.41422")

FITS: dict[str, Fit] = {
    # (e^r - 1 - r) / r²
    "EXP": Fit(lambda r: (mp.expm1(r) - r) / r**2, -HALF_LN2, HALF_LN2, 9, 4),
    # the same where e^r is also a power of 2^(1/16)
    "EXP_16": Fit(lambda r: (mp.expm1(r) - r) / r**2, -SMALL_LN2, SMALL_LN2, 4, 1),
    # and for results that are to be right beside r, which is twice as far from 0
    "EXPM1_16": Fit(lambda r: (mp.expm1(r) - r) / r**2, -2 * SMALL_LN2, 2 * SMALL_LN2, 6, 3),
    # or only above 0
    "EXPM1_16_UP": Fit(lambda r: (mp.expm1(r) - r) / r**2, 0, 2 * SMALL_LN2, 5, 2),
    # (tanh(x) - x) / x³ in z = x²
    "TANH": Fit(lambda z: (mp.tanh(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, 0, "0.3165", 10, 4),
    # (2 artanh(s) - 2 s) / s³ in z = s²
    "LOG": Fit(_atanh_tail, 0, LARGEST_S**2, 6, 2),
    # (log(1 + r) - r) / r², where the argument is near to one of 16 numbers
    "LOG_16": Fit(
        lambda r: (mp.log1p(r) - r) / r**2,
        -mp.mpf(1) / 31,
        mp.mpf(1) / 16,
        8,
        3,
        lambda r: 1 + 9 * abs(r),
    ),
    # the same as LOG without its leading 2/3, divided by z, for pow
    "LOG_TAIL": Fit(lambda z: (_atanh_tail(z) - mp.mpf(2) / 3) / z, 0, LARGEST_S**2, 6, 2),
    # (sin(r) - r) / r³ in z = r²
    "SIN": Fit(
        lambda z: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, 0, QUARTER_PI**2, 5, 2
    ),
    # (cos(r) - 1 + r²/2) / r⁴ in z = r²
    "COS": Fit(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, 0, QUARTER_PI**2, 5, 2),
    # (arctan(t) - t) / t³ in z = t²
    "ARCTAN": Fit(
        lambda z: (mp.atan(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        0,
        TAN_EIGHTH_PI**2,
        10,
        4,
    ),
    # (arcsin(t) - t) / t³ in z = t², to t = 1/2
    "ARCSIN": Fit(
        lambda z: (mp.asin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, 0, "0.2501", 11, 4
    ),
    # erf(x) / x - 1 in z = x²
    "ERF": Fit(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 0, 1, 11, 6),
    # (1 + 2 x) exp(x²) erfc(x) in t = (x - 4) / (x + 4), from x = 1/2 to 28
    "ERFCX": Fit(_scaled_erfc, -mp.mpf(7) / 9, mp.mpf(3) / 4, 21, 10),
}

GAMMA_FITS: dict[str, Fit] = {
    # (1 + 2 x) exp(x²) erfc(x) in t = (x - 4) / (x + 4), from x = 0 to infinity: beyond its value
    # at x = 4, divided by t
    "ERFCX_ANYWHERE": Fit(_beyond(_scaled_erfc_anywhere), -1, 1, 24, 12),
    # log Γ(2 + u) / (u (1 + u))
    "GAMMALN": Fit(lambda u: mp.loggamma(2 + u) / (u * (1 + u)), "-0.5", "0.5", 19, 8),
    # what Stirling's formula lacks, times x, in z = 1/x², from x = 8
    "STIRLING": Fit(_stirling, 0, mp.mpf(1) / 64, 7, 2),
    # log(x) - 1/(2x) - ψ(x) in z = 1/x², divided by z, from x = 4
    "PSI": Fit(_psi_tail, 0, mp.mpf(1) / 16, 11, 4),
    # ψ(2 + v), divided by the distance from its root: beyond its value at v = 0, divided by v
    "PSI_NEAR": Fit(_beyond(_psi_near), -1, 1, 29, 13),
    # ψ'(x) - 1/x - 1/(2x²) in z = 1/x², times x³, from x = 4
    "TRIGAMMA": Fit(_trigamma_tail, 0, mp.mpf(1) / 16, 12, 4),
    # ψ'(3 + v): beyond its value at v = 0, divided by v
    "TRIGAMMA_NEAR": Fit(_beyond(lambda v: mp.psi(1, 3 + v)), -1, 1, 21, 10),
    # sin(π r) / (π r) and cos(π r) in z = r²
    "SINPI": Fit(
        lambda z: mp.sin(mp.pi * mp.sqrt(z)) / (mp.pi * mp.sqrt(z)), 0, mp.mpf(1) / 4, 8, 4
    ),
    "COSPI": Fit(lambda z: mp.cos(mp.pi * mp.sqrt(z)), 0, mp.mpf(1) / 4, 9, 5),
}

QUANTILE_FITS: dict[str, Fit] = {
    # erfinv(x) / x in z = x², to x = 3/4: beyond its value at 0, divided by z
    "ERFINV": Fit(_beyond(_inverse_erf), 0, mp.mpf(9) / 16, 21, 9),
    # s - erfinv(1 - exp(-s²)) in t = (s - 2) / (s + 2), to the last number below 1: beyond its
    # value at s = 2, divided by t
    "ERFINV_TAIL": Fit(
        _beyond(_erfinv_behind),
        _ratio(1.17, ERFINV_CENTER),
        _ratio(6.1, ERFINV_CENTER),
        20,
        8,
    ),
    # ndtri(1/2 + u) / u in z = u²: the same in other units
    "NDTRI": Fit(_beyond(lambda z: 2 * mp.sqrt(2) * _inverse_erf(4 * z)), 0, mp.mpf(9) / 64, 21, 9),
    # s + ndtri(exp(-s²/2)) in t = (s - 8) / (s + 8), down to the smallest number: likewise
    "NDTRI_TAIL": Fit(
        _beyond(_ndtri_behind), _ratio(2.03, NDTRI_CENTER), _ratio(38.7, NDTRI_CENTER), 31, 13
    ),
}


def _power_table(width: int) -> tuple[float, ...]:
    """Return the powers of 2^(1/16) below 2."""
    return tuple(rounded(mp.mpf(2) ** (mp.mpf(j) / 16), width) for j in range(16))


def _power_rest(width: int) -> tuple[float, ...]:
    """Return what these powers lack, divided by them."""
    exact = (mp.mpf(2) ** (mp.mpf(j) / 16) for j in range(16))
    pairs = zip(exact, _power_table(width), strict=True)
    return tuple(rounded(power / mp.mpf(near) - 1, width) for power, near in pairs)


# so many binary places make the product with an exponent exact
PLACES = {64: 42, 32: 16}


def _short_ln2(width: int) -> tuple[float, ...]:
    """Return ln 2 in two parts, of which the first times any exponent is exact."""
    unit = mp.mpf(2) ** -PLACES[width]
    high = mp.nint(mp.log(2) / unit) * unit
    return float(high), rounded(mp.log(2) - high, width)


@functools.cache
def _inverses(width: int, lowest: float) -> tuple[tuple[float, float], ...]:
    """Return for each sixteenth of the significands a number c near its inverse, and -log(c).

    Significands are from 0.75 to 1.5, or from 1 to 2; their leading four bits tell the sixteenth.
    Each c is chosen such that its logarithm has few binary places, all others next to them being
    zeros (Gal's accurate tables). Next to 1 it is 1, so that nothing cancels there.
    """
    unit = mp.mpf(2) ** -PLACES[width]
    wanted = mp.mpf(2) ** -(61 if width == 64 else 31)
    found = []
    for j in range(16):
        middle = 1 + mp.mpf(2 * j + 1) / 32
        if middle >= 2 * lowest:
            middle /= 2
        start = mp.nint(mp.log(middle) / unit)
        for step in range(100_000):
            next_to_one = j == 0 or (j == 15 and lowest < 1)
            logarithm = mp.mpf(0) if next_to_one else (start + step) * unit
            near = rounded(mp.exp(-logarithm), width)
            if abs(mp.log(mp.mpf(near)) + logarithm) < wanted:
                break
        found.append((near, float(logarithm)))
    return tuple(found)


TABLES: dict[str, Callable[[int], tuple[float, ...]]] = {
    "EXP2_16": _power_table,
    "EXP2_16_REST": _power_rest,
    "SHORT_LN2": _short_ln2,
    "INVERSE_16": lambda width: tuple(c for c, _ in _inverses(width, 0.75)),
    "INVERSE_16_LOG": lambda width: tuple(logarithm for _, logarithm in _inverses(width, 0.75)),
    "INVERSE_16_UP": lambda width: tuple(c for c, _ in _inverses(width, 1.0)),
    "INVERSE_16_UP_LOG": lambda width: tuple(logarithm for _, logarithm in _inverses(width, 1.0)),
}

CONSTANTS: dict[str, tuple[Callable[[], Any], int]] = {
    "LN2": (lambda: mp.log(2), 3),
    "LOG2_E": (lambda: 1 / mp.log(2), 2),
    "LOG10_E": (lambda: 1 / mp.log(10), 2),
    "LOG10_2": (lambda: mp.log(2) / mp.log(10), 2),
    "SQRT_HALF": (lambda: mp.sqrt(mp.mpf(1) / 2), 2),
    "TWO_THIRDS": (lambda: mp.mpf(2) / 3, 2),
    "HALF_PI": (lambda: mp.pi / 2, 4),
    "TWO_OVER_PI": (lambda: 2 / mp.pi, 1),
}


GAMMA_CONSTANTS: dict[str, tuple[Callable[[], Any], int]] = {
    "PSI_ROOT": (_psi_root, 2),
    "PSI_NEAR_0": (lambda: _psi_near(mp.mpf(0)), 2),
    "TRIGAMMA_NEAR_0": (lambda: mp.psi(1, 3), 2),
    "ERFCX_ANYWHERE_0": (lambda: _scaled_erfc(mp.mpf(0)), 2),
}
QUANTILE_CONSTANTS: dict[str, tuple[Callable[[], Any], int]] = {
    "ERFINV_0": (lambda: mp.sqrt(mp.pi) / 2, 2),
    "ERFINV_TAIL_0": (lambda: _erfinv_behind(mp.mpf(0)), 2),
    "NDTRI_0": (lambda: mp.sqrt(2 * mp.pi), 2),
    "NDTRI_TAIL_0": (lambda: _ndtri_behind(mp.mpf(0)), 2),
}


def _lines(name: str, values: tuple[tuple[float, ...], tuple[float, ...]]) -> list[str]:
    lines = [f"{name}: Table = {{"]
    for width, numbers in zip((64, 32), values, strict=True):
        if len(numbers) == 1:
            lines += [f"    {width}: ({numbers[0]!r},),"]
            continue
        lines += [f"    {width}: (", *(f"        {number!r}," for number in numbers), "    ),"]
    return [*lines, "}", ""]


def _head(subject: str) -> list[str]:
    return [
        f'"""{subject} of the kernels, by format width. Written by ``fit.py``; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
    ]


def _polynomials(
    constants: dict[str, tuple[Callable[[], Any], int]], fits: dict[str, Fit]
) -> list[str]:
    lines = []
    for name, (value, parts) in constants.items():
        lines += _lines(name, (split(value(), 64, parts), split(value(), 32, parts)))
    for name, fit in fits.items():
        columns = []
        for width, degree in ((64, fit.degree64), (32, fit.degree32)):
            coefficients, worst = remez(fit, degree)
            columns.append(tuple(rounded(c, width) for c in coefficients))
            lines.append(f"# {width} bits: greatest error {mp.nstr(worst, 2)}, degree {degree}")
        lines += _lines(name, (columns[0], columns[1]))
    return lines


def module() -> str:
    """Return the text of ``coefficients.py``."""
    lines = [*_head("Coefficients"), "Table = dict[int, tuple[float, ...]]", ""]
    return "\n".join(lines + _polynomials(CONSTANTS, FITS))


def gamma() -> str:
    """Return the text of ``gamma_coefficients.py``."""
    lines = [*_head("Gamma coefficients"), "from .coefficients import Table", ""]
    return "\n".join(lines + _polynomials(GAMMA_CONSTANTS, GAMMA_FITS))


def quantiles() -> str:
    """Return the text of ``quantile_coefficients.py``."""
    lines = [*_head("Quantile coefficients"), "from .coefficients import Table", ""]
    return "\n".join(lines + _polynomials(QUANTILE_CONSTANTS, QUANTILE_FITS))


def tables() -> str:
    """Return the text of ``tables.py``."""
    lines = [*_head("Tables"), "from .coefficients import Table", ""]
    for name, table in TABLES.items():
        lines += _lines(name, (table(64), table(32)))
    return "\n".join(lines)


MODULES = {
    "coefficients": module,
    "gamma_coefficients": gamma,
    "quantile_coefficients": quantiles,
    "tables": tables,
}

if __name__ == "__main__":
    with mp.workdps(DIGITS):
        print(MODULES[sys.argv[1]](), end="")
