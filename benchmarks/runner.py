"""All peers on one case: results compared, then interleaved rounds, medians and ratios."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .case import Case
from .peers import FUNCTION, INTERPRETED, JIT, JIT_PLAIN, PEERS
from .process import PeerError, Worker, cores, environment

THREADED = "chainrule jit, two threads"
LONG = 5e-3  # seconds; calls that take longer are tried with two threads too


@dataclass(frozen=True)
class Settings:
    """How long things may take.

    Attributes
    ----------
    rounds : int
        Rounds per peer.
    seconds : float
        What a round lasts, if a call is no longer.
    start, slow_start : float
        Seconds for import, compilation and first call; of systems that start a C++ compiler.
    call : float
        Seconds that a call may take.
    """

    rounds: int = 9
    seconds: float = 0.08
    start: float = 30.0
    slow_start: float = 60.0
    call: float = 10.0
    options: tuple[str, ...] = ()
    kernels: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="inductor-"))


def available(peers: list[str]) -> dict[str, str]:
    """Return the peers that are not installed, with the reason."""
    missing = {p for p in peers if importlib.util.find_spec(PEERS[p].needs) is None}
    return {p: f"{PEERS[p].needs} is not installed" for p in peers if p in missing}


def run(case: Case, peers: list[str], settings: Settings) -> dict[str, dict[str, Any]]:
    """Run a case with all peers in turn, round after round.

    Returns
    -------
    dict
        For each peer its medians ``cpu`` and ``wall``, ``first_wall``, ``first_cpu``, ``setup``,
        ``memory``, ``deviation`` and what was ``left`` to NumPy; or ``error``, the reason why it
        was not timed.
    """
    chosen = [p for p in peers if PEERS[p].applies(case)]
    results: dict[str, dict[str, Any]] = {
        p: {"error": why} for p, why in {**available(chosen), **case.left_out}.items()
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = Starter(case, folder, settings, results)
        try:
            start.all([p for p in chosen if p not in results])
            _rounds(start.workers, settings, results)
            _warm(start, results)
            _threads(start, results)
        finally:
            start.close()
    return {p: results[p] for p in (*PEERS, THREADED) if p in results}


class Starter:
    """Starts the processes of a case and compares their results."""

    def __init__(
        self, case: Case, folder: Path, settings: Settings, results: dict[str, dict[str, Any]]
    ) -> None:
        self.case, self.folder, self.settings, self.results = case, folder, settings, results
        self.workers: list[Worker] = []
        self.waiting: list[Worker] = []
        self.expected: list[Any] | None = None

    def begin(self, peer: str, core: list[int], threads: int = 1, cache: str = "cache") -> Worker:
        """Start the process of a peer."""
        env = environment(threads, str(self.folder / cache), self.settings.kernels)
        worker = Worker(peer, self.case.name, self.folder, env, self.settings.options)
        worker.pin(core)
        return worker

    def all(self, peers: list[str]) -> None:
        """Start all peers; those that start a compiler of C++ beside the others."""
        here = cores()
        slow = [p for p in peers if PEERS[p].slow_start]
        self.waiting = [self.begin(p, here[-1:]) for p in slow]
        for peer in (p for p in peers if p not in slow):
            cache = "plain" if peer == JIT_PLAIN else "function" if peer == FUNCTION else "cache"
            self.join(self.begin(peer, here[:1], cache=cache), self.settings.start)
        while self.waiting:
            worker = self.waiting.pop(0)
            self.join(worker, self.settings.slow_start)
            worker.pin(here[:1])

    def join(self, worker: Worker, limit: float) -> None:
        """Wait for a peer's first results; keep it if they are right."""
        self.workers.append(worker)
        try:
            first = worker.first(limit)
            self.results[worker.peer] = first | {"deviation": self._deviation(worker.peer)}
        except PeerError as error:
            self.fail(worker, str(error))

    def fail(self, worker: Worker, why: str) -> None:
        """Leave a peer out, and say why."""
        self.results[worker.peer] = {"error": why}
        self.workers.remove(worker)
        worker.close()

    def _deviation(self, peer: str) -> float | None:
        """Return how far the results are from chainrule's interpreted ones."""
        path = self.folder / f"{peer}.npz"
        with np.load(path) as file:
            found = [file[name] for name in file.files]
        path.unlink()
        if self.expected is None:
            self.expected = found
            return 0.0 if peer == INTERPRETED else None
        expected = self.expected
        if peer == FUNCTION:
            if self.case.derivative == "grad":
                return None
            expected = expected[:1]
        return compare(expected, found, self.case.tolerance)

    def close(self) -> None:
        """End all processes."""
        for worker in (*self.workers, *self.waiting):
            worker.close()


