"""An autoencoder puts a digit into two numbers and draws it again from them.

Nobody tells it which digit an image shows; still, the same digits come to lie side by side. The
best linear method, principal components, needs three times as many numbers for as small an error.

    python autoencoder.py
"""

from dataclasses import dataclass

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, train

EPOCHS, BATCH, WIDTH = 150, 64, 128
(IMAGES, _), (TEST, LABELS) = ((x.reshape(-1, 64), y) for x, y in data.digits())


@dataclass(frozen=True, repr=False)
class Autoencoder(nn.Printed):
    encoder: nn.Sequential
    decoder: nn.Sequential

    def __call__(self, images):
        return self.decoder(self.encoder(images))


def network(key, inputs, outputs, dtype):
    first, second, third = random.split(key, 3)
    return nn.Sequential(
        nn.Linear.init(first, inputs, WIDTH, dtype=dtype), nn.silu,
        nn.Linear.init(second, WIDTH, WIDTH, dtype=dtype), nn.silu,
        nn.Linear.init(third, WIDTH, outputs, dtype=dtype),
    )  # fmt: skip


def start(seed=0, dtype=np.float32):
    """Return the model before training."""
    first, second = random.split(random.key(seed))
    return Autoencoder(network(first, 64, 2, dtype), network(second, 2, 64, dtype))


def loss(model, images):
    return nn.squared_error(model(images), images)


def batches(seed=0):
    return data.Batches(IMAGES, BATCH, key=seed, last="drop")


def optimiser():
    return optim.adamw(optim.cosine_decay(3e-3, EPOCHS * len(batches())), weight_decay=1e-2)


def error_of_components(count):
    """Return the error of as many principal components, by the singular value decomposition."""
    mean = IMAGES.mean(axis=0)
    axes = np.linalg.svd(IMAGES - mean, full_matrices=False)[2][:count]
    return nn.squared_error((TEST - mean) @ axes.T @ axes + mean, TEST)


def draw(model):
    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    codes = model.encoder(TEST)
    points = left.subplots().scatter(*codes.T, c=LABELS, cmap="tab10", s=12)
    left.suptitle("Held-out digits in two numbers")
    left.colorbar(points, ticks=range(10), label="digit (the network was never told)")
    right.suptitle("Held-out digits, and below them as drawn again")
    panels = right.subplots(4, 5)
    for digit in range(10):
        i, row, column = list(LABELS).index(digit), digit // 5 * 2, digit % 5
        panels[row, column].imshow(TEST[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        again = model(TEST[i : i + 1]).reshape(8, 8)
        panels[row + 1, column].imshow(again, cmap="gray_r", vmin=0, vmax=1)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    return figure


def main():
    args = arguments(__doc__)
    model = train.fit(
        start(args.seed), loss, batches(args.seed), optimiser(), epochs=EPOCHS, jit=True,
        folder=None, log=None,
    ).model  # fmt: skip
    error = float(loss(model, TEST))
    print(f"squared error per pixel of held-out digits: {error:.4f} from 2 numbers of the network")
    for count in (2, 4, 6):
        print(f"{error_of_components(count):50.4f} from {count} principal components")
    save(draw(model), args.out / "autoencoder.png")
    assert error < error_of_components(5)


if __name__ == "__main__":
    main()
