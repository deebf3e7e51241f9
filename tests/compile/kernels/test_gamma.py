"""The logarithm of the gamma function and its derivative against mpmath."""

import mpmath as mp
import numpy as np
import pytest
import scipy.special

from tests.compile.kernels.loops import loop
from tests.compile.kernels.test_accuracy import DTYPES, neighbours, same


def log_gamma(x):
    return mp.re(mp.loggamma(x))


EXACT = {"gammaln": log_gamma, "psi": mp.digamma, "trigamma": lambda x: mp.psi(1, x)}
PLAIN = {"gammaln": scipy.special.gammaln, "psi": scipy.special.psi}
PLAIN["trigamma"] = lambda x: scipy.special.polygamma(1, x).astype(x.dtype)
# for positive and for negative arguments, in units of the last place of the result or, for
# gammaln and for negative arguments, of 1 if that is greater
BOUNDS = {"gammaln": (2.0, 4.0), "psi": (1.6, 8.0), "trigamma": (2.0, 6.0)}
ROOT = 1.4616321449683623  # of psi
HARD = (1.0, 2.0, 0.5, 1.5, 2.5, 3.0, 4.0, 8.0, ROOT)


def distances(name, x, dtype):
    with mp.workdps(40):
        exact = [EXACT[name](mp.mpf(value)) for value in x.tolist()]
        got = loop(name, dtype)(x).tolist()
        error = [float(abs(mp.mpf(g) - e)) for g, e in zip(got, exact, strict=True)]
    return np.array(error), np.abs(np.array([float(e) for e in exact])).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_positive_arguments(name, dtype):
    rng = np.random.default_rng(7)
    parts = [rng.uniform(*ends, 150) for ends in ((0, 1), (1, 3), (3, 9), (8, 200))]
    parts += [np.exp2(rng.uniform(-120, 120, 150)), *(neighbours(x, dtype) for x in HARD)]
    parts += [ROOT + rng.choice([-1.0, 1.0], 100) * np.exp2(rng.uniform(-50, -2, 100))]
    x = np.concatenate(parts).astype(dtype)
    x = x[x > 2.0**-60]  # below, some of the results are too large for single precision
    error, size = distances(name, x, dtype)
    unit = np.spacing(np.maximum(size, dtype(1)) if name == "gammaln" else size)
    worst = np.argmax(error / unit)
    assert (error / unit)[worst] <= BOUNDS[name][0], x[worst]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_negative_arguments(name, dtype):
    x = -np.random.default_rng(7).uniform(0, 20, 400).astype(dtype)
    error, size = distances(name, x, dtype)
    unit = np.spacing(np.maximum(size, dtype(1)))
    worst = np.argmax(error / unit)
    assert (error / unit)[worst] <= BOUNDS[name][1], x[worst]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_special_values_are_those_of_scipy(name, dtype):
    info = np.finfo(dtype)
    sizes = [0.0, info.tiny, 1.0, 2.0, 1000.0, 0.5 / info.eps, info.max, np.inf]
    x = np.array([np.nan, *sizes, *(-size for size in sizes)], dtype)
    with np.errstate(all="ignore"):
        wanted = PLAIN[name](x)
    got = loop(name, dtype)(x)
    wrong = ~same(got, wanted) & ~((got == 0) & (wanted == 0))
    assert not wrong.any(), list(zip(x[wrong], got[wrong], wanted[wrong], strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_multiples_of_logarithms(name, dtype):
    plain = getattr(scipy.special, name)
    values = np.array([0.0, -0.0, 1.0, 0.3, -2.0, np.inf, np.nan], dtype)
    x, y = (np.ascontiguousarray(v.ravel()) for v in np.meshgrid(values, values))
    assert same(loop(name, dtype)(x, y), plain(x, y)).all()
    x, y = np.exp2(np.random.default_rng(3).uniform(-20, 20, (2, 300))).astype(dtype)
    logarithm = {"xlogy": mp.log, "xlog1py": mp.log1p}[name]
    with mp.workdps(40):
        got = loop(name, dtype)(x, y).tolist()
        pairs = zip(x.tolist(), y.tolist(), strict=True)
        exact = [mp.mpf(a) * logarithm(mp.mpf(b)) for a, b in pairs]
        error = np.array([float(abs(mp.mpf(g) - e)) for g, e in zip(got, exact, strict=True)])
    unit = np.spacing(np.abs(np.array([float(e) for e in exact])).astype(dtype))
    assert (error / unit).max() <= 1.6
