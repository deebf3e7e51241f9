"""What ``fit`` costs beside a loop written by hand: ``python -m benchmarks.training_overhead``.

The networks and data are those of :mod:`benchmarks.networks`; both loops run the same compiled
gradient and the same optimiser on the same batches, and ``fit`` writes all its records. Epochs are
compared by CPU time, in turns; set OPENBLAS_NUM_THREADS=1, for threads that wait count too.
"""

import statistics
import tempfile
import time

import chainrule as cr
from chainrule import data, nn, optim, train

from .networks import BATCH, RATE, TITLES, _our_network, digits

TURNS, WARM = 8, 3  # of so many epochs; the first ones compile
EPOCHS = {"dense": 30, "convolutional": 10, "recurrent": 20}
MOST = 0.03


class Timed(data.Batches):
    """Batches that note when each epoch begins."""

    def epoch(self, number, start=0):
        self.began.append(time.process_time())
        return super().epoch(number, start)

    def seconds(self, loop, *args):
        """Return the seconds of each epoch of a loop, from the beginning of one to the next."""
        self.began = []
        loop(self, *args)
        pairs = zip(self.began, self.began[1:], strict=False)
        return [end - begin for begin, end in pairs][WARM:]


def by_hand(batches, model, epochs):
    optimiser = optim.adam(RATE)
    memory = optimiser.init(model)
    value_and_grad = cr.jit(cr.value_and_grad(lambda m, x, y: nn.cross_entropy(m(x), y)))
    for epoch in range(epochs):
        for x, y in batches.epoch(epoch):
            value, gradients = value_and_grad(model, x, y)
            updates, memory = optimiser.update(gradients, memory, model, value=float(value))
            model = optim.apply(model, updates)


def by_fit(batches, model, epochs, folder, live=False):
    loss = train.supervised(nn.cross_entropy)
    options = {"folder": folder, "log": None, "jit": True, "live": live}
    train.fit(model, loss, batches, optim.adam(RATE), epochs=epochs, **options)


def measure(name, folder):
    """Return the seconds of a step by hand, by fit, and by fit with a live view's records."""
    batches, epochs = Timed(digits(name), BATCH, key=0), EPOCHS[name]
    hand, fit, live = [], [], []
    for turn in range(TURNS):
        model = _our_network(name)
        hand += batches.seconds(by_hand, model, epochs)
        fit += batches.seconds(by_fit, model, epochs, f"{folder}/{turn}")
        recorded = train.LiveView(serve=False)
        live += batches.seconds(by_fit, model, epochs, f"{folder}/{turn} live", recorded)
    return [statistics.median(times) / len(batches) for times in (hand, fit, live)]


def main():
    print("μs per step       by hand      fit         fit, recording for a live view")
    for name in TITLES:
        with tempfile.TemporaryDirectory() as folder:
            hand, fit, live = measure(name, folder)
        verdict = "" if fit / hand - 1 <= MOST else f"  more than {MOST:.0%}"
        print(
            f"{name:15} {hand * 1e6:9.0f} {fit * 1e6:9.0f} {fit / hand - 1:+6.1%}"
            f" {live * 1e6:9.0f} {live / hand - 1:+6.1%}{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
