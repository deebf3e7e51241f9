"""Functions that cross the border to PyTorch and back with their derivatives."""

import numpy as np
import pytest

import chainrule as cr

torch = pytest.importorskip("torch")

from chainrule.interop import from_dlpack, from_torch, to_dlpack, to_torch  # noqa: E402

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(0)
A, X = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))


def ours(A, X):
    return np.sum(np.tanh(A @ X) ** 2, axis=0)


def theirs(A, X):
    return (torch.tanh(A @ X) ** 2).sum(0)


def tensors(*arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pytorch_differentiates_our_function(dtype):
    mine, others = (
        tensors(A.astype(dtype), X.astype(dtype)),
        tensors(A.astype(dtype), X.astype(dtype)),
    )
    weights = torch.tensor([1.0, -2.0], dtype=mine[0].dtype)
    (to_torch(ours)(*mine) * weights).sum().backward()
    (theirs(*others) * weights).sum().backward()
    for one, two in zip(mine, others, strict=True):
        assert one.grad.dtype == two.grad.dtype
        torch.testing.assert_close(one.grad, two.grad)


def test_pytorch_checks_our_function_to_the_second_order():
    torch.autograd.gradcheck(to_torch(ours), tensors(A, X))
    torch.autograd.gradgradcheck(to_torch(ours), tensors(A, X))


def test_we_check_their_function_to_the_second_order():
    f = from_torch(theirs)
    np.testing.assert_allclose(f(A, X), ours(A, X))
    cr.check_gradients(f, A, X, order=2)
    np.testing.assert_allclose(cr.jacobian(f)(A, X), cr.jacobian(ours)(A, X), atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_any_order_cross_in_both_directions(order):
    f, g = from_torch(lambda x: torch.sin(x) * x), lambda x: np.sin(x) * x
    h = to_torch(g)
    x = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    y = h(x)
    for _ in range(order):
        f, g = cr.grad(f), cr.grad(g)
        (y,) = torch.autograd.grad(y, x, create_graph=True)
    assert float(f(0.7)) == pytest.approx(float(g(0.7)), rel=1e-12)
    assert y.item() == pytest.approx(float(g(0.7)), rel=1e-12)


def test_there_and_back_is_the_function_itself():
    again = from_torch(to_torch(ours))
    np.testing.assert_array_equal(again(A, X), ours(A, X))
    loss = lambda f: lambda A, X: np.sum(f(A, X) ** 2)
    for one, two in zip(
        cr.grad(loss(again), (0, 1))(A, X), cr.grad(loss(ours), (0, 1))(A, X), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_our_function_is_a_layer_between_theirs():
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    x = torch.tensor(RNG.normal(size=(5, 4)))
    to_torch(lambda h: np.mean(np.maximum(h, 0) ** 2))(layer(x)).backward()
    mine = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    (torch.relu(layer(x)) ** 2).mean().backward()
    for one, p in zip(mine, layer.parameters(), strict=True):
        torch.testing.assert_close(one, p.grad)


def test_their_module_is_a_function_between_ours():
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    W, b = (p.detach().numpy() for p in layer.parameters())
    x = RNG.normal(size=(5, 4))
    f = lambda apply: lambda x: np.sum(np.exp(apply(np.sin(x))))
    mine = cr.grad(f(from_torch(layer)))(x)
    np.testing.assert_allclose(mine, cr.grad(f(lambda h: h @ W.T + b))(x), rtol=1e-12)


def test_trees_integers_and_unused_arguments():
    def f(params, index, unused):
        return {"picked": params["W"][index] * params["b"], "sum": np.sum(params["W"])}

    W, b = tensors(A, np.ones(4))
    unused = torch.ones(2, requires_grad=True)
    out = to_torch(f)({"W": W, "b": b}, torch.tensor([0, 2, 2]), unused)
    (out["picked"].sum() + 2 * out["sum"]).backward()
    expected = np.full((3, 4), 2.0)
    np.add.at(expected, [0, 2, 2], 1.0)
    np.testing.assert_array_equal(W.grad.numpy(), expected)
    assert torch.all(unused.grad == 0)


def test_their_function_of_integers_and_trees():
    f = from_torch(lambda p, index: {"picked": p["W"][index], "sum": p["W"].sum()})

    def loss(p, index):
        out = f(p, index)
        return np.sum(out["picked"]) + 2 * out["sum"] + np.sum(p["unused"])

    index = np.array([0, 2, 2])
    found = cr.grad(loss)({"W": A, "unused": 1.0}, index)
    expected = np.full((3, 4), 2.0)
    np.add.at(expected, index, 1.0)
    np.testing.assert_array_equal(found["W"], expected)
    assert found["unused"] == 1


def test_their_function_is_recorded_without_values_when_its_result_is_described():
    f = from_torch(lambda x: torch.sin(x) * 2, result=lambda x: np.zeros(np.shape(x)))
    xs = np.arange(3.0)
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(xs), 2 * np.cos(xs))
    np.testing.assert_allclose(cr.vmap(cr.grad(cr.grad(f)))(xs), -2 * np.sin(xs))


def test_a_tensor_that_changed_in_place_is_refused():
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    z = to_torch(lambda a: np.sum(a**2))(y)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_complex_gradients_agree():
    z = torch.tensor([1 + 2j, -0.5j], requires_grad=True)
    to_torch(lambda z: np.sum(np.abs(z) ** 2))(z).backward()
    torch.testing.assert_close(z.grad, 2 * z.detach())


def test_arrays_are_exchanged_without_copying():
    tensor = torch.arange(3.0)
    tree = from_dlpack({"x": tensor, "n": 3})
    tree["x"][0] = 7
    assert tensor[0] == 7
    assert tree["n"] == 3
    array = np.arange(3.0)
    (shared,) = to_dlpack([array], torch)
    shared[1] = 9
    assert array[1] == 9
    array.flags.writeable = False
    (copied,) = to_dlpack([array], torch)
    copied[1] = 0
    assert array[1] == 9
