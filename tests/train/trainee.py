"""A training run in a process of its own, for tests that end it: python trainee.py FOLDER EPOCHS.

It has all that a run can have: a key for dropout, running statistics, shuffled and augmented data,
momentum, validation, and checkpoints at every step.
"""

import sys
import time

import numpy as np

from chainrule import data, nn, optim, random, train

EPOCHS = 6


def loss(model, x, y, *, key=None, train=False, state=None):
    mean = 0.9 * state["mean"] + 0.1 * x.mean(axis=0) if train else state["mean"]
    x = x - mean
    if train:
        x = x * random.bernoulli(key, 0.8, x.shape)
    return nn.cross_entropy(model(x), y), {"mean": mean}


def run(folder, epochs=EPOCHS, pause=0.0, **options):
    x = random.normal(random.key(1), (90, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    one, two = random.split(random.key(0))
    model = nn.Sequential(nn.Linear.init(one, 4, 16), nn.relu, nn.Linear.init(two, 16, 2))
    batches = data.Batches(
        (x[:60], y[:60]), 8, key=4,
        augment=lambda key, batch: (batch[0] + 0.1 * random.normal(key, batch[0].shape), batch[1]),
    )  # fmt: skip
    return train.fit(
        model, loss, data.Prefetch(batches), optim.adam(0.01), epochs=epochs, key=7,
        state={"mean": np.zeros(4)}, validation=(x[60:], y[60:]), patience=100, clip=1.0,
        folder=folder, save_every=0, log="lines",
        callbacks=[lambda event, run: time.sleep(pause)], **options,
    )  # fmt: skip


if __name__ == "__main__":
    # the pause makes a run of seconds, so that random moments hit all of it
    result = run(sys.argv[1], int(sys.argv[2]), pause=float(sys.argv[3]), resume=True)
    print(f"ended: {result.reason}", flush=True)
