"""States are trees of arrays; nothing is changed in place; dtypes and structures are kept."""

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.tree import flatten
from chainrule.tree import map as tree_map


@dataclasses.dataclass
class Dense:
    W: Any
    b: Any


OPTIMISERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, 0.9, weight_decay=0.1),
    "nesterov": optim.sgd(optim.cosine_decay(0.1, 10), 0.9, nesterov=True),
    "adam": optim.adam(0.1),
    "amsgrad": optim.adam(optim.warmup_cosine(0.1, 2, 10), amsgrad=True),
    "adamw": optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.1)),
    "nadam": optim.nadam(0.1),
    "adamax": optim.adamax(0.1),
    "adagrad": optim.adagrad(0.1, decay=0.1),
    "rmsprop": optim.rmsprop(0.1, momentum=0.9, centred=True),
    "lion": optim.lion(0.1, weight_decay=0.1),
    "adafactor": optim.adafactor(0.1, weight_decay=0.1),
    "clip": optim.chain(optim.clip_by_value(0.5), optim.scale(-0.1)),
    "accumulate": optim.accumulate(optim.adam(0.1), 3),
    "average": optim.chain(optim.adam(0.1), optim.ema_of_parameters(0.9, warm_up=True)),
    "lookahead": optim.lookahead(optim.adam(0.1), 3),
    "plateau": optim.chain(optim.adam(0.1), optim.reduce_on_plateau(0.5, patience=1)),
    "masked": optim.masked(optim.adam(0.1), lambda tree: [{"W": True, "b": False}, Dense(True, 0)]),
    "lbfgs": optim.lbfgs(0.1, history=3, line_search=False),
    "lbfgs search": optim.lbfgs(history=3),
}


def model(dtype):
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.normal(size=shape).astype(dtype)
    return [{"W": draw(3, 2), "b": draw(2)}, Dense(draw(2, 1), np.asarray(draw(), dtype))]


def loss(params):
    hidden = np.tanh(np.array([[1.0, -2.0, 0.5]], np.float32) @ params[0]["W"] + params[0]["b"])
    return np.sum((hidden @ params[1].W + params[1].b - 3) ** 2)


closure = cr.value_and_grad(loss)


def step(optimiser, params, state):
    value, gradients = closure(params)
    updates, state = optimiser.update(gradients, state, params, value=value, closure=closure)
    return optim.apply(params, updates), state


def after(steps, name, dtype):
    """Parameters and state after some steps."""
    params = model(dtype)
    state = OPTIMISERS[name].init(params)
    for _ in range(steps):
        params, state = step(OPTIMISERS[name], params, state)
    return params, state


def bits(tree):
    return [(np.asarray(x).dtype, np.shape(x), np.asarray(x).tobytes()) for x in flatten(tree)[0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_dtypes_and_structures_are_kept(name, dtype):
    params = model(dtype)
    state = OPTIMISERS[name].init(params)
    structure, types = flatten(state)[1], [x.dtype for x in flatten(state)[0]]
    for _ in range(7):
        params, state = step(OPTIMISERS[name], params, state)
        assert flatten(state)[1] == structure
        assert [x.dtype for x in flatten(state)[0]] == types
        assert flatten(params)[1] == flatten(model(dtype))[1]
        assert {x.dtype for x in flatten(params)[0]} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_saved_state_goes_on_bit_by_bit(name):
    params, state = after(4, name, np.float32)
    # A file holds arrays, not NumPy's scalars.
    other_params, other = tree_map(lambda x: np.array(x, copy=True), (params, state))
    other = pickle.loads(pickle.dumps(other))
    for _ in range(6):
        params, state = step(OPTIMISERS[name], params, state)
        other_params, other = step(OPTIMISERS[name], other_params, other)
    assert bits(params) == bits(other_params)
    assert bits(state) == bits(other)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_nothing_is_changed_in_place(name):
    params, state = after(3, name, np.float64)
    before = bits((params, state))
    for leaf in flatten((params, state))[0]:
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False
    first = step(OPTIMISERS[name], params, state)
    assert bits(first) == bits(step(OPTIMISERS[name], params, state))
    assert bits((params, state)) == before


@pytest.mark.parametrize("name", OPTIMISERS)
def test_parameters_that_are_changed_in_place_leave_the_state_alone(name):
    params, state = after(0, name, np.float64)
    before = bits(state)
    params[0]["W"] += 1
    assert bits(state) == before


@pytest.mark.parametrize("name", sorted(set(OPTIMISERS) - {"clip", "lbfgs", "lbfgs search"}))
def test_python_numbers_are_parameters_too(name):
    params = [{"W": 1.0, "b": 2.0}, Dense(3.0, 4.0)]
    state = OPTIMISERS[name].init(params)
    for _ in range(4):
        updates, state = OPTIMISERS[name].update(params, state, params, value=1.0)
        params = optim.apply(params, updates)
    assert all(np.result_type(x) == np.float64 for x in flatten(params)[0])


def test_training_can_be_differentiated():
    data = np.array([1.0, -0.5, 2.0])

    def after_training(log_rate, start):
        rate = np.exp(log_rate)
        optimiser = optim.adam(lambda count: rate, b2=0.9)
        params, state = start, optimiser.init(start)
        for _ in range(4):
            gradients = cr.grad(lambda p: np.sum((np.sin(p) - data) ** 2))(params)
            updates, state = optimiser.update(gradients, state, params)
            params = optim.apply(params, updates)
        return np.sum((np.sin(params) - data) ** 2)

    cr.check_gradients(after_training, -1.0, np.array([0.3, 0.1, 0.4]))


@pytest.mark.parametrize("name", ["nesterov", "amsgrad", "adamw", "nadam", "adamax", "rmsprop"])
def test_training_fits_into_a_scan(name):
    optimiser = OPTIMISERS[name]
    params = {"W": np.array([[0.2, 1.0]]), "b": np.array([0.5, -0.5])}
    gradients = lambda p: tree_map(lambda x: np.sin(3 * x), p)

    def body(carry, _):
        params, state = carry
        updates, state = optimiser.update(gradients(params), state, params)
        return (optim.apply(params, updates), state), None

    start = (params, optimiser.init(params))
    (scanned, _), _ = cr.scan(body, start, None, 6)
    for _ in range(6):
        start, _ = body(start, None)
    for k in params:
        np.testing.assert_allclose(scanned[k], start[0][k], rtol=1e-12)


@pytest.mark.parametrize("name", ["nesterov", "adamw", "adafactor"])
def test_a_step_can_be_compiled(name):
    pytest.importorskip("llvmlite")
    optimiser = OPTIMISERS[name]
    params = model(np.float32)
    state = other = optimiser.init(params)
    compiled = cr.jit(optimiser.update)
    for _ in range(3):
        gradients = closure(params)[1]
        mine, state = compiled(gradients, state, params)
        updates, other = optimiser.update(gradients, other, params)
        for one, two in zip(flatten(mine)[0], flatten(updates)[0], strict=True):
            assert one.dtype == two.dtype
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)
        params = optim.apply(params, updates)


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(OPTIMISERS) - {"sgd", "clip"}))
def test_gradients_of_another_structure_are_refused(name):
    params = model(np.float64)
    state = OPTIMISERS[name].init(params)
    wrong = [{"W": params[0]["W"]}, params[1]]
    with pytest.raises(ValueError, match=r"keys 'W', 'b', got a dict with keys 'W'|mask"):
        OPTIMISERS[name].update(wrong, state, params, value=1.0, closure=closure)


