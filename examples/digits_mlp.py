"""A network of two layers reads handwritten digits: 97 % or more of those it has never seen.

It learns from 1,348 images of 8 x 8 pixels; 449 are held out.

    python digits_mlp.py
"""

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, train

EPOCHS, BATCH = 40, 32
DIGITS = data.digits()


def start(seed=0, dtype=np.float32):
    """Return the model before training."""
    first, second = random.split(random.key(seed))
    return nn.Sequential(
        nn.Function(nn.flatten),
        nn.Linear.init(first, 64, 128, dtype=dtype),
        nn.relu,
        nn.Linear.init(second, 128, 10, dtype=dtype),
    )


loss = train.supervised(nn.cross_entropy, label_smoothing=0.1)


def batches(seed=0):
    return data.Batches(DIGITS.train, BATCH, key=seed, last="drop")


def optimiser():
    steps = EPOCHS * len(batches())
    return optim.adamw(optim.cosine_decay(3e-3, steps), weight_decay=0.1)


def learn(seed=0):
    """Train; return what `fit` gives."""
    return train.fit(
        start(seed), loss, batches(seed), optimiser(), epochs=EPOCHS, jit=True,
        validation=DIGITS.test, metrics={"accuracy": train.supervised(train.accuracy)},
        folder=None, log=None,
    )  # fmt: skip


def draw(history, model):
    """Draw the curves of training, and the digits that were read wrong."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3, 1))
    left, right = above.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], label="digits to learn from")
    left.plot(epochs, [row["validation"]["loss"] for row in history], label="held-out digits")
    left.set(title="Cross-entropy with smoothed labels", xlabel="epoch")
    left.legend()
    errors = [100 * (1 - row["validation"]["accuracy"]) for row in history]
    right.plot(epochs, errors, color="C1")
    right.set(title="Held-out digits read wrong, %", xlabel="epoch", ylim=(0, 10))
    for axes in (left, right):
        axes.grid(alpha=0.3)

    images, labels = DIGITS.test
    answers = np.argmax(model(images), axis=1)
    wrong = np.flatnonzero(answers != labels)[:10]
    below.suptitle("Digits read wrong: what they are, and what the network says")
    for axes, i in zip(below.subplots(1, 10).flat, wrong, strict=False):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(f"{labels[i]}, not {answers[i]}", fontsize="small")
    for axes in below.axes:
        axes.axis("off")
    return figure


def main():
    args = arguments(__doc__)
    print(start(args.seed))
    result = learn(args.seed)
    accuracy = result.history[-1]["validation"]["accuracy"]
    print(f"accuracy on {len(DIGITS.test[1])} held-out digits: {accuracy:.2%}")
    save(draw(result.history, result.model), args.out / "digits_mlp.png")
    assert accuracy >= 0.97


if __name__ == "__main__":
    main()
