"""Models whose values are not known while they are recorded: inside of a scan."""

import numpy as np
import pytest

from chainrule import grad, jit, nn, random, scan, value_and_grad
from chainrule.tree import flatten
from chainrule.tree import map as tree_map
from tests.nn.oracle import drawn

KEYS = random.split(random.key(6), 4)
MODELS = {
    "dense": (
        nn.Sequential(nn.Linear.init(KEYS[0], 3, 4), nn.gelu, nn.Linear.init(KEYS[1], 4, 3)),
        (5, 3),
    ),
    "residual": (
        nn.Sequential(nn.Residual(nn.Linear.init(KEYS[0], 3, 3)), nn.relu, nn.LayerNorm.init(3)),
        (5, 3),
    ),
    "convolution": (
        nn.Sequential(
            nn.Conv2d.init(KEYS[0], 1, 4, 3, padding=1, stride=2),
            nn.GroupNorm.init(2, 4),
            nn.MaxPool2d(2),
            nn.flatten,
            nn.Linear.init(KEYS[1], 16, 3),
        ),
        (5, 1, 8, 8),
    ),
    "transposed": (
        nn.Sequential(nn.Conv1dTransposed.init(KEYS[0], 2, 3, 3, stride=2), nn.global_avg_pool),
        (5, 2, 4),
    ),
    "transformer": (
        nn.Sequential(
            nn.TransformerBlock.init(KEYS[0], 4, 2, hidden=3),
            nn.flatten,
            nn.Linear.init(KEYS[1], 8, 3),
        ),
        (5, 2, 4),
    ),
}
CLASSES = np.array([0, 2, 1, 1, 0])


def trained(step, model, batches, recorded):
    if recorded:
        return scan(lambda m, x: (step(m, x), None), model, batches)[0]
    for x in batches:
        model = step(model, x)
    return model


def same_training(loss, model, batches):
    def step(model, x):
        return tree_map(lambda p, g: p - 0.1 * g, model, grad(loss)(model, x))

    def after(recorded):
        def total(batches):
            leaves = flatten(trained(step, model, batches, recorded))[0]
            return sum(np.sum(leaf * leaf) for leaf in leaves)

        return grad(total)(batches)

    np.testing.assert_allclose(after(True), after(False), atol=1e-9)
    assert np.any(after(True) != 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_training_inside_of_a_scan(name):
    model, shape = MODELS[name]
    same_training(
        lambda m, x: nn.cross_entropy(m(x), CLASSES, label_smoothing=0.1),
        model,
        drawn(0, np.float64, (2, *shape))[0],
    )


def test_class_weights_when_the_classes_are_not_known():
    logits, weights = drawn(3, np.float64, (5, 3))[0], np.array([1.0, 2.0, 0.5])

    def loss(logits, classes):
        return nn.cross_entropy(logits, classes, class_weights=weights, ignore_index=1)

    compiled = jit(value_and_grad(loss))(logits, CLASSES)
    for got, expected in zip(compiled, value_and_grad(loss)(logits, CLASSES), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_recurrent_training_inside_of_a_scan():
    model = nn.LSTM.init(KEYS[0], 2, 3)
    mask = nn.length_mask([4, 2], 4)
    same_training(
        lambda m, x: np.sum(m(x, mask=mask)[0] ** 2), model, drawn(1, np.float64, (2, 2, 4, 2))[0]
    )


def test_state_and_keys_inside_of_a_scan():
    model = nn.Sequential(nn.Linear.init(KEYS[0], 3, 4), nn.BatchNorm.init(4), nn.Dropout(0.5))
    batches = drawn(2, np.float64, (3, 5, 3))[0]
    keys = random.split(KEYS[1], 3)

    def step(state, inputs):
        x, key = inputs
        y, state = model(x, state, key=key, train=True)
        return state, y

    def run(batches):
        return scan(step, model.init_state(), (batches, keys))

    state, ys = run(batches)
    grad(lambda b: np.sum(run(b)[1] ** 2))(batches)
    expected = model.init_state()
    for x, key, y in zip(batches, keys, ys, strict=True):
        got, expected = model(x, expected, key=key, train=True)
        np.testing.assert_allclose(y, got)
    for got, wanted in zip(flatten(state)[0], flatten(expected)[0], strict=True):
        np.testing.assert_allclose(got, wanted)
