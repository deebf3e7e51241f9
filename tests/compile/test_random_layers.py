"""Random programs of larger parts, in sizes around those of vectors, tiles and strips.

The programs of three by two numbers elsewhere reach each operation; these reach what the compiler
does to large arrays: strips of rows, tiles, products by BLAS, loops made of repeated steps.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import checkpoint, hvp, jit, jvp, scan, value_and_grad, vmap
from chainrule.tree import leaves
from tests.transform.test_random_programs import programs, run

SIZES = [1, 2, 3, 5, 8, 16, 17, 31, 48, 64, 100, 130]


def softmax(a):
    e = np.exp(a - np.max(a, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(a):
    centred = a - np.mean(a, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-3)


def in_halves(a):
    out = np.zeros_like(a)
    out[::2] = a[::2] * 2
    out[1::2] += np.tanh(a[1::2])
    return out


def in_order(a):
    # which of equal numbers comes first is not laid down, but the derivative shows it
    return np.sort(a + 0.01 * np.arange(len(a), dtype=a.dtype)[:, None], axis=0)


def recurrent(a):
    return scan(lambda c, r: (np.tanh(c * 0.5 + r), c + r), a[0] * 0.1, a)[1]


def recurrent_in_python(a):
    state, states = a[0] * 0.1, []
    for i in range(a.shape[0]):
        state = np.tanh(state * 0.5 + a[i])
        states.append(state)
    return np.stack(states)


def convolved(a):
    if a.shape[1] < 3:
        return a
    windows = np.lib.stride_tricks.sliding_window_view(a, 3, axis=1)
    middle = np.einsum("ijk,k->ij", windows, np.array([0.2, 0.5, 0.3], a.dtype))
    return np.concatenate([a[:, :1], middle, a[:, -1:]], axis=1)


def recurrent_net(a, b):
    weights = b.T @ b / b.size

    def step(c, r):
        h = np.tanh(c @ weights + r)
        return h, h

    return scan(step, a[0], a)[1]


UNARY = {
    "sin": np.sin,
    "tanh": np.tanh,
    "exp(-x²)": lambda a: np.exp(-a * a),
    "1/(2 + x²)": lambda a: 1.0 / (2.0 + a * a),
    "log1p": lambda a: np.log1p(a * a),
    "abs": np.abs,
    "leaky relu": lambda a: np.maximum(a, 0.1 * a),
    "softmax": softmax,
    "layer norm": layer_norm,
    # not all of it: of a single column nothing but rounding errors would be left
    "log softmax": lambda a: a - 0.5 * np.log(np.sum(np.exp(a), axis=1, keepdims=True)),
    "less the largest": lambda a: a - np.max(a, axis=1, keepdims=True) * 0.5,
    "centre": lambda a: a - a.mean(0),
    "cumsum": lambda a: np.cumsum(a, axis=0) / a.shape[0],
    "prod": lambda a: a * np.prod(1 + 0.01 * a, axis=0),
    "sort": in_order,
    "flip": lambda a: a[::-1],
    "transpose": lambda a: np.reshape(a.T, a.shape),
    "roll": lambda a: np.roll(a, 1, 1),
    "pad": lambda a: np.pad(a, ((1, 0), (0, 1)))[:-1, 1:],
    "gather": lambda a: a[np.arange(a.shape[0])[::-1]],
    "column": lambda a: a * a[:, :1],
    "row": lambda a: a + a[-1],
    "assign": in_halves,
    "norm": lambda a: a / np.sqrt(1 + np.sum(a * a)),
    "checkpoint": checkpoint(lambda a: np.tanh(np.sin(a) * 2)),
    "scan": recurrent,
    "loop": recurrent_in_python,
    "convolution": convolved,
}
BINARY = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (2.0 + b * b),
    "min": np.minimum,
    "where": lambda a, b: np.where(a > 0, a, b),
    "mean": lambda a, b: a * np.mean(b),
    "outer": lambda a, b: a * np.outer(b[:, 0], a[0]),
    "stack": lambda a, b: np.stack([a, b]).mean(0),
    "halves": lambda a, b: np.concatenate([a[: len(a) // 2], b[len(a) // 2 :]]),
    "products": lambda a, b: (a @ b.T @ b) / a.size,
    "einsum": lambda a, b: np.einsum("ij,kj,kl->il", a, b, a) / a.size,
    "dense": lambda a, b: np.tanh(a @ (b.T @ b) / b.shape[0]),
    "attention": lambda a, b: softmax(a @ b.T / float(np.sqrt(a.shape[1]))) @ a,
    "vmap": lambda a, b: vmap(lambda r, s: r * np.dot(r, s) / r.size)(a, b),
    "recurrent net": recurrent_net,
}
TRANSFORMATIONS = {
    "value_and_grad": lambda f: value_and_grad(f, argnums=(0, 1)),
    "jvp": lambda f: lambda x, y: jvp(f, (x, y), (np.sin(x), np.cos(y))),
    "hvp": lambda f: lambda x, y: hvp(f, (x, y), (np.sin(x), np.cos(y))),
}


@pytest.mark.filterwarnings("ignore::chainrule.compile.JitWarning")
@given(
    programs(max_size=8, unary=UNARY, binary=BINARY),
    st.sampled_from(sorted(TRANSFORMATIONS)),
    st.tuples(st.sampled_from(SIZES), st.sampled_from(SIZES)),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=settings().max_examples // 2)
def test_compiled_against_interpreted(steps, name, shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x, y, weights = rng.uniform(-1, 1, (3, *shape)).astype(dtype)
    derived = TRANSFORMATIONS[name](lambda x, y: np.sum(run(steps, x, y, UNARY, BINARY) * weights))
    with np.errstate(all="ignore"):
        expected, found = leaves(derived(x, y)), leaves(jit(derived)(x, y))
    tolerance, least = (1e-9, 1e-6) if dtype == np.float64 else (2e-3, 1e-2)
    for a, b in zip(expected, found, strict=True):
        assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)
        scale = np.max(np.abs(a), initial=0.0) + least
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * scale)
