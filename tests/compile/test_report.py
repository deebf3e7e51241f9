"""What explain_compile shows."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import grad, jit, scan
from chainrule.compile import JitWarning, explain_compile

X = np.linspace(0.0, 1.0, 12).reshape(3, 4)


def test_program_nests_memory_code_and_time():
    def loss(x):
        hidden = np.tanh(x @ x.T)
        return np.sum(hidden**2)

    report = explain_compile(grad(loss), X)
    text = str(report)
    for part in ("1 native function", "tanh", "Loop nests", "peak:", "machine code", "Time, in ms"):
        assert part in text
    assert "test_report.py" in text
    assert "define" in report.llvm
    assert "entry" in report.assembly
    assert "Loop nests" in str(jit(grad(loss)).lower(X))


def test_loops_have_nests_inside():
    f = lambda x: scan(lambda c, r: (np.sin(c) * r, c), x[0], x)
    text = str(explain_compile(jit(f), X))
    assert "3 steps" in text
    assert "by scan" in text


def test_what_is_written_over_arguments_is_told():
    text = str(explain_compile(jit(lambda x: x * 2.0, donate=(0,)), X))
    assert "1 result written over arguments" in text


def test_parts_that_are_left_to_numpy():
    with pytest.warns(JitWarning):
        text = str(explain_compile(lambda v: np.exp(np.linalg.pinv(v[None])[:, 0] * 2.0), X))
    assert "with NumPy between" in text
    assert "left to NumPy: pinv" in text
