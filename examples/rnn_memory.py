"""The chain rule through time: a recurrent network learns a task that needs memory.

The adding problem: at each of 25 steps the network sees a random number and a mark; two steps
are marked, and at the end it must name the sum of their numbers. Who remembers nothing can
only guess 1, an error of 1/6. The network is a Python loop over time; chainrule differentiates
it as it stands.

A state h_t acts on the loss through all later states, so by the chain rule its gradient is a
product of the local derivatives of all later steps. Before training this product fades, step by
step, towards the past; to learn, the network has to carry it. Both are shown.

    python rnn_memory.py            about ten seconds; the error falls below 5 % of guessing
    python rnn_memory.py --quick    8 steps in time
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _shared import progress, save
from matplotlib.figure import Figure

from chainrule import grad, value_and_grad

BATCH = 64
GUESSING = 1 / 6  # mean squared error of the answer 1 for the sum of two uniform numbers


def adding_problem(rng, count, length):
    """Return sequences of (number, mark) and the sum of the two marked numbers."""
    numbers = rng.uniform(size=(count, length))
    marks = np.zeros((count, length))
    rows = np.arange(count)
    marks[rows, rng.integers(0, length // 2, count)] = 1
    marks[rows, rng.integers(length // 2, length, count)] = 1
    sums = np.sum(numbers * marks, axis=1)
    return np.stack([numbers, marks], axis=-1).astype(np.float32), sums.astype(np.float32)


def initial_parameters(rng, hidden=48):
    rotation, _ = np.linalg.qr(rng.normal(size=(hidden, hidden)))
    start = {
        "W": rng.normal(0, 0.5, (2, hidden)),
        "U": 0.8 * rotation,  # each step back in time multiplies gradients by about 0.8
        "b": np.zeros(hidden),
        "v": rng.normal(0, 1 / np.sqrt(hidden), hidden),
        "c": np.zeros(()),
    }
    return {name: value.astype(np.float32) for name, value in start.items()}


def network(p, sequences, nudges):
    """Run through time; ``nudges[t]`` is added to the state after step t."""
    state = np.zeros((len(sequences), len(p["b"])), np.float32)
    for t in range(sequences.shape[1]):
        state = np.tanh(sequences[:, t] @ p["W"] + state @ p["U"] + p["b"]) + nudges[t]
    return state @ p["v"] + p["c"]


def loss(p, sequences, sums, nudges):
    return np.mean((network(p, sequences, nudges) - sums) ** 2)


def gradient_norms(p, sequences, sums):
    """Return the norm of dL/dh_t for every t.

    A nudge of 0 changes nothing, and the derivative by it is the derivative by the state.
    """
    nudges = np.zeros((sequences.shape[1], len(sequences), len(p["b"])), np.float32)
    by_state = grad(loss, argnums=3)(p, sequences, sums, nudges)
    return np.sqrt(np.sum(by_state**2, axis=(1, 2)))


def train(length=25, steps=2500, seed=0, learning_rate=3e-3, report=lambda done, message: None):
    """Train with Adam; return the first and the learned parameters and the losses."""
    rng = np.random.default_rng(seed)
    first = p = initial_parameters(rng)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    loss_and_gradient = value_and_grad(loss)
    no_nudges = np.zeros(length, np.float32)
    losses = []
    for step in range(1, steps + 1):
        value, gradient = loss_and_gradient(p, *adding_problem(rng, BATCH, length), no_nudges)
        norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
        rate = learning_rate * (1 + np.cos(np.pi * step / steps)) / 2
        p = dict(p)
        for name, g in gradient.items():
            g = g / max(1.0, float(norm))  # a long product of derivatives can also explode
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g**2
            scale = np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8
            p[name] = p[name] - float(rate) / (1 - 0.9**step) * mean[name] / scale
        losses.append(float(value))
        report(step, f"loss {np.mean(losses[-50:]):.4f}")
    return first, p, losses


def print_bars(title, norms):
    print(f"\n{title}: |dL/dh_t| relative to the last step")
    relative = norms / norms[-1]
    for t, value in enumerate(relative, start=1):
        bar = "#" * round(max(0.0, 40 + 10 * np.log10(value)))  # ten marks for a factor of 10
        print(f"  t = {t:2d}  {value:7.4f}  {bar}")


def draw(before, after, losses):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    width = min(50, len(losses))
    left.semilogy(losses, alpha=0.3, label="each step")
    average = np.convolve(losses, np.ones(width) / width, mode="valid")
    left.semilogy(np.arange(width - 1, len(losses)), average, color="C0", label="average")
    left.axhline(GUESSING, color="grey", linestyle="--", label="guessing, 1/6")
    left.set(title="Adding problem, recurrent network", xlabel="training step", ylabel="loss")
    times = np.arange(1, len(before) + 1)
    right.semilogy(times, before / before[-1], "o-", label="before training")
    right.semilogy(times, after / after[-1], "o-", label="after training")
    right.set(title="The chain rule through time", xlabel="time step t")
    right.set_ylabel("norm of dL/dh_t, relative to the last step")
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    return figure


def main():
    options = argparse.ArgumentParser(description="A recurrent network learns to remember.")
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    options.add_argument("--quick", action="store_true", help="8 steps in time, 400 of training")
    args = options.parse_args()
    length, steps = (8, 400) if args.quick else (25, args.steps)

    print(f"adding problem over {length} time steps, {steps} steps of training")
    begin = time.perf_counter()
    with progress("step", steps) as report:
        first, learned, losses = train(length, steps, args.seed, report=report)
    seconds = time.perf_counter() - begin

    unseen = adding_problem(np.random.default_rng([args.seed, 1]), 1000, length)
    error = float(loss(learned, *unseen, np.zeros(length, np.float32)))
    before, after = gradient_norms(first, *unseen), gradient_norms(learned, *unseen)
    print_bars("before training", before)
    print_bars("after training", after)
    share = error / GUESSING
    print(f"\nmean squared error {error:.4f}, {share:.1%} of guessing ({seconds:.1f} s)")
    save(draw(before, after, losses), args.out / "rnn_memory.png")
    assert share < (0.2 if args.quick else 0.05)
    assert after[0] / after[-1] > before[0] / before[-1]  # the past is heard better


if __name__ == "__main__":
    main()
