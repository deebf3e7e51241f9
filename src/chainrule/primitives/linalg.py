"""Linear systems, determinants, norms, and what NumPy's linalg builds on them.

The decompositions (Cholesky, QR, eigenvalues, singular values) are in ``decompositions``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..maps import Cast, Left, LinearMap, Right, Solve, broadcast, compose, reduce, scale
from ..program.arraytype import ArrayType, ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Primitive, Traced, implements
from . import batching
from .contraction import _matmul_left
from .elementwise import NEGATED
from .families import normalize_axes, real_dtype, unsupported
from .reductions import NORM


def transposed(a: Any) -> Any:
    """Return a stack of matrices, each transposed."""
    return np.swapaxes(a, -1, -2)


def check_square(a: Any) -> None:
    """Refuse what is no stack of square matrices, in NumPy's words."""
    shape = shape_of(a)
    if len(shape) < 2:
        raise np.linalg.LinAlgError(
            f"{len(shape)}-dimensional array given. Array must be at least two-dimensional"
        )
    if shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


def inexact(a: Any) -> Any:
    """Return an array of floating point, as NumPy's linear algebra computes with."""
    return a if isinstance(a, float | complex) or a.dtype.kind in "fc" else a.astype(float)


# -- linear systems ------------------------------------------------------------------------------


def _solve_type(a: ArrayType, b: ArrayType) -> ArrayType:
    dtype = np.result_type(a.dtype, b.dtype)
    dtype = dtype if dtype.kind in "fc" else np.dtype(float)
    if b.ndim == 1:
        return ArrayType(b.shape, dtype)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return ArrayType((*batch, *b.shape[-2:]), dtype)


def _solve_matrix(y: Any, a: Any, b: Any) -> LinearMap:
    """From a y = b follows a dy = -da y."""
    if b.ndim == 1:
        return compose(NEGATED, Solve(a), Right(y))
    return compose(NEGATED, Solve(a), _matmul_left(y, a, y))


def _solve_right_side(y: Any, a: Any, b: Any) -> LinearMap:
    if b.shape == y.shape:
        return Solve(a)
    return compose(Solve(a), broadcast(b.shape, y.shape))


SOLVE = Primitive(
    "solve",
    np.linalg.solve,
    type_rule=_solve_type,
    d=(_solve_matrix, _solve_right_side),
    batch=batching.solve,
    text="{0}⁻¹ {1}",
    symbol="solve",
)