def compare(expected: list[Any], found: list[Any], tolerance: float) -> float:
    """Return the largest difference, relative to the largest number of each array.

    Raises
    ------
    PeerError
        If it is above the tolerance, or if shapes differ.
    """
    if len(expected) != len(found):
        raise PeerError(f"gives {len(found)} arrays instead of {len(expected)}")
    worst = 0.0
    for i, (mine, theirs) in enumerate(zip(expected, found, strict=True)):
        if mine.size != theirs.size:
            raise PeerError(f"result {i} has the shape {theirs.shape}, not {mine.shape}")
        if not mine.size:
            continue
        off = float(np.max(np.abs(mine.ravel() - theirs.ravel())))
        scale = float(np.max(np.abs(mine)))
        relative = off / scale if scale else off
        if not relative <= tolerance:
            raise PeerError(f"result {i} is wrong: off by {relative:.1e} of its largest number")
        worst = max(worst, relative)
    return worst


def _rounds(workers: list[Worker], settings: Settings, results: dict[str, dict[str, Any]]) -> None:
    """Time all peers in turn."""

    def turn(worker: Worker, keep: bool) -> None:
        try:
            answer = worker.round(settings.call * max(1, worker.calls))
        except PeerError as error:
            results[worker.peer] = {"error": str(error)}
            workers.remove(worker)
            worker.close()
            return
        if keep:
            worker.rounds.append(answer)
        else:
            worker.calls = max(1, int(settings.seconds / max(answer["wall"], 1e-8)))

    for _ in range(2):  # how many calls make a round; the second time without cold caches
        for worker in tuple(workers):
            turn(worker, keep=False)
    for number in range(settings.rounds):
        for worker in tuple(workers):
            long = worker.rounds and worker.rounds[0]["wall"] > 1.0
            if not (long and number >= 3):
                turn(worker, keep=True)
    for worker in workers:
        results[worker.peer] |= _medians(worker.rounds, results[worker.peer]["before"])


def _medians(rounds: list[dict[str, Any]], before: int) -> dict[str, Any]:
    cpus = sorted(r["cpu"] for r in rounds)
    return {
        "cpu": statistics.median(cpus),
        "wall": statistics.median(r["wall"] for r in rounds),
        "spread": [cpus[len(cpus) // 4], cpus[-1 - len(cpus) // 4]],
        "memory": max(r["peak"] for r in rounds) - before,
        "rounds": len(rounds),
    }


def _warm(start: Starter, results: dict[str, dict[str, Any]]) -> None:
    """Measure the first call of another process that finds the first one's compiled code."""
    if "cpu" not in results.get(JIT, {}):
        return
    worker = start.begin(JIT, cores()[:1])
    try:
        results[JIT]["warm_wall"] = worker.first(start.settings.start)["first_wall"]
    except PeerError as error:
        results[JIT]["warm_error"] = str(error)
    finally:
        worker.close()


def _threads(start: Starter, results: dict[str, dict[str, Any]]) -> None:
    """Time longer cases with two threads, round by round beside one thread."""
    single = next((w for w in start.workers if w.peer == JIT), None)
    if single is None or results[JIT].get("wall", 0) < LONG or len(cores()) < 2:
        return
    worker = start.begin(JIT, cores()[:2], threads=2)
    try:
        worker.first(start.settings.start)
        worker.calls = single.calls
        pairs = [(single.round(60)["wall"], worker.round(60)) for _ in range(5)]
        results[THREADED] = {
            "speedup": statistics.median(one / two["wall"] for one, two in pairs),
            **_medians([two for _, two in pairs], 0),
        }
    except PeerError as error:
        results[THREADED] = {"error": str(error)}
    finally:
        worker.close()


def stamp() -> str:
    """Return the time of a run, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M")
