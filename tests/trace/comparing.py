"""Runs a function on plain NumPy and traced, and compares values and derivatives."""

import numpy as np

import chainrule as cr
from chainrule.program.errors import ChainruleError
from chainrule.program.pytree import flatten


def copies(args):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def assert_same(traced, plain, rtol=0.0):
    """The same structure, types, dtypes and elements, bit for bit if no tolerance is given."""
    ours, ours_tree = flatten(traced)
    theirs, theirs_tree = flatten(plain)
    assert ours_tree == theirs_tree
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert isinstance(a, np.ndarray) == isinstance(b, np.ndarray), (type(a), type(b))
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol)
        else:
            np.testing.assert_array_equal(a, b)


def _along(leaves, weights):
    total = 0.0
    for leaf, weight in zip(leaves, weights, strict=True):
        if np.asarray(leaf).dtype.kind in "fc":
            total += np.sum(np.real(np.conj(weight) * leaf))
    return total


def check(f, *args, rtol=1e-5, atol=1e-7, step=1e-6, exact=True):
    """Compare ``f`` traced with ``f`` as it is: values exactly, derivatives with differences."""
    plain = f(*copies(args))
    given = copies(args)
    traced, pull = cr.vjp(f, *given)
    assert_same(traced, plain, 0.0 if exact else 1e-13)
    for before, after in zip(args, given, strict=True):
        np.testing.assert_array_equal(before, after)  # the caller's arrays stay untouched
    rng = np.random.default_rng(0)
    leaves, tree = flatten(plain)
    weights = [rng.normal(size=np.shape(leaf)) for leaf in leaves]
    cotangents = [
        w.astype(np.asarray(leaf).dtype) if np.asarray(leaf).dtype.kind in "fc" else leaf
        for w, leaf in zip(weights, leaves, strict=True)
    ]
    gradients = pull(tree.unflatten(cotangents))
    for position, (x, gradient) in enumerate(zip(args, gradients, strict=True)):
        direction = rng.normal(size=np.shape(x))
        ends = []
        for sign in (step, -step):
            moved = copies(args)
            moved[position] = x + sign * direction if np.ndim(x) else float(x + sign * direction)
            ends.append(_along(flatten(f(*moved))[0], weights))
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=rtol, atol=atol)
    return traced


def refusal(f, *args):
    """The text of the error that tracing ``f`` raises."""
    try:
        cr.vjp(f, *copies(args))
    except ChainruleError as error:
        return str(error)
    raise AssertionError("nothing was refused")
