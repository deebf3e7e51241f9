"""Measure every kernel: ``python -m tests.compile.kernels.measure`` prints the documented table.

Greatest error against mpmath over many points, and the time per element of a loop over 10000
elements beside that of NumPy's or SciPy's function, the best of interleaved rounds.
"""

import argparse
import time

import mpmath as mp
import numpy as np
import scipy.special

from chainrule.compile.kernels import EMITTERS
from tests.compile.kernels.loops import OPERANDS, WIDE, loop
from tests.compile.kernels.table import BOUNDS, CASES
from tests.compile.kernels.test_accuracy import DTYPES, errors, points
from tests.compile.kernels.test_two_operands import power_operands

ELEMENTS = 10_000
SPECIAL = ("expit", "log_expit", "erf", "erfc", "xlogy", "xlog1py", "entr", "logit", "ndtr")

SPECIAL += ("log_ndtr", "gammaln", "psi", "erfinv", "ndtri")
PLAIN = {"pow": np.power, "arctan2": np.arctan2, "logaddexp": np.logaddexp}
PLAIN |= {name: getattr(scipy.special, name) for name in SPECIAL}
PLAIN["trigamma"] = lambda x, out: np.copyto(out, scipy.special.polygamma(1, x))
POSITIVE = {"log", "log2", "log10", "pow", "xlogy", "entr", "gammaln", "psi", "trigamma"}
UNIT_INTERVAL = {"arcsin", "arccos", "arctanh", "logit", "erfinv", "ndtri"}


def fastest(name):
    """The kernel that long loops use."""
    return f"wide {name}" if name in WIDE else name


def worst_error(name, dtype, rounds):
    if name == "pow":
        x, y = power_operands(dtype, 400 * rounds)
        exact = iter([mp.power(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
        return errors(loop(name, dtype)(x, y), x, lambda _: next(exact), dtype).max()
    if name not in CASES:
        return None
    return max(
        errors(loop(fastest(name), dtype)(x), x, CASES[name].exact, dtype).max()
        for x in (points(name, dtype, seed) for seed in range(rounds))
    )


def operands(name, dtype):
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (OPERANDS.get(name, 1), ELEMENTS))
    if name in POSITIVE or name == "log1p":
        x[0] = np.abs(x[0])
    if name in UNIT_INTERVAL:
        x = x / 3.01
    if name in ("xlogy", "logit", "ndtri"):
        x = np.abs(x)
    if name == "arccosh":
        x = 1.0 + np.abs(x)
    return [np.ascontiguousarray(row, dtype) for row in x]


def seconds(call):
    start = time.perf_counter()
    for _ in range(5):
        call()
    return (time.perf_counter() - start) / 5


def nanoseconds(name, dtype, rounds=25):
    arrays = operands(name, dtype)
    out = np.empty_like(arrays[0])
    plain = PLAIN.get(name) or getattr(np, name, None)
    ours = loop(fastest(name), dtype).bind(*arrays, out)
    if plain is None:  # softplus
        zero = dtype(0)
        theirs = lambda: np.logaddexp(zero, arrays[0], out=out)
    else:
        theirs = lambda: plain(*arrays, out=out)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return tuple(min(column) / ELEMENTS * 1e9 for column in zip(*pairs, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="sets of points for the accuracy")
    rounds = parser.parse_args().rounds
    print("| function | bound | ulp, f64 | ulp, f32 | ns, f64 | NumPy | ns, f32 | NumPy |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in EMITTERS:
        with mp.workdps(60):
            worst = [worst_error(name, dtype, rounds) for dtype in DTYPES]
        cells = [f"{BOUNDS[name]}"]
        cells += ["-" if error is None else f"{error:.2f}" for error in worst]
        cells += [f"{time:.2f}" for dtype in DTYPES for time in nanoseconds(name, dtype)]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
