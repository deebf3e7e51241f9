"""Rows of what acts element by element, of complex numbers and of reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp

from .rows import Z, numbers, p5, row, x5, x23, x34, x234, z5, z34

# -- element by element --------------------------------------------------------------------------

REAL, UNIT, POSITIVE, OPEN, ABOVE_ONE = (-2.3, 2.1), (0.05, 0.95), (0.3, 3.1), (-0.9, 0.9), (1.1, 3)

UNARY = [
    (np.exp, REAL, True), (np.exp2, REAL, False), (np.expm1, REAL, True), (np.log, POSITIVE, True),
    (np.log2, POSITIVE, True), (np.log10, POSITIVE, True), (np.log1p, POSITIVE, True),
    (np.sqrt, POSITIVE, True), (np.cbrt, REAL, False), (np.square, REAL, True),
    (np.reciprocal, POSITIVE, True), (np.negative, REAL, True), (np.positive, REAL, True),
    (np.sin, REAL, True), (np.cos, REAL, True), (np.tan, OPEN, True), (np.arcsin, OPEN, True),
    (np.arccos, OPEN, True), (np.arctan, REAL, True), (np.sinh, REAL, True), (np.cosh, REAL, True),
    (np.tanh, REAL, True), (np.arcsinh, REAL, True), (np.arccosh, ABOVE_ONE, True),
    (np.arctanh, OPEN, True), (np.absolute, REAL, False), (np.fabs, REAL, False),
    (np.sinc, REAL, False), (np.deg2rad, REAL, False), (np.rad2deg, REAL, False),
    (np.radians, REAL, False), (np.degrees, REAL, False), (np.conjugate, REAL, False),
    (np.real, REAL, False), (np.nan_to_num, REAL, False),
    (sp.expit, REAL, False), (sp.log_expit, REAL, False), (sp.logit, UNIT, False),
    (sp.erf, REAL, False), (sp.erfc, REAL, False), (sp.erfcx, REAL, False),
    (sp.erfinv, OPEN, False), (sp.erfcinv, UNIT, False), (sp.dawsn, REAL, False),
    (sp.ndtr, REAL, False), (sp.log_ndtr, REAL, False), (sp.ndtri, UNIT, False),
    (sp.psi, POSITIVE, False), (sp.gamma, POSITIVE, False), (sp.gammaln, POSITIVE, False),
    (sp.loggamma, POSITIVE, False), (sp.entr, POSITIVE, False), (sp.exprel, REAL, False),
    (sp.cosm1, REAL, False), (sp.exp10, OPEN, False), (sp.exp1, POSITIVE, False),
    (sp.expi, POSITIVE, False), (sp.expm1, REAL, False), (sp.log1p, POSITIVE, False),
    (sp.cbrt, REAL, False), (sp.exp2, REAL, False),
    (sp.j0, REAL, False), (sp.j1, REAL, False), (sp.y0, POSITIVE, False), (sp.y1, POSITIVE, False),
    (sp.i0, REAL, False), (sp.i1, REAL, False), (sp.i0e, REAL, False), (sp.i1e, REAL, False),
    (sp.k0, POSITIVE, False), (sp.k1, POSITIVE, False),
    (sp.k0e, POSITIVE, False), (sp.k1e, POSITIVE, False), (sp.erfi, OPEN, False),
    (sp.rgamma, POSITIVE, False), (sp.ndtri_exp, (-2.0, -0.1), False),
]  # fmt: skip

for _f, (_low, _high), _analytic in UNARY:
    for _shape in ((), (5,), (2, 3), (0, 3)):
        _x = numbers(*_shape, low=_low, high=_high)
        row(f"{_f.__name__}{list(_shape)}", _f, _x, analytic=_analytic and bool(_shape))

BINARY = [
    (np.add, REAL, REAL, True), (np.subtract, REAL, REAL, True), (np.multiply, REAL, REAL, True),
    (np.true_divide, REAL, POSITIVE, True), (np.power, POSITIVE, REAL, True),
    (np.float_power, POSITIVE, REAL, False),
    (np.logaddexp, REAL, REAL, False), (np.logaddexp2, REAL, REAL, False),
    (np.arctan2, REAL, REAL, False), (np.hypot, REAL, REAL, False),
    (np.maximum, REAL, OPEN, False), (np.minimum, REAL, OPEN, False),
    (np.fmax, REAL, OPEN, False), (np.fmin, REAL, OPEN, False),
    (np.remainder, REAL, POSITIVE, False), (np.fmod, REAL, POSITIVE, False),
    (np.copysign, REAL, OPEN, False),
    (sp.beta, POSITIVE, POSITIVE, False), (sp.betaln, POSITIVE, POSITIVE, False),
    (sp.poch, POSITIVE, POSITIVE, False), (sp.binom, POSITIVE, UNIT, False),
    (sp.xlogy, REAL, POSITIVE, False), (sp.xlog1py, REAL, POSITIVE, False),
    (sp.rel_entr, POSITIVE, POSITIVE, False), (sp.kl_div, POSITIVE, POSITIVE, False),
    (sp.boxcox, POSITIVE, POSITIVE, False), (sp.inv_boxcox, POSITIVE, UNIT, False),
    (sp.boxcox1p, POSITIVE, POSITIVE, False), (sp.inv_boxcox1p, POSITIVE, UNIT, False),
    (sp.huber, UNIT, REAL, False), (sp.pseudo_huber, POSITIVE, REAL, False),
]  # fmt: skip

for _f, _left, _right, _analytic in BINARY:
    for _a, _b in (((), ()), ((4,), (4,)), ((2, 1), (3,)), ((), (2, 2)), ((0, 2), (1, 2))):
        row(
            f"{_f.__name__}{list(_a)}{list(_b)}",
            _f,
            numbers(*_a, seed=1, low=_left[0], high=_left[1]),
            numbers(*_b, seed=2, low=_right[0] * 1.03, high=_right[1] * 1.03),
            analytic=_analytic and bool(_a),
            single=_f is not np.float_power,
        )

for _order in (0, 1, 2):
    row(f"polygamma {_order}", lambda x, n=_order: sp.polygamma(n, x), p5)
for _f in (
    sp.jv,
    sp.yv,
    sp.iv,
    sp.kv,
    sp.ive,
    sp.kve,
    sp.gammainc,
    sp.gammaincc,
    sp.stdtr,
    sp.hyp0f1,
):
    row(_f.__name__, lambda x, f=_f: f(1.5, x), p5)
row("betainc", lambda x: sp.betainc(1.5, 2.5, x), numbers(4, low=0.1, high=0.9))
_probabilities = numbers(4, low=0.1, high=0.9)
row("betaincc", lambda x: sp.betaincc(1.5, 2.5, x), _probabilities)
row("gammaincinv", lambda x: sp.gammaincinv(1.5, x), _probabilities)
row("betaincinv", lambda x: sp.betaincinv(1.5, 2.5, x), _probabilities)
row("hyp1f1", lambda x: sp.hyp1f1(1.5, 2.5, x), x5)
row("hyp2f1", lambda x: sp.hyp2f1(0.5, 1.5, 2.5, x), _probabilities)
row("boxcox of 0", lambda x: sp.boxcox(x, 0.0) + sp.inv_boxcox(x, 0.0), p5)
_fix = np.fix if np.lib.NumpyVersion(np.__version__) < "2.5.0" else np.trunc  # deprecated since
row("modf", lambda x: np.modf(3 * x)[0] * np.divmod(x, 0.7)[1] + _fix(x) * np.ldexp(x, 2), x5)
row("multigammaln", lambda x: sp.multigammaln(x, 3), 4.3)
row("logsumexp of SciPy", lambda x: sp.logsumexp(x, axis=1, keepdims=True), x23)
row("logsumexp weighted", lambda x, b: sp.logsumexp(x, axis=0, b=b), x23, np.exp(x23))
row("softmax", lambda x: sp.softmax(x, axis=-1), x23)
row("log_softmax", lambda x: sp.log_softmax(x, axis=0), x23)

for _e in (2, 3, -1, 0, 0.5, 1, -2.0, 2.0):
    row(f"power {_e}", lambda x, e=_e: x**e, p5, analytic=True)
for _e in (2, 3, -1, 0, -2.0):
    row(f"power {_e} of negative", lambda x, e=_e: x**e, -p5, analytic=True)
row("power of integers", lambda x: x ** np.array([0, 1, 2, 3, -1]), -p5)
row("number to a power", lambda x: 2.5**x, x5, analytic=True)
row("operators", lambda a, b: -(a + 2 * b) / (4 - a) - 3 / b + (+a) * b, p5, p5[::-1] + 3)
row("in place", lambda a, b: _in_place(a, b), x5, p5)
row("mod and floor", lambda a: a % 0.7 + (a // 0.7) * a + divmod(a, 0.9)[1], p5)
row(
    "float of an array",
    lambda x: x[0] * np.float64(2) * x[1:] + np.ones(4) * x[0],
    x5,
    single=False,
)


def _in_place(a: Any, b: Any) -> Any:
    r = a * 1.0
    r += b
    r *= a
    r[1:3] -= b[:2]
    r /= 2.0
    return r


row("where", lambda a, b: np.where(a > 0, a * b, b**2), x5, p5)
row("where broadcast", lambda a, b: np.where([[True], [False]], a, b), x5, 0.4)
row("clip", lambda x: np.clip(x, -0.5, 0.8) + x.clip(min=0.1) + np.clip(x, None, 0.3), x5)
row("clip by traced", lambda x, a, b: np.clip(x, a, b), x5, -0.5, 0.8)
row("astype", lambda x: x.astype(np.float64) * x, x5, single=False)
row("round", lambda x: np.round(x, 1) * x + np.rint(x), x5)
row("nan-safe", lambda x: np.nan_to_num(np.array([np.nan, 1.0]) * x[:2], nan=2.0), x5, single=False)
row("ufunc out and where", lambda x: np.add(x, x, out=np.zeros(5), where=x > 0), x5, single=False,
    abstract=False)  # fmt: skip
row("outer", lambda a, b: np.multiply.outer(a, b) + np.subtract.outer(a, b), x23, p5)

# -- complex -------------------------------------------------------------------------------------

for _f in (np.exp, np.log, np.sqrt, np.sin, np.tanh, np.square, np.reciprocal, np.abs, np.conj,
           np.real, np.imag, np.angle, np.arctan, np.cosh, np.expm1, np.log1p, np.arcsin,
           np.arccosh, np.negative, np.linalg.norm, np.sum, np.mean, np.prod, np.cumsum,
           np.cumprod, np.var, np.std, np.log10):  # fmt: skip
    row(f"complex {_f.__name__}", _f, z5)
row("complex arithmetic", lambda a, b: a * b / (1 + b) - a**2 + 3j * b, z5, z5[::-1])
row("complex power", lambda a, b: a**b, z5, z5[::-1])
row("complex and real", lambda a, b: a * b + b / a - np.abs(a * b), z5, p5)
row("complex parts", lambda a: a.real * a.imag, z34)
row("complex where", lambda a: np.where(a.real > 0, a, 1j * np.conj(a)), z34)
row("complex matmul", lambda a, b: a @ b, z34, z34.T + 1)
row("complex vectors", lambda a, b: np.vdot(a, b) + np.dot(a, b) + np.vecdot(a, b), z5, z5[::-1])
row("complex einsum", lambda a, b: np.einsum("ij,ij->i", a, b), z34, z34[::-1])
row("complex solve", lambda a, b: np.linalg.solve(a, b), Z, Z[:, :2])
row("complex inv", lambda a: np.linalg.inv(a), Z)
row("complex det", np.linalg.det, Z)
row("complex slogdet", lambda a: np.linalg.slogdet(a)[1] + np.linalg.slogdet(a)[0], Z)
row("complex hermitian", lambda a: np.linalg.eigvalsh(a @ a.conj().T), Z)
row("complex cholesky", lambda a: np.linalg.cholesky(a @ a.conj().T), Z)
row("complex qr", lambda a: np.linalg.qr(a)[0] @ np.linalg.qr(a)[1] + np.linalg.qr(a)[1], Z)
row("complex svdvals", np.linalg.svdvals, Z, second=False)
row("complex pinv", np.linalg.pinv, z34)
row("complex index", lambda a: a[[0, 0, 2]] * a[1:4], z5)
for _f in (np.fft.fft, np.fft.ifft, np.fft.irfft, np.fft.hfft, np.fft.fftshift):
    row(f"complex {_f.__name__}", _f, z5)
row("complex fft2", lambda a: np.fft.fft2(a, s=(4, 3), norm="ortho"), z34)
row("complex irfft odd", lambda a: np.fft.irfft(a, 7, norm="forward"), z5)
row("complex irfft cropped", lambda a: np.fft.irfft(a, 4), z5)
row("real and imaginary to complex", lambda a, b: a + 1j * b, x5, p5)

# -- reductions ----------------------------------------------------------------------------------

for _axis in (None, 0, -1, (0, 2), (), (2, 1)):
    for _keep in (False, True):
        if _axis != () or _keep:
            for _f in (np.sum, np.mean, np.max, np.min, np.prod, np.var, np.std, np.ptp):
                if _axis == () and _f in (np.var, np.std, np.ptp):
                    continue
                _name = f"{_f.__name__} axis={_axis} keepdims={_keep}"
                row(_name, lambda x, f=_f, a=_axis, k=_keep: f(x, axis=a, keepdims=k), x234)
for _f in (np.sum, np.mean, np.prod, np.max, np.linalg.norm):
    row(f"{_f.__name__} of a number", _f, 0.7)
    row(f"{_f.__name__} of one", _f, np.array([0.7]))
for _f in (np.sum, np.prod):
    row(f"{_f.__name__} of none", lambda x, f=_f: f(x, 0), np.zeros((0, 2)))
row("sum where", lambda x: np.sum(x, 0, where=x23 > 0, initial=2.0), x23)
row("mean where", lambda x: np.mean(x, where=x23 > 0), x23)
row("prod with a zero", np.prod, np.array([0.5, 0.0, 2.0]))
row("prod with two zeros", np.prod, np.array([0.5, 0.0, 2.0, 0.0]), analytic=True)
row("max where", lambda x: np.max(x, 1, where=x23 < 0.5, initial=-9.0), x23)
row("average", lambda x, w: np.average(x, 0, w), x23, np.exp(x23))
row("average of rows", lambda x: np.average(x, 1, [1.0, 2.0, 3.0]), x23)
row("var ddof", lambda x: np.var(x, 1, ddof=1) + np.std(x, 1, ddof=1), x23)
for _f in (np.nansum, np.nanmean, np.nanmax, np.nanmin, np.nanprod, np.nanvar, np.nanstd):
    row(_f.__name__, lambda x, f=_f: f(np.where(x23 > 1, np.nan, x), 1), x23,
        abstract=_f not in (np.nanvar, np.nanstd))  # fmt: skip
row("methods", lambda x: x.sum(0) * x.mean() + x.max(1)[:2].sum() - x.min() * x.prod(), x34)
row("more methods", lambda x: x.std(0) + x.var(0) + x.cumsum(1)[0] + x.cumprod(0)[1], x34)
row("arguments by position", lambda x: np.sum(x, 0, None, None) * x.max(0, None, True), x34)
row("std by position", lambda x: np.std(x, 0, None, None, 1) + np.clip(x, -0.5, 0.8, None)[0], x34)
row("std where", lambda x: np.std(x, 1, where=x23 < 0.7) + np.var(x, 1, where=x23 < 0.7), x23)
row("var with a mean", lambda x: np.var(x, 0, mean=np.mean(x, 0, keepdims=True)), x34)
row("average returned", lambda x: np.multiply(*np.average(x, 0, x23**2, returned=True)), x23,
    single=False)  # fmt: skip
row("reduced to none", lambda x: np.sum(x, 0) + np.sum(np.sum(x, 1)), np.zeros((2, 0, 3)))
row("i0 of NumPy", np.i0, x5, single=False)
row("add.reduce", lambda x: np.add.reduce(x) * np.multiply.reduce(x, 0), x23)
row("maximum.reduce", lambda x: np.maximum.reduce(x) - np.minimum.reduce(x, 0), x23)
row("logaddexp.reduce", lambda x: np.logaddexp.reduce(x, 1, keepdims=True), x23)
for _axis in (None, 0, 1, -1):
    row(f"cumsum {_axis}", lambda x, a=_axis: np.cumsum(x, a), x234)
    row(f"cumprod {_axis}", lambda x, a=_axis: np.cumprod(x, a), x234)
row("cumprod with zeros", np.cumprod, np.array([0.5, 0.0, 2.0, 0.0, 3.0]), analytic=True)
if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    row("cumulative_sum", lambda x: np.cumulative_sum(x, axis=1, include_initial=True), x23)
    row("cumulative_prod", lambda x: np.cumulative_prod(x), x5)
row("nancumsum", lambda x: np.nancumsum(np.where(x5 > 1, np.nan, x)), x5)
row("nancumprod", lambda x: np.nancumprod(np.where(x5 > 1, np.nan, x)), x5)
row("maximum.accumulate", lambda x: np.maximum.accumulate(x, 1), x34)
row("minimum.accumulate", lambda x: np.minimum.accumulate(x), x34)
row("add.accumulate", lambda x: np.add.accumulate(x, 1) * np.multiply.accumulate(x, 0), x34)
