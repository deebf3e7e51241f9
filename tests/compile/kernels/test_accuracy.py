"""Every kernel against mpmath, over the whole range of its format."""

import mpmath as mp
import numpy as np
import pytest

from chainrule.compile.kernels import EMITTERS, REDUCIBLE
from tests.compile.kernels.loops import KERNELS, OPERANDS, loop, plain_name
from tests.compile.kernels.table import BOUNDS, CASES

DTYPES = (np.float64, np.float32)
NAMES = [name for name in KERNELS if plain_name(name) in CASES]
BITS = {np.float64: np.uint64, np.float32: np.uint32}


def neighbours(center, dtype, count=8):
    """The numbers around a point, first each, then ever farther away."""
    center = np.asarray(center, dtype)
    step = np.spacing(np.abs(center)) * np.exp2(np.arange(0, 2 * count, 2)).astype(dtype)
    steps = np.arange(1, count + 1).astype(dtype) * np.spacing(np.abs(center))
    offsets = np.concatenate([steps, step])
    return np.concatenate([center - offsets, [center], center + offsets]).astype(dtype)


def points(name, dtype, seed=7):
    """Random over each range, over all exponents, and dense around the hard points."""
    case, rng = CASES[plain_name(name)], np.random.default_rng(seed)
    low, high = np.finfo(dtype).minexp - np.finfo(dtype).nmant, np.finfo(dtype).maxexp
    sizes = np.exp2(rng.uniform(low, high, 120)).astype(dtype)
    near_one = np.exp2(rng.uniform(-30, 10, 120)).astype(dtype)
    parts = [rng.uniform(*ends, 100).astype(dtype) for ends in case.ranges]
    parts += [neighbours(point, dtype) for point in case.hard]
    x = np.concatenate([*parts, sizes, -sizes, near_one, -near_one])
    if name in REDUCIBLE:
        x = x[np.abs(x) <= REDUCIBLE[name][np.dtype(dtype).itemsize * 8]]
    with np.errstate(all="ignore"):
        return x[~np.isnan(case.plain(x))]


def errors(got, x, exact, dtype):
    """The distance of each result from the exact one, in units of that one's last place."""
    largest = mp.mpf(float(np.finfo(dtype).max))
    result = np.empty(x.size)
    for i, (value, argument) in enumerate(zip(got.tolist(), x.tolist(), strict=True)):
        try:
            true = exact(mp.mpf(argument))
        except ValueError:  # a pole
            true = mp.inf
        with np.errstate(over="ignore"):
            nearest = dtype(float(true)) if abs(true) < 2 * largest else dtype(np.inf)
        if not np.isfinite(nearest):
            result[i] = 0.0 if np.isinf(value) else np.inf
        elif not np.isfinite(value):
            result[i] = np.inf
        else:
            result[i] = abs(mp.mpf(value) - true) / mp.mpf(float(np.spacing(abs(nearest))))
    return result


def same(got, wanted):
    """Equal but for some last places, or both NaN, with zeros of the same sign."""
    zero_signs = (wanted != 0) | (np.signbit(got) == np.signbit(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(got - wanted) <= 8 * np.spacing(np.abs(wanted))
    return (((got == wanted) | close) & zero_signs) | (np.isnan(got) & np.isnan(wanted))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_accuracy_against_mpmath(name, dtype):
    x = points(name, dtype)
    with mp.workdps(60):
        error = errors(loop(name, dtype)(x), x, CASES[plain_name(name)].exact, dtype)
    worst = np.argmax(error)
    assert error[worst] <= BOUNDS[plain_name(name)], f"{error[worst]:.3f} ulp at {x[worst]!r}"


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_over_all_bit_patterns(name):
    # in double precision NumPy's result is nearly exact beside a float's last place
    patterns = np.random.default_rng(3).integers(0, 2**32, 40_000, dtype=np.uint32)
    x = patterns.view(np.float32)
    if name in REDUCIBLE:
        x = x[~(np.abs(x) > REDUCIBLE[name][32])]
    with np.errstate(all="ignore"):
        wanted = CASES[plain_name(name)].plain(x.astype(np.float64))
        nearest = wanted.astype(np.float32)
        got = loop(name, np.float32)(x)
        error = np.abs(got - wanted) / np.spacing(np.abs(nearest)).astype(np.float64)
    settled = ~np.isfinite(nearest) | ~np.isfinite(got)
    np.testing.assert_array_equal(got[settled], nearest[settled])
    assert error[~settled].max() <= BOUNDS[plain_name(name)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_numpy(name, dtype):
    info = np.finfo(dtype)
    sizes = [0.0, info.smallest_subnormal, info.tiny, 1.0, 2.0, 1000.0, info.max, np.inf]
    x = np.array([np.nan, *sizes, *(-s for s in sizes)], dtype)
    if name in REDUCIBLE:
        x = x[~(np.abs(x) > REDUCIBLE[name][info.bits]) | np.isinf(x)]
    with np.errstate(all="ignore"):
        wanted = CASES[plain_name(name)].plain(x)
    got = loop(name, dtype)(x)
    wrong = ~same(got, wanted)
    assert not wrong.any(), list(zip(x[wrong], got[wrong], wanted[wrong], strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_a_nan_with_any_payload_stays_nan(name, dtype):
    info, integer = np.finfo(dtype), BITS[dtype]
    exponent = integer(np.array(np.inf, dtype).view(integer))
    payloads = np.random.default_rng(5).integers(1, 2**info.nmant, 200, dtype=integer)
    x = np.concatenate([(exponent | payloads).view(dtype), -(exponent | payloads).view(dtype)])
    assert np.isnan(loop(name, dtype)(x)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REDUCIBLE)
def test_beyond_the_reduction_the_result_is_nan(name, dtype):
    limit = REDUCIBLE[name][np.finfo(dtype).bits]
    x = np.array([limit, np.nextafter(dtype(limit), dtype(np.inf)), np.finfo(dtype).max], dtype)
    assert np.isnan(loop(name, dtype)(x)).tolist() == [False, True, True]


def test_every_kernel_is_in_the_table():
    apart = {*OPERANDS, "gammaln", "psi", "trigamma"}  # have tests of their own
    assert set(CASES) | apart == set(EMITTERS) == set(BOUNDS)
