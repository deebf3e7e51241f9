"""What the machine can do: products of matrices and traffic of memory, on one core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .process import PIN, cores, environment


def measure() -> dict[str, float]:
    """Measure in a process of its own, on one core.

    Returns
    -------
    dict of str to float
        ``float32`` and ``float64``: floating-point operations per second of a large product;
        ``bandwidth``: bytes per second, read and written, of a copy.
    """
    env = environment(1, "", "")
    command = [sys.executable, "-m", "benchmarks.limits"]
    output = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(output)
    return found


def _best(function: Callable[[], Any], repetitions: int = 15) -> float:
    """Return the least CPU seconds: what else the machine does must not lower the limit."""
    times = []
    for _ in range(repetitions):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times[1:])


def main() -> None:
    """Print the limits as JSON."""
    if PIN:
        os.sched_setaffinity(0, cores()[:1])
    limits = {}
    n = 1024
    for dtype in ("float32", "float64"):
        a = np.ones((n, n), dtype)
        out = np.empty_like(a)
        limits[dtype] = 2 * n**3 / _best(lambda a=a, out=out: np.matmul(a, a, out=out))
    source = np.ones(10**7)
    target = np.empty_like(source)
    limits["bandwidth"] = 2 * source.nbytes / _best(lambda: np.copyto(target, source))
    print(json.dumps(limits))


if __name__ == "__main__":
    main()
