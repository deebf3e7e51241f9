"""Powers and log-sums of exponentials against mpmath and NumPy."""

import itertools

import mpmath as mp
import numpy as np
import pytest

from tests.compile.kernels.loops import loop
from tests.compile.kernels.table import BOUNDS
from tests.compile.kernels.test_accuracy import DTYPES, errors, same

TWO = ("pow", "logaddexp", "arctan2", "hypot", "copysign", "heaviside")


def power_operands(dtype, count=400):
    """Bases of all exponents, bases near 1 with great exponents, results near both ends."""
    info, rng = np.finfo(dtype), np.random.default_rng(11)
    base = np.exp2(rng.uniform(-12, 12, count))
    to_the_ends = rng.uniform(-1.02, 1.02, count) * info.maxexp / np.abs(np.log2(base))
    anywhere = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, count))
    near_one = 1 + rng.normal(size=count) * 1e-3
    x = np.concatenate([base, anywhere, near_one, rng.uniform(-4, 4, count)])
    y = np.concatenate(
        [
            to_the_ends,
            rng.uniform(-2, 2, count),
            rng.normal(size=count) * 3e4,
            np.round(rng.uniform(-9, 9, count)),
        ]
    )
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_power_against_mpmath(dtype):
    x, y = power_operands(dtype)
    got = loop("pow", dtype)(x, y)
    with mp.workdps(60):
        exact = iter([mp.power(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
        error = errors(got, x, lambda _: next(exact), dtype)
    worst = np.argmax(error)
    assert error[worst] <= BOUNDS["pow"], f"{error[worst]:.3f} ulp at {x[worst]!r}, {y[worst]!r}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWO)
def test_special_values_are_those_of_numpy(name, dtype):
    info = np.finfo(dtype)
    sizes = [0.0, info.smallest_subnormal, info.tiny, 0.5, 1.0, 1.5, 2.0, 3.0, 2.0**24 + 2]
    sizes += [1.0 / info.eps, 1.0 / info.eps + 1, info.max, np.inf]
    values = [np.nan, *sizes, *(-s for s in sizes)]
    x, y = np.array(list(itertools.product(values, values)), dtype).T
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    plain = np.power if name == "pow" else getattr(np, name)
    with np.errstate(all="ignore"):
        wanted = plain(x, y)
    got = loop(name, dtype)(x, y)
    wrong = ~same(got, wanted)
    rows = zip(x[wrong], y[wrong], got[wrong], wanted[wrong], strict=True)
    assert not wrong.any(), list(rows)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logaddexp_against_mpmath(dtype):
    # where the result cancels to nearly 0 the unit is the greater operand's last place
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(2, 1500)).astype(dtype) * np.exp2(rng.uniform(-3, 9, 1500))
    x, y = x.astype(dtype), y.astype(dtype)
    got = loop("logaddexp", dtype)(x, y)
    with mp.workdps(60):
        exact = [mp.log(mp.exp(a) + mp.exp(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        distance = [float(abs(g - e)) for g, e in zip(got.tolist(), exact, strict=True)]
    unit = np.spacing(np.maximum(np.abs(got), np.maximum(np.abs(x), np.abs(y))))
    assert np.max(np.array(distance) / unit) <= BOUNDS["logaddexp"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arctan2_against_mpmath(dtype):
    rng = np.random.default_rng(17)
    sizes = np.exp2(rng.uniform(-40, 40, (2, 1500)))
    y, x = (sizes * rng.choice([-1.0, 1.0], (2, 1500))).astype(dtype)
    y[:500] = (rng.normal(size=500) * x[:500]).astype(dtype)
    got = loop("arctan2", dtype)(y, x)
    with mp.workdps(60):
        exact = iter([mp.atan2(a, b) for a, b in zip(y.tolist(), x.tolist(), strict=True)])
        error = errors(got, x, lambda _: next(exact), dtype)
    assert error.max() <= BOUNDS["arctan2"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_hypot_against_mpmath(dtype):
    rng, info = np.random.default_rng(17), np.finfo(dtype)
    sizes = np.exp2(rng.uniform(info.minexp, info.maxexp - 1, 500))
    x = (sizes * rng.choice([-1.0, 1.0], 500)).astype(dtype)
    y = (x * np.exp2(rng.uniform(-30, 0, 500))).astype(dtype)
    got = loop("hypot", dtype)(x, y)
    with mp.workdps(60):
        exact = iter([mp.hypot(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
        error = errors(got, x, lambda _: next(exact), dtype)
    assert error.max() <= BOUNDS["hypot"]
