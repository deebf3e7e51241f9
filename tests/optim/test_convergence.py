"""Optimisers end at minima; wrappers and clipping do what they say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import optim
from chainrule.tree import flatten


def train(optimiser, f, params, steps):
    closure = cr.value_and_grad(f)
    state = optimiser.init(params)
    for _ in range(steps):
        value, gradients = closure(params)
        updates, state = optimiser.update(gradients, state, params, value=value, closure=closure)
        params = optim.apply(params, updates)
    return params


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


ON_A_QUADRATIC = {
    "sgd": optim.sgd(0.05),
    "momentum": optim.sgd(0.02, 0.9),
    "nesterov": optim.sgd(0.02, 0.9, nesterov=True),
    "adam": optim.adam(optim.cosine_decay(0.1, 1000)),
    "amsgrad": optim.adam(0.05, amsgrad=True),
    "nadam": optim.nadam(optim.cosine_decay(0.1, 1000)),
    "adamax": optim.adamax(0.05),
    "adagrad": optim.adagrad(1.0),
    "rmsprop": optim.rmsprop(optim.cosine_decay(0.05, 1000)),
    "centred": optim.rmsprop(optim.cosine_decay(0.01, 1000), centred=True, momentum=0.5),
    "lion": optim.lion(optim.cosine_decay(0.05, 1000)),
    "adafactor": optim.adafactor(optim.cosine_decay(0.1, 1000)),
    "accumulated": optim.accumulate(optim.sgd(0.05), 3),
    "lookahead": optim.lookahead(optim.sgd(0.05)),
    "clipped": optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(0.05)),
}


@pytest.mark.parametrize("name", ON_A_QUADRATIC)
def test_a_quadratic_is_minimised(name):
    scales = np.array([[1.0, 4.0], [8.0, 2.0]])
    target = {"W": np.array([[1.0, -2.0], [0.5, 3.0]]), "b": np.array([-1.5])}
    f = lambda p: np.sum(scales * (p["W"] - target["W"]) ** 2) + np.sum((p["b"] - target["b"]) ** 2)
    start = {"W": np.ones((2, 2)), "b": np.ones(1)}
    found = train(ON_A_QUADRATIC[name], f, start, 1000)
    for k in target:
        np.testing.assert_allclose(found[k], target[k], atol=2e-3)


@pytest.mark.parametrize(
    ("optimiser", "steps"),
    [
        (optim.adam(0.02), 4000),
        (optim.sgd(5e-4, 0.95, nesterov=True), 4000),
        (optim.lbfgs(), 40),
    ],
)
def test_rosenbrocks_valley_is_followed_to_its_end(optimiser, steps):
    found = train(optimiser, rosenbrock, np.array([-1.2, 1.0]), steps)
    np.testing.assert_allclose(found, [1, 1], atol=1e-3)


# -- L-BFGS --------------------------------------------------------------------------------------


def test_lbfgs_needs_about_as_many_steps_as_scipy():
    start = np.tile([-1.2, 1.0], 5)
    found = optim.minimize(rosenbrock, start, options={"gtol": 1e-8, "ftol": 0})
    mine = train(optim.lbfgs(), rosenbrock, start, int(1.3 * found.iterations) + 5)
    assert np.max(np.abs(cr.grad(rosenbrock)(mine))) < 1e-6


def test_lbfgs_ends_as_exactly_as_the_gradient_allows():
    # Near its minimum the value is 1 up to rounding, long before the gradient is zero.
    f = lambda x: 1 + np.sum(np.cosh(x - np.array([1.0, -2.0, 0.5])) - 1)
    found = train(optim.lbfgs(), f, np.zeros(3), 60)
    np.testing.assert_allclose(found, [1, -2, 0.5], rtol=1e-13)


def test_lbfgs_stays_at_a_minimum():
    found = train(optim.lbfgs(), lambda x: np.sum(x**2), np.zeros(3), 3)
    np.testing.assert_array_equal(found, np.zeros(3))


def test_lbfgs_never_goes_up():
    f = lambda x: np.sum(np.abs(x)) + 0.1 * np.sum(np.cos(9 * x))  # kinks and waves
    x, optimiser = np.array([3.0, -2.0, 0.7]), optim.lbfgs()
    state, values = optimiser.init(x), []
    for _ in range(60):
        value, gradients = cr.value_and_grad(f)(x)
        values.append(value)
        updates, state = optimiser.update(gradients, state, x, closure=cr.value_and_grad(f))
        x = optim.apply(x, updates)
    assert np.all(np.diff(values) <= 0)
    assert values[-1] < values[0] - 4


def test_lbfgs_minimises_over_complex_numbers():
    A = np.array([[2.0, 1j], [-1j, 3.0]])
    b = np.array([1.0 + 2j, -1j])
    f = lambda z: np.sum(np.abs(A @ z - b) ** 2)
    found = train(optim.lbfgs(), f, np.zeros(2, complex), 30)
    np.testing.assert_allclose(found, np.linalg.solve(A, b), atol=1e-8)


# -- wrappers ------------------------------------------------------------------------------------


def test_accumulation_is_a_larger_batch():
    rng = np.random.default_rng(0)
    batches = rng.normal(size=(20, 3))
    one, two = optim.adam(0.1), optim.accumulate(optim.adam(0.1), 4)
    x, y = np.zeros(3), np.zeros(3)
    state, other = one.init(x), two.init(y)
    for k in range(5):
        updates, state = one.update(np.mean(batches[4 * k : 4 * k + 4], axis=0), state, x)
        x = optim.apply(x, updates)
        for batch in batches[4 * k : 4 * k + 4]:
            updates, other = two.update(batch, other, y)
            y = optim.apply(y, updates)
    np.testing.assert_allclose(x, y, rtol=1e-12)


def test_an_average_is_the_weighted_sum_of_all_parameters():
    path = np.array([0.0, 1.0, 3.0, -2.0])
    keeper = optim.ema_of_parameters(0.5)
    state = keeper.init(path[0])
    for before, after in pairwise(path):
        _, state = keeper.update(after - before, state, before)
    assert optim.averaged_parameters((state, ())) == pytest.approx(
        0.125 * 0.0 + 0.125 * 1 + 0.25 * 3 + 0.5 * -2
    )
    with pytest.raises(ValueError, match="ema_of_parameters"):
        optim.averaged_parameters(optim.adam().init(1.0))


def test_an_average_that_warms_up_forgets_its_beginning():
    keeper = optim.ema_of_parameters(0.999, warm_up=True)
    state = keeper.init(np.array(100.0))
    for _ in range(50):
        _, state = keeper.update(0.0, state, np.array(1.0))
    assert abs(optim.averaged_parameters(state) - 1) < 1e-6


def test_lookahead_goes_a_part_of_the_way_of_its_optimiser():
    ahead, fast = np.array(1.0), np.array(1.0)
    optimiser = optim.lookahead(optim.sgd(0.1, 0.5), period=4, step=0.25)
    inner = optim.sgd(0.1, 0.5)
    state, other = optimiser.init(ahead), inner.init(fast)
    for _ in range(4):
        updates, state = optimiser.update(ahead, state, ahead)
        ahead = optim.apply(ahead, updates)
        updates, other = inner.update(fast, other, fast)
        fast = optim.apply(fast, updates)
    assert float(ahead) == pytest.approx(1 + 0.25 * (float(fast) - 1))


def test_a_plateau_is_seen_in_the_means_of_noisy_values():
    plateau = optim.reduce_on_plateau(0.5, patience=2, average_over=4)
    state, scales = plateau.init(0.0), []
    for step in range(40):
        noise = 10.0 * (-1) ** step
        updates, state = plateau.update(1.0, state, value=max(5.0 - step, 0.0) + noise)
        scales.append(float(updates))
    # The means of 4 fall until step 11; the third one in a row without progress reduces.
    assert scales == [1.0] * 23 + [0.5] * 12 + [0.25] * 5


def test_a_plateau_of_nan_counts_as_no_progress():
    plateau = optim.reduce_on_plateau(0.5, patience=0)
    _, state = plateau.update(1.0, plateau.init(0.0), value=1.0)
    updates, state = plateau.update(1.0, state, value=float("nan"))
    assert updates == 0.5
    assert state.best == 1.0


# -- clipping and masks --------------------------------------------------------------------------

NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=6)


@settings(max_examples=50)
@given(NUMBERS, NUMBERS, st.floats(1e-3, 1e3))
def test_clipping_bounds_the_norm_and_keeps_the_direction(one, two, bound):
    tree = {"a": np.array(one), "b": [np.array(two)]}
    clipped = optim.clip_by_global_norm(bound).update(tree, ())[0]
    norm = float(optim.global_norm(tree))
    assert float(optim.global_norm(clipped)) == pytest.approx(min(norm, bound), rel=1e-12)
    factor = 1.0 if norm <= bound else bound / norm
    for x, y in zip(flatten(tree)[0], flatten(clipped)[0], strict=True):
        np.testing.assert_allclose(y, factor * x, rtol=1e-12)


def test_clipping_of_what_is_not_finite_shows():
    clip = optim.clip_by_global_norm(1.0)
    assert np.all(np.isnan(clip.update(np.array([np.nan, 1.0]), ())[0]))
    assert np.isnan(clip.update(np.array([np.inf, 1.0]), ())[0][0])


def test_clipping_keeps_complex_numbers_and_float32():
    z = optim.clip_by_global_norm(1.0).update(np.array([3 + 4j], np.complex64), ())[0]
    assert z.dtype == np.complex64
    np.testing.assert_allclose(z, [0.6 + 0.8j], rtol=1e-6)
    x = optim.clip_by_global_norm(0.0).update(np.array([3.0], np.float32), ())[0]
    assert x.dtype == np.float32
    assert x == 0


def test_masked_decay_leaves_the_others_alone():
    params = {"layers": [{"W": np.ones((2, 2)), "b": np.ones(2)}], "scale": np.ones(())}
    matrices = lambda tree: {"layers": [{"W": True, "b": False}], "scale": False}
    optimiser = optim.adamw(0.1, weight_decay=0.5, mask=matrices)
    nothing = {"layers": [{"W": np.zeros((2, 2)), "b": np.zeros(2)}], "scale": np.zeros(())}
    updates, _ = optimiser.update(nothing, optimiser.init(params), params)
    np.testing.assert_array_equal(updates["layers"][0]["W"], np.full((2, 2), -0.05))
    assert np.all(updates["layers"][0]["b"] == 0)
    assert updates["scale"] == 0
