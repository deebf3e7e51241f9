"""Epochs of training, by ``fit`` and in PyTorch: a dense, a convolutional, a recurrent network.

Both train the same network on the same digits with Adam, in float32, on batches of 64 that are
shuffled anew in each epoch. Each waits after an epoch for its next turn.
"""

from __future__ import annotations

import inspect
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import process
from .worker import answer_stream, tell

RATE, BATCH = 1e-3, 64
TITLES = {
    "dense": "dense, 64-256-128-10",
    "convolutional": "convolutional, 16 and 32 channels of 3 × 3",
    "recurrent": "LSTM, 8 rows of 8 pixels, 64 hidden",
}
TARGET = 0.8  # of PyTorch's speed, at least


def digits(name: str) -> tuple[Any, Any]:
    """Return images, in the shape that a network takes, and labels."""
    from chainrule import data

    images, labels = data.digits().train
    shape = {"dense": (-1, 64), "convolutional": (-1, 1, 8, 8), "recurrent": (-1, 8, 8)}[name]
    return images.reshape(shape), labels


def ours(name: str) -> Iterator[float]:
    """Train by ``fit``; yields the mean loss after each epoch, and waits there."""
    import threading

    from chainrule import nn, optim, train

    done, go = threading.Semaphore(0), threading.Semaphore(0)
    losses: list[float] = []
    errors: list[Exception] = []

    def callback(event: dict[str, Any], run: Any) -> None:
        if event["event"] == "evaluation":
            losses.append(event["loss"])
            done.release()
            go.acquire()

    options = {"jit": True} if "jit" in inspect.signature(train.fit).parameters else {}

    def work() -> None:
        go.acquire()
        try:
            train.fit(
                _our_network(name),
                train.supervised(nn.cross_entropy),
                digits(name),
                optim.adam(RATE),
                epochs=10_000,
                batch_size=BATCH,
                folder=None,
                log=None,
                callbacks=[callback],
                **options,
            )
        except Exception as error:
            errors.append(error)
            done.release()

    threading.Thread(target=work, daemon=True).start()
    while True:
        go.release()
        done.acquire()
        if errors:
            raise errors[0]
        yield losses[-1]


def _our_network(name: str) -> Any:
    from chainrule import nn, random

    keys = random.split(random.key(0), 3)
    single = {"dtype": np.float32}
    if name == "dense":
        return nn.Sequential(
            *(nn.Linear.init(keys[0], 64, 256, **single), nn.relu),
            *(nn.Linear.init(keys[1], 256, 128, **single), nn.relu),
            nn.Linear.init(keys[2], 128, 10, **single),
        )
    if name == "convolutional":
        return nn.Sequential(
            *(nn.Conv2d.init(keys[0], 1, 16, 3, padding=1, **single), nn.relu),
            *(nn.Conv2d.init(keys[1], 16, 32, 3, padding=1, **single), nn.relu),
            *(nn.MaxPool2d(2), nn.flatten, nn.Linear.init(keys[2], 512, 10, **single)),
        )
    return nn.Sequential(
        nn.LSTM.init(keys[0], 8, 64, **single),
        nn.Function(lambda found: found[0][:, -1]),
        nn.Linear.init(keys[1], 64, 10, **single),
    )


def pytorch(name: str) -> Iterator[float]:
    """Train by a loop as PyTorch's users write it."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = (torch.from_numpy(a) for a in digits(name))
    model = _torch_network(name)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    while True:
        losses = []
        for chosen in torch.randperm(len(labels)).split(BATCH):
            optimiser.zero_grad()
            loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
            loss.backward()
            optimiser.step()
            losses.append(float(loss))
        yield statistics.mean(losses)


def _torch_network(name: str) -> Any:
    import torch
    from torch import nn

    if name == "dense":
        widths = [nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU()]
        return nn.Sequential(*widths, nn.Linear(128, 10))
    if name == "convolutional":
        first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]
        second = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(512, 10))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.last = nn.LSTM(8, 64, batch_first=True), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.lstm(x)[0][:, -1])

    return Recurrent()


SYSTEMS: dict[str, Callable[[str], Iterator[float]]] = {"chainrule": ours, "PyTorch": pytorch}


def measure(rounds: int = 5) -> dict[str, Any]:
    """Train all networks with both systems, epoch by epoch in turn."""
    return {name: _compare(name, rounds) for name in TITLES}


def _compare(name: str, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    workers = []
    with tempfile.TemporaryDirectory() as folder:
        env = process.environment(1, f"{folder}/cache", folder)
        for system in SYSTEMS:
            worker = process.Worker(system, name, Path(folder), env, script="benchmarks.networks")
            worker.pin(process.cores()[:1])
            try:
                found[system] = {"first": worker.first(120.0)["wall"]}
                workers.append(worker)
            except process.PeerError as error:
                found[system] = {"error": str(error)}
                worker.close()
        try:
            for _ in range(rounds + 1):
                for worker in workers:
                    worker.rounds.append(worker.round(60.0))
        finally:
            for worker in workers:
                worker.close()
        for worker in workers:
            times = [r["cpu"] for r in worker.rounds[1:]]
            loss = worker.rounds[-1]["loss"]
            found[worker.peer] |= {"cpu": statistics.median(times), "loss": loss}
    return found


def main() -> None:
    """Serve epochs until standard input ends."""
    system, name, *_ = sys.argv[1:]
    answers = answer_stream()
    epochs = SYSTEMS[system](name)
    try:
        while True:
            cpu, wall = time.process_time(), time.perf_counter()
            loss = next(epochs)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            tell(answers, {"wall": wall, "cpu": cpu, "loss": loss})
            if not sys.stdin.readline():
                break
    except Exception as error:
        tell(answers, {"error": f"{type(error).__name__}: {error}"})
        raise
    os._exit(0)  # a thread of ours still waits for its turn


if __name__ == "__main__":
    main()
