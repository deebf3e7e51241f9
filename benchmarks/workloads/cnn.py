"""A step of gradient descent of a network of LeNet's size on a batch of 64, in float32."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from ..case import Case


def inputs(quick: bool) -> tuple[Any, ...]:
    """Return K1, b1, K2, b2, W1, c1, W2, c2, W3, c3, images, labels."""
    rng = numpy.random.default_rng(0)
    size, batch = (16, 2) if quick else (28, 64)
    side = ((size - 4) // 2 - 4) // 2

    def weight(*shape: int, fan_in: int) -> Any:
        return (rng.standard_normal(shape) * (2 / fan_in) ** 0.5).astype(numpy.float32)

    parameters: list[Any] = []
    for kernel in ((6, 1, 5, 5), (16, 6, 5, 5)):
        fan_in = kernel[1] * 25
        parameters += [weight(*kernel, fan_in=fan_in), numpy.zeros(kernel[0], numpy.float32)]
    for m, n in ((16 * side * side, 120), (120, 84), (84, 10)):
        parameters += [weight(m, n, fan_in=m), numpy.zeros(n, numpy.float32)]
    images = rng.standard_normal((batch, 1, size, size)).astype(numpy.float32)
    return (*parameters, images, rng.integers(0, 10, batch))


def windows(np: Any, x: Any, kernel: Any) -> Any:
    """Convolve by NumPy's own sliding windows."""
    view = numpy.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", view, kernel)


def slices(np: Any, x: Any, kernel: Any) -> Any:
    """Convolve by one shifted slice for each element of the kernel, stacked."""
    (rows, columns), (height, width) = kernel.shape[2:], x.shape[2:]
    shifted = [
        x[:, :, i : height - rows + 1 + i, j : width - columns + 1 + j]
        for i in range(rows)
        for j in range(columns)
    ]
    flat = np.reshape(kernel, (*kernel.shape[:2], rows * columns))
    return np.einsum("knchw,ock->nohw", np.stack(shifted), flat)


def halve(np: Any, x: Any) -> Any:
    """Take the maximum of each block of 2 × 2."""
    n, channels, height, width = x.shape
    return np.max(np.reshape(x, (n, channels, height // 2, 2, width // 2, 2)), axis=(3, 5))


def build(convolve: Any, np: Any, scan: Any) -> Any:
    """Return the loss."""

    def loss(*args: Any) -> Any:
        K1, b1, K2, b2, W1, c1, W2, c2, W3, c3, x, y = args
        x = halve(np, np.maximum(convolve(np, x, K1) + b1[:, None, None], 0))
        x = halve(np, np.maximum(convolve(np, x, K2) + b2[:, None, None], 0))
        x = np.reshape(x, (len(y), -1))
        x = np.maximum(x @ W1 + c1, 0)
        x = np.maximum(x @ W2 + c2, 0)
        scores = x @ W3 + c3
        shifted = scores - np.max(scores, axis=1, keepdims=True)
        normaliser = np.log(np.sum(np.exp(shifted), axis=1))
        return np.mean(normaliser - shifted[np.arange(len(y)), y])

    return loss


def jax_function() -> Any:
    """Return the loss with JAX's own convolution and pooling."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def layer(x: Any, kernel: Any, bias: Any) -> Any:
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID")
        x = jax.nn.relu(x + bias[:, None, None])
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(*args: Any) -> Any:
        K1, b1, K2, b2, W1, c1, W2, c2, W3, c3, x, y = args
        x = layer(layer(x, K1, b1), K2, b2).reshape(len(y), -1)
        x = jax.nn.relu(x @ W1 + c1)
        x = jax.nn.relu(x @ W2 + c2)
        logs = jax.nn.log_softmax(x @ W3 + c3)
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], axis=1))

    return loss


def torch_function() -> Any:
    """Return the loss with PyTorch's own convolution and pooling."""
    import torch
    from torch.nn import functional

    def loss(*args: Any) -> Any:
        K1, b1, K2, b2, W1, c1, W2, c2, W3, c3, x, y = args
        x = functional.max_pool2d(torch.relu(functional.conv2d(x, K1, b1)), 2)
        x = functional.max_pool2d(torch.relu(functional.conv2d(x, K2, b2)), 2)
        x = torch.flatten(x, 1)
        x = torch.relu(torch.addmm(c1, x, W1))
        x = torch.relu(torch.addmm(c2, x, W2))
        return functional.cross_entropy(torch.addmm(c3, x, W3), y)

    return loss


def autograd_function() -> Any:
    """Return the loss with slices, since autograd has no sliding windows."""
    import autograd.numpy as anp

    return build(slices, anp, None)


FIRST = 64 * 24 * 24 * 6 * 25
SECOND = 64 * 8 * 8 * 16 * 6 * 25
DENSE = 64 * (256 * 120 + 120 * 84 + 84 * 10)

CASES = (
    Case(
        name="cnn",
        title="convolutional network of LeNet's size, batch 64, float32: step",
        target=0.6,
        inputs=inputs,
        forms={"windows": partial(build, windows), "slices": partial(build, slices)},
        derivative="step",
        wrt=10,
        tolerance=1e-4,
        jax=jax_function,
        torch=torch_function,
        autograd=autograd_function,
        flops=2 * (2 * FIRST + 3 * SECOND + 3 * DENSE),
    ),
)
