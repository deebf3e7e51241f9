"""What the examples share: the digits, a progress display and saved pictures."""

import argparse
import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Digits(NamedTuple):
    """Images of 8 x 8 grey values in [0, 1], flattened, and the digits that they show."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load_digits():
    """Return scikit-learn's digits, a quarter held out: the same quarter for every example."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        (images / 16).astype(np.float32), labels, test_size=0.25, stratify=labels, random_state=0
    )
    return Digits(train_x, train_y, test_x, test_y)


@contextmanager
def progress(task, total):
    """Yield ``report(done, message)``: a live bar where one can be drawn, else plain lines.

    A terminal, or a notebook with ipywidgets, gets the bar. Anything else (a log file, a pipe,
    a dumb terminal) gets about ten lines without control characters.
    """
    console = Console(file=None if _in_notebook() else sys.stderr)
    if not _is_live(console):
        yield lambda done, message: _print_line(task, done, total, message)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with Progress(*columns, console=console) as bar:
        row = bar.add_task(task, total=total, message="")
        yield lambda done, message: bar.update(row, completed=done, message=message)


def _in_notebook():
    return "ipykernel" in sys.modules


def _is_live(console):
    if _in_notebook():
        return console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    return sys.stderr.isatty() and not console.is_dumb_terminal


def _print_line(task, done, total, message):
    if done in (1, total) or done * 10 // total > (done - 1) * 10 // total:
        print(f"{task} {done:{len(str(total))}d}/{total}  {message}", file=sys.stderr, flush=True)


def save(figure, path):
    """Write a picture, making its folder, and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def arguments(script):
    """Return the options that the scripts share, with the first line of their docstring as help."""
    options = argparse.ArgumentParser(description=script.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0, help="of the weights and the batches")
    options.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    return options.parse_args()


def keep_losses(losses):
    """Return a callback for ``fit`` that appends the loss of every step to a list."""
    return lambda event, run: losses.append(event["loss"]) if event["event"] == "step" else None
