"""Linear layers, activations, initialisers and containers."""

import dataclasses
import pickle

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn, random, vmap
from chainrule.errors import ShapeError, TraceError
from chainrule.tree import flatten
from chainrule.tree import map as tree_map
from chainrule.tree import paths as leaf_paths
from tests.nn.oracle import DTYPES, close, compare, compare_model, drawn, torch_or_skip

KEY = random.key(7)
ACTIVATIONS = {
    "relu": nn.relu,
    "relu6": nn.relu6,
    "leaky_relu": nn.leaky_relu,
    "elu": nn.elu,
    "selu": nn.selu,
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
    "silu": nn.silu,
    "softplus": nn.softplus,
    "mish": nn.mish,
    "gelu": nn.gelu,
}


# -- activations ---------------------------------------------------------------------------------


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_against_torch(name, dtype):
    torch = torch_or_skip()
    x = np.concatenate([np.linspace(-8, 8, 41), [-0.7, 1e-3, 30.0, -30.0]]).astype(dtype)
    compare(ACTIVATIONS[name], getattr(torch.nn.functional, name), [x])


@pytest.mark.oracle
@DTYPES
def test_other_activations_against_torch(dtype):
    F = torch_or_skip().nn.functional
    arrays = drawn(0, dtype, (3, 4, 6))
    compare(nn.gelu_tanh, lambda x: F.gelu(x, approximate="tanh"), arrays)
    compare(nn.glu, F.glu, arrays)
    # PyTorch's own hardsigmoid takes 1/6 in single precision
    compare(nn.hard_sigmoid, lambda x: F.relu6(x + 3) / 6, arrays)
    compare(lambda x: nn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), arrays)
    compare(lambda x: nn.elu(x, 0.7), lambda x: F.elu(x, 0.7), arrays)
    for axis in (-1, 1, 0):
        compare(lambda x, a=axis: nn.softmax(x, a), lambda x, a=axis: F.softmax(x, a), arrays)
        compare(
            lambda x, a=axis: nn.log_softmax(x, a), lambda x, a=axis: F.log_softmax(x, a), arrays
        )


@pytest.mark.parametrize(
    "f", [*ACTIVATIONS.values(), nn.hard_sigmoid, nn.gelu_tanh, nn.softmax, nn.log_softmax]
)
def test_activation(f):
    check_gradients(f, np.array([-2.3, -0.4, 0.6, 1.9]), order=2)
    for dtype in (np.float32, np.float64):
        x = np.array([-200.0, -1.0, 0.0, 2.0, 200.0], dtype)
        assert f(x).dtype == dtype
        assert np.all(np.isfinite(f(x)))
        slope = grad(lambda x: np.sum(f(x)))(x)
        assert slope.dtype == dtype
        assert np.all(np.isfinite(slope))
        with np.errstate(invalid="ignore"):
            assert np.isnan(f(np.array([np.nan], dtype)))[0]


def test_derivative_of_relu_at_its_kink():
    assert grad(nn.relu)(0.0) == 0.0
    assert grad(nn.relu6)(0.0) == 0.0
    assert grad(nn.relu6)(6.0) == 0.0


