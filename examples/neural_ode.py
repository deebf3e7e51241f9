"""A network learns the law of motion of a pendulum, and gradients flow through the solver.

Seen are only short runs of noisy angles and speeds. The network says how fast both change; a
Runge-Kutta method follows it through time, and what it misses of the runs is the loss. Nobody tells
the network a derivative; it predicts far longer than it has seen.

    python neural_ode.py
"""

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, scan, train

RUNS, SEEN, STEP, NOISE, STEPS = 32, 20, 0.1, 0.02, 1500


def pendulum(y):
    """Return how fast the angle and the speed of a pendulum with friction change."""
    angle, speed = y[..., 0], y[..., 1]
    return np.stack([speed, -2.0 * np.sin(angle) - 0.2 * speed], axis=-1)


def solve(f, y, steps):
    """Follow y' = f(y) by the Runge-Kutta method of order 4; return y after each step."""

    def advance(y, _):
        k1 = f(y)
        k2 = f(y + STEP / 2 * k1)
        k3 = f(y + STEP / 2 * k2)
        k4 = f(y + STEP * k3)
        y = y + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y, y

    return scan(advance, y, length=steps)[1]


def start(seed=0, dtype=np.float64):
    """Return the network before training."""
    first, second = random.split(random.key(seed))
    return nn.Sequential(
        nn.Linear.init(first, 2, 32, dtype=dtype),
        nn.tanh,
        nn.Linear.init(second, 32, 2, dtype=dtype),
    )


def loss(f, y, seen):
    return nn.squared_error(solve(f, y, SEEN), seen)


def batches(seed=0):
    first, noise = random.split(random.key(seed + 1))
    y = random.uniform(first, (RUNS, 2), low=-2.5, high=2.5)
    seen = solve(pendulum, y, SEEN)
    seen = seen + NOISE * random.normal(noise, seen.shape)
    return data.Stream([(y, seen)])


def optimiser():
    return optim.adam(optim.cosine_decay(1e-2, STEPS))


def draw(model, path, predicted):
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-4, 4, 25)), axis=-1)
    field = model(grid)
    speed = np.linalg.norm(field, axis=-1)
    left.streamplot(*np.moveaxis(grid, -1, 0), *np.moveaxis(field, -1, 0), color=speed)
    left.plot(*predicted.T, "k", linewidth=2, label="a run of the learned law")
    left.set(title="The learned law of motion", xlabel="angle", ylabel="speed")
    left.legend(loc="upper right")
    times = STEP * np.arange(1, len(path) + 1)
    right.plot(times, path[:, 0], linewidth=5, alpha=0.3, label="the pendulum")
    right.plot(times, predicted[:, 0], "k", linewidth=1, label="predicted")
    right.axvspan(0, STEP * SEEN, color="C2", alpha=0.15, label="as long as a run in training")
    right.set(title="A run never seen", xlabel="time", ylabel="angle")
    right.legend(loc="upper right")
    return figure


def main():
    args = arguments(__doc__)
    result = train.fit(
        start(args.seed), loss, batches(args.seed), optimiser(), steps=STEPS, jit=True,
        validate_every=STEPS // 5, folder=None,
    )  # fmt: skip
    path, predicted = (solve(f, np.array([2.2, 0.0]), 150) for f in (pendulum, result.model))
    error = np.sqrt(np.mean((path - predicted) ** 2))
    print(f"a run of 150 steps, {150 // SEEN} times as long as any seen: error {error:.3f}")
    save(draw(result.model, path, predicted), args.out / "neural_ode.png")
    assert error < 0.1


if __name__ == "__main__":
    main()
