"""One peer on one workload in a process of its own.

It reads one line per round from standard input (how many calls to time) and answers with one line
of JSON, so that the runner can interleave the rounds of several peers.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from .peers import PEERS
from .workloads import load


def main() -> None:
    """Serve rounds until standard input ends."""
    peer, workload = sys.argv[1:3]
    started = time.perf_counter()
    run = PEERS[peer](load(workload))
    value, gradients = run()
    answer: dict[str, Any] = {
        "first_call": time.perf_counter() - started,
        "value": float(value),
        "gradients": None
        if gradients is None
        else [np.asarray(g).ravel().tolist() for g in gradients],
    }
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        calls = int(line)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            run()
        answer = {
            "wall": (time.perf_counter() - wall) / calls,
            "cpu": (time.process_time() - cpu) / calls,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
