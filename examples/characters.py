"""Two networks learn a language character by character: a GRU and a transformer.

The text comes from a grammar, so two things are known that no other text would tell: how well the
next character can be guessed at all, and whether what the networks write is right. A verb must
agree with a subject some 25 characters before it.

    python characters.py
"""

from dataclasses import dataclass

import numpy as np
from _grammar import ALPHABET, is_right, pieces, text, write
from _shared import arguments, keep_losses, save
from matplotlib.figure import Figure

from chainrule import data, nn, optim, random, train

LENGTH, BATCH, STEPS, WIDTH = 46, 32, 1000, 64
TEXT, BITS = text(0, 6000)
UNSEEN, UNSEEN_BITS = text(1, 300)


@dataclass(frozen=True, repr=False)
class Recurrent(nn.Printed):
    embedding: nn.Embedding
    network: nn.GRU
    head: nn.Linear

    def __call__(self, codes):
        return self.head(self.network(self.embedding(codes))[0])


@dataclass(frozen=True, repr=False)
class Transformer(nn.Printed):
    embedding: nn.Embedding
    places: np.ndarray
    blocks: tuple
    norm: nn.LayerNorm
    head: nn.Linear

    def __call__(self, codes):
        x = self.embedding(codes) + self.places[: codes.shape[1]]
        for block in self.blocks:
            x = block(x, causal=True)
        return self.head(self.norm(x))


def start(kind, seed=0, dtype=np.float32):
    keys = random.split(random.key(seed), 5)
    embedding = nn.Embedding.init(keys[0], len(ALPHABET), WIDTH, dtype=dtype)
    head = nn.Linear.init(keys[1], WIDTH, len(ALPHABET), dtype=dtype)
    if kind is Recurrent:
        return Recurrent(embedding, nn.GRU.init(keys[2], WIDTH, WIDTH, dtype=dtype), head)
    blocks = tuple(nn.TransformerBlock.init(k, WIDTH, heads=4, dtype=dtype) for k in keys[2:4])
    places = 0.1 * random.normal(keys[4], (LENGTH, WIDTH), dtype=dtype)
    return Transformer(embedding, places, blocks, nn.LayerNorm.init(WIDTH, dtype=dtype), head)


def loss(model, codes):
    return nn.cross_entropy(model(codes[:, :-1]), codes[:, 1:])


def batches(seed=0):
    return data.Batches(pieces(TEXT, LENGTH + 1), BATCH, key=seed, last="drop")


def optimiser(kind):
    rate = optim.warmup_cosine(2e-2 if kind is Recurrent else 5e-3, warmup=50, steps=STEPS)
    return optim.chain(optim.clip_by_global_norm(1.0), optim.adam(rate))


def main():
    args = arguments(__doc__)
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    print(f"a text of {len(TEXT)} characters; the best guess leaves {UNSEEN_BITS:.3f} bits of each")
    for kind in (Recurrent, Transformer):
        bits, first = [], start(kind, args.seed)
        model = train.fit(
            first, loss, batches(args.seed), optimiser(kind), steps=STEPS, jit=True,
            callbacks=[keep_losses(bits)], folder=None, log=None,
        ).model  # fmt: skip
        axes.plot(np.array(bits) / np.log(2), label=kind.__name__)
        unseen = loss(model, pieces(UNSEEN, LENGTH + 1)) / np.log(2)
        sentences = write(model, random.key(1), 200, LENGTH)
        right = np.mean([is_right(sentence) for sentence in sentences])
        print(f"\n{kind.__name__}: {nn.parameter_count(model):,} parameters")
        print(f"unseen text: {unseen:.3f} bits per character; sentences right: {right:.1%}")
        print("it writes:", *sentences[:4], sep="\n    ")
        assert unseen < UNSEEN_BITS + 0.05
        assert right > (0.5 if kind is Recurrent else 0.9)
    axes.axhline(BITS, color="grey", linestyle="--", label="the grammar's own uncertainty")
    axes.set(title="Learning a language", xlabel="step", ylabel="bits per character", ylim=(0.3, 1))
    axes.legend()
    save(figure, args.out / "characters.png")


if __name__ == "__main__":
    main()
