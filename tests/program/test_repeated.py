"""Constants that repeat their elements stay small, and mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, jit, value_and_grad
from chainrule.program.program import Program, frozen
from chainrule.program.repeated import LARGE, essence, frozen_array, is_repeated
from chainrule.trace.program import trace_program

N = 10**9  # eight gigabytes, if anybody writes it out
ROW = np.arange(3.0)


def test_frozen_arrays_stay_repeated_and_are_not_copied_again() -> None:
    given = np.array([1.5, 2.5])
    whole = np.broadcast_to(given[:, None], (2, N))
    once = frozen(whole)
    assert once.strides == whole.strides
    assert not once.flags.writeable
    given[0] = 7.0
    assert once[0, -1] == 1.5
    assert frozen(once) is once
    assert frozen_array(once[:, 5:])[1, 0] == 2.5


def test_small_arrays_are_written_out() -> None:
    small = frozen(np.broadcast_to(1.0, (4, 5)))
    assert small.flags.c_contiguous
    assert small.base is None


def test_views_of_what_may_change_are_copied() -> None:
    base = np.ones(2 * LARGE)
    whole = base[::2]
    whole.flags.writeable = False
    kept = frozen(whole)
    base[:] = 3.0
    assert (kept == 1.0).all()
    repeated = np.broadcast_to(base[:1], (LARGE,))
    kept = frozen(repeated)
    base[:] = 4.0
    assert kept[7] == 3.0
    assert is_repeated(kept)
    assert essence(kept).shape == (1,)


def test_a_program_with_a_huge_constant_is_written_and_read() -> None:
    program, _ = trace_program(lambda x: np.sum(x * np.broadcast_to(ROW, (10**6, 3))), ROW)
    text = program.to_json()
    assert len(text) < 10_000
    again = Program.from_json(text)
    assert again.fingerprint() == program.fingerprint()
    assert again.evaluate(ROW) == program.evaluate(ROW)
    other, _ = trace_program(lambda x: np.sum(x * np.broadcast_to(ROW + 1, (10**6, 3))), ROW)
    assert other.fingerprint() != program.fingerprint()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(5000,), (700, 9), (40, 1, 50), (3, 4000)])
def test_compiled_programs_read_repeated_constants(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    lengths = [(1, *shape[1:]), (*shape[:-1], 1), (1,) * len(shape)]
    for small in lengths:
        constant = np.broadcast_to(rng.integers(0, 2, small).astype(dtype), shape)

        def f(x: Any, constant: Any = constant) -> Any:
            return np.sum(np.sin(x) * constant, axis=0), x[:1] + constant[:1]

        for got, expected in zip(jit(f)(x), f(x), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)

        def loss(x: Any, constant: Any = constant) -> Any:
            return np.sum(np.where(constant > 0, x, x**2) * constant)

        np.testing.assert_allclose(jit(grad(loss))(x), grad(loss)(x), rtol=1e-12)


def test_the_gradient_of_a_sum_is_recorded_without_large_arrays() -> None:
    program, _ = trace_program(
        value_and_grad(lambda x: np.sum(np.exp(x))), np.zeros(10**6), abstract=True
    )
    arrays = [o for e in program.equations for o in e.operands if type(o) is np.ndarray]
    assert all(o.base is None or o.base.size == 1 for o in arrays)
    assert max(essence(o).nbytes for o in arrays) <= LARGE