# -- initialisers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (150 + 1250)),
        ("glorot_normal", 2 / (150 + 1250)),
        ("he_uniform", 2 / 150),
        ("he_normal", 2 / 150),
        ("lecun_uniform", 1 / 150),
        ("lecun_normal", 1 / 150),
        ("fan_in_uniform", 1 / (3 * 150)),
        ("orthogonal", 1 / 250),
        ("normal", 0.02**2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_variance(name, variance, dtype):
    weight = getattr(nn.initialisers, name)(KEY, (250, 30, 5), dtype)
    assert weight.shape == (250, 30, 5)
    assert weight.dtype == dtype
    assert np.var(weight) == pytest.approx(variance, rel=0.03)
    assert abs(np.mean(weight)) < 0.05 * np.sqrt(variance)


def test_truncated_normal_and_refusals():
    drawn_weight = nn.initialisers.truncated_normal(KEY, (100, 100), np.float32, std=0.1)
    assert drawn_weight.dtype == np.float32
    assert np.max(np.abs(drawn_weight)) <= 0.2
    with pytest.raises(ValueError, match="needs 2 axes"):
        nn.initialisers.he_normal(KEY, (3,))


# -- linear layers -------------------------------------------------------------------------------


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 4, 3), (0, 3)])
def test_linear_against_torch(shape, bias, dtype):
    torch = torch_or_skip()
    compare_model(
        nn.Linear.init(KEY, 3, 4, bias=bias, dtype=dtype),
        lambda layer, x: layer(x),
        torch.nn.Linear(3, 4, bias=bias),
        lambda layer, x: layer(x),
        drawn(0, dtype, shape),
    )


@pytest.mark.oracle
@DTYPES
def test_embedding_against_torch(dtype):
    torch = torch_or_skip()
    ids = np.array([[1, 2, 2], [5, 1, 1]])
    compare_model(
        nn.Embedding.init(KEY, 6, 4, dtype=dtype),
        lambda table: table(ids),
        torch.nn.Embedding(6, 4),
        lambda table: table(torch.tensor(ids)),
        [],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    model = nn.Sequential(nn.Linear.init(KEY, 3, 4, dtype=dtype), nn.gelu, nn.Residual(np.tanh))
    x = drawn(0, dtype, (2, 3))[0]
    assert model(x).dtype == dtype
    slopes = grad(lambda m: np.sum(m(x)))(model)
    assert {leaf.dtype for leaf in flatten(slopes)[0]} == {np.dtype(dtype)}


def test_gradients_of_a_model():
    first, second = random.split(KEY)
    model = nn.Sequential(
        nn.Linear.init(first, 3, 4), nn.silu, nn.Residual(nn.Linear.init(second, 4, 4, bias=False))
    )
    x = drawn(0, np.float64, (5, 3))[0]
    check_gradients(lambda m, x: np.mean(np.square(m(x))), model, x, order=2)


def test_gradient_for_each_example():
    first, second = random.split(KEY)
    model = nn.Sequential(nn.Linear.init(first, 3, 4), nn.gelu, nn.Linear.init(second, 4, 2))
    x, classes = drawn(0, np.float64, (5, 3))[0], np.array([0, 1, 1, 0, 1])

    def loss(model, x, c):
        return nn.cross_entropy(model(x), c)

    each = vmap(grad(loss), in_axes=(None, 0, 0))(model, x, classes)
    for row in range(5):
        alone = grad(loss)(model, x[row : row + 1], classes[row : row + 1])
        for got, expected in zip(flatten(each)[0], flatten(alone)[0], strict=True):
            np.testing.assert_allclose(got[row], expected, atol=1e-12)


def test_same_key_same_parameters():
    one, two = nn.Linear.init(KEY, 3, 4), nn.Linear.init(KEY, 3, 4)
    np.testing.assert_array_equal(one.weight, two.weight)
    np.testing.assert_array_equal(one.bias, two.bias)
    assert not np.array_equal(one.weight, nn.Linear.init(random.key(8), 3, 4).weight)


# -- trees ---------------------------------------------------------------------------------------


def model_of_all():
    keys = random.split(KEY, 3)
    return nn.Sequential(
        nn.Embedding.init(keys[0], 9, 3),
        nn.Linear.init(keys[1], 3, 3),
        nn.relu,
        nn.Residual(nn.Sequential(nn.Linear.init(keys[2], 3, 3, bias=False), np.tanh)),
    )


def test_model_is_a_tree():
    model = model_of_all()
    leaves, treedef = flatten(model)
    assert [leaf.shape for leaf in leaves] == [(9, 3), (3, 3), (3,), (3, 3)]
    assert leaf_paths(model, "model")[1] == "model.layers[1].weight"
    again = treedef.unflatten(leaves)
    ids = np.array([1, 2])
    np.testing.assert_array_equal(again(ids), model(ids))
    assert flatten(again)[1] == treedef
    halved = tree_map(lambda leaf: leaf / 2, model)
    np.testing.assert_array_equal(halved[1].weight, model[1].weight / 2)


def test_model_can_be_pickled_and_replaced():
    model = model_of_all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(np.array([3])), model(np.array([3])))
    layer = dataclasses.replace(model[1], bias=np.zeros(3))
    assert layer.weight is model[1].weight


