"""A network tells malignant from benign tumours, and does not miss many of the malignant ones.

Benign tumours are more common; weights make both classes count the same.

    python breast_cancer.py
"""

import numpy as np
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, train

EPOCHS, BATCH = 60, 32
LEARN, TEST = data.breast_cancer()  # 30 measurements of each of 427 and 142 tumours; 1 is benign
WEIGHTS = train.class_weights(LEARN[1])


def start(seed=0, dtype=np.float64):
    """Return the model before training."""
    first, second = random.split(random.key(seed))
    return nn.Sequential(
        nn.Linear.init(first, 30, 32, dtype=dtype),
        nn.relu,
        nn.Linear.init(second, 32, 2, dtype=dtype),
    )


loss = train.supervised(nn.cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1)


def batches(seed=0):
    return data.Batches(LEARN, BATCH, key=seed, last="drop")


def optimiser():
    steps = EPOCHS * len(batches())
    return optim.adamw(optim.cosine_decay(1e-2, steps), weight_decay=0.1)


def learn(seed=0):
    """Train; return what `fit` gives."""
    return train.fit(
        start(seed), loss, batches(seed), optimiser(), epochs=EPOCHS, jit=True, validation=TEST,
        folder=None, log=None,
    )  # fmt: skip


def draw(result, probability):
    """Draw the curves of training, and how sure the network is of each tumour."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in result.history]
    left.plot(epochs, [row["loss"] for row in result.history], label="to learn from")
    left.plot(epochs, [row["validation"]["loss"] for row in result.history], label="held out")
    left.set(title="Weighted cross-entropy with smoothed labels", xlabel="epoch")
    left.legend()
    bins = np.linspace(0, 1, 21)
    for label, name, color in ((0, "malignant", "C3"), (1, "benign", "C0")):
        right.hist(probability[TEST[1] == label], bins, label=name, color=color, alpha=0.7)
    right.set(title="Held-out tumours", xlabel="probability of malignant, says the network")
    right.set(yscale="symlog", ylabel="how many")
    right.legend(title="in truth")
    return figure


def main():
    args = arguments(__doc__)
    result = learn(args.seed)
    logits = result.model(TEST[0])
    print("held-out tumours (rows: the truth, columns: the answer)")
    print("            malignant  benign")
    table = train.confusion_matrix(TEST[1], np.argmax(logits, axis=1))
    for name, row in zip(("malignant", "benign"), table, strict=True):
        print(f"{name:10} {row[0]:10} {row[1]:7}")
    accuracy, found = np.trace(table) / np.sum(table), table[0, 0] / np.sum(table[0])
    print(f"accuracy {accuracy:.1%}, malignant tumours found {found:.1%}")
    figure = draw(result, nn.softmax(logits)[:, 0])
    save(figure, args.out / "breast_cancer.png")
    assert accuracy >= 0.96
    assert found >= 0.94


if __name__ == "__main__":
    main()
