"""Tracing where only shapes are known: the body of vmap runs once for all values."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.errors import TraceError

X = np.arange(8.0).reshape(2, 2, 2) / 4 + 0.3


def same(f):
    """What vmap gives is what a loop gives."""
    result = cr.vmap(f)(X)
    expected = np.stack([f(x.copy()) for x in X])
    np.testing.assert_array_equal(result, expected)


def refused(f):
    with pytest.raises(TraceError) as caught:
        cr.vmap(f)(X)
    assert "test_unknown_values.py" in str(caught.value)
    return caught.value.title


def test_branches_and_conversions_are_refused():
    assert "the truth of `x[0, 0]" in refused(lambda x: x if x[0, 0] > 1 else -x)
    assert "int needs the value of `x[0, 0]`" in refused(lambda x: [x, -x][int(x[0, 0])])
    assert "float() needs the value of" in refused(lambda x: x * float(x[0, 0]))
    assert "how many elements this mask selects" in refused(lambda x: x[x > 1].sum())


def test_assignments_and_views():
    def rows(x):
        row, turned = x[0], x.T
        x[0] = x[1] * 2.0
        turned[1] += row[0]
        x[:, 0] *= 3.0
        return x + turned + row

    same(rows)

    def unit_axes(x):
        wide = np.expand_dims(x, 0)
        wide[0, 0] = 5.0
        x *= 2.0
        flat = np.squeeze(wide)
        x[0, 0] = 1.0
        return flat + wide[0]

    same(unit_axes)

    def diagonal(x):
        d = np.diagonal(x)
        x[0, 0] = 9.0
        return d

    same(diagonal)


def test_arrays_without_axes_change_in_place_and_numbers_do_not():
    def through_a_view(x):
        a = x[0, ..., 0]
        a += 1.0
        return x

    same(through_a_view)

    def by_an_alias(x):
        a = np.array(x[0, 0])
        b = a
        a += 1.0
        return b

    same(by_an_alias)

    def a_number(x):
        a = x[0, 0]
        b = a
        a += 1.0
        return x * b + a

    same(a_number)


def test_indices_that_depend_on_values():
    same(lambda x: x[(x[0] > 0.5).astype(int)])
    same(lambda x: np.take(np.arange(9.0), np.argmax(x, axis=1)))


def test_reshaped_arrays_are_refused_where_the_memory_decides():
    def stale(x):
        r = x.reshape(-1)
        x[0] = 5.0
        return r * 2.0

    assert "`r` is a reshaped array" in refused(stale)

    def written(x):
        r = x.ravel()
        r[0] = 5.0
        return x

    assert "assignment through a reshape" in refused(written)

    def rewritten(x):
        r = x.reshape(-1).copy()
        r[0] = 5.0
        return r

    same(rewritten)
