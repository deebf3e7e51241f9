"""Reading and writing elements."""

import numpy as np
import pytest

import chainrule as cr
from tests.trace.comparing import check, refusal

A = np.random.default_rng(1).normal(size=(3, 4, 2))
X = np.array([0.55, 1.45, 2.6])

INDICES = [
    0,
    -1,
    (1, 2),
    (1, 2, -1),
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(-1, 0, -2),
    (slice(None), 1),
    ...,
    (..., 0),
    (0, ..., 1),
    None,
    (None, 1, None),
    (slice(None), None, 2),
    [0, 2],
    [[0, 1], [2, 0]],
    (slice(None), [3, 3, 0]),
    ([0, 1], [2, 3]),
    ([[0], [1]], [0, 2]),
    (0, slice(None), [1, 0]),
    ([0, 1], slice(None), [1, 0]),
    ([0, 1], None, 0),
    np.array([1, 1]),
    np.array(2),
    np.int64(1),
    (np.uint8(1), np.int32(-1)),
    np.array([True, False, True]),
    [True, False, True],
    (slice(None), [True, False, True, True]),
    np.ones((3, 4), bool),
    True,
    False,
    np.array(True),
    np.True_,
    (),
    [],
    np.ix_([0, 2], [1, 3]),
    np.ix_([True, False, True], [1, 3], [0]),
    (slice(0, 0), 1),
    (slice(5, 1), ...),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_reading(index):
    check(lambda a: a[index], A)


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_writing(index):
    rng = np.random.default_rng(2)
    value = rng.normal(size=np.shape(A[index]))

    def assign(a, v):
        r = a * 1.0
        r[index] = v
        zeros = np.zeros(a.shape)
        zeros[index] = v
        return r, zeros

    check(assign, A, value)
    check(lambda a, v: assign(a, v), A, 0.7)

    def add(a, v):
        r = a * 1.0
        r[index] += v
        return r

    check(add, A, value)


@pytest.mark.parametrize("index", [5, (0, 7), [0, 9], (0, 0, 0, 0), slice(None, None, 0)])
def test_indices_out_of_bounds(index):
    try:
        A[index]
    except (IndexError, ValueError) as error:
        with pytest.raises(type(error)):
            cr.vjp(lambda a: a[index], A)


@pytest.mark.parametrize("index", [1.0, "name", np.array([0.5])])
def test_what_is_no_index(index):
    with pytest.raises(IndexError):
        A[index]
    with pytest.raises(IndexError):
        cr.vjp(lambda a: a[index], A)


def test_traced_values_decide_what_is_read():
    def f(x):
        order = np.argsort(-x)
        top = x[order[:2]]
        mask = x > 1.0
        small = x[~mask]
        whole = x[x.astype(int)]
        return top, x[mask], small, whole, X[order] * x, x[[np.argmax(x), 0]]

    check(f, X)


def test_constants_as_indices_are_kept_as_they_were():
    def f(x):
        i = np.arange(3)
        y = x[i] * 2.0
        i[0] = 2
        z = x[i]
        i[:] = 0
        return y + z

    check(f, X)


def test_iteration_gives_views():
    def f(x):
        a = np.outer(x, x)
        for row in a:
            row *= row[0]
        for i, row in enumerate(a):
            row[i] = 0.0
        return a

    check(f, X)


def test_slices_with_numpy_integers_and_constants():
    def f(x):
        n = np.arange(3)[1]
        k = np.array(2)
        return x[:n], x[n:k], x[k]

    check(f, X)


def test_flat():
    def f(x):
        a = np.outer(x, x)
        a.flat[4] = x[0]
        a.flat[[0, 8]] = x[:2]
        a.T.flat[1] = 7.0
        b = a.copy()
        b.flat = x
        total = sum(v * v for v in a.flat)
        assert len(a.flat) == 9
        pairs = [(i, v * 2.0) for i, v in np.ndenumerate(a)]
        return a, b, a.flat[2], a.flat[1:4], total, pairs

    check(f, X)


def test_reading_at_indices():
    check(lambda a: sum(a[i] * k for k, i in enumerate(np.ndindex(a.shape))), A)
    assert "np.nditer" in refusal(lambda a: [float(v) for v in np.nditer(a)], A)
    check(lambda x: sum(float(v) for v in np.nditer(np.arange(3.0))) * x, X)
