"""The chain rule by the numbers: a network of two layers, small enough to check by hand.

The forward pass and the loss are plain NumPy; the derivative of each parameter comes from one
call. Plain gradient descent then teaches the network to answer 0.2.

    python two_layer_net.py
"""

import argparse
from pathlib import Path

import numpy as np
from _shared import save
from matplotlib.figure import Figure

from chainrule import grad, value_and_grad

X = np.array([0.5, 0.3])
PARAMETERS = {
    "W1": np.array([[0.1, 0.2], [0.3, 0.4]]),
    "b1": np.array([0.5, 0.6]),
    "W2": np.array([0.7, 0.8]),
    "b2": np.array(0.9),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def network(p, x):
    a1 = sigmoid(p["W1"] @ x + p["b1"])
    return sigmoid(p["W2"] @ a1 + p["b2"])


def squared_error(p, x, target):
    return (network(p, x) - target) ** 2


def train(steps, learning_rate=1.0, target=0.2):
    """Descend along the gradient; return the learned parameters and the loss at every step."""
    loss_and_gradient = value_and_grad(squared_error)
    p, losses = PARAMETERS, []
    for _ in range(steps):
        loss, gradient = loss_and_gradient(p, X, target)
        p = {name: p[name] - learning_rate * gradient[name] for name in p}
        losses.append(float(loss))
    return p, losses


def show_gradients():
    output = network(PARAMETERS, X)
    print(f"a2 = {output:.15f}")
    assert abs(output - 0.871843204787514) < 1e-15
    for name, d in grad(network)(PARAMETERS, X).items():
        text = np.array2string(d, precision=10, prefix=f"d a2 / d {name} = ")
        print(f"d a2 / d {name} = {text}")


def main():
    options = argparse.ArgumentParser(description="A network of two layers, by the numbers.")
    options.add_argument("--steps", type=int, default=200, help="steps of gradient descent")
    options.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    options.add_argument("--quick", action="store_true", help="only 100 steps")
    args = options.parse_args()
    steps = 100 if args.quick else args.steps

    show_gradients()
    print(f"\nlearning to answer 0.2, {steps} steps of plain gradient descent")
    p, losses = train(steps)
    for step in sorted({0, 1, 5, 20, 50, steps // 2, steps - 1} & set(range(steps))):
        print(f"step {step:4d}   loss {losses[step]:.3e}")
    print(f"the network now answers {network(p, X):.6f}")
    assert losses[-1] < losses[0] * (1e-3 if args.quick else 1e-6)

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(losses)
    axes.grid(alpha=0.3)
    axes.set(title="Two-layer network: learning to answer 0.2", xlabel="step", ylabel="loss")
    save(figure, args.out / "two_layer_net.png")


if __name__ == "__main__":
    main()
