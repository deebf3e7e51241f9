"""The operations that linear systems are rewritten to: factors of a matrix, and solves with them.

They exist in programs that are about to be compiled only. Their meaning in NumPy is stated with
them, so that the rewriting can be tested by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...primitives.families import made_late
from ...program.arraytype import ArrayType
from ...program.primitive import Primitive

_SINGULAR = "Singular matrix", "np.linalg.pinv takes any matrix; see also np.linalg.cond"
_INDEFINITE = (
    "Matrix is not positive definite",
    "add a small multiple of the identity, as rounding may have made an eigenvalue negative",
)
_FINITE = "look for NaN and infinities in the matrix"
COMPLAINTS = {
    "lu_solve": _SINGULAR,
    "triangular_solve": _SINGULAR,
    "cholesky": _INDEFINITE,
    "symmetric_eigen": ("Eigenvalues did not converge", _FINITE),
    "singular": ("SVD did not converge", _FINITE),
}
"""What an operation says of a matrix that it cannot work with, in NumPy's words, and a remedy."""


def _eliminate(a: Any, out: Any) -> None:
    """Factor one matrix, with the largest element of each column as the pivot."""
    n = len(a)
    order = np.arange(n)
    sign = 1.0
    for k in range(n):
        at = k + int(np.argmax(np.abs(a[k:, k])))
        if at != k:
            a[[k, at]], order[[k, at]], sign = a[[at, k]], order[[at, k]], -sign
        if a[k, k] != 0:
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    out[:n], out[n], out[n + 1] = a.T, order, np.diagonal(a)
    if n:
        out[n + 1, 0] *= sign


def _lu(a: Any, *, dtype: Any) -> Any:
    a = np.array(a, dtype)
    n = a.shape[-1]
    out = np.empty((*a.shape[:-2], n + 2, n), dtype)
    for place in np.ndindex(a.shape[:-2]):
        _eliminate(a[place], out[place])
    return out


LU = Primitive(
    "lu",
    _lu,
    type_rule=lambda a, dtype: ArrayType((*a.shape[:-2], a.shape[-1] + 2, a.shape[-1]), dtype),
    d=(made_late,),
    text="lu({0})",
)
"""The factors of a matrix with rows exchanged, A[p] = L U, in one array of n + 2 rows.

The first n rows are the columns of L - 1 + U. Then come p, and the diagonal of U, of which the
first number has the sign of the permutation p, so that their product is the determinant.
"""


def _lu_solve(factors: Any, b: Any, *, transposed: bool) -> Any:
    n = factors.shape[-1]
    packed = np.swapaxes(factors[..., :n, :], -1, -2)
    lower = np.tril(packed, -1) + np.eye(n, dtype=factors.dtype)
    order = factors[..., n, :].astype(np.intp)
    a = np.empty_like(packed)
    np.put_along_axis(a, order[..., None], lower @ np.triu(packed), -2)
    return np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b)


def _solved_type(a: ArrayType, b: ArrayType) -> ArrayType:
    dtype = a.dtype
    if b.ndim == 1:
        return ArrayType(b.shape, dtype)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return ArrayType((*batch, *b.shape[-2:]), dtype)


LU_SOLVE = Primitive(
    "lu_solve",
    _lu_solve,
    type_rule=lambda a, b, transposed: _solved_type(a, b),
    d=(made_late, made_late),
    text="{0}⁻¹ {1}",
)
"""The solution of A x = b, or of Aᵀ x = b, from the factors of A."""


def _triangular_solve(a: Any, b: Any, *, lower: bool, transposed: bool, dtype: Any) -> Any:
    a = np.tril(a) if lower else np.triu(a)
    return np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b).astype(dtype)


TRIANGULAR_SOLVE = Primitive(
    "triangular_solve",
    _triangular_solve,
    type_rule=lambda a, b, lower, transposed, dtype: _solved_type(
        ArrayType(a.shape, np.dtype(dtype)), b
    ),
    d=(made_late, made_late),
    text="{0}⁻¹ {1}",
)
"""The solution of A x = b, or of Aᵀ x = b, for a matrix of which one triangle counts."""


# -- decompositions ------------------------------------------------------------------------------


def _symmetric_eigen(a: Any, *, vectors: bool) -> Any:
    n = a.shape[-1]
    out = np.zeros((*a.shape[:-2], n + 1, n), a.dtype)
    if vectors:
        out[..., n, :], found = np.linalg.eigh(a)
        out[..., :n, :] = np.swapaxes(found, -1, -2)
    else:
        out[..., n, :] = np.linalg.eigvalsh(a)
    return out


SYMMETRIC_EIGEN = Primitive(
    "symmetric_eigen",
    _symmetric_eigen,
    type_rule=lambda a, vectors: ArrayType((*a.shape[:-2], a.shape[-1] + 1, a.shape[-1]), a.dtype),
    d=(made_late,),
    text="eigh({0})",
)
"""Eigenvectors of a symmetric matrix as rows, and the eigenvalues in a row behind them.

Without ``vectors`` only the last row means something.
"""


def _flat(*parts: Any) -> Any:
    rows = (np.reshape(p, (*p.shape[:-2], -1)) for p in parts)
    return np.concatenate(list(rows), -1)


def _singular(a: Any, *, vectors: bool) -> Any:
    m, n = a.shape[-2:]
    k = min(m, n)
    if vectors:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return _flat(np.swapaxes(u, -1, -2), s[..., None], np.swapaxes(vh, -1, -2))
    s = np.linalg.svd(a, compute_uv=False)
    zeros = np.zeros((*a.shape[:-2], k * (m + n)), a.dtype)
    return np.concatenate([zeros[..., : k * m], s, zeros[..., k * m :]], -1)


SINGULAR = Primitive(
    "singular",
    _singular,
    type_rule=lambda a, vectors: ArrayType(
        (*a.shape[:-2], min(a.shape[-2:]) * (sum(a.shape[-2:]) + 1)), a.dtype
    ),
    d=(made_late,),
    text="svd({0})",
)
"""The singular value decomposition in one row: the columns of U, the values, those of Vᵀ.

Without ``vectors`` only the values mean something.
"""


def _orthogonal(a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return _flat(np.swapaxes(q, -1, -2), r)


ORTHOGONAL = Primitive(
    "orthogonal",
    _orthogonal,
    type_rule=lambda a: ArrayType((*a.shape[:-2], a.shape[-1] * sum(a.shape[-2:])), a.dtype),
    d=(made_late,),
    text="qr({0})",
)
"""The factors of a matrix with no more columns than rows: the columns of Q, the rows of R."""
