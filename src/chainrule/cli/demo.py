"""``chainrule demo``: the main job on real input, shown, checked and written down."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.bar import Bar
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .. import value_and_grad
from ..explain import Explanation, explain
from . import digits, worked_example
from .console import Console
from .report import Report
from .target import InputError

_EXTRA = ("matplotlib", "sklearn")
_NEEDED_ACCURACY = {True: 0.90, False: 0.96}  # by --quick
_TARGET = 0.2


def run(options: argparse.Namespace) -> bool:
    """Run the demonstration; return whether all that it checks holds."""
    console = Console(options.no_color)
    demo = Demo(console, _made(options.out), options.quick)
    demo.run()
    return demo.holds


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out {folder}: {error.strerror}", "name a folder that may be written"
        ) from None
    return folder


class Demo:
    """The demonstration, part by part.

    Attributes
    ----------
    holds : bool
        Whether every check so far has held.
    """

    def __init__(self, console: Console, folder: Path, quick: bool) -> None:
        self.console = console
        self.folder = folder
        self.quick = quick
        self.holds = True
        self.report = Report("chainrule: a demonstration")
        self.descent: list[float] = []
        self.epochs: list[digits.Epoch] = []

    def run(self) -> None:
        """Go through all parts."""
        begin = time.perf_counter()
        self.explain()
        self.compare()
        self.descend()
        missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
        if missing:
            self._say_what_is_missing(missing)
        else:
            self.read_digits()
        self.write(draw=not missing)
        verdict = "[green]every check holds" if self.holds else "[red]a check FAILED"
        self.console.print(f"\n{verdict}[/] · {time.perf_counter() - begin:.1f} s")

    def _part(self, title: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")
        self.report.heading(title)

    def _check(self, holds: bool) -> str:
        self.holds = self.holds and holds
        return "✓" if holds else "✗"

    # --- the worked example ---------------------------------------------------------------------

    def explain(self) -> None:
        """Explain the gradient of the worked example's loss."""
        e = worked_example
        self._part("1  The chain rule, step by step")
        self._source(e.loss)
        explanation = explain(e.loss, (0, 1, 2, 3))(*e.PARAMETERS, e.X, _TARGET)
        self._explanation(explanation)
        self.report.listing("\n".join(step.numbers() for step in explanation.steps))

    def _source(self, function: Any) -> None:
        """Show a function's body, with the numbers that its lines have in the explanation."""
        lines, first = inspect.getsourcelines(function)
        skipped = next(i for i, line in enumerate(lines) if line.rstrip().endswith('"""')) + 1
        code = textwrap.dedent("".join(lines[skipped:])).rstrip()
        shown = Syntax(
            code,
            "python",
            theme="ansi_dark",
            line_numbers=True,
            start_line=first + skipped,
            background_color="default",
        )
        self.console.print(shown)
        self.console.print()
        numbered = enumerate(code.splitlines(), first + skipped)
        self.report.listing("\n".join(f"{number:3d} {line}" for number, line in numbered))

    def _explanation(self, explanation: Explanation) -> None:
        self.console.print(explanation)
        self._check(explanation.verified)
        self.report.listing(explanation.to_text(140))

    def compare(self) -> None:
        """Compare the network's gradient with one that comes from no derivative rule."""
        e = worked_example
        self._part("2  The gradient of a2 by another method: a step h along the imaginary axis")
        args = (*e.PARAMETERS, e.X)
        value, gradient = value_and_grad(e.network, (0, 1, 2, 3))(*args)
        mark = self._check(abs(value - e.OUTPUT) < 1e-15)
        self.console.print(
            f"a2 = {value:.15f}, and worked out with 50 digits {e.OUTPUT:.15f} {mark}"
        )
        head = ("gradient", "chainrule", "Im a2(x + ih) / h", "difference")
        rows = [self._compared(i, gradient[i], args) for i in range(4)]
        self.console.print(_table(head, rows))
        self.report.paragraph(f"a2 = {value:.15f}; worked out with 50 digits: {e.OUTPUT:.15f}")
        self.report.table(head, rows)

    def _compared(self, position: int, gradient: Any, args: tuple[Any, ...]) -> list[str]:
        judge = worked_example.complex_step(worked_example.network, args, position)
        error = float(np.max(np.abs(gradient - judge)))
        mark = self._check(error < 1e-15)
        name = worked_example.NAMES[position]
        return [f"∂a2/∂{name}", _digits(gradient), _digits(judge), f"{error:.0e} {mark}"]

    def descend(self) -> None:
        """Teach the network of the worked example an answer."""
        e = worked_example
        steps = 100
        self._part(f"3  Down the gradient: teach the network to answer {_TARGET}")
        loss_and_gradient = value_and_grad(e.loss, (0, 1, 2, 3))
        parameters = list(e.PARAMETERS)
        for _ in range(steps):
            loss, gradient = loss_and_gradient(*parameters, e.X, _TARGET)
            parameters = [p - 2.0 * d for p, d in zip(parameters, gradient, strict=True)]
            self.descent.append(float(loss))
        shown = (1, 3, 5, 7, 9, 11, 16, 21, steps)
        self._bars("", "loss", [(f"step {k}", self.descent[k - 1]) for k in shown])
        args = (*parameters, e.X)
        answer = float(e.network(*args))
        mark = self._check(abs(answer - _TARGET) < 0.02)
        text = f"after {steps} steps it answers {answer:.4f}"
        self.console.print(f"{text} {mark}")
        self.report.paragraph(text)

    # --- the digits -----------------------------------------------------------------------------

    def read_digits(self) -> None:
        """Train the network on real images, and show where its gradient flows."""
        data = digits.load_digits()
        count = 6 if self.quick else 40
        self._part(f"4  Read handwriting: {len(data.train_y)} images to learn from")
        epochs = digits.train(data, count)
        self.epochs = list(self._shown(epochs, count))
        last = self.epochs[-1]
        right = round(last.accuracy * len(data.test_y))
        mark = self._check(last.accuracy >= _NEEDED_ACCURACY[self.quick])
        text = f"reads {right} of {len(data.test_y)} images it has never seen: {last.accuracy:.1%}"
        self.console.print(f"{text} {mark}")
        self.report.paragraph(text)
        head = ("epoch", "loss", "right on images held out")
        rows = [[str(e.number), f"{e.loss:.4f}", f"{e.accuracy:.1%}"] for e in self.epochs]
        self.report.table(head, rows)
        self._flow(data, last.parameters)

    def _flow(self, data: digits.Digits, parameters: digits.Parameters) -> None:
        """Explain the trained network's gradient, and show how large each part of it is."""
        self._part("5  Where its gradient flows, from the loss back to the first layer")
        explained = explain(digits.loss, digits.WEIGHTS)
        explanation = explained(*parameters, data.test_x, data.test_y)
        self._source(digits.loss)
        self._explanation(explanation)
        steps = explanation.steps
        floor = 10.0 ** np.floor(np.log10(min(s.norm for s in steps if s.norm > 0)))
        self.console.print(f"\n‖gradient‖, on a logarithmic scale from {floor:g}", style="dim")
        self._bars("", "‖gradient‖", [(s.symbol, s.norm) for s in steps], floor)

    def _shown(self, epochs: Iterator[digits.Epoch], count: int) -> Iterator[digits.Epoch]:
        """Pass the epochs on: with a live bar on a terminal, else with a line now and then."""
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            for epoch in epochs:
                if (
                    epoch.number in (1, count)
                    or epoch.number * 8 // count > (epoch.number - 1) * 8 // count
                ):
                    self.console.print(f"epoch {epoch.number:2d}/{count}  {_state(epoch)}")
                yield epoch
            return
        columns = (
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            row = progress.add_task("", total=count, state="")
            for epoch in epochs:
                progress.update(row, completed=epoch.number, state=_state(epoch))
                yield epoch

    def _say_what_is_missing(self, missing: Sequence[str]) -> None:
        self._part("4  Read handwriting: left out")
        text = f"this part needs {' and '.join(missing)}: pip install 'chainrule[demo]'"
        self.console.print(Text(text))
        self.report.paragraph(text)

    # --- what is kept ---------------------------------------------------------------------------

    def write(self, draw: bool) -> None:
        """Write the picture and the report, and say where they are."""
        self.console.print()
        if draw:
            picture = self.folder / "curves.png"
            _draw(self.descent, self.epochs, picture)
            self.report.heading("The curves")
            self.report.picture(picture, "loss over steps and epochs")
            self.console.print(Text(f"picture  {picture}"), soft_wrap=True)
        page = self.folder / "report.html"
        page.write_text(self.report.html(), encoding="utf-8")
        self.console.print(Text(f"report   {page}"), soft_wrap=True)

    def _bars(
        self, title: str, what: str, rows: Sequence[tuple[str, float]], floor: float | None = None
    ) -> None:
        """Show numbers as bars: on a linear scale, or on a logarithmic one from a floor."""
        lengths = [value for _, value in rows]
        if floor is not None:
            lengths = [float(np.log10(max(value, floor) / floor)) for value in lengths]
        grid = Table.grid(padding=(0, 2))
        for (name, value), length in zip(rows, lengths, strict=True):
            bar = Bar(max(lengths) or 1.0, 0, length, width=40, color="cyan")
            grid.add_row(Text(name), f"{value:.2e}", bar)
        self.console.print(grid)
        self.report.table((title, what), [(name, f"{value:.3e}") for name, value in rows])


def _state(epoch: digits.Epoch) -> str:
    return f"loss {epoch.loss:.3f}  right {epoch.accuracy:6.1%}"


def _digits(array: Any) -> str:
    return np.array2string(np.asarray(array), precision=9, floatmode="fixed")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in head:
        table.add_column(title)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _draw(descent: Sequence[float], epochs: Sequence[digits.Epoch], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)  # drawn to a file, whatever display there is
    left, middle, right = figure.subplots(1, 3)
    left.semilogy(range(1, len(descent) + 1), descent)
    left.set(title="Two neurons learn a number", xlabel="step", ylabel="loss")
    numbers = [e.number for e in epochs]
    middle.plot(numbers, [e.loss for e in epochs], color="C1", label="loss")
    middle.set(title="Digits: loss", xlabel="epoch", yscale="log")
    right.plot(numbers, [100 * e.accuracy for e in epochs], color="C2")
    right.set(title="Digits: right on images held out", xlabel="epoch", ylabel="%")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
