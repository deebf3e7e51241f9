"""A peer that waits in its own process, on one core, for its turns."""

from __future__ import annotations

import compileall
import functools
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PIN = hasattr(os, "sched_setaffinity")


class PeerError(Exception):
    """A peer could not do a case; the message says why."""


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if PIN else list(range(os.cpu_count() or 1))


@functools.cache
def _write_byte_code() -> None:
    """Have chainrule's modules compiled, as those of installed packages are.

    Most of them are imported within a first call, whose time is measured.
    """
    spec = importlib.util.find_spec("chainrule")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        compileall.compile_dir(folder, quiet=2)


def environment(threads: int, cache: str, kernels: str) -> dict[str, str]:
    """Return an environment in which every library uses so many threads.

    Parameters
    ----------
    threads : int
    cache : str
        Folder for what chainrule compiles.
    kernels : str
        Folder for what PyTorch compiles.
    """
    _write_byte_code()
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "CHAINRULE")
    eigen = "false" if threads == 1 else "true"
    return {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}",
        "JAX_PLATFORMS": "cpu",
        "CHAINRULE_CACHE_DIR": cache,
        "TORCHINDUCTOR_CACHE_DIR": kernels,
    }


class Worker:
    """One peer on one case."""

    def __init__(
        self,
        peer: str,
        case: str,
        folder: Path,
        env: dict[str, str],
        options: tuple[str, ...] = (),
        script: str = "benchmarks.worker",
    ) -> None:
        self.peer = peer
        self.errors = (folder / f"{peer}.err").open("w+")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", script, peer, case, str(folder), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=env,
            bufsize=0,
            start_new_session=True,
        )
        self.rounds: list[dict[str, Any]] = []
        self.calls = 1

    def pin(self, chosen: list[int]) -> None:
        """Keep the process, with all of its threads, on these cores."""
        if not PIN:
            return
        tasks = Path(f"/proc/{self.process.pid}/task")
        for task in tasks.iterdir() if tasks.exists() else ():
            os.sched_setaffinity(int(task.name), chosen)

    def first(self, limit: float) -> dict[str, Any]:
        """Wait for the results of the first call, so many seconds from the start."""
        return self._answer(self.began + limit - time.perf_counter(), "its first call")

    def round(self, limit: float) -> dict[str, Any]:
        """Time as many calls as a round has."""
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(f"{self.calls}\n".encode())
        except BrokenPipeError:
            raise PeerError(f"its process ended: {self._last_error()}") from None
        return self._answer(limit, "a round")

    def _answer(self, limit: float, what: str) -> dict[str, Any]:
        stdout = self.process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], max(limit, 0.0))
        if not ready:
            raise PeerError(f"{what} was not done after {self._spent(what, limit)}")
        line = stdout.readline()
        if not line:
            raise PeerError(f"its process ended: {self._last_error()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _spent(self, what: str, limit: float) -> str:
        seconds = time.perf_counter() - self.began if what == "its first call" else limit
        return f"{seconds:.0f} s"

    def _last_error(self) -> str:
        self.process.wait(timeout=10)
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return (lines[-1] if lines else f"exit status {self.process.returncode}")[:300]

    def close(self) -> None:
        """End the process and those that it started."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.errors.close()
