"""Random vectors and matrices that are made of normal draws."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..program.arraytype import shape_of
from .arguments import Shape, cast, float_dtype, parameter, result_shape
from .continuous import normal


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Shape = None, dtype: Any = None
) -> Any:
    """Draw vectors from the normal distribution with a mean and a covariance matrix.

    Gradients flow to both.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    mean : array of shape (..., n)
        The mean.
    cov : array of shape (..., n, n)
        The covariance, symmetric and positive definite.
    shape : int or tuple of int, optional
        How many draws, without the last axis; by default what the parameters have before it.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters.

    Returns
    -------
    array of shape (..., n)

    Notes
    -----
    A draw is mean + L z for the Cholesky factor L of the covariance. The last digits may depend on
    the BLAS and LAPACK that NumPy uses. If L is known, ``mean + L @ normal(key, n)`` is faster.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import random
    >>> random.multivariate_normal(random.key(0), np.zeros(2), np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([-0.29110473, -0.73664242])
    """
    mean, cov = parameter(mean), parameter(cov)
    n = shape_of(mean)[-1] if shape_of(mean) else 0
    if shape_of(cov)[-2:] != (n, n) or not n:
        raise ValueError(f"a covariance of shape {shape_of(cov)} does not fit the mean's {n}")
    dtype = float_dtype(dtype, mean, cov)
    batch = result_shape(shape, shape_of(mean)[:-1], shape_of(cov)[:-2])
    z = normal(key, (*batch, n, 1), dtype)
    return cast(mean + (np.linalg.cholesky(cov) @ z)[..., 0], dtype)


def orthogonal(
    key: Any, n: int, m: int | None = None, shape: Shape = (), dtype: Any = np.float64
) -> Any:
    """Draw matrices with orthonormal columns (or rows, where there are fewer of these).

    Square ones are uniform on the orthogonal group: the distribution stays the same when they are
    multiplied by a fixed orthogonal matrix.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    n, m : int
        Numbers of rows and columns; ``m`` is ``n`` by default.
    shape : int or tuple of int
        How many matrices.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    array of shape (..., n, m)

    Notes
    -----
    They are the factor Q of a normal matrix, with the signs that make R's diagonal positive [1]_.
    The last digits may depend on the LAPACK that NumPy uses.

    References
    ----------
    .. [1] F. Mezzadri, "How to generate random matrices from the classical compact groups",
       Notices of the AMS 54, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import random
    >>> Q = random.orthogonal(random.key(0), 3)
    >>> np.allclose(Q.T @ Q, np.eye(3))
    True
    """
    n = operator.index(n)
    m = n if m is None else operator.index(m)
    kind = float_dtype(dtype)
    z = normal(key, (*result_shape(shape), max(n, m), min(n, m)))
    q, r = np.linalg.qr(z)
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    q = q * np.where(diagonal < 0.0, -1.0, 1.0)[..., np.newaxis, :]
    return cast(np.swapaxes(q, -1, -2) if m > n else q, kind)
