"""One peer on one case in a process of its own: ``python -m benchmarks.worker PEER CASE FOLDER``.

It writes one line of JSON when its results are there (they are in the folder), then reads one line
per round from standard input (how many calls to time) and answers with a line each, so that the
runner can interleave the rounds of several peers.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .peers import PEERS
from .workloads import cases


def main() -> None:
    """Serve rounds until standard input ends."""
    peer, name, folder, *options = sys.argv[1:]
    answers = answer_stream()
    try:
        case = cases()[name]
        args = case.inputs("quick" in options)
        began = time.perf_counter()
        run = PEERS[peer].prepare(case, args)
        setup = time.perf_counter() - began
        tell(answers, {"setup": setup, **_first_call(run, Path(folder) / f"{peer}.npz")})
    except Exception as error:
        tell(answers, {"error": f"{type(error).__name__}: {_short(str(error))}"})
        raise
    many = getattr(run, "many", None)
    for line in sys.stdin:
        calls = int(line)
        cpu, wall = time.process_time(), time.perf_counter()
        if many is not None:
            many(calls)
        else:
            for _ in range(calls):
                run()
        wall = (time.perf_counter() - wall) / calls
        cpu = (time.process_time() - cpu) / calls
        tell(answers, {"wall": wall, "cpu": cpu, "peak": _peak()})


def _first_call(run: Any, path: Path) -> dict[str, Any]:
    """Call once; keep the results, the seconds and what chainrule says it left to NumPy."""
    before, cpu, wall = _peak(), _cpu(), time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run()
    answer: dict[str, Any] = {
        "first_wall": time.perf_counter() - wall,
        "first_cpu": _cpu() - cpu,
        "before": before,
        "left": [str(w.message) for w in caught if w.category.__name__ == "JitWarning"],
    }
    np.savez(path, *(_array(leaf) for leaf in leaves(result)))
    return answer


def leaves(result: Any) -> list[Any]:
    """Return the arrays of nested tuples and lists, in order."""
    if isinstance(result, tuple | list):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def _array(leaf: Any) -> Any:
    return leaf.detach().numpy() if hasattr(leaf, "detach") else np.asarray(leaf)


def answer_stream() -> Any:
    """Return a stream for lines of JSON; what libraries print goes to standard error."""
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return stream


def tell(stream: Any, answer: dict[str, Any]) -> None:
    """Write a line of JSON."""
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _short(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines)[:300]


def _cpu() -> float:
    """Return the CPU seconds of this process and of the compilers that it started."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # the other number counts what the process that started this one had
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


if __name__ == "__main__":
    main()
