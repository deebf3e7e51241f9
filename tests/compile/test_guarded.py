"""Compiled code stays within its memory."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages as Linux does")
@pytest.mark.parametrize(
    "words",
    [
        ("behind",),
        pytest.param(("behind", "all"), marks=pytest.mark.slow),
        pytest.param(("front", "all"), marks=pytest.mark.slow),
    ],
)
def test_nothing_beyond_an_array_is_touched(words):
    command = [sys.executable, "-m", "tests.compile.guarded", *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, f"ended after {run.stdout.split()}: {run.stderr[-2000:]}"
    assert run.stdout.endswith("done\n")
