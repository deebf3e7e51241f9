"""Every layer, activation and loss as a model, run in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import grad, nn, random

pytest.importorskip("onnx", reason="models in ONNX's format need the package onnx")
pytest.importorskip("onnxruntime", reason="exported models are run in onnxruntime")

from chainrule.interop import to_onnx

KEY = random.key(0)
RNG = np.random.default_rng(0)

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
dimensions = pytest.mark.parametrize("d", [1, 2, 3])


def normal(dtype: Any, *shape: int) -> Any:
    return RNG.normal(size=shape).astype(dtype)


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


# -- convolutions and pools ----------------------------------------------------------------------

SETTINGS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 2, "groups": 2},
    {"groups": 4, "bias": False, "stride": 2},
]


@dtypes
@dimensions
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_convolution(d: int, dtype: Any, settings: dict[str, Any]) -> None:
    layer = getattr(nn, f"Conv{d}d").init(KEY, 4, 8, 3, dtype=dtype, **settings)
    x = normal(dtype, 2, 4, *(9, 8, 7)[:d])
    model = to_onnx(layer, x, batch="batch", check=True)
    if dtype is np.float32:
        assert operators(model) == ["Conv", "Identity"]


@dtypes
@dimensions
@pytest.mark.parametrize(
    "settings",
    [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2, "groups": 2},
     {"stride": 3, "padding": 1, "output_padding": 2, "bias": False},
     {"stride": 2, "dilation": 3, "padding": 4, "output_padding": 2}],
    ids=str,
)  # fmt: skip
def test_transposed_convolution(d: int, dtype: Any, settings: dict[str, Any]) -> None:
    layer = getattr(nn, f"Conv{d}dTransposed").init(KEY, 4, 8, 3, dtype=dtype, **settings)
    model = to_onnx(layer, normal(dtype, 2, 4, *(5, 4, 3)[:d]), batch="batch", check=True)
    if dtype is np.float32 and settings.get("output_padding", 0) < settings.get("stride", 1):
        assert operators(model) == ["ConvTranspose", "Identity"]


@dtypes
@dimensions
@pytest.mark.parametrize("kind", ["MaxPool", "AvgPool"])
@pytest.mark.parametrize("settings", [{}, {"stride": 1, "padding": 1}, {"stride": 3}], ids=str)
def test_pool(d: int, kind: str, dtype: Any, settings: dict[str, Any]) -> None:
    layer = getattr(nn, f"{kind}{d}d")(2, **settings)
    model = to_onnx(layer, normal(dtype, 2, 3, *(7, 6, 5)[:d]), batch="batch", check=True)
    found = {"MaxPool", "AveragePool"} & set(operators(model))
    assert found or (kind == "AvgPool" and dtype is np.float64)


def test_what_only_looks_like_a_convolution() -> None:
    """The weight is used twice over, the windows overlap in another order: no operator fits."""
    x, weight = normal(np.float32, 2, 3, 8), normal(np.float32, 4, 3, 3)

    def f(x: Any, weight: Any) -> Any:
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, 2)
        rows = np.reshape(np.transpose(windows, (0, 2, 3, 1)), (12, 9))
        y = np.reshape(rows @ np.reshape(weight, (4, 9)).T, (2, 6, 4))
        return np.transpose(y, (0, 2, 1))

    assert "Conv" not in operators(to_onnx(f, x, weight, check=True))


def test_global_pools() -> None:
    def pools(x: Any) -> Any:
        return nn.global_avg_pool(x), nn.global_max_pool(x), nn.flatten(x)

    to_onnx(pools, normal(np.float32, 2, 3, 4, 4), batch="batch", check=True)


# -- other layers --------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize(
    "make",
    [
        lambda t: nn.Linear.init(KEY, 4, 3, dtype=t),
        lambda t: nn.LayerNorm.init((3, 4), dtype=t),
        lambda t: nn.RMSNorm.init(4, dtype=t),
        lambda t: nn.GroupNorm.init(3, 3, dtype=t),
        lambda t: nn.Dropout(0.5),
        lambda t: nn.MultiHeadAttention.init(KEY, 4, 2, dtype=t),
        lambda t: nn.TransformerBlock.init(KEY, 4, 2, dtype=t),
        lambda t: nn.Sequential(nn.Residual(nn.Linear.init(KEY, 4, 4, dtype=t)), nn.tanh),
    ],
    ids=["linear", "layer", "rms", "group", "dropout", "attention", "block", "residual"],
)  # fmt: skip
def test_layer(make: Any, dtype: Any) -> None:
    to_onnx(make(dtype), normal(dtype, 2, 3, 4), batch="batch", check=True)


def test_running_statistics_are_parameters() -> None:
    layer = nn.BatchNorm.init(3)
    _, state = layer(normal(np.float64, 8, 3, 5), layer.init_state(), train=True)
    x = normal(np.float64, 4, 3, 5)
    model = to_onnx(
        lambda model, x, state: model(x, state)[0],
        *(layer, x, state),
        fixed_argnums=(0, 2),
        batch="batch",
        check=True,
    )
    assert [i.name for i in model.graph.input] == ["x"]
    assert {"model.weight", "state.mean"} < {i.name for i in model.graph.initializer}
    to_onnx(layer, x, state, dynamic_axes={"x": {0: "batch"}}, check=True)
    to_onnx(lambda x: layer(x, train=True), x, batch="batch", check=True)


def test_embedding() -> None:
    table = nn.Embedding.init(KEY, 10, 4)
    axes = {"indices": {0: "batch", 1: "time"}}
    model = to_onnx(table, RNG.integers(0, 10, (3, 5)), dynamic_axes=axes, check=True)
    assert operators(model)[-2:] == [
        "Gather",
        "Identity",
    ]  # behind what keeps -1 from being the last


@dtypes
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent(kind: Any, dtype: Any) -> None:
    layer = kind.init(KEY, 3, 5, layers=2, bidirectional=True, dtype=dtype)
    x = normal(dtype, 2, 7, 3)
    model = to_onnx(layer, x, dynamic_axes={"x": {0: "batch", 1: "time"}}, check=True)
    assert operators(model).count("Scan") == 4
    axes = {0: "batch", 1: "time"}
    to_onnx(
        lambda layer, x, mask: layer(x, mask=mask),
        *(layer, x, nn.length_mask([7, 4], 7)),
        fixed_argnums=0,
        dynamic_axes={"x": axes, "mask": axes},
        check=True,
    )


@dtypes
def test_masked_attention_over_any_length(dtype: Any) -> None:
    layer = nn.MultiHeadAttention.init(KEY, 8, heads=2, dtype=dtype)
    x, context = normal(dtype, 3, 5, 8), normal(dtype, 3, 4, 8)
    to_onnx(
        lambda x: layer(x, causal=True),
        x,
        dynamic_axes={"x": {0: "batch", 1: "time"}},
        check=True,
    )
    to_onnx(
        lambda x, context, mask: layer(x, context, mask=mask),
        *(x, context, nn.length_mask([4, 2, 0], 4)),
        batch="batch",
        check=True,
    )


@dtypes
@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_one_step_of_a_recurrent_network(kind: Any, dtype: Any) -> None:
    to_onnx(kind.init(KEY, 3, 5, dtype=dtype), normal(dtype, 2, 3), batch="batch", check=True)


def test_every_layer_is_exported_here() -> None:
    """A class of layers that is new is to be exported by a test above."""
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type)}
    spaces = {f"{kind}{d}d" for kind in ("Conv", "MaxPool", "AvgPool") for d in (1, 2, 3)}
    spaces |= {f"Conv{d}dTransposed" for d in (1, 2, 3)}
    norms = {"BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm", "Dropout"}
    recurrent = {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}
    whole = {"Linear", "Embedding", "MultiHeadAttention", "TransformerBlock"}
    whole |= {"Sequential", "Residual", "Function"}
    no_layers = {"BatchStatistics", "Printed"}
    assert layers - no_layers == spaces | norms | recurrent | whole


# -- activations and losses ----------------------------------------------------------------------

ACTIVATIONS = (
    "elu gelu gelu_tanh glu hard_sigmoid leaky_relu log_softmax mish relu relu6 selu sigmoid silu "
    "softmax softplus tanh"
)


@dtypes
@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_activation(name: str, dtype: Any) -> None:
    to_onnx(getattr(nn, name), 3 * normal(dtype, 3, 4), batch="batch", check=True)


LABELS = RNG.integers(0, 4, 3)
LOSSES: dict[str, Any] = {
    "absolute_error": ((3, 4), (3, 4)),
    "binary_cross_entropy": ((3,), np.array([0.0, 1.0, 1.0])),
    "cosine_embedding": ((3, 4), (3, 4), np.array([1, -1, 1])),
    "cosine_similarity": ((3, 4), (3, 4)),
    "cross_entropy": ((3, 4), LABELS),
    "hinge": ((3,), np.array([1.0, -1.0, 1.0])),
    "huber": ((3, 4), (3, 4)),
    "kl_divergence": ((3, 4), np.full((3, 4), 0.25)),
    "multi_margin": ((3, 4), LABELS),
    "nll": ((3, 4), LABELS),
    "smooth_l1": ((3, 4), (3, 4)),
    "squared_error": ((3, 4), (3, 4)),
    "triplet": ((3, 4), (3, 4), (3, 4)),
    "ctc": ((3, 6, 4), np.array([[1, 2, 3], [1, 1, 2], [2, 3, 1]])),
}


@dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_its_gradient(name: str, dtype: Any) -> None:
    loss = getattr(nn, name)
    args = [normal(dtype, *a) if isinstance(a, tuple) else a for a in LOSSES[name]]
    to_onnx(loss, *args, batch="batch", check=True)
    to_onnx(grad(lambda *args: np.sum(loss(*args))), *args, check=True)


# -- whole networks ------------------------------------------------------------------------------


def network(dtype: Any) -> Any:
    keys = random.split(KEY, 3)
    return nn.Sequential(
        nn.Conv2d.init(keys[0], 1, 4, 3, padding=1, dtype=dtype),
        nn.relu,
        nn.MaxPool2d(2),
        nn.Conv2d.init(keys[1], 4, 8, 3, stride=2, padding=1, groups=2, dtype=dtype),
        nn.gelu,
        nn.flatten,
        nn.Linear.init(keys[2], 32, 3, dtype=dtype),
    )


def test_network() -> None:
    model = to_onnx(network(np.float32), normal(np.float32, 2, 1, 8, 8), batch="n", check=True)
    assert operators(model)[:4] == ["Conv", "LessOrEqual", "Where", "MaxPool"]
    names = [tensor.name for tensor in model.graph.initializer]
    assert names[:2] == ["layers[0].weight", "layers[0].bias"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_network_in_another_precision() -> None:
    x = normal(np.float64, 2, 1, 8, 8)
    model = to_onnx(network(np.float64), x, batch="n", dtype=np.float32, check=True)
    assert "Conv" in operators(model)
    assert model.graph.input[0].type.tensor_type.elem_type == 1


@dtypes
def test_gradients_of_a_network(dtype: Any) -> None:
    def loss(model: Any, x: Any, y: Any) -> Any:
        return nn.cross_entropy(model(x), y)

    args = network(dtype), normal(dtype, 2, 1, 8, 8), np.array([2, 0])
    to_onnx(grad(loss), *args, check=True)
    to_onnx(grad(loss), *args, fixed_argnums=0, batch="n", check=True)
    to_onnx(grad(loss, 1), *args, fixed_argnums=0, batch="n", check=True)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM.init(KEY, 4, 3, layers=2, bidirectional=True),
        nn.TransformerBlock.init(KEY, 4, heads=2),
    ],
    ids=["lstm", "transformer"],
)
def test_gradients_over_any_length(layer: Any) -> None:
    def loss(layer: Any, x: Any) -> Any:
        y = layer(x)
        return np.mean((y[0] if isinstance(y, tuple) else y) ** 2)

    axes = {"x": {0: "batch", 1: "time"}}
    x = normal(np.float64, 2, 5, 4)
    to_onnx(grad(loss), layer, x, fixed_argnums=0, dynamic_axes=axes, check=True)
