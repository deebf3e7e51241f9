"""Models of machine learning and physics in plain NumPy."""

import numpy as np

rng = np.random.default_rng(3)
POINTS = rng.normal(size=(8, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
IMAGE = rng.normal(size=(6, 6))
TOKENS = rng.normal(size=(4, 3))


def softmax_regression(params):
    """Cross-entropy, with the labels picked by index."""
    scores = POINTS @ params["W"] + params["b"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_p = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(LABELS)), LABELS]) + 0.1 * np.sum(params["W"] ** 2)


class Network:
    """Layers that are objects and keep what they computed."""

    def __init__(self, sizes):
        self.shapes = [(n, sizes[k + 1]) for k, n in enumerate(sizes[:-1])]
        self.activations = []

    def unpack(self, flat):
        start = 0
        for n, m in self.shapes:
            W = flat[start : start + n * m].reshape(n, m)
            start += n * m
            b = flat[start : start + m]
            start += m
            yield W, b

    def __call__(self, flat, x):
        self.activations = [x]
        layers = list(self.unpack(flat))
        for k, (W, b) in enumerate(layers):
            x = x @ W + b
            if k < len(layers) - 1:
                x = np.where(x > 0, x, 0.1 * x)
            self.activations.append(x)
        return x


def network_loss(flat):
    """Squared error of a network with its weights in one vector."""
    network = Network([2, 4, 1])
    out = network(flat, POINTS)
    return np.mean((out[:, 0] - LABELS) ** 2) + 0.01 * sum(
        np.sum(a**2) for a in network.activations
    )


def attention(params):
    """One head of causal attention, with the mask written into the scores."""
    q, k, v = (TOKENS @ params[name] for name in ("q", "k", "v"))
    scores = q @ k.T / np.sqrt(k.shape[-1])
    scores[np.triu_indices(len(TOKENS), 1)] = -np.inf
    scores = scores - scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.sum((weights @ v) ** 2)


def convolution_by_loops(kernel):
    """A convolution, a nonlinearity and a pooling, element by element."""
    n = IMAGE.shape[0] - kernel.shape[0] + 1
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            window = IMAGE[i : i + kernel.shape[0], j : j + kernel.shape[1]]
            out[i, j] = np.sum(window * kernel)
    out[out < 0] = 0.0
    pooled = out.reshape(n // 2, 2, n // 2, 2).max(axis=(1, 3))
    return np.sum(pooled**2)


def k_means_loss(centres):
    """Each point to its nearest centre, chosen by value."""
    loss = 0.0
    counts = np.zeros(len(centres))
    for p in POINTS:
        distances = [np.sum((p - c) ** 2) for c in centres]
        nearest = int(np.argmin(distances))
        counts[nearest] += 1
        loss += distances[nearest]
    used = counts > 0
    return loss / len(POINTS) + 0.1 * np.sum(centres[used] ** 2)


def springs(state):
    """Particles on springs: a dictionary that is changed step by step."""
    state = dict(state)
    x, v = state["x"].copy(), state["v"].copy()
    energy = []
    for _ in range(15):
        force = np.zeros_like(x)
        for i in range(len(x) - 1):
            stretch = x[i + 1] - x[i]
            length = np.sqrt(stretch @ stretch)
            pull = (length - 1.0) * stretch / length
            force[i] += pull
            force[i + 1] -= pull
        force[:, 1] -= state["g"]
        v += 0.05 * force
        x += 0.05 * v
        x[0] = 0.0
        energy.append(0.5 * np.sum(v**2))
    return np.mean(energy) + np.max([np.sum(x[-1] ** 2), 0.0])


def recurrent(params):
    """A recurrent network whose states are kept in a list and stacked."""
    h = np.zeros(3)
    states = []
    for token in TOKENS:
        h = np.tanh(params["W"] @ h + token)
        states.append(h)
    states = np.array(states)
    gate = 1 / (1 + np.exp(-states @ params["u"]))
    return (gate[:, None] * states).sum(axis=0).std()


def batch_norm(gamma):
    """Normalised columns with running statistics in an object."""

    class Statistics:
        mean = np.zeros(2)

        def update(self, values):
            self.mean = 0.9 * self.mean + 0.1 * values

    statistics = Statistics()
    x = POINTS * gamma
    for batch in np.split(x, 2):
        statistics.update(batch.mean(axis=0))
    centred = (x - statistics.mean) / np.sqrt(x.var(axis=0) + 1e-3)
    return np.sum(np.clip(centred, -1.0, 1.5) ** 3)
