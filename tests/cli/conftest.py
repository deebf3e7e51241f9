"""A user's file, and the command run on it as a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOURCE = """
import numpy as np

GRID = np.linspace(0.0, 1.0, 3)


def loss(w, x, y=1.0):
    z = w @ x
    error = z - y
    return np.mean(error**2)


def recurrence(x=0.5):
    h = 0.1
    for _ in range(50):
        h = np.tanh(h + x)
    return h


def broken(x=2.0):
    table = {}
    return x * table["nothing"]


def refused(x=2.0):
    return float(x) * 2.0


def steep(x=0.0):
    return np.sqrt(x)


def talkative(x=2.0):
    print("the user's own words")
    return x**2


class Net:
    def __init__(self, k=3.0):
        self.k = k

    def energy(self, x):
        return self.k * x**2
"""


class Result:
    """What a run of the command left."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr


@pytest.fixture
def run(tmp_path):
    """Run ``chainrule ...`` in a folder with the user's file net.py."""
    (tmp_path / "net.py").write_text(textwrap.dedent(SOURCE), encoding="utf-8")

    def run(*arguments, cwd=tmp_path, **environment):
        process = subprocess.run(
            [sys.executable, "-m", "chainrule", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1", **environment},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Result(process)

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path
