"""Convolutions, their transposes and pools."""

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn, random
from chainrule.errors import ShapeError
from chainrule.tree import flatten
from tests.nn.oracle import DTYPES, compare, compare_model, drawn, torch_or_skip

KEY = random.key(3)
CASES = {
    "plain": (1, 3, 4, 3, {}, (2, 3, 8)),
    "1d": (1, 4, 6, 5, {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}, (3, 4, 17)),
    "pointwise": (2, 5, 2, 1, {}, (2, 5, 4, 3)),
    "same": (2, 3, 4, 3, {"padding": 1}, (2, 3, 5, 6)),
    "2d": (
        2,
        2,
        3,
        (2, 3),
        {"stride": (3, 1), "padding": (0, 2), "dilation": (1, 2)},
        (2, 2, 9, 7),
    ),
    "depthwise": (2, 4, 8, 3, {"groups": 4, "stride": 2}, (1, 4, 8, 7)),
    "no bias": (2, 1, 2, 4, {"bias": False}, (2, 1, 4, 4)),
    "3d": (
        3,
        2,
        4,
        (1, 2, 3),
        {"stride": (1, 2, 1), "padding": (1, 0, 1), "groups": 2},
        (2, 2, 3, 5, 4),
    ),
}
TRANSPOSED = {
    "plain": (1, 3, 4, 3, {}, (2, 3, 8)),
    "1d": (1, 4, 6, 5, {"stride": 3, "padding": 2, "dilation": 2, "groups": 2}, (3, 4, 7)),
    "upsampling": (2, 4, 2, 2, {"stride": 2}, (2, 4, 3, 5)),
    "output padding": (2, 2, 3, (3, 2), {"stride": (3, 2), "output_padding": (2, 1)}, (2, 2, 4, 3)),
    "large padding": (2, 2, 3, 3, {"padding": 3, "stride": 2, "output_padding": 1}, (2, 2, 5, 6)),
    "depthwise": (2, 4, 8, 3, {"groups": 4, "padding": 1}, (1, 4, 4, 5)),
    "3d": (3, 2, 4, (1, 2, 3), {"stride": (1, 2, 2), "padding": (0, 1, 1)}, (1, 2, 3, 4, 3)),
}


def against_torch(ours, theirs, case, dtype):
    torch = torch_or_skip()
    dimensions, inputs, outputs, kernel, options, shape = case
    compare_model(
        getattr(nn, ours.format(dimensions)).init(
            KEY, inputs, outputs, kernel, dtype=dtype, **options
        ),
        lambda layer, x: layer(x),
        getattr(torch.nn, theirs.format(dimensions))(inputs, outputs, kernel, **options),
        lambda layer, x: layer(x),
        drawn(0, dtype, shape),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("case", CASES)
def test_convolution_against_torch(case, dtype):
    against_torch("Conv{}d", "Conv{}d", CASES[case], dtype)


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution_against_torch(case, dtype):
    against_torch("Conv{}dTransposed", "ConvTranspose{}d", TRANSPOSED[case], dtype)


POOLS = [
    (1, {"kernel": 2}, (2, 3, 7)),
    (1, {"kernel": 3, "stride": 2, "padding": 1}, (2, 3, 8)),
    (2, {"kernel": 2}, (2, 3, 4, 6)),
    (2, {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 0)}, (2, 1, 5, 7)),
    (2, {"kernel": 3, "padding": 1}, (2, 2, 7, 5)),
    (3, {"kernel": (1, 2, 3), "stride": 2}, (1, 2, 3, 5, 6)),
    (3, {"kernel": 2}, (1, 2, 4, 5, 2)),
]


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("kind", ["Max", "Avg"])
@pytest.mark.parametrize(("dimensions", "options", "shape"), POOLS)
def test_pool_against_torch(dimensions, options, shape, kind, dtype):
    torch = torch_or_skip()
    ours = getattr(nn, f"{kind}Pool{dimensions}d")(**options)
    theirs = {("kernel_size" if name == "kernel" else name): v for name, v in options.items()}
    compare(ours, getattr(torch.nn, f"{kind}Pool{dimensions}d")(**theirs), drawn(0, dtype, shape))


