"""Rows of products, linear algebra and numerical functions."""

from __future__ import annotations

import numpy as np

from .rows import A, B, numbers, p5, row, tall, x5, x23, x34, x234

# -- products ------------------------------------------------------------------------------------

for _a, _b in (((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)),
               ((2, 3), (2, 3, 4)), ((2, 2, 3), (2, 3, 4)), ((2, 1, 2, 3), (4, 3, 2)),
               ((3,), (2, 3, 4)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)),
               ((2, 0), (0, 3))):  # fmt: skip
    row(f"matmul {_a} {_b}", np.matmul, numbers(*_a, seed=1), numbers(*_b, seed=2), analytic=True)
EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij,ij->j", (2, 3), (2, 3)), ("i,j->ij", (2,), (3,)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 4)), ("...i,...i", (2, 3), (3,)), ("ij,j", (2, 3), (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)), ("bij,bjk,bk->bi", (2, 2, 3), (2, 3, 2), (2, 2)),
    ("ij,kj->k", (2, 3), (4, 3)), ("iij->j", (2, 2, 3)), ("i...->...", (2, 3)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,jk->ik", (2, 1), (3, 4)), ("ii,i->i", (3, 3), (3,)), ("ji", (2, 3)), ("i,->i", (3,), ()),
]  # fmt: skip
for _subscripts, *_shapes in EINSUMS:
    _operands = [numbers(*s, seed=i) for i, s in enumerate(_shapes)]
    row(f"einsum {_subscripts} {_shapes}", lambda *o, s=_subscripts: np.einsum(s, *o), *_operands,
        analytic=True)  # fmt: skip
row("einsum by lists", lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), x23, x34)
row("dot", lambda a, b: np.dot(a, b) + a.dot(b), x234, x34.T)
row("dot of stacks", np.dot, x23, numbers(2, 3, 2))
row("dot of vectors", lambda a, b: np.dot(a, b) * np.inner(a, b) * np.vdot(a, b), x5, p5)
row("dot of numbers", np.dot, 0.7, x5)
row("array.dot", lambda b: x23.dot(b), x34, single=False)
row("inner", np.inner, x23, numbers(4, 2, 3))
row("outer of NumPy", np.outer, x23, p5)
row("tensordot", lambda a, b: np.tensordot(a, b, ([1, 0], [0, 2])), x234, numbers(3, 2, 2))
row("tensordot 1", lambda a, b: np.tensordot(a, b, 1), x23, x34)
row("tensordot 0", lambda a, b: np.tensordot(a, b, 0), x5, p5)
row("kron", np.kron, x23, x5)
row("vecdot", lambda a, b: np.vecdot(a, b), x23, x23[:1])
if hasattr(np, "matvec"):  # since NumPy 2.2
    row("matvec", lambda a, b: np.matvec(a, b), B, numbers(3))
    row("vecmat", lambda a, b: np.vecmat(a, b), numbers(2, 3), B)
row("multi_dot", lambda a, b, c: np.linalg.multi_dot([a, b, c]), x23, x34, x34.T)
for _mode in ("full", "same", "valid"):
    for _n in (2, 5, 7):
        row(f"convolve {_mode} {_n}", lambda a, v, m=_mode: np.convolve(a, v, m), x5, numbers(_n))
        row(f"correlate {_mode} {_n}", lambda a, v, m=_mode: np.correlate(a, v, m), x5, numbers(_n))

# -- linear algebra ------------------------------------------------------------------------------

for _a, _b in ((A, x34), (A, x34[:, 0]), (B, x34), (B, numbers(3)), (A, numbers(2, 3, 2)), (B, B)):
    row(f"solve {_a.shape} {_b.shape}", np.linalg.solve, _a, _b, analytic=True)
