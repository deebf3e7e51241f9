"""How long ``import chainrule`` takes beside ``import numpy``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile


def measure(rounds: int) -> dict[str, float]:
    """Return median seconds of a fresh process that imports NumPy or chainrule."""
    # as an installed package, whose byte code is there
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        times: dict[str, list[float]] = {"numpy": [], "chainrule": []}
        for _ in range(rounds + 1):
            for name, found in times.items():
                code = f"import time; t = time.perf_counter(); import {name}"
                code += "; print(time.perf_counter() - t)"
                out = subprocess.run(
                    [sys.executable, "-c", code],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=env,
                )
                found.append(float(out.stdout))
    return {name: statistics.median(found[1:]) for name, found in times.items()}
