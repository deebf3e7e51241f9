"""Run every script in examples/, each in a folder of its own, and fail if one fails.

A script that knows ``--quick`` gets it: the same road with smaller numbers.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SECONDS = 400


def run(script: Path) -> str | None:
    """Run one script; return what went wrong, or None."""
    arguments = ["--quick"] if "--quick" in script.read_text(encoding="utf-8") else []
    # where other work runs beside this, threads that wait for each other cost more than they give
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = subprocess.run(
                [sys.executable, script, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"still running after {SECONDS} s"
    return None if outcome.returncode == 0 else f"exit {outcome.returncode}\n{outcome.stdout}"


def main() -> int:
    scripts = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))
    failures = 0
    for script in scripts:
        begin = time.perf_counter()
        trouble = run(script)
        print(f"{script.name:32} {time.perf_counter() - begin:6.1f} s  {trouble or 'ok'}")
        failures += trouble is not None
    print(f"{len(scripts) - failures} passed, {failures} failed")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
