"""Recurrent networks: against PyTorch, over ragged sequences, and over long ones."""

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn, random, value_and_grad
from chainrule.errors import ShapeError
from chainrule.tree import flatten
from tests.nn.oracle import DTYPES, close, compare_model, drawn, torch_or_skip

KEY = random.key(5)
KINDS = ["RNN", "LSTM", "GRU"]
LENGTHS = [7, 3, 1, 5]


def pair(kind, inputs=3, hidden=4, dtype=np.float64, **options):
    torch = torch_or_skip()
    ours = getattr(nn, kind).init(KEY, inputs, hidden, dtype=dtype, **options)
    their_options = {{"layers": "num_layers"}.get(name, name): v for name, v in options.items()}
    theirs = getattr(torch.nn, kind)(inputs, hidden, batch_first=True, **their_options)
    return ours, theirs.to(torch.float64 if dtype == np.float64 else torch.float32)


def joined(outputs, final):
    """Return outputs and final states as one array, so that all of them have gradients."""
    states = flatten(final)[0]
    return np.concatenate([np.ravel(part) for part in (outputs, *states)])


def joined_theirs(torch, kind, outputs, final):
    # PyTorch has one array for all h and one for all c; here each h is beside its c
    parts = zip(*final, strict=True) if kind == "LSTM" else ((h,) for h in final)
    flat = [outputs.flatten(), *(state.flatten() for part in parts for state in part)]
    return torch.cat(flat)


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}, {"bias": False}])
def test_against_torch(options, kind, dtype):
    torch = torch_or_skip()
    ours, theirs = pair(kind, dtype=dtype, **options)
    compare_model(
        ours,
        lambda model, x: joined(*model(x)),
        theirs,
        lambda module, x: joined_theirs(torch, kind, *module(x)),
        drawn(0, dtype, (2, 5, 3)),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("kind", KINDS)
def test_ragged_sequences_against_torch(kind, dtype):
    torch = torch_or_skip()
    rnn = torch.nn.utils.rnn
    ours, theirs = pair(kind, dtype=dtype, layers=2, bidirectional=True)
    mask = nn.length_mask(LENGTHS, 7)

    def run(module, x):
        packed = rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        outputs, final = module(packed)
        outputs = rnn.pad_packed_sequence(outputs, batch_first=True)[0]
        return joined_theirs(torch, kind, outputs, final)

    compare_model(
        ours,
        lambda model, x: joined(*model(x, mask=mask)),
        theirs,
        run,
        drawn(1, dtype, (4, 7, 3)),
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("kind", KINDS)
def test_initial_state_against_torch(kind, dtype):
    torch = torch_or_skip()
    ours, theirs = pair(kind, dtype=dtype)
    arrays = drawn(2, dtype, (2, 5, 3), (2, 4), (2, 4))

    def start(h, c):
        return (((h, c),),) if kind == "LSTM" else ((h,),)

    def run(module, x, h, c):
        initial = (h[None], c[None]) if kind == "LSTM" else h[None]
        return joined_theirs(torch, kind, *module(x, initial))

    compare_model(ours, lambda model, x, h, c: joined(*model(x, start(h, c))), theirs, run, arrays)


@pytest.mark.oracle
def test_relu_network_against_torch():
    torch = torch_or_skip()
    cell = nn.RNNCell.init(KEY, 3, 4)
    relu_cell = nn.RNNCell(*flatten(cell)[0], nonlinearity="relu")
    compare_model(
        nn.RNN(((relu_cell,),)),
        lambda model, x: joined(*model(x)),
        torch.nn.RNN(3, 4, nonlinearity="relu", batch_first=True),
        lambda module, x: joined_theirs(torch, "RNN", *module(x)),
        drawn(2, np.float64, (2, 5, 3)),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_backpropagation_through_500_steps(kind):
    torch = torch_or_skip()
    ours, theirs = pair(kind, inputs=2, hidden=6)
    x, target = drawn(3, np.float64, (3, 500, 2), (3, 6))
    leaves, treedef = flatten(ours)
    with torch.no_grad():
        for parameter, leaf in zip(theirs.parameters(), leaves, strict=True):
            parameter.copy_(torch.tensor(leaf))
    # the state at the end and the mean of all outputs: gradients flow through all steps
    inputs = torch.tensor(x, requires_grad=True)
    outputs = theirs(inputs)[0]
    loss = ((outputs[:, -1] - torch.tensor(target)) ** 2).sum() + outputs.mean()
    loss.backward()

    def of(model, x):
        outputs, _ = model(x)
        return np.sum((outputs[:, -1] - target) ** 2) + np.mean(outputs)

    value, (slopes, by_x) = value_and_grad(of, argnums=(0, 1))(ours, x)
    assert value == pytest.approx(loss.item(), abs=1e-10)
    for got, parameter in zip(treedef.flatten_like(slopes), theirs.parameters(), strict=True):
        close(got, parameter.grad.numpy(), 1e-10, "parameters")
    close(by_x, inputs.grad.numpy(), 1e-10, "inputs")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    model = getattr(nn, kind).init(KEY, 2, 3, bidirectional=True)
    x = drawn(4, np.float64, (2, 4, 2))[0]
    mask = nn.length_mask([4, 2], 4)
    check_gradients(lambda m, x: np.sum(np.sin(m(x, mask=mask)[0])), model, x, max_elements=4)


def test_second_order():
    cell = nn.GRUCell.init(KEY, 1, 2, bias=False)
    x = drawn(4, np.float64, (1, 3, 1))[0]
    check_gradients(
        lambda x: np.sum(nn.unroll(cell, x, np.zeros((1, 2)))[0] ** 2), x, max_elements=2, order=2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_masked_run_is_the_run_without_padding(kind):
    model = getattr(nn, kind).init(KEY, 2, 3, layers=2, bidirectional=True)
    x = drawn(5, np.float64, (4, 7, 2))[0]
    padded = np.where(nn.length_mask(LENGTHS, 7)[..., None], x, 1e3)
    outputs, final = model(padded, mask=nn.length_mask(LENGTHS, 7))
    for row, length in enumerate(LENGTHS):
        alone, alone_final = model(x[row : row + 1, :length])
        np.testing.assert_allclose(outputs[row, :length], alone[0], atol=1e-12)
        assert np.all(outputs[row, length:] == 0.0)
        for got, expected in zip(flatten(final)[0], flatten(alone_final)[0], strict=True):
            np.testing.assert_allclose(got[row], expected[0], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_masked_has_no_gradient(kind):
    model = getattr(nn, kind).init(KEY, 2, 3, bidirectional=True)
    x = drawn(6, np.float64, (4, 7, 2))[0]
    mask = nn.length_mask(LENGTHS, 7)
    x[~mask] = np.inf
    with np.errstate(invalid="ignore"):
        slope = grad(lambda x: np.sum(model(x, mask=mask)[0] ** 2))(x)
    assert np.all(slope[~mask] == 0.0)
    assert np.all(slope[mask] != 0.0)


def test_cell_steps_are_the_network():
    model = nn.LSTM.init(KEY, 2, 3)
    x = drawn(7, np.float64, (2, 4, 2))[0]
    outputs, ((final,),) = model(x)
    state = None
    for t in range(4):
        state = model.cells[0][0](x[:, t], state)
        np.testing.assert_allclose(outputs[:, t], state[0], atol=1e-12)
    np.testing.assert_allclose(final[1], state[1], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_dtype_printing_and_tree(kind):
    model = getattr(nn, kind).init(KEY, 2, 3, layers=2, dtype=np.float32)
    x = np.ones((2, 4, 2), np.float32)
    outputs, final = model(x)
    assert {leaf.dtype for leaf in (outputs, *flatten(final)[0])} == {np.dtype(np.float32)}
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    first, *_, last = repr(model).splitlines()
    assert first == f"{kind}(  # {gates * (3 * (2 + 3 + 2) + 3 * (3 + 3 + 2))} parameters"
    assert last == ")"
    leaves, treedef = flatten(model)
    np.testing.assert_array_equal(treedef.unflatten(leaves)(x)[0], outputs)


def test_dropout_between_layers():
    model = nn.GRU.init(KEY, 2, 30, layers=2, dropout=0.5)
    x = drawn(7, np.float64, (2, 4, 2))[0]
    one, two = (model(x, key=random.key(s), train=True)[0] for s in (1, 2))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, model(x, key=random.key(1), train=True)[0])
    np.testing.assert_array_equal(model(x)[0], model(x, key=random.key(1))[0])


@pytest.mark.parametrize(
    ("shape", "mask", "help"),
    [
        ((4, 3), None, r"x\[np.newaxis\]"),
        ((2, 4, 5), None, "make the layer for inputs with 5 features"),
        ((2, 4, 3), (4, 2), r"nn.length_mask\(lengths, 4\)"),
    ],
)
def test_wrong_shapes(shape, mask, help):
    mask = None if mask is None else np.ones(mask, bool)
    with pytest.raises(ShapeError, match=help) as caught:
        nn.LSTM.init(KEY, 3, 4)(np.ones(shape), mask=mask)
    assert str(caught.value).startswith(f"LSTM(3 → 4) got an input of shape {shape}")
    assert "test_recurrent.py" in str(caught.value)
