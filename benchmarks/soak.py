"""A million calls of compiled functions, of mixed shapes, from four threads.

    python -m benchmarks.soak [CALLS]

The memory of the process must stay flat, and every result must be the one of the first call.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import jit, scan, value_and_grad

THREADS = 4
Case = tuple[Callable[..., Any], tuple[Any, ...], Any]


def resident() -> int:
    """Return how many bytes of memory this process has."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:  # elsewhere the greatest so far has to do
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    import resource

    return pages * resource.getpagesize()


def cases() -> list[Case]:
    """Return compiled functions, arguments, and what they give."""
    rng = np.random.default_rng(0)

    def net(w: Any, x: Any) -> Any:
        return np.mean(np.tanh(x @ w) ** 2)

    def loop(x: Any) -> Any:
        return scan(lambda c, r: (np.sin(c) + r, c), x[0], x)[1]

    step = jit(value_and_grad(net))
    looped, loss = (
        jit(loop),
        jit(value_and_grad(lambda x: np.sum(np.exp(-(x**2)) * np.log1p(x**2)))),
    )
    momentum = jit(lambda p, v: (p - 0.1 * v, 0.9 * v))
    found: list[Case] = []
    for n in (1, 3, 8, 33):
        given = (rng.standard_normal((4, n)), rng.standard_normal((n + 2, 4)))
        found.append((step, given, step(*given)))
        x = rng.standard_normal((n, 5))
        found.append((looped, (x,), looped(x)))
        found.append((momentum, (x, x * 2), momentum(x, x * 2)))
    for n in (5, 900, 6000):
        x = rng.standard_normal(n)
        found.append((loss, (x,), loss(x)))
    return found


def same(got: Any, expected: Any) -> bool:
    """Tell whether two results are equal to the last bit."""
    if isinstance(expected, tuple):
        return all(map(same, got, expected))
    return np.array_equal(got, expected)


def soak(calls: int) -> tuple[int, int]:
    """Return how many bytes of memory were gained over so many calls, and how many were wrong."""
    every = cases()
    wrong = [0] * THREADS

    def work(which: int, count: int) -> None:
        for k in range(count):
            f, given, expected = every[(k * 7 + which) % len(every)]
            if not same(f(*given), expected):
                wrong[which] += 1

    def round_of(count: int) -> None:
        callers = [
            threading.Thread(target=work, args=(k, count // THREADS)) for k in range(THREADS)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        gc.collect()

    round_of(max(2000, calls // 20))
    before = resident()
    round_of(calls)
    return resident() - before, sum(wrong)


def main() -> int:
    """Run it; the exit code says whether all is well."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    begin = time.perf_counter()
    gained, wrong = soak(calls)
    seconds = time.perf_counter() - begin
    print(f"{calls:,} calls in {seconds:.0f} s: {gained / 2**20:+.1f} MiB, {wrong} wrong results")
    return int(wrong > 0 or gained > 8 << 20)


if __name__ == "__main__":
    raise SystemExit(main())
