"""Refusals of loops, branches and batches point at the user's line."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import checkpoint, cond, grad, scan, switch, vmap, while_loop
from chainrule.errors import ChainruleError

X = np.arange(3.0)


def changes_its_carry():
    def total(start):
        return scan(lambda c, x: (np.stack([c, c]), x), start, X)  # here

    return vmap(total)(X)


def lengths_differ():
    return scan(lambda c, x: (c + x[0] * x[1], c), 0.0, (X, np.ones(4)))  # here


def has_no_length():
    return scan(lambda c, x: (c, c), 0.0)  # here


def changes_its_state():
    def count(start):
        return while_loop(lambda s: s[0] < 3.0, lambda s: [s[0] + 1.0], (start,))  # here

    return vmap(count)(X)


def has_no_branches():
    return switch(0, [], X)  # here


def has_unlike_branches():
    def choose(x):
        return cond(x > 0.0, lambda x: x, lambda x: np.stack([x, x]), x)  # here

    return vmap(choose)(X)


def has_a_small_budget():
    def loss(x):
        return scan(lambda c, _: (np.sin(c), c), x, length=100, budget=8)[0].sum()  # here

    return grad(loss)(X)


def maps_unlike_lengths():
    return vmap(np.add)(X, np.ones(4))  # here


def has_too_few_axes():
    return vmap(np.add, in_axes=(0,))(X, X)  # here


def has_unlike_axes():
    return vmap(lambda pair: pair[0] + pair[1], in_axes=((0, 0, 0),))((X, X))  # here


def has_a_result_of_each():
    return vmap(lambda x: x * 2.0, out_axes=None)(X)  # here


@pytest.mark.parametrize(
    "refused",
    [
        changes_its_carry,
        lengths_differ,
        has_no_length,
        changes_its_state,
        has_no_branches,
        has_unlike_branches,
        has_a_small_budget,
        maps_unlike_lengths,
        has_too_few_axes,
        has_unlike_axes,
        has_a_result_of_each,
    ],
)
def test_the_line_is_shown_and_a_rewrite_given(refused):
    with pytest.raises(ChainruleError) as caught:
        refused()
    text = str(caught.value)
    assert "test_refusals.py:" in text, text
    assert "# here" in text, text
    assert "help" in text, text


def test_checkpoint_is_transparent_to_errors():
    with pytest.raises(ValueError, match=r"shape|broadcast"):
        grad(checkpoint(lambda x: (x + np.ones(4)).sum()))(X)