@implements(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    check_square(a)
    if ndim_of(b) == 1 and ndim_of(a) > 2:  # one vector for a stack of matrices
        return SOLVE(a, np.reshape(b, (-1, 1)))[..., 0]
    return SOLVE(a, b)


INV = Primitive(
    "inv",
    np.linalg.inv,
    type_rule=lambda a: a,
    d=(lambda y, a: compose(NEGATED, Left(y), Right(y)),),
    batch=batching.leading,
    text="{0}⁻¹",
    symbol="inverse",
)


@implements(np.linalg.inv)
def _inv(a: Any) -> Any:
    check_square(a)
    return INV(inexact(a))


@implements(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = shape_of(a)
    rows = int(np.prod(shape[ind:]))
    return np.reshape(np.linalg.inv(np.reshape(a, (rows, -1))), shape[ind:] + shape[:ind])


@implements(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        moved = tuple(int(i) % ndim_of(a) for i in axes)
        a = np.transpose(a, tuple(i for i in range(ndim_of(a)) if i not in moved) + moved)
    shape = shape_of(a)[ndim_of(b) :]
    size = int(np.prod(shape))
    return np.reshape(np.linalg.solve(np.reshape(a, (-1, size)), np.ravel(b)), shape)


@implements(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    check_square(a)
    if n == 0:
        return np.broadcast_to(np.eye(shape_of(a)[-1], dtype=a.dtype), shape_of(a)).copy()
    if n < 0:
        a, n = np.linalg.inv(a), -n
    power = None
    while True:
        if n % 2:
            power = a if power is None else power @ a
        n //= 2
        if not n:
            return power
        a = a @ a


# -- determinants --------------------------------------------------------------------------------


def _matrix_reduced(a: ArrayType) -> ArrayType:
    return ArrayType(a.shape[:-2], a.dtype)


def _cofactors(y: Any, a: Any) -> Any:
    """Return the derivative of the determinant by each entry.

    det(a) a⁻ᵀ has no meaning for a singular matrix, the cofactors have one: by singular values,
    each of them being the product of all the others. Where the derivative is recorded in turn,
    the formula with the inverse is used.
    """
    if isinstance(a, Traced):
        return y[..., None, None] * transposed(np.linalg.inv(a))
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1.0, s[..., None, :]).prod(-1).astype(s.dtype)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return sign[..., None, None] * np.conj((u * others[..., None, :]) @ vh)


def _trace_of_product(shape: tuple[int, ...], coefficients: Any) -> LinearMap:
    return compose(reduce(shape, (len(shape) - 2, len(shape) - 1)), scale(coefficients))


DET = Primitive(
    "det",
    np.linalg.det,
    type_rule=_matrix_reduced,
    d=(lambda y, a: _trace_of_product(a.shape, _cofactors(y, a)),),
    batch=batching.leading,
    text="det({0})",
    symbol="determinant",
)


@implements(np.linalg.det)
def _det(a: Any) -> Any:
    check_square(a)
    return DET(inexact(a))


def _log_abs_det_rule(y: Any, a: Any) -> LinearMap:
    trace = _trace_of_product(a.shape, transposed(np.linalg.inv(a)))
    return compose(Cast(a.dtype, y.dtype), trace) if a.dtype.kind == "c" else trace


LOG_ABS_DET = Primitive(
    "log_abs_det",
    lambda a: np.linalg.slogdet(a)[1],
    type_rule=lambda a: ArrayType(a.shape[:-2], real_dtype(a.dtype)),
    d=(_log_abs_det_rule,),
    batch=batching.leading,
    text="log|det({0})|",
    symbol="log-determinant",
)
SIGN_OF_DET = Primitive(
    "sign_of_det",
    lambda a: np.linalg.slogdet(a)[0],
    type_rule=_matrix_reduced,
    differentiable=False,
    batch=batching.leading,
    text="sign(det({0}))",
)


def _phase_rule(y: Any, a: Any) -> LinearMap:
    """Turn the phase of det with the imaginary part of tr(a⁻¹ da)."""
    real = real_dtype(a.dtype)
    imaginary = compose(Cast(a.dtype, real), scale(-1j))
    turn = compose(scale(1j * y), Cast(real, a.dtype), imaginary)
    return compose(turn, _trace_of_product(a.shape, transposed(np.linalg.inv(a))))


PHASE_OF_DET = Primitive(
    "phase_of_det",
    lambda a: np.linalg.slogdet(a)[0],
    type_rule=_matrix_reduced,
    d=(_phase_rule,),
    batch=batching.leading,
    text="phase(det({0}))",
    symbol="phase of the determinant",
)


@functools.cache
def result_of(function: Callable[..., Any]) -> Any:
    """Return the class of the named tuples that a function of ``numpy.linalg`` returns."""
    return type(function(np.eye(1)))


@implements(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    check_square(a)
    a = inexact(a)
    sign = PHASE_OF_DET(a) if a.dtype.kind == "c" else SIGN_OF_DET(a)
    return result_of(np.linalg.slogdet)(sign, LOG_ABS_DET(a))


# -- norms ---------------------------------------------------------------------------------------


@implements(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = inexact(x)
    ndim = ndim_of(x)
    if axis is None and ord is None:
        return NORM(x, axis=tuple(range(ndim)), keepdims=bool(keepdims))
    axes = tuple(range(ndim)) if axis is None else _as_given(axis, ndim)
    if len(axes) == 1:
        return _vector_norm(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


def _as_given(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes as non-negative integers in their own order: rows first, then columns."""
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    normal = tuple(normalize_axes(int(a), ndim)[0] for a in axes)
    if len(set(normal)) < len(normal):
        raise ValueError("Duplicate axes given.")
    return normal


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord == 2:
        return NORM(x, axis=tuple(sorted(axes)), keepdims=bool(keepdims))
    if ord == np.inf:
        return np.max(np.abs(x), axes, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.abs(x), axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0).astype(real_dtype(x.dtype)), axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axes, keepdims=keepdims)
    total = np.sum(np.abs(x) ** ord, axes, keepdims=keepdims)
    # at the origin the subgradient 0, as for every norm
    return np.where(np.equal(total, 0), total, total ** (1.0 / ord))


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    rows, columns = axes
    if ord in ("fro", "f"):
        return NORM(x, axis=tuple(sorted(axes)), keepdims=bool(keepdims))
    if ord in (1, -1, np.inf, -np.inf):
        summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
        extreme = np.max if ord > 0 else np.min
        sums = np.sum(np.abs(x), summed, keepdims=True)
        out = extreme(sums, kept, keepdims=True)
    elif ord in (2, -2, "nuc"):
        values = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
        reductions: dict[Any, Any] = {2: np.max, -2: np.min, "nuc": np.sum}
        out = reductions[ord](values, -1)
        if not keepdims:
            return out
        return np.expand_dims(out, tuple(sorted(axes)))
    else:
        raise ValueError("Invalid norm order for matrices.")
    return out if keepdims else np.squeeze(out, axes)


@implements(np.linalg.vector_norm)
def _vector_norm_call(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = inexact(x)
    axes = normalize_axes(axis, ndim_of(x))
    return _vector_norm(x, ord, axes, keepdims)


@implements(np.linalg.matrix_norm)
def _matrix_norm_call(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    ndim = ndim_of(x)
    return _matrix_norm(inexact(x), ord, (ndim - 2, ndim - 1), keepdims)


@implements(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    if p is None or p in (2, -2):
        values = np.linalg.svdvals(x)
        return values[..., 0] / values[..., -1] if p != -2 else values[..., -1] / values[..., 0]
    check_square(x)
    return np.linalg.norm(x, p, (-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, (-2, -1))


# -- products under their linalg names -----------------------------------------------------------

FUNCTIONS[np.linalg.matmul] = lambda a, b, /: np.matmul(a, b)
FUNCTIONS[np.linalg.outer] = lambda a, b, /: np.outer(a, b)
FUNCTIONS[np.linalg.tensordot] = lambda a, b, /, *, axes=2: np.tensordot(a, b, axes)
FUNCTIONS[np.linalg.matrix_transpose] = lambda x, /: np.matrix_transpose(x)
FUNCTIONS[np.linalg.cross] = lambda a, b, /, *, axis=-1: np.cross(a, b, axis=axis)
FUNCTIONS[np.linalg.vecdot] = lambda a, b, /, *, axis=-1: _vecdot(a, b, axis)
FUNCTIONS[np.linalg.diagonal] = lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def _trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x if dtype is None else x.astype(dtype), offset, -2, -1)


def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    """Sum conj(a) b along an axis."""
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    a = np.conj(a) if a.dtype.kind == "c" else a
    return np.einsum("...i,...i->...", a, b)


def _matvec(a: Any, b: Any) -> Any:
    return np.matmul(a, b[..., None])[..., 0]


def _vecmat(a: Any, b: Any) -> Any:
    a = np.conj(a) if a.dtype.kind == "c" else a
    return np.matmul(a[..., None, :], b)[..., 0, :]


for _name, _answer in (("vecdot", _vecdot), ("matvec", _matvec), ("vecmat", _vecmat)):
    if hasattr(np, _name):  # NumPy 2.2 has all three
        FUNCTIONS[getattr(np, _name)] = _answer


def _refuse_eig(a: Any) -> Any:
    unsupported(
        "an eigendecomposition of a general matrix",
        why="eigenvectors of a matrix that is not symmetric may not even be a basis",
        help="use np.linalg.eigh for a symmetric matrix",
    )


FUNCTIONS[np.linalg.eig] = FUNCTIONS[np.linalg.eigvals] = _refuse_eig
