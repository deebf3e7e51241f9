# ruff: noqa: NPY002 -- the legacy functions are what is tested
"""Draws from a hidden random state: refused where they would be frozen, fine elsewhere."""

import threading

import numpy as np
import pytest
from numpy.random import normal as taken_by_name

from chainrule import cond, grad, random, scan, value_and_grad, vmap
from chainrule.program.errors import TraceError
from chainrule.trace.program import trace_program

rng = np.random.default_rng(0)
legacy = np.random.RandomState(0)
XS = np.arange(3.0)


class Model:
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def noisy(self, x):
        return x + self.rng.standard_normal()


def by_scipy(x):
    from scipy import stats

    return x + stats.norm.rvs(random_state=rng)


@pytest.mark.parametrize(
    ("f", "written", "remedy"),
    [
        (lambda x: x + np.random.normal(), "np.random.normal()", "normal"),
        (lambda x: x + np.random.rand(), "np.random.rand()", "uniform"),
        (lambda x: x + taken_by_name(), "taken_by_name()", "normal"),
        (lambda x: x + rng.normal(size=2), "rng.normal(size=2)", "normal"),
        (lambda x: x + rng.integers(3), "rng.integers(3)", "randint"),
        (lambda x: x + legacy.gamma(2.0), "legacy.gamma(2.0)", "gamma"),
        (lambda x: x * rng.permutation(3)[0], "rng.permutation(3)", "permutation"),
        (lambda x: x + np.random.default_rng().random(), "random", "uniform"),
        (lambda x: x + np.random.default_rng(rng).random(), "random", "uniform"),
        (Model().noisy, "self.rng.standard_normal()", "normal"),
        (by_scipy, "standard_normal", "normal"),
    ],
)
def test_refused_while_a_function_is_recorded(f, written, remedy):
    if f is by_scipy:
        pytest.importorskip("scipy.stats")
    with pytest.raises(TraceError) as caught:
        vmap(f)(XS)
    assert written in str(caught.value)
    assert f"chainrule.random.{remedy}(key, ...)" in caught.value.help
    assert caught.value.span.file == __file__


def test_refused_in_every_kind_of_recording():
    def step(total, x):
        return total + x * rng.normal(), None

    with pytest.raises(TraceError, match="just once"):
        grad(lambda start: scan(step, start, XS)[0])(1.0)
    with pytest.raises(TraceError, match="just once"):
        trace_program(lambda x: x * rng.normal(), 1.0, abstract=True)
    with pytest.raises(TraceError, match="just once"):
        vmap(lambda x: cond(x > 0, lambda: x * rng.normal(), lambda: x))(XS)
    with pytest.raises(TraceError, match="just once"):
        vmap(grad(lambda x: x * rng.normal()))(XS)


def test_fine_where_values_are_known():
    seen = []

    def f(x):
        seen.append(rng.normal() + np.random.normal())
        return x * seen[-1]

    assert grad(f)(2.0) == seen[-1]
    assert value_and_grad(f)(2.0) == (2.0 * seen[-1], seen[-1])
    trace_program(f, 1.0)
    scan(lambda total, x: (total + x * rng.normal(), None), 0.0, XS)


def test_a_generator_made_from_a_seed_draws_the_same_in_every_run():
    def f(x):
        return x + np.random.default_rng(3).normal()

    assert np.array_equal(vmap(f)(XS), [f(x) for x in XS])


def test_everything_is_put_back():
    before = np.random.Generator.normal, np.random.normal, np.random.RandomState.normal
    with pytest.raises(TraceError):
        vmap(lambda x: x + rng.normal())(XS)
    vmap(lambda x: x + 1)(XS)
    assert (np.random.Generator.normal, np.random.normal, np.random.RandomState.normal) == before
    state = rng.bit_generator.state["state"]
    with pytest.raises(TraceError):
        vmap(lambda x: x + rng.normal())(XS)
    assert rng.bit_generator.state["state"] == state  # nothing was drawn
    rng.normal(), np.random.normal(), taken_by_name(), legacy.rand()


def test_other_threads_may_draw_meanwhile():
    drawn = []

    def f(x):
        thread = threading.Thread(
            target=lambda: drawn.extend([rng.normal(), np.random.normal(), legacy.normal()])
        )
        thread.start()
        thread.join()
        return x + random.normal(random.key(0))

    vmap(f)(XS)
    assert len(drawn) == 3
