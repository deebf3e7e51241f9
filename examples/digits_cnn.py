"""A convolutional network reads handwritten digits: 98.5 % or more of those it has never seen.

Training shifts the digits at random by up to one pixel.

    python digits_cnn.py
"""

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, train

EPOCHS, BATCH = 40, 64
(IMAGES, LABELS), (TEST_IMAGES, TEST_LABELS) = data.digits()
TEST = TEST_IMAGES[:, np.newaxis], TEST_LABELS  # an axis for the one channel


def start(seed=0, dtype=np.float32):
    """Return the model before training."""
    first, second, third = random.split(random.key(seed), 3)
    return nn.Sequential(
        nn.Conv2d.init(first, 1, 16, 3, padding="same", dtype=dtype),
        nn.BatchNorm.init(16, dtype=dtype),
        nn.relu,
        nn.Conv2d.init(second, 16, 32, 3, padding="same", dtype=dtype),
        nn.BatchNorm.init(32, dtype=dtype),
        nn.relu,
        nn.MaxPool2d(2),
        nn.flatten,
        nn.Linear.init(third, 4 * 4 * 32, 10, dtype=dtype),
    )


loss = train.supervised(nn.cross_entropy, label_smoothing=0.1)


def shift(key, batch):
    images, labels = batch
    return data.random_shift(key, images, most=1)[:, np.newaxis], labels


def batches(seed=0):
    return data.Batches((IMAGES, LABELS), BATCH, key=seed, last="drop", augment=shift)


def optimiser():
    steps = EPOCHS * len(batches())
    return optim.adamw(optim.cosine_decay(1e-2, steps), weight_decay=0.1)


def learn(seed=0):
    """Train; return what `fit` gives."""
    return train.fit(
        start(seed), loss, batches(seed), optimiser(), epochs=EPOCHS, jit=True,
        state=nn.init_state(start(seed)), validation=TEST,
        metrics={"accuracy": train.supervised(train.accuracy)}, folder=None, log=None,
    )  # fmt: skip


def draw(model, state):
    """Draw the filters of the first layer, and what they make of an image."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    above, below = figure.subfigures(2, 1)
    filters = model[0].weight[:, 0]
    limit = float(np.max(np.abs(filters)))
    above.suptitle("The 16 learned filters of the first layer: red adds, blue subtracts")
    for axes, weights in zip(above.subplots(2, 8).flat, filters, strict=True):
        shown = axes.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    above.colorbar(shown, ax=above.axes, label="weight")

    image = TEST[0][:1]
    below.suptitle(f"A held-out {TEST_LABELS[0]}, and where the first 15 of them respond to it")
    panels = below.subplots(2, 8)
    normalised, _ = model[1](model[0](image), state[1])
    maps = [image[0, 0], *nn.relu(normalised)[0]]
    for axes, shade in zip(panels.flat, maps, strict=False):
        axes.imshow(shade, cmap="gray_r" if shade is maps[0] else "viridis")
    for axes in (*above.axes[:16], *below.axes):
        axes.set(xticks=[], yticks=[])
    return figure


def main():
    args = arguments(__doc__)
    print(start(args.seed))
    result = learn(args.seed)
    accuracy = result.history[-1]["validation"]["accuracy"]
    print(f"accuracy on {len(TEST_LABELS)} held-out digits: {accuracy:.2%}")
    save(draw(result.model, result.state), args.out / "digits_cnn.png")
    assert accuracy >= 0.985


if __name__ == "__main__":
    main()
