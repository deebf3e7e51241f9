"""The elementary functions that are the same everywhere, against many digits."""

import mpmath
import numpy as np
import pytest

from chainrule import check_gradients
from chainrule.random.portable import EXP, LOG, QUANTILE

rng = np.random.default_rng(0)
CASES = {
    "log": (
        LOG,
        mpmath.log,
        np.concatenate([np.exp(rng.uniform(-700, 700, 500)), rng.uniform(0.5, 2, 500)]),
    ),
    "exp": (
        EXP,
        mpmath.exp,
        np.concatenate([rng.uniform(-700, 709, 500), rng.uniform(-1, 1, 500)]),
    ),
    "quantile": (
        QUANTILE,
        lambda u: mpmath.sqrt(2) * mpmath.erfinv(2 * u - 1),
        np.concatenate([rng.uniform(0, 1, 200), 2.0 ** -rng.uniform(1, 53, 100)]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_accuracy(name):
    f, exact, points = CASES[name]
    with mpmath.workdps(40):
        want = [exact(mpmath.mpf(float(x))) for x in points]
        errors = [abs(mpmath.mpf(float(y)) - w) for y, w in zip(f(points), want, strict=True)]
        ulps = [float(e) / np.spacing(abs(float(w))) for e, w in zip(errors, want, strict=True)]
    # the quantile passes through zero at 1/2, where u itself is rounded
    assert max(ulps) < (3 if name != "quantile" else 12)


def test_limits():
    with np.errstate(all="raise"):
        logs = LOG(np.array([0.0, np.inf, -1.0, np.nan, 5e-324]))
        exps = EXP(np.array([-np.inf, np.inf, 1000.0, -1000.0, np.nan, 0.0]))
    assert np.array_equal(logs, [-np.inf, np.inf, np.nan, np.nan, np.log(5e-324)], equal_nan=True)
    assert np.array_equal(exps, [0.0, np.inf, np.inf, 0.0, np.nan, 1.0], equal_nan=True)


def test_quantile_is_odd():
    u = (np.arange(1, 100) + 0.5) * 2.0**-10
    assert np.array_equal(QUANTILE(u), -QUANTILE(1.0 - u))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f = CASES[name][0]
    check_gradients(lambda x: np.sum(f(x) ** 2), np.array([0.1, 0.4, 0.9]))
