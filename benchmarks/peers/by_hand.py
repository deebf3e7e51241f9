"""Derivatives written by hand: in NumPy, and in C as the floor of what the machine needs."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..case import Case
from . import Run

SOURCE = Path(__file__).parent / "floor.c"
FLAGS = ("-O3", "-march=native", "-ffast-math", "-fno-math-errno", "-shared", "-fPIC")


def in_numpy(case: Case, args: tuple[Any, ...]) -> Run:
    """Return the derivative that the workload's author worked out."""
    assert case.by_hand is not None
    return functools.partial(case.by_hand, *args)


def library() -> ctypes.CDLL:
    """Build and load the C functions.

    Raises
    ------
    RuntimeError
        If there is no C compiler, or if it fails.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("no C compiler (cc, gcc, or what CC names)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "floor.so"
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(path), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{compiler} failed: {done.stderr.strip()[:300]}")
        return ctypes.CDLL(str(path))


class InC:
    """A C function; many calls are one loop in C, so that Python's part is left out."""

    def __init__(self, name: str, inputs: list[Any], outputs: list[Any]) -> None:
        self.function = getattr(library(), name)
        self.results = [np.zeros_like(o) for o in outputs]
        self.inputs = inputs
        pointer = ctypes.POINTER(ctypes.c_double)
        buffers = [a.ctypes.data_as(pointer) for a in (*inputs, *self.results)]
        self.arguments = [ctypes.c_long(inputs[0].size), *buffers]

    def __call__(self) -> Any:
        self.many(1)
        return self.results

    def many(self, calls: int) -> None:
        """Call so many times, each time with fresh memory for the results."""
        self.function(ctypes.c_long(calls), *self.arguments)


def in_c(case: Case, args: tuple[Any, ...]) -> Run:
    """Return the C function of a case."""
    assert case.c is not None
    inputs = [np.ascontiguousarray(a, dtype=float) for a in args]
    return InC(case.c, inputs, [np.zeros(()), *inputs])