@pytest.mark.oracle
@DTYPES
def test_global_pools_against_torch(dtype):
    F = torch_or_skip().nn.functional
    arrays = drawn(0, dtype, (2, 3, 4, 5))
    compare(nn.global_max_pool, lambda x: F.adaptive_max_pool2d(x, 1)[..., 0, 0], arrays)
    compare(nn.global_avg_pool, lambda x: F.adaptive_avg_pool2d(x, 1)[..., 0, 0], arrays)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_convolution(case):
    dimensions, inputs, outputs, kernel, options, shape = CASES[case]
    layer = getattr(nn, f"Conv{dimensions}d").init(KEY, inputs, outputs, kernel, **options)
    x = drawn(1, np.float64, shape)[0]
    check_gradients(lambda m, x: np.mean(np.tanh(m(x))), layer, x, max_elements=6)


@pytest.mark.parametrize("case", CASES)
def test_transposed_convolution_is_the_transpose(case):
    dimensions, inputs, outputs, kernel, options, shape = CASES[case]
    options = {**options, "bias": False}
    layer = getattr(nn, f"Conv{dimensions}d").init(KEY, inputs, outputs, kernel, **options)
    x, w = drawn(1, np.float64, shape, layer(np.zeros(shape)).shape)
    pulled = grad(lambda x: np.sum(layer(x) * w))(x)
    settings = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    got = nn.convolve_transposed(w, layer.weight, **settings)
    # the input may end with elements that no window meets
    cut = tuple(slice(0, size) for size in got.shape)
    np.testing.assert_allclose(pulled[cut], got[tuple(map(slice, pulled.shape))], atol=1e-12)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(3, 1, 1), nn.MaxPool1d(2), nn.AvgPool1d(2)]
)
def test_gradients_of_pool(pool):
    x = drawn(2, np.float64, (2, 2, 7))[0]
    check_gradients(pool, x)
    assert pool(x.astype(np.float32)).dtype == np.float32


def test_settings_belong_to_the_structure():
    layer = nn.Conv2d.init(KEY, 2, 4, 3, stride=(2, 2), padding=(1, 0))
    leaves, treedef = flatten(layer)
    assert len(leaves) == 2
    again = treedef.unflatten(leaves)
    assert (again.stride, again.padding) == (2, (1, 0))
    assert flatten(nn.MaxPool2d(2))[0] == []
    text = "Conv2d(weight=float64[4, 2, 3, 3], bias=float64[4], stride=2, padding=(1, 0))"
    assert repr(layer) == text + "  # 76 parameters"
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel=2)"


@pytest.mark.parametrize(
    ("shape", "help"),
    [
        ((3, 8, 8), "np.expand_dims(x, 0)"),
        ((5, 8, 8, 3), "np.moveaxis(x, -1, 1)"),
        ((5, 4, 8, 8), "make the layer for its number of channels"),
        ((5, 3, 2, 2), "pad the input"),
    ],
)
def test_wrong_shape_names_layer_and_place(shape, help):
    layer = nn.Conv2d.init(KEY, 3, 4, 3)
    with pytest.raises(ShapeError) as caught:
        layer(np.ones(shape))
    message = str(caught.value)
    assert message.startswith(f"Conv2d(3 → 4) got an input of shape {shape}")
    assert "test_convolution.py" in message
    assert help in message


def test_pools_refuse():
    with pytest.raises(ShapeError, match=r"MaxPool2d\(2\) got an input of shape \(3, 4, 4\)"):
        nn.MaxPool2d(2)(np.ones((3, 4, 4)))
    with pytest.raises(ShapeError, match="do not fit"):
        nn.AvgPool1d(5)(np.ones((1, 1, 4)))
    with pytest.raises(ValueError, match="half of its kernel"):
        nn.MaxPool1d(2, padding=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 2}, "do not divide"),
        ({"padding": "valid"}, "one of 'same'"),
        ({"padding": "same", "stride": 2}, "needs stride 1"),
        ({"stride": 0}, "at least 1"),
        ({"dilation": (1, 2, 3)}, "an integer or 2 of them"),
    ],
)
def test_wrong_settings(options, message):
    with pytest.raises(ValueError, match=message):
        nn.Conv2d.init(KEY, 3, 4, 3, **options)
