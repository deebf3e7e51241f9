"""Cholesky, QR, eigenvalues and singular values.

A matrix that NumPy takes to be symmetric (Hermitian) varies along symmetric changes only: the
gradient of ``cholesky``, ``eigh`` and ``eigvalsh`` is symmetric, although NumPy reads only one
triangle. Equal eigenvalues or singular values have no well-defined vectors, so a derivative that
depends on the single vectors is infinite or NaN there; eigenvalues alone are fine.

References: Golub and Van Loan, Matrix Computations; Giles, An extended collection of matrix
derivative results for forward and reverse mode; Townsend, Differentiating the singular value
decomposition; Golub and Pereyra for the pseudo-inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maps import (
    IDENTITY,
    Cast,
    Contract,
    Left,
    LinearMap,
    Right,
    Solve,
    Sum,
    adjoint,
    adjoint_of,
    compose,
    hermitian_part,
    scale,
    skew_from_lower,
    swap,
)
from ..program.arraytype import ArrayType, shape_of
from ..program.primitive import Primitive, implements
from . import batching
from .elementwise import NEGATED
from .families import known, real_dtype, unsupported
from .linalg import check_square, inexact, result_of, transposed


def _right_solve(a: Any) -> LinearMap:
    """Return ``v -> v a⁻¹``."""
    return compose(swap(a.ndim), Solve(transposed(a)), swap(a.ndim))


def _is_complex(a: Any) -> bool:
    return bool(a.dtype.kind == "c")


# -- Cholesky ------------------------------------------------------------------------------------


def _cholesky_rule(y: Any, a: Any) -> LinearMap:
    """With w = L⁻¹ da L⁻ᴴ, dL = L Φ(w): the lower triangle with half of the diagonal."""
    n = shape_of(a)[-1]
    lower = np.tril(np.ones((n, n), real_dtype(a.dtype)))
    np.fill_diagonal(lower, 0.5)
    inner = compose(_right_solve(adjoint(y)), Solve(y), hermitian_part(a.ndim, _is_complex(a)))
    return compose(Left(y), scale(lower), inner)


CHOLESKY = Primitive(
    "cholesky",
    np.linalg.cholesky,
    type_rule=lambda a: a,
    d=(_cholesky_rule,),
    batch=batching.leading,
    text="cholesky({0})",
    symbol="Cholesky factor",
)


@implements(np.linalg.cholesky)
def _cholesky(a: Any, /, *, upper: bool = False) -> Any:
    check_square(a)
    factor = CHOLESKY(inexact(a) if not upper else adjoint(inexact(a)))
    return adjoint(factor) if upper else factor


# -- QR ------------------------------------------------------------------------------------------


def _turning(q: Any, r: Any) -> tuple[LinearMap, LinearMap]:
    """Return the maps from da to c = Qᴴ da R⁻¹ and from c to the rotation of Q within itself."""
    c = compose(Left(adjoint(q)), _right_solve(r))
    return c, skew_from_lower(r.shape[-1], r.ndim, r.dtype)


def _q_rule(y: Any, a: Any) -> LinearMap:
    r = adjoint(y) @ a
    c, skew = _turning(y, r)
    within = compose(Left(y), Sum(skew, NEGATED), c)
    return Sum(within, _right_solve(r))


def _r_rule(y: Any, a: Any) -> LinearMap:
    q = transposed(np.linalg.solve(transposed(y), transposed(a)))
    c, skew = _turning(q, y)
    return compose(Right(y), Sum(IDENTITY, compose(NEGATED, skew)), c)


QR_Q = Primitive(
    "qr_q",
    lambda a: np.linalg.qr(a)[0],
    type_rule=lambda a: a,
    d=(_q_rule,),
    batch=batching.leading,
    text="Q({0})",
    symbol="orthogonal factor",
)
QR_R = Primitive(
    "qr_r",
    lambda a: np.linalg.qr(a)[1],
    type_rule=lambda a: ArrayType((*a.shape[:-2], a.shape[-1], a.shape[-1]), a.dtype),
    d=(_r_rule,),
    batch=batching.leading,
    text="R({0})",
    symbol="triangular factor",
)


@implements(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    rows, columns = shape_of(a)[-2:]
    smooth = mode in ("reduced", "r") or (mode == "complete" and rows == columns)
    if rows < columns or not smooth:
        unsupported(
            f"np.linalg.qr of a {rows}×{columns} matrix with mode={mode!r}",
            why="only the reduced factors of a matrix with full column rank are smooth functions",
            help="use mode='reduced' on a matrix with at least as many rows as columns",
        )
    a = inexact(a)
    return QR_R(a) if mode == "r" else result_of(np.linalg.qr)(QR_Q(a), QR_R(a))


# -- symmetric eigenvalues -----------------------------------------------------------------------


def _eigenvalues_rule(y: Any, a: Any) -> LinearMap:
    """dλ = diag(Vᴴ da V)."""
    v = np.linalg.eigh(a)[1]
    batch = "ABCDEFGH"[: a.ndim - 2]
    conjugate = np.conj(v) if _is_complex(v) else v
    diagonal = Contract(batch + "ij", (batch + "ik", batch + "jk"), batch + "k", (conjugate, v), 1)
    return compose(Cast(a.dtype, y.dtype), diagonal) if _is_complex(a) else diagonal


def _eigenvectors_rule(y: Any, a: Any) -> LinearMap:
    """DV = V (F ∘ (Vᴴ da V)) with F = 1 / (λj - λi), and 0 on the diagonal."""
    values = np.linalg.eigvalsh(a)
    f = _reciprocal_gaps(values[..., None, :] - values[..., :, None])
    inner = compose(Left(adjoint(y)), Right(y), hermitian_part(a.ndim, _is_complex(a)))
    return compose(Left(y), scale(f), inner)


def _reciprocal_gaps(gaps: Any) -> Any:
    diagonal = np.eye(shape_of(gaps)[-1], dtype=bool)
    return np.where(diagonal, 0.0, 1.0 / np.where(diagonal, 1.0, gaps))


EIGENVALUES = Primitive(
    "eigenvalues",
    np.linalg.eigvalsh,
    type_rule=lambda a: ArrayType(a.shape[:-1], real_dtype(a.dtype)),
    d=(_eigenvalues_rule,),
    batch=batching.leading,
    text="λ({0})",
    symbol="eigenvalues",
)
EIGENVECTORS = Primitive(
    "eigenvectors",
    lambda a: np.linalg.eigh(a)[1],
    type_rule=lambda a: a,
    d=(_eigenvectors_rule,),
    batch=batching.leading,
    text="V({0})",
    symbol="eigenvectors",
)


def _lower(a: Any, uplo: str) -> Any:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    check_square(a)
    return inexact(a) if uplo.upper() == "L" else adjoint(inexact(a))


@implements(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    a = _lower(a, UPLO)
    return result_of(np.linalg.eigh)(EIGENVALUES(a), EIGENVECTORS(a))


@implements(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return EIGENVALUES(_lower(a, UPLO))


# -- singular values -----------------------------------------------------------------------------


def _reduced_svd(a: Any) -> tuple[Any, Any, Any]:
    return np.linalg.svd(a, full_matrices=False)


def _svdvals_rule(y: Any, a: Any) -> LinearMap:
    """dσ = Re diag(Uᴴ da V)."""
    u, _, vh = _reduced_svd(a)
    batch = "ABCDEFGH"[: a.ndim - 2]
    if _is_complex(a):
        u, vh = np.conj(u), np.conj(vh)
    diagonal = Contract(batch + "ij", (batch + "ik", batch + "kj"), batch + "k", (u, vh), 1)
    return compose(Cast(a.dtype, y.dtype), diagonal) if _is_complex(a) else diagonal


def _u_rule(y: Any, a: Any) -> LinearMap:
    _, s, vh = _reduced_svd(a)
    return _left_vectors(y, s, transposed(vh))


def _vh_rule(y: Any, a: Any) -> LinearMap:
    u, s, _ = _reduced_svd(a)
    return compose(swap(a.ndim), _left_vectors(transposed(y), s, u), swap(a.ndim))


def _left_vectors(u: Any, s: Any, v: Any) -> LinearMap:
    """With p = Uᵀ da V, dU = U (F ∘ (p S + S pᵀ)) + (1 - U Uᵀ) da V S⁻¹."""
    columns, rows = s[..., None, :], s[..., :, None]
    f = _reciprocal_gaps((columns - rows) * (columns + rows))
    inner = compose(Left(transposed(u)), Right(v))
    symmetric = Sum(scale(columns), compose(scale(rows), swap(u.ndim)))
    within = compose(Left(u), scale(f), symmetric, inner)
    outside = compose(scale(1.0 / columns), Right(v))
    projected = Sum(outside, compose(NEGATED, Left(u), Left(transposed(u)), outside))
    return Sum(within, projected)


def _k(a: ArrayType) -> int:
    return min(a.shape[-2:])


SVDVALS = Primitive(
    "singular_values",
    lambda a: np.linalg.svd(a, compute_uv=False),
    type_rule=lambda a: ArrayType((*a.shape[:-2], _k(a)), real_dtype(a.dtype)),
    d=(_svdvals_rule,),
    batch=batching.leading,
    text="σ({0})",
    symbol="singular values",
)
SVD_U = Primitive(
    "left_singular_vectors",
    lambda a: _reduced_svd(a)[0],
    type_rule=lambda a: ArrayType((*a.shape[:-1], _k(a)), a.dtype),
    d=(_u_rule,),
    batch=batching.leading,
    text="U({0})",
    symbol="left singular vectors",
)
SVD_VH = Primitive(
    "right_singular_vectors",
    lambda a: _reduced_svd(a)[2],
    type_rule=lambda a: ArrayType((*a.shape[:-2], _k(a), a.shape[-1]), a.dtype),
    d=(_vh_rule,),
    batch=batching.leading,
    text="Vᵀ({0})",
    symbol="right singular vectors",
)


@implements(np.linalg.svd)
def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    a = inexact(a)
    if not compute_uv:
        return SVDVALS(a)
    rows, columns = shape_of(a)[-2:]
    if full_matrices and rows != columns:
        unsupported(
            f"np.linalg.svd of a {rows}×{columns} matrix with full_matrices=True",
            why="the vectors beyond the rank may be any basis, so they have no derivative",
            help="pass full_matrices=False",
        )
    if _is_complex(a):
        unsupported(
            "np.linalg.svd of a complex matrix",
            why="each pair of complex singular vectors is defined only up to a phase",
            help="use np.linalg.svdvals where the singular values are enough",
        )
    return result_of(np.linalg.svd)(SVD_U(a), SVDVALS(a), SVD_VH(a))


@implements(np.linalg.svdvals)
def _svdvals(x: Any, /) -> Any:
    return SVDVALS(inexact(x))


# -- pseudo-inverse and least squares ------------------------------------------------------------


def _pinv_rule(y: Any, a: Any, rcond: Any) -> LinearMap:
    """Return the derivative where the rank stays constant (Golub and Pereyra, 1973)."""
    rows, columns = shape_of(a)[-2:]
    turned = adjoint_of(a.ndim, _is_complex(a))
    outer = np.eye(rows, dtype=a.dtype) - a @ y
    inner = np.eye(columns, dtype=a.dtype) - y @ a
    h = adjoint(y)
    return Sum(
        compose(NEGATED, Left(y), Right(y)),
        compose(Left(y @ h), Right(outer), turned),
        compose(Left(inner), Right(h @ y), turned),
    )


PINV = Primitive(
    "pinv",
    lambda a, rcond: np.linalg.pinv(a, rcond),
    type_rule=lambda a, rcond: ArrayType((*a.shape[:-2], *a.shape[:-3:-1]), a.dtype),
    d=(_pinv_rule,),
    text="{0}⁺",
    symbol="pseudo-inverse",
)


@implements(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    limit = rcond if rcond is not None else rtol
    a = inexact(a)
    if limit is None:
        limit = max(shape_of(a)[-2:]) * float(np.finfo(a.dtype).eps)
    return PINV(a, rcond=limit)


@implements(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    rows, columns = shape_of(a)
    x = np.linalg.pinv(a, rcond) @ b
    values = np.linalg.svdvals(a)
    rank = np.linalg.matrix_rank(a, rtol=rcond)
    if rows <= columns or known(rank, "the rank") < columns:
        return x, np.zeros(0), rank, values
    residuals = np.atleast_1d(np.sum(np.abs(b - a @ x) ** 2, 0))
    return x, residuals, rank, values


MATRIX_RANK = Primitive(
    "matrix_rank",
    lambda a, tol, hermitian, rtol: np.linalg.matrix_rank(a, tol, hermitian, rtol=rtol),
    type_rule=lambda a, tol, hermitian, rtol: ArrayType(a.shape[:-2], np.dtype(np.intp)),
    differentiable=False,
    batch=batching.leading,
    text="rank({0})",
)


@implements(np.linalg.matrix_rank)
def _matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    return MATRIX_RANK(A, tol=tol, hermitian=hermitian, rtol=rtol)
