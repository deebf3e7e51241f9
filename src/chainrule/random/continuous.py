"""Continuous distributions that are a fixed one, shifted and scaled.

Each draw is ``loc + scale * z`` with a ``z`` that depends on the key alone, so gradients flow to
``loc`` and ``scale``: the derivatives are 1 and ``z``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.arraytype import shape_of
from .arguments import Shape, affine, as_key, double, float_dtype, parameter, require, result_shape
from .keys import fraction, open_fraction, split, words
from .portable import LOG, QUANTILE
from .truncated import truncated_quantile


def _prepare(shape: Shape, dtype: Any, *parameters: Any) -> tuple[Any, ...]:
    """Return the shape and the dtype of the result, and the parameters."""
    given = tuple(parameter(p) for p in parameters)
    return result_shape(shape, *map(shape_of, given)), float_dtype(dtype, *given), *given


def uniform(
    key: Any, shape: Shape = None, dtype: Any = None, *, low: Any = 0.0, high: Any = 1.0
) -> Any:
    """Draw from the uniform distribution on [low, high).

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    low, high : float or array
        The bounds. Rounding may give ``high`` itself where they are not 0 and 1.

    Notes
    -----
    The draws are multiples of 2**-53 (for float32, of 2**-24), all of them equally likely.

    Examples
    --------
    >>> from chainrule import random
    >>> random.uniform(random.key(0), 3)
    array([0.41845711, 0.31468172, 0.39316028])
    """
    full, kind, low, high = _prepare(shape, dtype, low, high)
    width = high - low
    require(lambda v: ~np.less(v, 0), width, "low must not be greater than high")
    return affine(fraction(as_key(key), full, kind), low, width, kind)


def normal(
    key: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from the normal distribution.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        Mean and standard deviation.

    Notes
    -----
    A draw is Φ⁻¹(u) for a uniform u [1]_. It lies within 8.2 standard deviations, in float32
    within 6.4.

    References
    ----------
    .. [1] M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
       Applied Statistics 37, 1988.

    Examples
    --------
    >>> from chainrule import grad, random
    >>> random.normal(random.key(0), 3)
    array([-0.20584213, -0.48262301, -0.27109162])

    Gradients flow through the draw to its parameters:

    >>> random.normal(random.key(0), loc=3.0)
    np.float64(2.7941578681693855)
    >>> grad(lambda s: random.normal(random.key(0), loc=3.0, scale=s))(1.0)
    np.float64(-0.20584213183061428)
    """
    full, kind, loc, scale = _prepare(shape, dtype, loc, scale)
    return affine(QUANTILE(open_fraction(as_key(key), full, kind)), loc, scale, kind)


def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Shape = None,
    dtype: Any = None,
    *,
    loc: Any = 0.0,
    scale: Any = 1.0,
) -> Any:
    """Draw from a standard normal distribution between two bounds, then shift and scale.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    lower, upper : float or array
        The bounds, before shifting and scaling; they may be infinite. Gradients flow to them too.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        What is added to the draws, and what they are multiplied by before.

    Notes
    -----
    A draw is Φ⁻¹(Φ(lower) + u (Φ(upper) − Φ(lower))) for a uniform u, computed with the logarithms
    of the probabilities, so that bounds far out in a tail are no problem. SciPy's ``log_ndtr`` and
    ``ndtri_exp`` serve for that: the last digits may depend on its version.

    Examples
    --------
    >>> from chainrule import random
    >>> random.truncated_normal(random.key(0), -1.0, 1.0, 3)
    array([-0.13999612, -0.32263681, -0.18385999])
    """
    full, kind, lower, upper, loc, scale = _prepare(shape, dtype, lower, upper, loc, scale)
    require(lambda v: ~np.less(v, 0), upper - lower, "lower must not be greater than upper")
    u = open_fraction(as_key(key), full, kind)
    return affine(truncated_quantile(u, double(lower), double(upper)), loc, scale, kind)


