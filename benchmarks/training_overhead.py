"""What ``fit`` costs beside its bare steps: ``python -m benchmarks.training_overhead``.

The networks and data are those of :mod:`benchmarks.networks`, with all records written. Within a
run the CPU time between the end of a step and the demand for the next batch is added up: in
``fit`` and in a loop that does nothing but the steps, where old arrays are freed in that time.
The difference is what ``fit`` adds: events, evaluations, reasons to stop. So both are measured
within one run each, and what else the machine does falls out. Set OPENBLAS_NUM_THREADS=1, for
threads that wait count too.
"""

import statistics
import tempfile
import time

from chainrule import data, nn, optim, random, train

from .networks import BATCH, RATE, TITLES, _our_network, digits

TURNS, WARM = 3, 3  # the first epochs compile
EPOCHS = {"dense": 100, "convolutional": 25, "recurrent": 60}
MOST = 0.03
LOSS = train.supervised(nn.cross_entropy)


class Timed(data.Batches):
    """Batches, and a callback, that note for each epoch how long it took outside of the steps."""

    each_step = False

    def __call__(self, event, run):
        """Take no notice of events."""

    def attach(self, settings=None):
        self.outside, self.began, self.left = [], [], None

    def observe(self, run, gradients, updates):
        self.left = time.process_time()

    def epoch(self, number, start=0):
        now = time.process_time()
        self.began.append(now)
        self.outside.append(0.0 if self.left is None else now - self.left)
        for batch in super().epoch(number, start):
            yield batch
            self.outside[-1] += time.process_time() - self.left
        self.left = time.process_time()

    def times(self):
        """Return for each epoch the seconds within its steps and outside of them."""
        whole = (end - begin for begin, end in zip(self.began, self.began[1:], strict=False))
        return [(t - out, out) for t, out in zip(whole, self.outside, strict=False)][WARM:]


def bare(name, batches):
    batches.attach()
    optimiser = optim.adam(RATE)
    step = train.make_step(LOSS, optimiser, jit=True, observers=[batches.observe])
    run = train.Run.begin(_our_network(name), optimiser, None, random.key(0), batches)
    for epoch in range(EPOCHS[name]):
        for batch in batches.epoch(epoch):
            run, _ = step(run, batch)


def fit(name, batches, live=False):
    recorded = train.LiveView(serve=False) if live else False
    options = {"jit": True, "log": None, "callbacks": [batches], "live": recorded}
    with tempfile.TemporaryDirectory() as folder:
        train.fit(
            _our_network(name), LOSS, batches, optim.adam(RATE), epochs=EPOCHS[name],
            folder=folder, **options,
        )  # fmt: skip


def measure(name):
    """Return seconds per step, and what ``fit`` adds to them, alone and with a live view."""
    batches = Timed(digits(name), BATCH, key=0)
    loops = {"bare": bare, "fit": fit, "live": lambda *args: fit(*args, live=True)}
    found = {loop: [] for loop in loops}
    for _ in range(TURNS):
        for loop, train_by in loops.items():
            train_by(name, batches)
            found[loop] += batches.times()
    seconds, outside = statistics.median(inside for inside, _ in found["bare"]), {}
    for loop, times in found.items():
        # without the tenth of the epochs in which something else got in the way
        kept = sorted(times, key=sum)[: -len(times) // 10]
        outside[loop] = statistics.mean(out for _, out in kept)
    added = [(outside[loop] - outside["bare"]) / len(batches) for loop in ("fit", "live")]
    return seconds / len(batches), *added


def main():
    print(f"{'network':15} {'bare step':>10} {'fit adds':>17} {'with a live view':>19}")
    for name in TITLES:
        step, plain, live = measure(name)
        verdict = "" if plain <= MOST * step else f"  more than {MOST:.0%}"
        print(
            f"{name:15} {step * 1e6:7.0f} μs {plain * 1e6:7.1f} μs {plain / step:6.1%}"
            f" {live * 1e6:9.1f} μs {live / step:6.1%}{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
