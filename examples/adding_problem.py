"""An LSTM remembers over 200 steps what a plain recurrent network forgets.

The adding problem (Hochreiter and Schmidhuber, 1997): at each step the network sees a random
number and a mark; at the end it must name the sum of the two marked numbers. Who remembers nothing
can only answer 1, with an error of 1/6. Both networks are trained in the same way; the LSTM's gates
start with time constants of up to 200 steps (Tallec and Ollivier, 2018).

    python adding_problem.py
"""

from dataclasses import replace

import numpy as np
from _shared import arguments, keep_losses, save
from matplotlib.figure import Figure

from chainrule import data, grad, jit, nn, optim, random, train, tree

LENGTH, BATCH, STEPS, HIDDEN = 200, 50, 700, 32


def start(kind, seed=0, dtype=np.float32):
    """Return a network (``nn.LSTM`` or ``nn.RNN``) and the layer that reads its last state."""
    first, second, third = random.split(random.key(seed), 3)
    network = kind.init(first, 2, HIDDEN, dtype=dtype)
    if kind is nn.LSTM:
        forget = np.log(random.uniform(second, HIDDEN, low=1, high=LENGTH - 1))
        bias = np.concatenate([-forget, forget, np.zeros(2 * HIDDEN)]).astype(dtype)
        network = nn.LSTM(((replace(network.cells[0][0], bias_ih=bias, bias_hh=0 * bias),),))
    return {"network": network, "head": nn.Linear.init(third, HIDDEN, 1, dtype=dtype)}


def loss(model, x, y):
    states, _ = model["network"](x)
    return nn.squared_error(model["head"](states[:, -1])[:, 0], y)


def problem(key, count):
    """Return sequences of (number, mark), and the sums of the two marked numbers."""
    keys = random.split(key, 3)
    half = (count, LENGTH // 2)
    numbers = random.uniform(keys[0], (count, LENGTH), dtype=np.float32)
    marked = [random.randint(k, (count, 1), 0, half[1]) == np.arange(half[1]) for k in keys[1:]]
    marks = np.concatenate(marked, axis=1).astype(np.float32)
    return np.stack([numbers, marks], axis=2), np.sum(numbers * marks, axis=1)


def batches(seed=0):
    keys = random.split(random.key(seed + 1), STEPS)
    return data.Stream(lambda epoch: (problem(key, BATCH) for key in keys))


def optimiser():
    half = STEPS // 2
    rate = optim.join_schedules([optim.constant(2e-2), optim.linear(2e-2, 0, half)], [half])
    return optim.chain(optim.clip_by_global_norm(1.0), optim.adam(rate))


def gradient_norms(model, x, y):
    """Return the largest |dL/dx_t| for every t: how much of the past the loss still feels."""
    model, x, y = tree.map(np.float64, (model, x, y))  # float32 ends at 1e-45
    by_input = jit(grad(lambda x: loss(model, x, y)))(x)
    return np.max(np.abs(by_input), axis=(0, 2))


def main():
    args = arguments(__doc__)
    unseen = problem(random.key(args.seed + 2), 1000)
    figure, errors, norms = Figure(figsize=(10, 4), layout="constrained"), {}, {}
    left, right = figure.subplots(1, 2)
    for kind, color in ((nn.RNN, "C1"), (nn.LSTM, "C0")):
        losses, first = [], start(kind, args.seed)
        learned = train.fit(
            first, loss, batches(args.seed), optimiser(), epochs=1, jit=True,
            callbacks=[keep_losses(losses)], folder=None, log=None,
        ).model  # fmt: skip
        name = kind.__name__
        errors[name] = float(loss(learned, *unseen))
        print(f"{name:4}  error {errors[name]:.4f} after {STEPS} steps")
        left.semilogy(losses, color=color, label=name, linewidth=0.7)
        for model, style, when in ((first, ":", "before"), (learned, "-", "after")):
            norms[name, when] = n = gradient_norms(model, *unseen)
            print(f"      gradient at the first step / at the last, {when:6}: {n[0] / n[-1]:.1e}")
            right.semilogy(n / n[-1], style, color=color, label=f"{name}, {when} training")
    left.axhline(1 / 6, color="grey", linestyle="--", label="answer 1")
    left.set(title=f"Adding problem over {LENGTH} steps", xlabel="training step", ylabel="loss")
    right.set(title="How far back the gradient reaches", xlabel="time t", ylim=(1e-20, 1e2))
    right.set_ylabel("largest |dL/dx_t|, relative to the last step")
    for axes in (left, right):
        axes.legend()
    save(figure, args.out / "adding_problem.png")
    assert errors["LSTM"] < 0.01
    assert errors["RNN"] > 0.1
    assert all(n[0] < 1e-9 * n[-1] for n in (norms["RNN", "before"], norms["RNN", "after"]))
    assert norms["LSTM", "before"][0] > 1e-3 * norms["LSTM", "before"][-1]


if __name__ == "__main__":
    main()