def test_model_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        model_of_all()[1].weight = 0.0


def test_printing():
    assert repr(model_of_all()) == (
        "Sequential(  # 48 parameters\n"
        "  Embedding(weight=float64[9, 3]),  # 27\n"
        "  Linear(weight=float64[3, 3], bias=float64[3]),  # 12\n"
        "  relu,\n"
        "  Residual(  # 9\n"
        "    layer=Sequential(  # 9\n"
        "      Linear(weight=float64[3, 3]),  # 9\n"
        "      tanh,\n"
        "    ),\n"
        "  ),\n"
        ")"
    )
    assert repr(nn.Function(np.tanh)) == "tanh"
    assert nn.summary({"scale": np.float32(2.0)}) == "{'scale': float32[]}  # 1 parameter"
    assert nn.parameter_count(model_of_all()) == 48


def test_user_defined_model_prints_and_learns():
    @dataclasses.dataclass(frozen=True, repr=False)
    class Autoencoder(nn.Printed):
        encoder: nn.Linear
        decoder: nn.Linear

        def __call__(self, x):
            return self.decoder(nn.tanh(self.encoder(x)))

    first, second = random.split(KEY)
    model = Autoencoder(nn.Linear.init(first, 4, 2), nn.Linear.init(second, 2, 4))
    assert repr(model).splitlines()[1] == (
        "  encoder=Linear(weight=float64[2, 4], bias=float64[2]),  # 10"
    )
    x = drawn(0, np.float64, (6, 4))[0]

    def loss(m):
        return nn.squared_error(m(x), x)

    before = loss(model)
    for _ in range(20):
        model = tree_map(lambda p, g: p - 0.3 * g, model, grad(loss)(model))
    assert loss(model) < 0.9 * before


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "help"),
    [
        (np.ones((5, 4)), "make the layer for inputs with 4 features"),
        (np.ones((3, 5)), "np.moveaxis(x, 0, -1)"),
        (np.ones((5, 3, 2)), "np.moveaxis(x, 1, -1)"),
    ],
)
def test_wrong_shape_names_layer_and_place(x, help):
    layer = nn.Linear.init(KEY, 3, 4)
    with pytest.raises(ShapeError) as caught:
        layer(x)
    message = str(caught.value)
    assert message.startswith(f"Linear(3 → 4) got an input of shape {x.shape}")
    assert "test_layers.py" in message
    assert "layer(x)" in message
    assert help in message


def test_images_given_to_a_linear_layer():
    with pytest.raises(ShapeError, match=r"x\.reshape\(\*x\.shape\[:1\], 64\)"):
        nn.Linear.init(KEY, 64, 4)(np.ones((5, 8, 8)))


def test_embedding_refuses_fractions():
    with pytest.raises(TraceError, match=r"indices\.astype\(int\)"):
        nn.Embedding.init(KEY, 5, 2)(np.array([1.0]))


def test_sequential_refuses_what_it_cannot_train():
    class Opaque:
        def __init__(self):
            self.weight = np.ones(3)

        def __call__(self, x):
            return self.weight * x

    with pytest.raises(TypeError, match="make its class a dataclass"):
        nn.Sequential(Opaque())
    with pytest.raises(TypeError, match="something to call"):
        nn.Sequential(np.ones(3))


def test_close_sees_a_difference():
    with pytest.raises(AssertionError):
        close(np.ones(3), np.array([1, 1, 1 + 1e-8]), 1e-10, "value")
