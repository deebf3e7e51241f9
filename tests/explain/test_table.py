"""Every operation explained: nothing may fail, and every edge is certified."""

import numpy as np
import pytest

from chainrule import value_and_grad
from chainrule.explain import explain
from tests.primitives.table import ROWS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

# Where a difference quotient cannot tell the derivative, though it is right.
UNRESOLVED = {
    "corrcoef",  # its clipping has a kink at the correlation of a row with itself
    "prod with two zeros",  # the derivative is 0, the quotient is of the size of its step squared
}


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_operation(row):
    def loss(*args):
        y = np.real(row.f(*args))
        return np.sum(y * np.cos(np.arange(y.size).reshape(y.shape) + 1.0))

    wanted = tuple(i for i, a in enumerate(row.args) if np.asarray(a).dtype.kind in "fc")
    explanation = explain(loss, wanted)(*row.args)
    value, gradient = value_and_grad(loss, wanted)(*row.args)
    np.testing.assert_array_equal(explanation.value, value)
    for ours, theirs in zip(explanation.gradient, gradient, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert explanation.verified or row.name in UNRESOLVED
    assert max(map(len, explanation.to_text(100).splitlines())) <= 100
    for step in explanation.steps:
        assert step.symbol in step.numbers()
        assert step.symbol in explanation.path(step.name)
