"""Linear algebra by elimination, since ONNX has little of it: each a loop over the columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...program.arraytype import shape_of
from ...transform.scanning import scan
from .registry import composed


def _eliminated(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Eliminate by Gauss and Jordan, with the largest element of a column as its pivot.

    Returns
    -------
    solution : array
        a⁻¹ b, of no meaning for a singular matrix.
    pivots : array
        The pivots, along the first axis.
    swapped : array of bool
        Whether a row was swapped for each of them.
    """
    n = shape_of(a)[-1]
    rows = np.arange(n)

    def step(m: Any, k: Any) -> tuple[Any, Any]:
        is_k = np.equal(rows, k)
        size = np.where(np.less(rows, k), -1.0, np.abs(m[..., k]))
        best = np.argmax(size, -1)[..., None]
        is_best = np.equal(rows, best)
        new = np.sum(np.where(is_best[..., None], m, 0.0), -2, keepdims=True)
        old = np.sum(np.where(is_k[:, None], m, 0.0), -2, keepdims=True)
        m = np.where(is_k[:, None], new, np.where(is_best[..., None], old, m))
        pivot = new[..., 0, k]
        row = new / pivot[..., None, None]
        factors = np.where(is_k, 0.0, m[..., k])[..., None]
        m = np.where(is_k[:, None], row, m - factors * row)
        return m, (pivot, np.not_equal(best[..., 0], k))

    m, (pivots, swapped) = scan(step, np.concatenate([a, b], -1), rows)
    return m[..., n:], pivots, swapped


def _stack(a: Any, b: Any) -> tuple[Any, Any]:
    """Broadcast the leading axes of two stacks of matrices."""
    lead = np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2])
    return tuple(np.broadcast_to(x, lead + shape_of(x)[-2:]) for x in (a, b))  # type: ignore[return-value]


@composed("solve")
def solve(a: Any, b: Any) -> Any:
    """Solve linear systems."""
    dtype = np.result_type(a.dtype, b.dtype)
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    columns = b[:, None] if len(shape_of(b)) == 1 else b
    found = _eliminated(*_stack(a.astype(dtype), columns.astype(dtype)))[0]
    return found[..., 0] if len(shape_of(b)) == 1 else found


@composed("inv")
def inv(a: Any) -> Any:
    """Invert matrices."""
    unit = np.broadcast_to(np.eye(shape_of(a)[-1], dtype=a.dtype), shape_of(a))
    return _eliminated(a, unit)[0]


def _pivots(a: Any) -> tuple[Any, Any]:
    """Return the pivots of a matrix; from the first one that is 0 on, all are."""
    _, pivots, swapped = _eliminated(a, np.zeros((*shape_of(a)[:-1], 0), a.dtype))
    singular = np.cumsum(np.equal(pivots, 0).astype(np.int64), 0) > 0
    return np.where(singular, 0.0, pivots), swapped


@composed("det")
def det(a: Any) -> Any:
    """Return determinants."""
    pivots, swapped = _pivots(a)
    return np.prod(np.where(swapped, -pivots, pivots), 0)


@composed("log_abs_det")
def log_abs_det(a: Any) -> Any:
    """Return logarithms of the sizes of determinants."""
    return np.sum(np.log(np.abs(_pivots(a)[0])), 0)


@composed("sign_of_det")
def sign_of_det(a: Any) -> Any:
    """Return signs of determinants."""
    pivots, swapped = _pivots(a)
    return np.prod(np.sign(np.where(swapped, -pivots, pivots)), 0)


@composed("cholesky")
def cholesky(a: Any) -> Any:
    """Return lower triangular factors, column by column."""
    rows = np.arange(shape_of(a)[-1])

    def step(factor: Any, k: Any) -> tuple[Any, None]:
        done = factor[..., k, :]
        column = a[..., k] - np.sum(factor * done[..., None, :], -1)
        column = column / np.sqrt(column[..., k])[..., None]
        column = np.where(np.less(rows, k), 0.0, column)
        return np.where(np.equal(rows, k), column[..., None], factor), None

    return scan(step, np.zeros(shape_of(a), a.dtype), rows)[0]


def _reflected(a: Any) -> tuple[Any, Any]:
    """Return Q, all its columns, and R, by Householder's reflections with LAPACK's signs."""
    m, n = shape_of(a)[-2:]
    rows = np.arange(m)

    def step(state: Any, k: Any) -> tuple[Any, None]:
        q, r = state
        x = np.where(np.less(rows, k), 0.0, r[..., k])
        first = r[..., k, k][..., None]
        below = np.sum(np.where(np.equal(rows, k), 0.0, x * x), -1, keepdims=True)
        is_done = np.equal(below, 0)  # then LAPACK reflects nothing
        size = np.sqrt(below + first * first)
        v = np.where(np.equal(rows, k), x + np.where(np.signbit(first), -size, size), x)
        scaled = v * (2.0 / np.where(is_done, 1.0, np.sum(v * v, -1, keepdims=True)))
        scaled = np.where(is_done, 0.0, scaled)
        r = r - scaled[..., :, None] * np.matmul(v[..., None, :], r)
        q = q - np.matmul(q, v[..., :, None]) * scaled[..., None, :]
        return (q, r), None

    unit = np.broadcast_to(np.eye(m, dtype=a.dtype), (*shape_of(a)[:-2], m, m))
    (q, r), _ = scan(step, (unit, a), np.arange(n))
    return q, r


@composed("qr_q")
def qr_q(a: Any) -> Any:
    """Return the orthonormal columns of a QR decomposition."""
    return _reflected(a)[0][..., : shape_of(a)[-1]]


@composed("qr_r")
def qr_r(a: Any) -> Any:
    """Return the triangular factor of a QR decomposition."""
    return np.triu(_reflected(a)[1][..., : shape_of(a)[-1], :])
