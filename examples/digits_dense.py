"""A network of two layers reads handwritten digits, written out in plain NumPy.

Model, loss and optimizer are all on this page: minibatch gradient descent with momentum, a
learning rate that falls along a cosine, and softmax cross-entropy. chainrule gives the gradient.

    python digits_dense.py            a few seconds; at least 97 % on digits never seen
    python digits_dense.py --quick    5 epochs
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _shared import load_digits, progress, save
from matplotlib.figure import Figure

from chainrule import value_and_grad

MOMENTUM = 0.9


def initial_parameters(rng, hidden=128):
    return {
        "W1": rng.normal(0, np.sqrt(2 / 64), (64, hidden)).astype(np.float32),
        "b1": np.zeros(hidden, np.float32),
        "W2": rng.normal(0, np.sqrt(1 / hidden), (hidden, 10)).astype(np.float32),
        "b2": np.zeros(10, np.float32),
    }


def network(p, images):
    hidden = np.maximum(images @ p["W1"] + p["b1"], 0)
    return hidden @ p["W2"] + p["b2"]


def cross_entropy(scores, labels):
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_probability = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(log_probability[np.arange(len(labels)), labels])


def train(digits, epochs=40, seed=0, report=lambda done, message: None):
    """Return the learned parameters and the history of `descend`."""
    rng = np.random.default_rng(seed)

    def loss(p, images, labels):
        decay = 1e-3 * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))
        return cross_entropy(network(p, images), labels) + decay

    return descend(loss, network, initial_parameters(rng), digits, epochs, rng, report)


def descend(loss, network, p, digits, epochs, rng, report, batch=32, vary=lambda images: images):
    """Descend with momentum; return the parameters and each epoch's losses and accuracy.

    A row of the history holds the loss on the training digits (which `vary` may alter before
    each step), the loss on the held-out digits, and the share of these that is read right.
    """
    loss_and_gradient = value_and_grad(loss)
    velocity = {name: np.zeros_like(value) for name, value in p.items()}
    batches = len(digits.train_x) // batch
    history = []
    for epoch in range(epochs):
        order = rng.permutation(len(digits.train_x))
        losses = []
        for i in range(batches):
            rate = 0.05 * (1 + np.cos(np.pi * (epoch + i / batches) / epochs))
            picked = order[i * batch : (i + 1) * batch]
            images, labels = vary(digits.train_x[picked]), digits.train_y[picked]
            value, gradient = loss_and_gradient(p, images, labels)
            velocity = {
                name: MOMENTUM * velocity[name] - float(rate) * gradient[name] for name in p
            }
            p = {name: p[name] + velocity[name] for name in p}
            losses.append(value)
        held_out = accuracy(network, p, digits)
        history.append((np.mean(losses), loss(p, digits.test_x, digits.test_y), held_out))
        report(epoch + 1, f"loss {history[-1][0]:.3f}  hold-out {held_out:6.2%}")
    return p, np.array(history)


def accuracy(network, p, digits):
    """Return the share of the held-out digits that the network reads right."""
    answers = np.argmax(network(p, digits.test_x), axis=1)
    return float(np.mean(answers == digits.test_y))


def draw(history):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    left.semilogy(epochs, history[:, 0], label="training digits")
    left.semilogy(epochs, history[:, 1], label="held-out digits")
    left.set(title="Dense network on digits", xlabel="epoch", ylabel="loss with weight decay")
    left.legend()
    right.plot(epochs, 100 * history[:, 2], color="C1")
    right.set(title=f"Accuracy at the end: {history[-1, 2]:.2%}", xlabel="epoch")
    right.set_ylabel("held-out digits read right, %")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


def main():
    options = argparse.ArgumentParser(description="A dense network reads handwritten digits.")
    options.add_argument("--epochs", type=int, default=40)
    options.add_argument("--seed", type=int, default=0, help="of the weights and the batches")
    options.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    options.add_argument("--quick", action="store_true", help="only 5 epochs")
    args = options.parse_args()
    epochs = 5 if args.quick else args.epochs

    digits = load_digits()
    print(f"dense network: {len(digits.train_y)} digits to learn, {len(digits.test_y)} held out")
    begin = time.perf_counter()
    with progress("epoch", epochs) as report:
        _, history = train(digits, epochs, args.seed, report)
    seconds = time.perf_counter() - begin
    print(f"hold-out accuracy {history[-1, 2]:.2%} after {epochs} epochs ({seconds:.1f} s)")
    save(draw(history), args.out / "digits_dense.png")
    assert history[-1, 2] >= (0.90 if args.quick else 0.97)


if __name__ == "__main__":
    main()
