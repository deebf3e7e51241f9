"""One number per row, put where an index says, as a comparison."""

import numpy as np
import pytest

from chainrule import grad, jit
from chainrule.trace.program import trace_program
from chainrule.transform.one_hot import compare_with_indices

SCORES = np.random.default_rng(2).standard_normal((5, 4))
LABELS = np.array([0, 3, -1, 1, 1])


def loss(scores, labels):
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - chosen)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int64, np.int8])
def test_the_same_to_the_last_bit(dtype, index):
    args = SCORES.astype(dtype), LABELS.astype(index)
    program, _ = trace_program(grad(loss), *args, abstract=True)
    compared = compare_with_indices(program)
    assert "scatter_add" in str(program)
    assert "scatter_add" not in str(compared)
    (before,), (after,) = program.evaluate(*args), compared.evaluate(*args)
    assert before.dtype == after.dtype == dtype
    np.testing.assert_array_equal(after, before)


def test_compiled():
    gradient = jit(grad(loss))
    np.testing.assert_allclose(gradient(SCORES, LABELS), grad(loss)(SCORES, LABELS), rtol=1e-13)
    for wrong in (4, -5):
        with pytest.raises(IndexError, match="out of bounds"):
            gradient(SCORES, np.array([0, wrong, 0, 0, 0]))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: np.sum(np.exp(x[np.array([0, 1, 2, 3, 3]), i])),  # twice the same row
        lambda x, i: np.sum(np.exp(x[i, np.arange(5) % 4])),  # one per column
        lambda x, i: np.sum(np.exp(x[:, i])),
        lambda x, i: np.sum(np.exp(x[0, 1])),
    ],
)
def test_what_is_not_one_per_row_stays_as_it_is(f):
    program, _ = trace_program(grad(f), SCORES, LABELS, abstract=True)
    assert compare_with_indices(program) is program
