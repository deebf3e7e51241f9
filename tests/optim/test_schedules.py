"""Schedules: their values at the points that define them."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

ALL = {
    "constant": optim.constant(0.3),
    "step": optim.step_decay(0.3, 4),
    "piecewise": optim.piecewise_constant(0.3, {3: 0.5, 9: 0.1}),
    "exponential": optim.exponential_decay(0.3, 0.9),
    "linear": optim.linear(0.3, 0.1, 10),
    "polynomial": optim.polynomial_decay(0.3, 0.1, 10, 2.0),
    "cosine": optim.cosine_decay(0.3, 10),
    "restarts": optim.cosine_restarts(0.3, 5),
    "growing restarts": optim.cosine_restarts(0.3, 2, growth=3),
    "warm-up": optim.linear_warmup(0.3, 5),
    "warm-up and cosine": optim.warmup_cosine(0.3, 5, 15),
    "one cycle": optim.one_cycle(0.3, 20),
    "joined": optim.join_schedules([optim.constant(0.3), optim.cosine_decay(0.3, 5)], [4]),
}


@pytest.mark.parametrize("name", ALL)
def test_many_steps_at_once_give_the_values_of_each(name):
    steps = np.arange(25)
    each = [ALL[name](step) for step in steps]
    np.testing.assert_allclose(np.broadcast_to(ALL[name](steps), 25), each, rtol=1e-14)
    assert all(np.shape(value) == () for value in each)


@pytest.mark.parametrize("name", ALL)
def test_a_schedule_takes_a_step_whose_value_is_not_known(name):
    counts = np.arange(25)
    _, values = cr.scan(lambda carry, step: (carry, 1.0 * ALL[name](step)), 0.0, counts)
    np.testing.assert_allclose(values, np.broadcast_to(ALL[name](counts), 25), rtol=1e-12)


def test_warm_up_and_cosine():
    schedule = optim.warmup_cosine(1.0, 10, 110, initial=0.2, final=0.1)
    values = {0: 0.2, 5: 0.6, 10: 1.0, 60: 0.55, 110: 0.1, 500: 0.1}
    for step, value in values.items():
        assert schedule(step) == pytest.approx(value)


def test_restarts_begin_at_the_sums_of_a_geometric_series():
    schedule = optim.cosine_restarts(1.0, 3, growth=4)
    for start in (0, 3, 15, 63, 255, 1023, 4095, 16383):
        assert schedule(start) == 1.0
        assert start == 0 or schedule(start - 1) < 0.4


def test_one_cycle_rises_and_falls():
    schedule = optim.one_cycle(1.0, 100, warm_fraction=0.25, divisor=10.0, final_divisor=100.0)
    assert schedule(0) == pytest.approx(0.1)
    assert schedule(24) == pytest.approx(1.0)
    assert schedule(99) == pytest.approx(0.001)
    assert np.all(np.diff(schedule(np.arange(25))) > 0)
    assert np.all(np.diff(schedule(np.arange(24, 100))) < 0)


def test_an_optimiser_counts_from_zero():
    optimiser = optim.sgd(optim.piecewise_constant(1.0, {1: 0.5, 2: 0.5}))
    state = optimiser.init(0.0)
    sizes = []
    for _ in range(3):
        updates, state = optimiser.update(1.0, state)
        sizes.append(float(updates))
    assert sizes == [-1.0, -0.5, -0.25]


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.warmup_cosine(1.0, 10, 10),
        lambda: optim.step_decay(1.0, 0),
        lambda: optim.one_cycle(1.0, 3),
        lambda: optim.join_schedules([optim.constant(1.0)], [3]),
        lambda: optim.join_schedules([optim.constant(1.0)] * 3, [5, 3]),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(make):
    with pytest.raises(ValueError, match=r"must be|few"):
        make()