def test_gradients_of_another_shape_are_refused_with_their_place():
    params = {"layers": [np.zeros((2, 3)), np.zeros(3)]}
    optimiser = optim.adam()
    state = optimiser.init(params)
    wrong = {"layers": [np.zeros((2, 3)), np.zeros(1)]}
    with pytest.raises(ValueError, match=r"gradients\['layers'\]\[1\] has shape \(1,\)") as refusal:
        optimiser.update(wrong, state, params)
    assert "(3,)" in str(refusal.value)
    with pytest.raises(ValueError, match=r"updates\['layers'\]\[1\] has shape \(1,\)"):
        optim.apply(params, wrong)


def test_a_missing_argument_is_asked_for():
    for optimiser in (optim.adamw(), optim.lookahead(optim.sgd()), optim.ema_of_parameters()):
        with pytest.raises(ValueError, match=r"call update\(gradients, state, params\)"):
            optimiser.update(1.0, optimiser.init(1.0))
    plateau, search = optim.reduce_on_plateau(), optim.lbfgs()
    with pytest.raises(ValueError, match="value="):
        plateau.update(1.0, plateau.init(1.0))
    with pytest.raises(ValueError, match="closure="):
        search.update(np.ones(2), search.init(np.ones(2)), np.ones(2))


def test_the_state_of_another_chain_is_refused():
    state = optim.sgd(0.1).init(1.0)
    with pytest.raises(ValueError, match="of 1 transformations, this chain has 2"):
        optim.adam().update(1.0, state, 1.0)


def test_a_parameter_that_cannot_be_moved_is_refused_by_name():
    with pytest.raises(TypeError, match=r"params\['n'\] is of dtype int64"):
        optim.adam().init({"W": np.ones(2), "n": 3})
    with pytest.raises(NotImplementedError, match=r"params\['z'\] is complex"):
        optim.adam().init({"z": np.ones(2, complex)})
    with pytest.raises(TypeError, match="argument 1 is float"):
        optim.chain(optim.adam(), 0.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.sgd(-0.1),
        lambda: optim.sgd(0.1, momentum=1.0),
        lambda: optim.sgd(0.1, nesterov=True),
        lambda: optim.adam(b1=1.0),
        lambda: optim.adam(eps=-1e-8),
        lambda: optim.adam(b2=float("nan")),
        lambda: optim.adamw(weight_decay=-1.0),
        lambda: optim.clip_by_global_norm(-1.0),
        lambda: optim.adafactor(beta2_decay=0.8),
        lambda: optim.accumulate(optim.sgd(), 0),
        lambda: optim.lbfgs(history=0),
        lambda: optim.reduce_on_plateau(factor=1.0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match=r"must be|needs a momentum"):
        make()
