"""Interleaved rounds of all peers on one workload, medians and ratios."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workloads import load

ROUND_SECONDS = 0.2
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Result:
    """Medians of one peer on one workload.

    Attributes
    ----------
    cpu, wall : float
        Seconds per call.
    first_call : float
        Seconds from the import of the peer to its first result.
    peak_bytes : int
        Largest resident size of the process.
    """

    peer: str
    cpu: float
    wall: float
    first_call: float
    peak_bytes: int


class Worker:
    """A peer that waits for rounds in its own process."""

    def __init__(self, peer: str, workload: str) -> None:
        self.peer = peer
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.first: dict[str, Any] = self._answer()
        self.rounds: list[dict[str, Any]] = []

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.peer} ended; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def round(self, calls: int) -> dict[str, Any]:
        """Time so many calls."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def result(self) -> Result:
        """Return the medians over all rounds."""
        return Result(
            self.peer,
            statistics.median(r["cpu"] for r in self.rounds),
            statistics.median(r["wall"] for r in self.rounds),
            self.first["first_call"],
            max(r["peak_bytes"] for r in self.rounds),
        )


def available(peers: list[str]) -> list[str]:
    """Return the peers that are installed."""
    needs = {"chainrule jit": "llvmlite"}
    return [p for p in peers if importlib.util.find_spec(needs.get(p, p)) is not None]


def run(workload: str, peers: list[str], rounds: int) -> list[Result]:
    """Run a workload with all peers in turn, round after round.

    Raises
    ------
    RuntimeError
        If the value or a gradient of a peer differs from chainrule's by more than 1e-6.
    """
    workers = [Worker(peer, workload) for peer in peers]
    try:
        for worker in workers:
            _compare(workers[0].first, worker.first, worker.peer)
        calls = {}
        for worker in workers:
            once = worker.round(1)["wall"]
            calls[worker.peer] = max(1, int(ROUND_SECONDS / max(once, 1e-7)))
            worker.round(calls[worker.peer])  # warm
        for _ in range(rounds):
            for worker in workers:
                worker.rounds.append(worker.round(calls[worker.peer]))
        return [worker.result() for worker in workers]
    finally:
        for worker in workers:
            worker.close()


def _compare(reference: dict[str, Any], other: dict[str, Any], peer: str) -> None:
    np.testing.assert_allclose(other["value"], reference["value"], rtol=TOLERANCE)
    if other["gradients"] is None:
        return
    for mine, theirs in zip(reference["gradients"], other["gradients"], strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=TOLERANCE, atol=1e-12, err_msg=peer)


def import_times(rounds: int) -> dict[str, float]:
    """Return median seconds of a fresh process that imports NumPy, chainrule, or nothing."""
    # as an installed package, whose byte code is there
    cache = tempfile.TemporaryDirectory()
    env = {**os.environ, "PYTHONPYCACHEPREFIX": cache.name}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    statements = {"nothing": "pass", "numpy": "import numpy", "chainrule": "import chainrule"}
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(rounds + 1):
        for name, statement in statements.items():
            code = (
                f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
            )
            out = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
            )
            times[name].append(float(out.stdout))
    cache.cleanup()
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def title(workload: str) -> str:
    """Return what a workload is called."""
    text: str = load(workload).TITLE
    return text