for _f in (np.linalg.inv, np.linalg.det, lambda a: np.linalg.slogdet(a)[1], np.linalg.pinv,
           lambda a: np.linalg.matrix_power(a, 5), lambda a: np.linalg.matrix_power(a, -2),
           lambda a: np.linalg.slogdet(a).sign[..., None, None] * a,
           lambda a: np.linalg.matrix_power(a, 0) * a):  # fmt: skip
    row(f"linalg {_f.__name__}", _f, A)
    row(f"linalg {_f.__name__} of a stack", _f, B)
SYMMETRIC = {
    "cholesky": np.linalg.cholesky, "upper cholesky": lambda a: np.linalg.cholesky(a, upper=True),
    "eigvalsh": np.linalg.eigvalsh, "eigh": lambda a: np.linalg.eigh(a)[1] ** 2,
    "eigh upper": lambda a: np.linalg.eigh(a, "U").eigenvectors ** 2,
}  # fmt: skip
for _name, _f in SYMMETRIC.items():
    row(_name, lambda a, f=_f: f(a @ a.mT), A)
    row(f"{_name} of a stack", lambda a, f=_f: f(a @ a.mT), B)
for _name, _x in (("tall", tall), ("wide", tall.T), ("stack", np.stack([tall, tall[::-1]]))):
    row(f"svdvals {_name}", np.linalg.svdvals, _x)
    row(f"svd {_name}", lambda a: np.linalg.svd(a, full_matrices=False)[0] ** 2, _x)
    row(f"svd right {_name}", lambda a: np.linalg.svd(a, False).Vh ** 2, _x)
    row(f"pinv {_name}", np.linalg.pinv, _x)
for _x in (tall, A, np.stack([tall, tall[::-1]])):
    row(f"qr Q {_x.shape}", lambda a: np.linalg.qr(a)[0], _x)
    row(f"qr R {_x.shape}", lambda a: np.linalg.qr(a, "r"), _x)
row("lstsq", lambda a, b: np.linalg.lstsq(a, b)[0], tall, p5, abstract=False)
row("lstsq residuals", lambda a, b: np.linalg.lstsq(a, b)[1], tall, p5, abstract=False)
row("tensorsolve", np.linalg.tensorsolve, numbers(4, 2, 2) + np.eye(4).reshape(4, 2, 2), p5[:4])
row("tensorinv", lambda a: np.linalg.tensorinv(a, 1), numbers(4, 2, 2) + np.eye(4).reshape(4, 2, 2))
for _ord in (None, 0, 1, 2, 3, 2.5, -1, np.inf, -np.inf):
    row(f"norm {_ord} of a vector", lambda x, o=_ord: np.linalg.norm(x, o), x5)
    row(f"norm {_ord} of rows", lambda x, o=_ord: np.linalg.norm(x, o, 1, keepdims=True), x34)
for _ord in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    row(f"norm {_ord} of a matrix", lambda x, o=_ord: np.linalg.norm(x, o), tall)
    row(f"norm {_ord} of matrices", lambda x, o=_ord: np.linalg.norm(x, o, (2, 0), True), x234)
row("vector_norm", lambda x: np.linalg.vector_norm(x, axis=(0, 2)), x234)
row("matrix_norm", lambda x: np.linalg.matrix_norm(x, keepdims=True), x234)
row("cond", lambda a: np.linalg.cond(a) + np.linalg.cond(a, 1) + np.linalg.cond(a, -2), A)
row("linalg names", lambda a, b: np.linalg.matmul(a, b) + np.linalg.matrix_transpose(a), A, A + 1)
row("linalg vectors", lambda a, b: np.linalg.outer(a, b) * np.linalg.vecdot(a, b), x5, p5)
row("linalg diagonals", lambda a: np.linalg.diagonal(a) * np.linalg.trace(a)[:, None], B)
row(
    "linalg cross",
    lambda a, b: np.linalg.cross(a, b) + np.linalg.tensordot(a, b.T, axes=1)[:, :1],
    x23,
    x23 + 1,
)

# -- numerical functions -------------------------------------------------------------------------

