"""Assignment into arrays: views, aliases, functions that write, and the caller's arrays."""

import numpy as np
import pytest

import chainrule as cr
from tests.trace.comparing import check, refusal

X = np.array([0.55, 1.45, 2.6])
M = np.arange(9.0).reshape(3, 3) / 4 + 0.3


def test_a_view_sees_what_is_assigned_to_its_base():
    def f(x):
        r = np.zeros((3, 3))
        row, column, corner = r[0], r[:, 0], r[1:, 1:]
        flipped, turned = r[::-1], r.T
        r[0] = x
        r[1, 0] = x[2]
        r[2] += x * x
        return row, column, corner, flipped, turned, r[0, 0]

    check(f, X)


def test_a_base_sees_what_is_assigned_to_its_views():
    def f(x):
        r = np.zeros((3, 3))
        r[0][1] = x[0]
        r.T[2] = x
        part = r[1:][:, 1:]
        part[0] = x[:2]
        inner = part[1]
        inner[...] = x[1] * 2.0
        r[...].T[0, 1:] *= 3.0
        return r, part, inner

    check(f, X)


def test_loops_that_fill_an_array():
    def f(x):
        n = 5
        table = np.zeros((n, 3))
        table[0] = x
        for i in range(1, n):
            for j in range(3):
                table[i, j] = np.sin(table[i - 1, j - 1]) + 0.5 * table[i - 1, j]
        return table

    check(f, X)


def test_swaps_and_overlaps():
    def f(a):
        b = a.copy()
        b[[0, 1]] = b[[1, 0]]
        c = a.copy()
        c[0], c[1] = c[1], c[0].copy()
        d = a.copy()
        d[0], d[1] = d[1], d[0]  # as in NumPy, both rows are the second one now
        v = a[0].copy()
        v[1:] = v[:-1]
        w = a[0].copy()
        w[:-1] = w[1:]
        u = a.copy()
        u[::-1] = u
        t = a.copy()
        t[...] = t.T
        return b, c, d, v, w, u, t

    check(f, M)


def test_duplicate_indices_keep_numpy_s_meaning():
    def f(x):
        r = np.zeros(3)
        r[[0, 0, 1]] += x  # once per place
        s = np.zeros(3)
        s[[0, 0, 1]] = x  # the last one stays
        return r, s

    check(f, X)


def test_functions_that_write():
    def f(x):
        a = np.zeros((3, 3))
        np.fill_diagonal(a, x)
        b = np.zeros(3)
        np.put(b, [2, 0], x[:2])
        c = np.ones(3)
        np.place(c, np.array([True, False, True]), x)
        d = np.ones(3)
        np.copyto(d, x, where=np.array([True, True, False]))
        e = np.zeros(3)
        e.fill(x[1])
        g = np.ones(3)
        np.putmask(g, g > 0, x)
        h = np.zeros((2, 3))
        np.put_along_axis(h, np.array([[1], [2]]), x[:2].reshape(2, 1), axis=1)
        i = x * 1.0
        i.put([0], 9.0)
        j = np.sin(4 * x)
        j.sort()
        return a, b, c, d, e, g, h, i, j

    check(f, X)


@pytest.mark.parametrize(
    "write",
    [
        lambda r: np.put(r, [0], 5.0),
        lambda r: np.fill_diagonal(r, 5.0),
        lambda r: np.place(r, r > 0, 5.0),
        lambda r: np.putmask(r, r > 0, 5.0),
        lambda r: np.copyto(r, 5.0),
        lambda r: r.fill(5.0),
        lambda r: r.sort(),
        lambda r: np.add(r, 1.0, out=r),
        lambda r: np.multiply.at(r, (0, 0), 5.0),
        lambda r: r.__setitem__((0, 0), 5.0),
        lambda r: r.__iadd__(5.0),
        lambda r: np.clip(r, 0.0, 1.0, out=r),
        lambda r: np.random.default_rng(0).shuffle(r[0]),
        lambda r: np.nan_to_num(r, copy=False),
    ],
)
@pytest.mark.filterwarnings("ignore:you are shuffling")
def test_a_constant_of_an_earlier_equation_is_kept_as_it_was(write):
    def f(x):
        r = np.array([[3.0, 1.0, 2.0], [1.0, 5.0, 4.0], [2.0, 2.0, 7.0]])
        y = x * r
        write(r)
        return y, x * r

    check(f, M)


def test_views_of_complex_parts():
    def f(x):
        z = x + 1j * x[::-1]
        real = z.real
        z.imag = x * x
        z.real[0] = 3.0
        np.real(z)[1] *= 2.0
        z[2] = x[2]
        return np.abs(z) ** 2, real, z.real, z.imag

    check(f, X)


@pytest.mark.filterwarnings("ignore:Setting the shape")
def test_shape():
    def f(x):
        a = x * 2.0
        a.shape = (3, 1)
        assert a.shape == (3, 1)
        b = np.arange(6.0)
        b.shape = (2, 3)
        b[0] = x
        return a, b

    check(f, X)

    def with_view(x):
        a = x * 2.0
        view = a[1:]
        a.shape = (3, 1)
        return view

    assert "the shape of `a` cannot be set" in refusal(with_view, X)


