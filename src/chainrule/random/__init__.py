"""Random numbers from explicit keys: the same key gives the same numbers, on every platform.

There is no hidden state. A draw takes a key, and a key is used once: new ones come from
:func:`split` and :func:`fold_in`. Draws are functions like any other, so they can be
differentiated, vectorised over keys, and used in loops.

Examples
--------
>>> from chainrule import random
>>> first, second = random.split(random.key(0))
>>> random.normal(first, 3)
array([-1.40088416, -0.30400419,  0.39528332])
"""

from .continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    normal,
    rademacher,
    truncated_normal,
    uniform,
)
from .discrete import bernoulli, categorical, choice, permutation, poisson, randint
from .gamma import beta, chisquare, dirichlet, gamma, student_t
from .keys import bits, fold_in, key, split
from .matrices import multivariate_normal, orthogonal

__all__ = [
    "bernoulli",
    "beta",
    "bits",
    "categorical",
    "cauchy",
    "chisquare",
    "choice",
    "dirichlet",
    "exponential",
    "fold_in",
    "gamma",
    "gumbel",
    "key",
    "laplace",
    "logistic",
    "multivariate_normal",
    "normal",
    "orthogonal",
    "permutation",
    "poisson",
    "rademacher",
    "randint",
    "split",
    "student_t",
    "truncated_normal",
    "uniform",
]