row("diff", lambda x: np.diff(x, 2) + np.diff(x, prepend=0.5, append=x[:, :1])[:, :2], x34)
row("ediff1d", lambda x: np.ediff1d(x, to_end=x[:2], to_begin=1.0), x5, single=False)
row("gradient", lambda x: np.gradient(x, 0.5, axis=1) * np.gradient(x, edge_order=2)[0], x34)
row("gradient at points", lambda y, x: np.gradient(y, x, edge_order=2), x5, np.sort(p5))
row("trapezoid", lambda y, x: np.trapezoid(y, x) + np.trapezoid(y, dx=0.5), x23, np.sort(p5)[:3])
row("cross", lambda a, b: np.cross(a, b), x23, x23 + 1)
row("cross by axis", lambda a, b: np.cross(a, b, axis=0), x34, x34[::-1] ** 2)
row("interp", lambda x, xp, fp: np.interp(x, xp, fp), numbers(6, low=0, high=4), np.sort(p5), x5)
row(
    "interp ends",
    lambda x: np.interp(x, [0.0, 1.0], [1.0, 3.0], left=-1, right=9),
    x5,
    single=False,
)
row("polyval", lambda p, x: np.polyval(p, x), x5, x23)
row("polynomials", lambda p, q: np.polymul(np.polyadd(p, q), np.polysub(q, p)), x5, p5[:3])
row("polyder", lambda p: np.polyder(p, 2) * np.polyint(p, 2, k=[1.0, p[0]])[:3], x5, single=False)
row("polyfit", lambda x, y: np.polyfit(x, y, 2), np.sort(p5), x5, abstract=False)
row("polyfit weighted", lambda y: np.polyfit(np.arange(5.0), y, 1, w=p5), x5, abstract=False)
row("unwrap", lambda x: np.unwrap(x, axis=0), 9 * x34)
row("unwrap with a period", lambda x: np.unwrap(x, period=1.0, discont=0.7), x34)
row("vander", lambda x: np.vander(x) + np.vander(x, 5, increasing=True), x5)
row("linspace", lambda a, b: np.linspace(a, b, 7), 0.3, 2.1, single=False)
row(
    "linspace open",
    lambda a, b: np.linspace(a, b, 4, endpoint=False, axis=-1),
    x5,
    p5,
    single=False,
)
row("logspace", lambda a, b: np.logspace(a, b, 4), 0.3, 1.1, single=False)
row("geomspace", lambda a, b: np.geomspace(a, b, 4), 0.3, 2.1, single=False)
row("cov", lambda x: np.cov(x) + np.cov(x, ddof=0), x34)
row("cov of columns", lambda x, y: np.cov(x, y, rowvar=False), tall, p5)
row("corrcoef", lambda x: np.corrcoef(x), tall.T)
row("linear recurrence", lambda x: np.cumprod(np.cumprod(x)), x5)
for _norm in (None, "ortho", "forward"):
    for _n in (None, 3, 4, 7, 8):
        _flags = {"n": _n, "norm": _norm}
        row(f"fft {_flags}", lambda x, k=_flags: np.fft.fft(x, **k), x5)
        row(f"rfft {_flags}", lambda x, k=_flags: np.fft.rfft(x, **k), x5)
        row(f"irfft {_flags}", lambda x, k=_flags: np.fft.irfft(x, **k), x5)
row(
    "fft along an axis",
    lambda x: np.abs(np.fft.fft(x, axis=0)) * np.fft.rfft(x, axis=1, n=7).real,
    x34,
)
row("fftn", lambda x: np.fft.fftn(x, axes=(0, 2)) + np.fft.ifftn(x, s=(3, 4), axes=(1, 2)), x234)
row("rfftn", lambda x: np.fft.irfftn(np.fft.rfftn(x) ** 2), x234)
row("rfft2", lambda x: np.fft.irfft2(np.fft.rfft2(x) ** 2, s=(3, 5)), x34)
row("hfft", lambda x: np.fft.hfft(x)[:6] * np.fft.ihfft(x, 12)[:6].real, x5)
row("shifts", lambda x: np.fft.fftshift(x) * np.fft.ifftshift(x, 1), x34)
