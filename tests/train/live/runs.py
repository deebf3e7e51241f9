"""Small runs that have all that a live view shows."""

import json

import numpy as np

from chainrule import data, nn, optim, random, train

HOSTILE = "<img src=x onerror='window.hacked=1'>"
METRIC = "</script><script>window.hacked=2</script>"


def images(count=120, key=0):
    """Blobs on the left or on the right of 8 × 8 pixels."""
    labels = np.arange(count) % 2
    pixels = 0.3 * np.asarray(random.normal(random.key(key), (count, 1, 8, 8)))
    pixels[labels == 0, :, 2:6, :4] += 1.0
    pixels[labels == 1, :, 2:6, 4:] += 1.0
    return pixels, labels


def flatten(x):
    return x.reshape(len(x), -1)


def network(key=0):
    first, second = random.split(random.key(key))
    return nn.Sequential(
        nn.Conv2d.init(first, 1, 4, 3), nn.relu, flatten, nn.Linear.init(second, 4 * 36, 2)
    )


def fit(folder, *, steps=30, live=True, metric="accuracy", **options):
    settings = {
        "validation": images(60, key=1),
        "metrics": {metric: train.supervised(train.accuracy)},
        "validate_every": 5,
        "log": None,
        **options,
    }
    batches = data.Batches(images(), 12, key=3)
    loss = train.supervised(nn.cross_entropy)
    return train.fit(
        network(),
        loss,
        batches,
        optim.adam(0.01),
        steps=steps,
        folder=folder,
        live=live,
        **settings,
    )


def write_long_run(folder, steps):
    """Write the record of a run of so many steps, without the training."""
    folder.mkdir(parents=True, exist_ok=True)
    start = {"event": "start", "time": 1.0, "step": 0, "epoch": 0, "total_steps": 2 * steps}
    wiggle = np.random.default_rng(0).normal(size=steps).tolist()
    with open(folder / "events.jsonl", "w") as file:
        print(json.dumps(start), file=file)
        for step in range(1, steps + 1):
            append_step(file, step, 2.0 * step**-0.3 + 0.05 * wiggle[step - 1])


def append_step(file, step, loss):
    fields = f'"step": {step}, "epoch": 0, "loss": {loss:.6f}, "seconds_per_step": 0.001'
    file.write(f'{{"event": "step", "time": {1 + step / 1000}, {fields}}}\n')
