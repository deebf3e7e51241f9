"""Which values of a loop are kept on the tape for its derivative."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compile import explain_compile


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(w, xs):
    def step(h, x):
        gate = sigmoid(h @ w + x)
        return gate * np.tanh(x - h) + (1 - gate) * h, None

    h, _ = cr.scan(step, np.zeros(xs.shape[1:]), xs)
    return np.sum(h**2)


@pytest.mark.parametrize(("rows", "kept"), [(2, 1), (120, 0)])
def test_inverses_are_computed_again_rather_than_kept_on_a_long_tape(rows, kept):
    rng = np.random.default_rng(rows)
    w, xs = rng.normal(size=(16, 16)) / 4, rng.normal(size=(80, rows, 16))
    slope = cr.jit(cr.grad(loss))
    forward = next(
        e for e in explain_compile(slope, w, xs).program.equations if e.primitive.name == "scan"
    )
    body = forward.params["body"]
    inverses = {e.out for e in body.equations if e.primitive.name == "div"}
    assert len(inverses.intersection(body.outputs)) == kept
    np.testing.assert_allclose(slope(w, xs), cr.grad(loss)(w, xs), rtol=1e-11, atol=1e-13)


def stacked_shapes(f, *args):
    program = explain_compile(cr.jit(cr.grad(f)), *args).program
    forward = next(e for e in program.equations if e.primitive.name == "scan")
    return sorted(out.type.shape[1:] for out in forward.outs[forward.params["carries"] :])


def split_loss(used):
    def loss(w, xs):
        def step(h, x):
            a = h @ w
            parts = a[:8], a[8:16], a[16:]
            return np.tanh(x + sum(part * part for part in parts[:used])), None

        h, _ = cr.scan(step, np.zeros(8), xs)
        return np.sum(h**2)

    return loss


@pytest.mark.parametrize(("used", "shapes"), [(1, [(8,)] * 3), (2, [(8,), (8,), (24,)])])
def test_of_a_value_whose_part_is_needed_only_that_is_kept(used, shapes):
    rng = np.random.default_rng(used)
    w, xs = rng.normal(size=(8, 24)) / 9, rng.normal(size=(70, 8)) / 2
    f = split_loss(used)
    assert stacked_shapes(f, w, xs) == shapes
    np.testing.assert_allclose(cr.jit(cr.grad(f))(w, xs), cr.grad(f)(w, xs), rtol=1e-9, atol=1e-12)