def exponential(key: Any, shape: Shape = None, dtype: Any = None, *, scale: Any = 1.0) -> Any:
    """Draw from the exponential distribution, whose density is exp(−x/scale)/scale for x > 0.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    scale : float or array
        The mean, one divided by the rate.

    Notes
    -----
    A draw is −log u for a uniform u.

    Examples
    --------
    >>> from chainrule import random
    >>> random.exponential(random.key(0), 3)
    array([0.87118087, 1.15619356, 0.9335379 ])
    """
    full, kind, scale = _prepare(shape, dtype, scale)
    return affine(-LOG(open_fraction(as_key(key), full, kind)), 0.0, scale, kind)


def laplace(
    key: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from the Laplace distribution, whose density is exp(−|x − loc|/scale)/(2 scale).

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        Mean, and mean distance from it.

    Notes
    -----
    A draw is log 2u for a uniform u < 1/2, and −log 2(1 − u) else.

    Examples
    --------
    >>> from chainrule import random
    >>> random.laplace(random.key(0), 3)
    array([-0.17803369, -0.46304638, -0.24039072])
    """
    full, kind, loc, scale = _prepare(shape, dtype, loc, scale)
    u = open_fraction(as_key(key), full, kind)
    size = LOG(2.0 * np.minimum(u, 1.0 - u))
    return affine(np.where(u < 0.5, size, -size), loc, scale, kind)


def logistic(
    key: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from the logistic distribution, whose distribution function is the sigmoid.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        Mean, and the standard deviation times √3/π.

    Notes
    -----
    A draw is log(u/(1 − u)) for a uniform u.

    Examples
    --------
    >>> from chainrule import random
    >>> random.logistic(random.key(0), 3)
    array([-0.32911031, -0.77832166, -0.43404732])
    """
    full, kind, loc, scale = _prepare(shape, dtype, loc, scale)
    u = open_fraction(as_key(key), full, kind)
    return affine(LOG(u) - LOG(1.0 - u), loc, scale, kind)


def gumbel(
    key: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from the Gumbel distribution, that of the largest of many numbers.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        The mode, and the standard deviation times √6/π.

    Notes
    -----
    A draw is −log(−log u) for a uniform u. With ``g`` from this distribution,
    ``argmax(logits + g)`` is a draw from the categorical one, and ``softmax((logits + g) / t)`` is
    a smooth version of it (Gumbel-softmax) through which gradients flow [1]_.

    References
    ----------
    .. [1] E. Jang, S. Gu and B. Poole, "Categorical reparameterization with Gumbel-softmax",
       ICLR 2017.

    Examples
    --------
    >>> from chainrule import random
    >>> random.gumbel(random.key(0), 3)
    array([ 0.13790567, -0.1451332 ,  0.06877371])
    """
    full, kind, loc, scale = _prepare(shape, dtype, loc, scale)
    u = open_fraction(as_key(key), full, kind)
    return affine(-LOG(-LOG(u)), loc, scale, kind)


def cauchy(
    key: Any, shape: Shape = None, dtype: Any = None, *, loc: Any = 0.0, scale: Any = 1.0
) -> Any:
    """Draw from the Cauchy distribution, which has neither mean nor variance.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int, optional
        Shape of the result; by default that of the parameters.
    dtype : dtype, optional
        float32 or float64; by default that of the parameters' arrays, else float64.
    loc, scale : float or array
        The median, and half of the distance between the quartiles.

    Notes
    -----
    A draw is the quotient of two normal ones.

    Examples
    --------
    >>> from chainrule import random
    >>> random.cauchy(random.key(0), 3)
    array([ -1.94403934,   0.57711162, -11.71045863])
    """
    full, kind, loc, scale = _prepare(shape, dtype, loc, scale)
    above, below = (QUANTILE(open_fraction(k, full, kind)) for k in split(key))
    return affine(above / below, loc, scale, kind)


def rademacher(key: Any, shape: Shape = (), dtype: Any = np.float64) -> Any:
    """Draw signs: −1 or 1, each with probability 1/2.

    Parameters
    ----------
    key : array of shape (2,)
        A key.
    shape : int or tuple of int
        Shape of the result.
    dtype : dtype
        Any signed type.

    Examples
    --------
    >>> from chainrule import random
    >>> random.rademacher(random.key(0), 4)
    array([ 1., -1.,  1., -1.])
    """
    sign = (words(key, result_shape(shape)) >> 31).astype(dtype)
    return 1 - 2 * sign