@pytest.mark.parametrize(
    "view",
    [
        np.transpose,
        np.flip,
        np.squeeze,
        np.ravel,
        np.real,
        lambda a: np.asarray(a),
        lambda a: np.asanyarray(a),
        lambda a: np.ascontiguousarray(a),
        lambda a: np.asfortranarray(a),
        np.atleast_1d,
        np.atleast_2d,
        np.atleast_3d,
        np.diagonal,
        np.fliplr,
        np.flipud,
        np.rot90,
        np.copy,
        lambda a: np.array(a),
        np.positive,
        np.conj,
        np.matrix_transpose,
        lambda a: a.T,
        lambda a: a.mT,
        lambda a: a.flatten(),
        lambda a: a.ravel("F"),
        lambda a: a.ravel("K"),
        lambda a: a.flatten("A"),
        lambda a: a.reshape(-1),
        lambda a: a.T.reshape(-1),
        lambda a: a.reshape(-1, order="F"),
        lambda a: a.reshape(9, 1, order="A"),
        lambda a: a[:, 1:].reshape(-1),
        lambda a: a[:, 1:].reshape(3, 2, 1),
        lambda a: np.expand_dims(a, 1),
        lambda a: np.swapaxes(a, 0, 1),
        lambda a: np.moveaxis(a, 0, 1),
        lambda a: np.rollaxis(a, 1),
        lambda a: np.broadcast_to(a, (2, 3, 3)),
        lambda a: np.split(a, 3)[1],
        lambda a: np.array_split(a, 2, axis=1)[0],
        lambda a: np.hsplit(a, 3)[0],
        lambda a: np.vsplit(a, 3)[0],
        lambda a: np.take(a, [0, 1], axis=0),
        lambda a: np.compress([True, False, True], a, axis=0),
        lambda a: np.broadcast_arrays(a, a)[0],
        lambda a: a.view(),
        lambda a: a.astype(float),
        lambda a: a.astype(float, copy=False),
        lambda a: a.squeeze(),
        lambda a: a.diagonal(),
        lambda a: a.conj(),
        lambda a: a.copy("F"),
        lambda a: np.array(a, copy=None),
        lambda a: np.array(a, ndmin=3, copy=None),
        lambda a: np.asarray(a, order="F"),
        lambda a: np.tile(a, (1, 1)),
        lambda a: np.repeat(a, 1, axis=0),
        lambda a: np.concatenate([a]),
        lambda a: np.sum(a, axis=()),
        lambda a: np.roll(a, 0),
        lambda a: np.clip(a, None, 100.0),
        lambda a: np.round(a, 3),
        lambda a: np.nan_to_num(a),
        lambda a: np.sort(a),
        lambda a: np.unstack(a)[0] if hasattr(np, "unstack") else a,
        lambda a: np.permute_dims(a, (1, 0)),
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=0),
        lambda a: np.meshgrid(a[0], a[1])[0],
        lambda a: np.diag(a),
        lambda a: np.triu(a),
        lambda a: np.resize(a, (3, 3)),
        lambda a: np.squeeze(a[:, :1], axis=1),
        lambda a: a.transpose(1, 0),
        lambda a: a.swapaxes(0, 1),
    ],
)
def test_what_is_a_view_and_what_is_a_copy(view):
    def write_base(x):
        a = x * 1.0
        v = view(a)
        a[0] = 7.0
        a *= 2.0
        return a, np.sum(v)

    def write_view(x):
        a = x * 1.0
        v = view(a)
        v[...] = 7.0
        return a, np.sum(v)

    check(write_base, M)
    try:
        write_view(M)
    except (ValueError, DeprecationWarning):
        with pytest.raises((ValueError, TypeError)):  # a view that NumPy has made read-only
            cr.vjp(write_view, M)
        return
    check(write_view, M)


def test_shared_memory():
    def f(x):
        r = x * 1.0
        assert np.shares_memory(r, r[0:1])
        assert np.may_share_memory(r[::-1], r)
        assert not np.shares_memory(r[:1], r[1:])
        assert not np.shares_memory(r, r.copy())
        assert r[1:].base is r
        return r

    check(f, X)


def test_the_caller_s_arrays_stay_untouched():
    def f(x, y):
        x[:, 0] = 0.0
        x.T[1] *= 2.0
        x.sort()
        y += 1.0
        return x, y

    check(f, M, X)


def test_integers_take_no_floats():
    def f(x):
        r = np.zeros(3, int)
        r[0] = x[0]
        return r * x

    assert "is assigned into an array of int64" in refusal(f, X)

    def g(x):
        r = np.zeros(3, int)
        r[0] = 2.7  # NumPy cuts it off
        r += 1
        with pytest.raises(TypeError, match="same_kind"):
            r += 0.5
        return r * x

    check(g, X)


def test_single_precision_stays_single():
    def f(x):
        r = np.zeros(3, np.float32)
        r[...] = x
        r += x
        return r

    value, pull = cr.vjp(f, X)
    np.testing.assert_array_equal(value, f(X))
    assert value.dtype == np.float32
    assert pull(np.ones(3, np.float32))[0].dtype == np.float64


def test_writing_what_does_not_fit():
    def f(x):
        x[0:2] = x

    with pytest.raises(ValueError, match="broadcast"):
        cr.vjp(f, X)

    def g(x):
        x += np.ones((2, 3))

    with pytest.raises(ValueError, match="non-broadcastable"):
        cr.vjp(g, X)
