"""Compare a function of arrays with PyTorch's: the value, and the gradients by all arrays."""

import numpy as np
import pytest

from chainrule import value_and_grad
from chainrule.tree import flatten

TOLERANCE = {np.float64: 1e-10, np.float32: 2e-4}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def torch_or_skip():
    return pytest.importorskip("torch")


def drawn(seed, dtype, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def compare(ours, theirs, arrays, tolerance=None):
    """``ours(*arrays)`` and ``theirs(*tensors)`` are weighted by random numbers and summed."""
    torch = torch_or_skip()
    dtype = arrays[0].dtype.type
    tolerance = tolerance or TOLERANCE[dtype]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    expected = theirs(*tensors)
    weights = np.random.default_rng(9).standard_normal(tuple(expected.shape)).astype(dtype)
    (expected * torch.tensor(weights)).sum().backward()

    def weighted(arrays):
        value = ours(*arrays)
        return np.sum(value * weights), value

    (_, value), gradients = value_and_grad(weighted, has_aux=True)(list(arrays))
    close(value, expected.detach().numpy(), tolerance, "value")
    for index, (gradient, tensor) in enumerate(zip(gradients, tensors, strict=True)):
        wanted = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        close(gradient, wanted, tolerance, f"gradient by array {index}")
        assert gradient.dtype == dtype


def close(got, expected, tolerance, what):
    assert np.shape(got) == np.shape(expected), what
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale, err_msg=what)
    assert np.asarray(got).dtype == np.asarray(expected).dtype or what != "value"


def with_leaves(model, leaves):
    """Return the model with other arrays."""
    return flatten(model)[1].unflatten(leaves)


def compare_model(model, apply, module, theirs, arrays, tolerance=None):
    """Compare a layer with a module that has the same parameters in the same order.

    ``apply(model, *arrays)`` and ``theirs(module, *tensors)`` give the outputs.
    """
    torch = torch_or_skip()
    parameters = flatten(model)[0]
    names = [name for name, _ in module.named_parameters()]
    assert len(names) == len(parameters)

    def call(*tensors):
        given = dict(zip(names, tensors, strict=False))
        inputs = tensors[len(names) :]
        return torch.func.functional_call(_Wrapped(module, theirs), _renamed(given), inputs)

    class _Wrapped(torch.nn.Module):
        def __init__(self, module, theirs):
            super().__init__()
            self.module, self.theirs = module, theirs

        def forward(self, *inputs):
            return self.theirs(self.module, *inputs)

    def _renamed(given):
        return {f"module.{name}": tensor for name, tensor in given.items()}

    def ours(*values):
        count = len(parameters)
        return apply(with_leaves(model, values[:count]), *values[count:])

    compare(ours, call, [*parameters, *arrays], tolerance)
