"""Networks in the many ways that people write them in NumPy: each must just differentiate."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import log_softmax, logsumexp

from chainrule import grad, jvp

LABELS = np.array([0, 2, 1, 2])


def rng():
    return np.random.default_rng(0)


def softmax_loops(W, x):
    total = 0.0
    for row, label in zip(x, LABELS, strict=True):
        scores = W @ row
        total += -scores[label] + np.log(np.sum(np.exp(scores)))
    return total / len(x)


def softmax_one_hot(W, x):
    scores = np.dot(x, W.T)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probability = e / e.sum(axis=-1, keepdims=True)
    return -(np.eye(3)[LABELS] * np.log(probability)).sum(1).mean()


def softmax_in_place(W, x):
    scores = x @ W.T
    scores -= scores.max(1)[:, None]
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return -np.log(scores[range(4), LABELS]).mean()


def softmax_take_along_axis(W, x):
    scores = np.einsum("ni,oi->no", x, W)
    log_sum = np.log(np.exp(scores).sum(1))
    return np.mean(log_sum - np.take_along_axis(scores, LABELS[:, None], axis=1)[:, 0])


def softmax_boolean_mask(W, x):
    scores = np.inner(x, W)
    right = np.arange(3) == LABELS[:, None]
    return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[right])


def softmax_stacked_rows(W, x):
    scores = np.stack([np.array([w @ row for w in W]) for row in x])
    return np.mean(np.log(np.sum(np.exp(scores), 1)) - np.choose(LABELS, scores.T))


def softmax_scipy(W, x):
    scores = x @ W.T
    first = -np.mean(log_softmax(scores, axis=1)[np.arange(4), LABELS])
    second = np.mean(logsumexp(scores, axis=1) - scores[np.arange(4), LABELS])
    return (first + second) / 2


@pytest.mark.parametrize(
    "loss",
    [
        softmax_loops,
        softmax_one_hot,
        softmax_in_place,
        softmax_take_along_axis,
        softmax_boolean_mask,
        softmax_stacked_rows,
        softmax_scipy,
    ],
)
def test_softmax_cross_entropy(loss):
    W, x = rng().normal(size=(3, 5)), rng().normal(size=(4, 5))
    scores = x @ W.T
    probability = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    expected = (probability - np.eye(3)[LABELS]).T @ x / 4
    np.testing.assert_allclose(grad(loss)(W, x), expected, rtol=1e-12, atol=1e-14)


def convolve_tensordot(x, kernels):
    return np.tensordot(sliding_window_view(x, (3, 3), axis=(1, 2)), kernels, axes=3)


def convolve_einsum(x, kernels):
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,cijo->nhwo", windows, kernels)


def convolve_matmul(x, kernels):
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))
    n, h, w = windows.shape[:3]
    return windows.reshape(n, h, w, -1) @ kernels.reshape(-1, kernels.shape[-1])


def convolve_shifts(x, kernels):
    h, w = x.shape[1] - 2, x.shape[2] - 2
    return sum(x[:, i : i + h, j : j + w] @ kernels[:, i, j] for i in range(3) for j in range(3))


def convolve_fill(x, kernels):
    n, h, w, _ = x.shape
    out = np.zeros((n, h - 2, w - 2, kernels.shape[-1]))
    for i in range(h - 2):
        for j in range(w - 2):
            patch = x[:, i : i + 3, j : j + 3].transpose(0, 3, 1, 2)
            out[:, i, j] = np.tensordot(patch, kernels, 3)
    return out


def pool_reshape(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def pool_slices(x):
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def pool_windows(x):
    return sliding_window_view(x, (2, 2), axis=(1, 2))[:, ::2, ::2].max(axis=(-2, -1))


@pytest.mark.parametrize("pool", [pool_reshape, pool_slices, pool_windows])
@pytest.mark.parametrize(
    "convolve",
    [convolve_tensordot, convolve_einsum, convolve_matmul, convolve_shifts, convolve_fill],
)
def test_convolution_and_pooling(convolve, pool):
    x, kernels = rng().normal(size=(10, 6, 6, 3)), rng().normal(size=(3, 3, 3, 4))

    def loss(x, kernels):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return np.sum(pool(np.maximum(convolve(padded, kernels), 0)) ** 2)

    directions = rng().normal(size=x.shape), rng().normal(size=kernels.shape)
    by_x, by_kernels = grad(loss, argnums=(0, 1))(x, kernels)
    slope = np.sum(by_x * directions[0]) + np.sum(by_kernels * directions[1])
    step = 1e-6
    difference = loss(x + step * directions[0], kernels + step * directions[1])
    difference -= loss(x - step * directions[0], kernels - step * directions[1])
    np.testing.assert_allclose(slope, difference / (2 * step), rtol=1e-6)
    _, forward = jvp(loss, (x, kernels), directions)
    np.testing.assert_allclose(forward, slope, rtol=1e-12)


def run_filling_an_array(U, x):
    states = np.zeros((len(x) + 1, len(U)))
    for t in range(len(x)):
        states[t + 1] = np.tanh(U @ states[t] + x[t])
    return states[1:]


def run_stacking_a_list(U, x):
    states = [np.zeros(len(U))]
    for row in x:
        states.append(np.tanh(np.dot(U, states[-1]) + row))
    return np.stack(states[1:])


def run_concatenating(U, x):
    states, state = np.empty((0, len(U))), np.zeros((len(U), 1))
    for row in x:
        state = np.tanh(U @ state + row[:, None])
        states = np.concatenate([states, state.T])
    return states


def run_vstack_in_place(U, x):
    state, states = np.zeros(len(U)), []
    for row in x:
        state = U.dot(state)
        state += row
        np.tanh(state, out=state)
        states.append(state.copy())
    return np.vstack(states)


@pytest.mark.parametrize(
    "run",
    [run_filling_an_array, run_stacking_a_list, run_concatenating, run_vstack_in_place],
)
def test_recurrence(run):
    U, x = rng().normal(size=(3, 3)) / 2, rng().normal(size=(6, 3))
    weights = rng().normal(size=(6, 3))
    states = run(U, x)
    cotangent, by_U, by_x = np.zeros(3), np.zeros((3, 3)), np.zeros((6, 3))
    for t in reversed(range(6)):
        cotangent = (cotangent + weights[t]) * (1 - states[t] ** 2)
        by_U += np.outer(cotangent, states[t - 1]) if t else 0
        by_x[t] = cotangent
        cotangent = U.T @ cotangent
    actual = grad(lambda U, x: np.sum(weights * run(U, x)), argnums=(0, 1))(U, x)
    np.testing.assert_allclose(actual[0], by_U, rtol=1e-12)
    np.testing.assert_allclose(actual[1], by_x, rtol=1e-12)


def normalize_batch(x):
    return (x - x.mean(0)) / np.sqrt(x.var(axis=0) + 1e-5)


def normalize_by_std(x):
    return (x - np.average(x, axis=0)) / np.std(x, axis=0)


def dropout(x):
    keep = rng().random(x.shape) < 0.8
    return np.where(keep, x / 0.8, 0)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def leaky_relu(x):
    y = x.copy()
    y[x < 0] *= 0.1
    return y


def attention(x):
    scores = x @ x.swapaxes(-1, -2) / np.sqrt(x.shape[-1])
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ x


def split_gates(x):
    a, b = np.split(x, [2], axis=1)
    return np.hstack([1 / (1 + np.exp(-a)), np.clip(b, -1, 1), np.log1p(np.exp(b))])


@pytest.mark.parametrize(
    "layer",
    [normalize_batch, normalize_by_std, dropout, gelu, leaky_relu, attention, split_gates],
)
def test_layers(layer):
    x, direction = rng().normal(size=(4, 5)), np.random.default_rng(1).normal(size=(4, 5))
    shift = np.arange(np.size(layer(x))).reshape(layer(x).shape) / 10

    def loss(x):
        return np.sum(np.sin(layer(x) + shift))

    slope = np.sum(grad(loss)(x) * direction)
    difference = (loss(x + 1e-6 * direction) - loss(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(slope, difference, rtol=1e-6)


def noise_of_a_generator(x):
    generator = np.random.default_rng(0)
    kept = generator.random(x.shape) < 0.5
    return x * kept + generator.normal(size=x.shape) + generator.permutation(5)


def noise_of_the_global_state(x):
    np.random.seed(0)  # noqa: NPY002 - the old way is everywhere
    return x * np.random.binomial(1, 0.5, x.shape) + np.random.randn(*x.shape)  # noqa: NPY002


@pytest.mark.parametrize("layer", [noise_of_a_generator, noise_of_the_global_state])
def test_noise_drawn_inside(layer):
    x = rng().normal(size=(4, 5))
    kept = layer(x + 1) - layer(x)
    np.testing.assert_allclose(grad(lambda x: np.sum(layer(x)))(x), kept, atol=1e-14)
