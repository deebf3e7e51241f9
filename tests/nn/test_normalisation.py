"""Normalisation and dropout."""

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn, random
from chainrule.errors import ShapeError, TraceError
from chainrule.tree import flatten
from chainrule.tree import map as tree_map
from tests.nn.oracle import DTYPES, compare_model, drawn, torch_or_skip

KEY = random.key(2)


def shaken(model):
    """Return a model whose parameters are not all 0 and 1."""
    rng = np.random.default_rng(0)
    return tree_map(lambda p: (p + rng.normal(0, 0.3, p.shape)).astype(p.dtype), model)


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize(("shape", "last"), [((4, 5), 5), ((2, 3, 5), (3, 5)), ((3, 4, 1), 1)])
def test_layer_norm_against_torch(shape, last, dtype):
    torch = torch_or_skip()
    compare_model(
        shaken(nn.LayerNorm.init(last, dtype=dtype)),
        lambda layer, x: layer(x),
        torch.nn.LayerNorm(last),
        lambda layer, x: layer(x),
        drawn(0, dtype, shape),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize(("shape", "last"), [((4, 5), 5), ((2, 3, 5), (3, 5))])
def test_rms_norm_against_torch(shape, last, dtype):
    torch = torch_or_skip()
    compare_model(
        shaken(nn.RMSNorm.init(last, eps=1e-4, dtype=dtype)),
        lambda layer, x: layer(x),
        torch.nn.RMSNorm(last, eps=1e-4),
        lambda layer, x: layer(x),
        drawn(0, dtype, shape),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("shape", [(2, 6, 5), (3, 6, 3, 2)])
def test_group_norm_against_torch(shape, groups, dtype):
    torch = torch_or_skip()
    compare_model(
        shaken(nn.GroupNorm.init(groups, 6, dtype=dtype)),
        lambda layer, x: layer(x),
        torch.nn.GroupNorm(groups, 6),
        lambda layer, x: layer(x),
        drawn(0, dtype, shape),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5), (2, 3, 4, 3)])
@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_against_torch(train, shape, dtype):
    torch = torch_or_skip()
    layer = shaken(nn.BatchNorm.init(3, momentum=0.3, dtype=dtype))
    module = getattr(torch.nn, f"BatchNorm{max(1, len(shape) - 2)}d")(3, momentum=0.3)
    module = module.to(torch.float64 if dtype == np.float64 else torch.float32)
    state = layer.init_state()
    batches = drawn(1, dtype, *[shape] * 3)
    for batch in batches:
        _, state = layer(batch * 2 + 1, state, train=True)
        module(torch.tensor(batch * 2 + 1))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(state.mean, module.running_mean.numpy(), atol=tolerance)
    np.testing.assert_allclose(state.variance, module.running_var.numpy(), atol=tolerance)
    assert state.mean.dtype == state.variance.dtype == dtype
    module.train(train)
    compare_model(
        layer,
        lambda layer, x: layer(x, state, train=train)[0],
        module,
        lambda layer, x: layer(x),
        batches[:1],
        None if dtype == np.float64 else 1e-3,
    )


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.LayerNorm.init(3), (2, 3)),
        (nn.LayerNorm.init((2, 3), bias=False), (2, 2, 3)),
        (nn.RMSNorm.init(3), (2, 3)),
        (nn.GroupNorm.init(2, 4), (2, 4, 3)),
    ],
)
def test_gradients(layer, shape):
    x = drawn(2, np.float64, shape)[0]
    check_gradients(lambda m, x: np.sum(np.sin(m(x))), shaken(layer), x, order=2)
    single = tree_map(lambda p: p.astype(np.float32), layer)
    assert single(x.astype(np.float32)).dtype == np.float32


def test_gradients_of_batch_norm():
    layer, x = shaken(nn.BatchNorm.init(2)), drawn(3, np.float64, (5, 2))[0]
    check_gradients(lambda m, x: np.sum(np.sin(m(x, train=True))), layer, x, order=2)
    state = layer(x, layer.init_state(), train=True)[1]
    check_gradients(lambda m, x: np.sum(np.sin(m(x, state)[0])), layer, x)


def test_no_gradient_flows_through_the_state():
    layer, x = nn.BatchNorm.init(2), drawn(3, np.float64, (5, 2))[0]

    def after(x):
        return np.sum(layer(x, layer.init_state(), train=True)[1].mean)

    assert np.all(grad(after)(x) == 0.0)


def test_state_in_a_sequential():
    keys = random.split(KEY, 2)
    model = nn.Sequential(
        nn.Linear.init(keys[0], 3, 4),
        nn.BatchNorm.init(4),
        nn.relu,
        nn.Residual(nn.Sequential(nn.Linear.init(keys[1], 4, 4), nn.BatchNorm.init(4))),
        nn.Dropout(0.3),
    )
    state = model.init_state()
    assert len(flatten(state)[0]) == 4
    x = drawn(4, np.float64, (6, 3))[0]

    def loss(model, state, key):
        y, state = model(x, state, key=key, train=True)
        return np.mean(np.square(y)), state

    slopes, after = grad(loss, has_aux=True)(model, state, KEY)
    assert flatten(slopes)[1] == flatten(model)[1]
    assert flatten(after)[1] == flatten(state)[1]
    assert all(isinstance(leaf, np.ndarray) for leaf in flatten(after)[0])
    assert not np.array_equal(after[1].mean, state[1].mean)
    assert not np.array_equal(after[3][1].mean, state[3][1].mean)
    one, same = model(x, after)
    assert one.shape == (6, 4)
    assert flatten(same)[0][0] is flatten(after)[0][0]


def test_batch_norm_without_state():
    with pytest.raises(TraceError, match=r"model\.init_state") as caught:
        nn.Sequential(nn.BatchNorm.init(2))(np.ones((3, 2)))
    assert "test_normalisation.py" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "name"),
    [
        (nn.LayerNorm.init(3), (2, 4), r"LayerNorm\(3\)"),
        (nn.LayerNorm.init((2, 3)), (3, 3), r"LayerNorm\(2, 3\)"),
        (nn.RMSNorm.init(3), (2, 4), r"RMSNorm\(3\)"),
        (nn.GroupNorm.init(2, 4), (2, 3, 4), r"GroupNorm\(2, 4\)"),
        (nn.BatchNorm.init(4), (2, 3), r"BatchNorm\(4\)"),
    ],
)
def test_wrong_shapes(layer, shape, name):
    with pytest.raises(ShapeError, match=name + " got an input of shape"):
        layer(np.ones(shape))


def test_dropout():
    layer, x = nn.Dropout(0.25), np.ones((100, 100), np.float32)
    y = layer(x, key=KEY, train=True)
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1 / 0.75)}
    assert np.mean(y) == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(y, layer(x, key=KEY, train=True))
    slope = grad(lambda x: np.sum(layer(x, key=KEY, train=True)))(x)
    np.testing.assert_array_equal(slope, y)
    assert layer(x, key=KEY) is x
    with pytest.raises(TraceError, match="got no key"):
        layer(x, train=True)
    with pytest.raises(ValueError, match="below 1"):
        nn.Dropout(1.0)


def test_layers_of_a_sequential_get_keys_of_their_own():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    y = model(np.ones(10_000), key=KEY, train=True)
    assert np.mean(y != 0.0) == pytest.approx(0.25, abs=0.02)
