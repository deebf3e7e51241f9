"""A network solves a partial differential equation that it has seen no solution of.

Burgers' equation, u_t + u u_x = ν u_xx, steepens a wave until friction holds it. The network's own
derivatives are put into the equation, and what is left over is the loss (Raissi, Perdikaris and
Karniadakis, 2019): a gradient of a function that holds second derivatives of another.

    python physics_informed.py
"""

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import jvp, nn, optim, random

VISCOSITY, WIDTH, POINTS, ITERATIONS = 0.03, 24, 2000, 1500


def start(seed=0):
    """Return the network before training."""
    keys = random.split(random.key(seed), 3)
    sizes = ((2, WIDTH), (WIDTH, WIDTH), (WIDTH, 1))
    first, second, third = (nn.Linear.init(k, *size) for k, size in zip(keys, sizes, strict=True))
    return nn.Sequential(first, nn.tanh, second, nn.tanh, third)


def solution(model, t, x):
    """Return u, which is right by its form at the start (t = 0) and at both ends (x = ±1)."""
    correction = model(np.stack([t, x], axis=-1))[:, 0]
    return -np.sin(np.pi * x) + t * (1 - x**2) * correction


def residual(model, t, x):
    """Return what is left over of the equation at points (t, x)."""
    ones = np.ones_like(x)

    def by_x(x):
        return jvp(lambda x: solution(model, t, x), (x,), (ones,))[1]

    u, u_t = jvp(lambda t: solution(model, t, x), (t,), (ones,))
    u_x, u_xx = jvp(by_x, (x,), (ones,))
    return u_t + u * u_x - VISCOSITY * u_xx


def points(seed=0):
    first, second = random.split(random.key(seed + 1))
    t = random.uniform(first, POINTS)
    return t, random.uniform(second, POINTS, low=-1.0, high=1.0)


def loss(model, t, x):
    return np.mean(residual(model, t, x) ** 2)


def learn(seed=0, keep=None):
    """Minimise the residual by a quasi-Newton method; return what `minimize` gives."""
    t, x = points(seed)
    options = {"maxiter": ITERATIONS, "maxcor": 50}
    return optim.minimize(
        lambda model: loss(model, t, x), start(seed), options=options, callback=keep, jit=True
    )


def exact(t, x):
    """Return the solution by the transformation of Cole and Hopf, at times after 0."""
    nodes, weights = np.polynomial.hermite.hermgauss(80)
    z = x[..., np.newaxis] - np.sqrt(4 * VISCOSITY * t)[..., np.newaxis] * nodes
    mass = weights * np.exp(-np.cos(np.pi * z) / (2 * np.pi * VISCOSITY))
    return -np.sum(mass * np.sin(np.pi * z), axis=-1) / np.sum(mass, axis=-1)


def draw(t, x, u, truth):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = left.pcolormesh(t, x, u, cmap="RdBu_r", vmin=-1, vmax=1)
    figure.colorbar(shown, ax=left, label="u")
    left.set(title="The network's solution", xlabel="time t", ylabel="place x")
    for i in (0, 25, 50, 99):
        right.plot(x[:, i], truth[:, i], color="grey", linewidth=6, alpha=0.3)
        right.plot(x[:, i], u[:, i], linewidth=1, label=f"t = {t[0, i]:.2f}")
    right.set(title="The network; in broad lines what is exact", xlabel="place x", ylabel="u")
    right.legend()
    return figure


def main():
    args = arguments(__doc__)
    found = learn(args.seed)
    t, x = np.meshgrid(np.linspace(0.01, 1, 100), np.linspace(-1, 1, 101))
    u, truth = solution(found.params, t.ravel(), x.ravel()).reshape(t.shape), exact(t, x)
    error = np.linalg.norm(u - truth) / np.linalg.norm(truth)
    print(f"mean squared residual {found.value:.1e} after {found.iterations} iterations")
    print(f"relative error of the solution {error:.1e}")
    save(draw(t, x, u, truth), args.out / "physics_informed.png")
    assert error < 1e-2


if __name__ == "__main__":
    main()
