"""What ``fit`` costs beside a loop written by hand: ``python -m benchmarks.training_overhead``.

CPU time is compared, of the shortest of several turns, since what else the machine does touches it
least; set OPENBLAS_NUM_THREADS=1, for threads that wait count too. What `fit` does once per run
(folder, checkpoints) is included.
"""

import tempfile
import time

import numpy as np

import chainrule as cr
from chainrule import data, nn, optim, random, train

TURNS = 9


def model(width, key):
    first, second = random.split(key)
    return nn.Sequential(
        nn.Linear.init(first, 64, width), nn.tanh, nn.Linear.init(second, width, 10)
    )


def by_hand(start, batches, optimiser):
    parameters, state = start, optimiser.init(start)
    for x, y in batches.epoch(0):
        _, gradients = cr.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(parameters)  # noqa: B023
        updates, state = optimiser.update(gradients, state, parameters)
        parameters = optim.apply(parameters, updates)
    return parameters


def by_fit(start, batches, optimiser, folder):
    loss = train.supervised(nn.cross_entropy)
    return train.fit(
        start, loss, batches, optimiser, epochs=1, folder=folder, log=None, save_every=3600
    ).model


def seconds(function, *args):
    began = time.process_time()
    function(*args)
    return time.process_time() - began


def measure(width, size, steps):
    images = np.resize(data.digits().train[0].reshape(-1, 64).astype(float), (steps * size, 64))
    labels = np.resize(data.digits().train[1], steps * size)
    batches = data.Batches((images, labels), size, key=0)
    start, optimiser = model(width, random.key(0)), optim.adam(1e-3)
    hand, fit, silent = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(TURNS):
            hand.append(seconds(by_hand, start, batches, optimiser))
            run = f"{folder}/{turn}"
            fit.append(seconds(by_fit, start, batches, optimiser, run))
            silent.append(seconds(by_fit, start, batches, optimiser, None))
    return tuple(min(times) * 1e3 / steps for times in (hand, fit, silent))


def main():
    print("width  batch  by hand  fit with files  fit without files   (ms per step)")
    for width, size, steps in ((16, 32, 300), (256, 256, 100)):
        hand, fit, silent = measure(width, size, steps)
        print(
            f"{width:5}  {size:5}  {hand:7.2f}  {fit:7.2f} {fit / hand - 1:+6.1%}"
            f"  {silent:7.2f} {silent / hand - 1:+6.1%}"
        )


if __name__ == "__main__":
    main()
