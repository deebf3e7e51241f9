"""The gamma distribution and those that are made of it.

Gradients flow to the shape parameters by implicit reparameterisation: how a draw would have to
change to stay at the same quantile (see :mod:`.implicit`).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..program.arraytype import shape_of
from .arguments import (
    Shape,
    affine,
    as_key,
    cast,
    double,
    float_dtype,
    parameter,
    positive,
    result_shape,
    scalar,
)
from .keys import open_fraction, split
from .portable import EXP, LOG, QUANTILE
from .rejection import RANDOM_LOG_GAMMA


def _log_gamma(key: Any, a: Any, shape: tuple[int, ...]) -> Any:
    """Return logarithms of gamma draws: a draw itself may be too small a number."""
    return RANDOM_LOG_GAMMA(as_key(key), np.broadcast_to(double(a), shape))


def gamma(key: Any, a: Any, shape: Shape = None, dtype: Any = None, *, scale: Any = 1.0) -> Any:
    """Draw from the gamma distribution, whose density is proportional to xᵃ⁻¹ exp(−x/scale).

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    a : float or array
        The shape parameter; gradients flow to it by implicit reparameterisation [2]_.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    scale : float or array
        What the draws are multiplied by.

    References
    ----------
    .. [1] G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM
       Transactions on Mathematical Software 26, 2000.
    .. [2] M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", NeurIPS
       2018.

    Examples
    --------
    >>> from chainrule import grad, random
    >>> random.gamma(random.key(0), 2.0, 3)
    array([0.43342059, 1.3041991 , 2.23083011])
    >>> grad(lambda a: random.gamma(random.key(0), a))(2.0)
    np.float64(0.4554150037198785)
    """
    a, scale = parameter(a), parameter(scale)
    positive(a=a)
    shape, dtype = result_shape(shape, shape_of(a), shape_of(scale)), float_dtype(dtype, a, scale)
    return affine(EXP(_log_gamma(key, a, shape)), 0.0, scale, dtype)


def chisquare(key: Any, df: Any, shape: Shape = None, dtype: Any = None) -> Any:
    """Draw from the chi-square distribution, that of a sum of ``df`` squared normal draws.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    df : float or array
        Degrees of freedom; gradients flow to them.
    shape : int or tuple of int, optional
        Shape of the result; by default that of ``df``.
    dtype : dtype, optional
        float32 or float64; by default that of ``df`` if it is an array, else float64.

    Notes
    -----
    A draw is twice one from the gamma distribution with shape parameter df/2.

    Examples
    --------
    >>> from chainrule import random
    >>> random.chisquare(random.key(0), 4.0, 3)
    array([0.86684117, 2.6083982 , 4.46166021])
    """
    df = parameter(df)
    positive(df=df)
    return gamma(key, df / 2, shape, float_dtype(dtype, df), scale=2.0)


def student_t(
    key: Any, df: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from Student's t distribution.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    df : float or array
        Degrees of freedom; gradients flow to them.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        What is added to the draws, and what they are multiplied by before.

    Notes
    -----
    A draw is z / √(g / (df/2)) with z normal and g from the gamma distribution with shape
    parameter df/2.

    Examples
    --------
    >>> from chainrule import random
    >>> random.student_t(random.key(0), 5.0, 3)
    array([-1.31260358, -0.30546136,  0.91452455])
    """
    df, loc, scale = parameter(df), parameter(loc), parameter(scale)
    positive(df=df)
    dtype = float_dtype(dtype, df, loc, scale)
    shape = result_shape(shape, shape_of(df), shape_of(loc), shape_of(scale))
    numerator, denominator = split(key)
    half = 0.5 * double(df)
    stretch = EXP(0.5 * (LOG(half) - _log_gamma(denominator, half, shape)))
    z = QUANTILE(open_fraction(numerator, shape, np.dtype(np.float64)))
    return affine(z * stretch, loc, scale, dtype)


def beta(key: Any, a: Any, b: Any, shape: Shape = None, dtype: Any = None) -> Any:
    """Draw from the beta distribution, whose density is proportional to xᵃ⁻¹ (1 − x)ᵇ⁻¹.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    a, b : float or array
        The parameters; gradients flow to them.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.

    Notes
    -----
    A draw is x / (x + y) with x and y from the gamma distributions with shape parameters a and b.

    Examples
    --------
    >>> from chainrule import random
    >>> random.beta(random.key(0), 2.0, 3.0, 3)
    array([0.53306248, 0.3026452 , 0.72591916])
    """
    a, b = parameter(a), parameter(b)
    positive(a=a, b=b)
    shape, dtype = result_shape(shape, shape_of(a), shape_of(b)), float_dtype(dtype, a, b)
    first, second = split(key)
    gap = _log_gamma(first, a, shape) - _log_gamma(second, b, shape)
    less = EXP(-np.abs(gap))  # at most 1, where the other quotient could overflow
    share = np.where(gap >= 0.0, 1.0, less) / (1.0 + less)
    return scalar(cast(share, dtype))


def dirichlet(key: Any, alpha: Any, shape: Shape = None, dtype: Any = None) -> Any:
    """Draw from the Dirichlet distribution: positive numbers whose sum is 1.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    alpha : array of shape (..., n)
        The parameters; gradients flow to them.
    shape : int or tuple of int, optional
        How many draws, without the last axis; by default what ``alpha`` has before its last axis.
    dtype : dtype, optional
        float32 or float64; by default that of ``alpha``.

    Returns
    -------
    array of shape (..., n)

    Notes
    -----
    A draw is x / Σx with the elements of x from gamma distributions. It is computed with
    logarithms, so that it stays right for very small ``alpha``.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import random
    >>> random.dirichlet(random.key(0), np.array([1.0, 2.0, 3.0]))
    array([0.0110759 , 0.27618777, 0.71273634])
    """
    alpha = parameter(alpha)
    if not shape_of(alpha):
        raise ValueError("alpha needs at least one axis")
    positive(alpha=alpha)
    *batch, n = shape_of(alpha)
    full = (*result_shape(shape, tuple(batch)), operator.index(n))
    logarithms = _log_gamma(key, alpha, full)
    top = np.max(logarithms, axis=-1, keepdims=True)
    x = EXP(logarithms - top)
    return cast(x / np.sum(x, axis=-1, keepdims=True), float_dtype(dtype, alpha))
