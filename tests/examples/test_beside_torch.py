"""The examples' networks take the steps that PyTorch takes, from the same weights and batches."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
examples = pytest.importorskip("benchmarks.examples_beside_torch")

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


@pytest.mark.parametrize("name", examples.CASES)
def test_first_steps(name):
    case = examples.CASES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that are left to NumPy
        model, state, ours = examples.train_here(case, 1, np.float64, 6)
    other, other_state, theirs = examples.train_in_torch(case, 1, np.float64, 6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert case.judge(model, state) == pytest.approx(case.judge(other, other_state), rel=1e-6)


def test_quasi_newton_steps_on_a_differential_equation():
    ours, theirs = (solve() for solve in (examples.burgers_here, examples.burgers_in_torch))
    np.testing.assert_allclose(ours[:10], theirs[:10], rtol=1e-6)


def test_rounds_of_the_policy_gradient():
    ours, theirs = (play(rounds=4) for play in (examples.carts_here, examples.carts_in_torch))
    np.testing.assert_array_equal(ours, theirs)
