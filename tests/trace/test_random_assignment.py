"""Random programs of views, assignments and in-place operations do what NumPy does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from tests.trace.comparing import assert_same


def index_of(a, k):
    """One of many indices that fit an array."""
    if a.ndim == 0:
        return [(), ..., None][k % 3]
    n = a.shape[0]
    mask = np.arange(n) % 2 == k % 2
    choices = [
        0,
        -1,
        slice(None),
        slice(None, None, -1),
        slice(1, None),
        slice(None, -1),
        slice(None, None, 2),
        [0, n - 1],
        [n - 1, 0, 0],
        np.array(0),
        np.int64(n - 1),
        mask,
        ...,
        (None, 0),
        (..., 0),
        (..., slice(None, None, -1)),
        (..., np.array([0, 0])),
        True,
    ]
    return choices[k % len(choices)]


def fitted(b, shape):
    """Something that can be assigned to a place of this shape."""
    if b.shape == shape:
        return b
    return b.sum() * 0.5 if b.ndim else b


def view_of(a, k):
    choices = [
        lambda: a[index_of(a, k // 8)],
        lambda: a.T,
        lambda: np.swapaxes(a, 0, -1) if a.ndim else a,
        lambda: a.reshape(-1),
        lambda: np.expand_dims(a, 0),
        lambda: np.squeeze(a),
        lambda: np.flip(a) if a.ndim else a,
        lambda: np.atleast_1d(a),
        lambda: np.ravel(a),
        lambda: np.ascontiguousarray(a),
        lambda: np.asarray(a),
        lambda: np.real(a),
        lambda: np.moveaxis(a, 0, -1) if a.ndim else a,
        lambda: a.conj(),
        lambda: a[:],
    ]
    return choices[k % len(choices)]()


def new_of(a, b, k):
    choices = [
        lambda: a.copy(),
        lambda: np.zeros_like(a),
        lambda: np.sin(a),
        lambda: a * 0.5 + 0.25,
        lambda: np.zeros(a.shape),
        lambda: np.array(a),
        lambda: np.array([b.sum(), 1.0, a.sum()]),
        lambda: np.full((2, 2), b.sum() * 0.1),
        lambda: a * fitted(b, a.shape),
        lambda: np.copy(a),
        lambda: np.stack([a, a]) if a.size < 20 else a.copy(),
        lambda: +a,
    ]
    return np.asarray(choices[k % len(choices)]())


def change(a, b, k):
    index = index_of(a, k // 6)
    value = fitted(b, np.shape(a[index]))
    kind = k % 6
    if kind == 0:
        # NumPy itself reads elements that it has just overwritten when one vector is assigned to
        # an overlapping one of another stride; `+ 0.0` leaves that case out
        a[index] = value + 0.0
    elif kind == 1:
        a[index] += value
    elif kind == 2:
        a[index] *= 0.5
    elif kind == 3:
        a += fitted(b, a.shape)
    elif kind == 4:
        a *= 0.5
    else:
        a.flat[: a.size // 2] = value if np.ndim(value) == 0 else 0.125
    return a


def run(program, x):
    pool = [x, np.zeros(3), x[0]]
    for kind, i, j, k in program:
        a, b = pool[i % len(pool)], pool[j % len(pool)]
        if kind == 0:
            pool.append(view_of(a, k))
        elif kind == 1:
            pool.append(new_of(a, b, k))
        elif a.size:
            change(a, b, k)
        if not isinstance(pool[-1], np.ndarray) or pool[-1].ndim > 4:
            pool.pop()
    return pool


statements = st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 8), st.integers(0, 500))

LAYOUTS = [
    lambda a: a,
    np.asfortranarray,
    lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    lambda a: np.pad(a, ((0, 0), (0, 3)))[:, :3],
    lambda a: a[::-1],
]


def copied(a):
    """A copy with the same layout in memory, gaps included."""
    owner = a if a.base is None else a.base
    made = owner.copy(order="K")
    start = a.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return np.ndarray(a.shape, a.dtype, made, start, a.strides)


@settings(max_examples=300)
@given(st.lists(statements, min_size=1, max_size=9), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_programs_of_views_and_assignments(program, layout, seed):
    rng = np.random.default_rng(seed)
    x, direction = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    x, direction = LAYOUTS[layout](x), LAYOUTS[layout](direction)
    plain = run(program, copied(x))
    traced, pull = cr.vjp(lambda x: run(program, x), x)
    assert_same(traced, plain)
    weights = [rng.normal(size=a.shape) for a in plain]

    def weighted(x):
        return sum(np.sum(w * a) for w, a in zip(weights, run(program, x), strict=True))

    def moved(by):
        ends = copied(x)
        ends += by * direction
        return ends

    step = 1e-5
    expected = (weighted(moved(step)) - weighted(moved(-step))) / (2 * step)
    (gradient,) = pull(weights)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-5, atol=1e-6)
