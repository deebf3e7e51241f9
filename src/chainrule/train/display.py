"""Progress for people: a live line on a terminal, a live table in a notebook, lines in a log."""

from __future__ import annotations

import builtins
import sys
import time
from typing import Any, Protocol

__all__ = ["Display", "display_for"]

Event = dict[str, Any]

_SHOWN_EVERY = 0.1  # seconds; people see no more, and drawing costs a millisecond


class Display(Protocol):
    """Shows the events of a run."""

    def show(self, event: Event) -> None:
        """Take notice of an event."""

    def close(self) -> None:
        """Show the end."""


def display_for(log: str | None) -> Display:
    """Return the display with a name; ``"auto"`` picks what fits the place.

    Examples
    --------
    >>> type(display_for("auto")).__name__
    'Lines'
    """
    if log == "auto":
        shell = getattr(builtins, "get_ipython", None)
        if shell is not None and type(shell()).__name__ == "ZMQInteractiveShell":
            log = "notebook"
        else:
            log = "terminal" if sys.stdout.isatty() else "lines"
    kinds: dict[str | None, type] = {
        "terminal": Terminal,
        "notebook": Notebook,
        "lines": Lines,
        None: Silent,
    }
    if log not in kinds:
        names = ", ".join(repr(name) for name in ("auto", *kinds))
        raise ValueError(f"log is one of {names}, not {log!r}")
    display: Display = kinds[log]()
    return display


class Silent:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """Prints one line per evaluation, for logs.

    Examples
    --------
    >>> lines = Lines()
    >>> lines.show({"event": "evaluation", "epoch": 2, "step": 90, "loss": 0.25,
    ...             "validation": {"loss": 0.5, "accuracy": 0.75}, "best": True})
    epoch 2, step 90: loss 0.2500, validation: loss 0.5000, accuracy 0.7500, best
    """

    def show(self, event: Event) -> None:
        text = sentence(event)
        if text:
            print(text, flush=True)

    def close(self) -> None:
        pass


class Terminal:
    """A line that moves below the lines of the evaluations."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(), auto_refresh=False, transient=True)
        self._live.start()
        self._shown = 0.0
        self._start: Event = {}

    def show(self, event: Event) -> None:
        if event["event"] == "start":
            self._start = event
        text = sentence(event)
        if text:
            self._live.console.print(text, highlight=False, markup=False)
        if event["event"] == "step" and event["time"] - self._shown > _SHOWN_EVERY:
            self._shown = event["time"]
            self._live.update(self._bar(event), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _bar(self, event: Event) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        row = Table.grid(padding=(0, 1))
        total = self._start.get("total_steps")
        bar = ProgressBar(total, event["step"], width=30) if total else ""
        done = f"{event['step']}/{total}" if total else f"{event['step']}"
        row.add_row(bar, f"step {done}", f"loss {event['loss']:.4f}", _remaining(event, total))
        return row


class Notebook:
    """A table of the evaluations that grows in its place."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._handle: Any = None
        self._shown = 0.0

    def show(self, event: Event) -> None:
        text = sentence(event)
        if text:
            self._rows.append(text)
        now = time.time()
        if text or (event["event"] == "step" and now - self._shown > 5 * _SHOWN_EVERY):
            self._shown = now
            step = event["event"] == "step"
            last = [f"step {event['step']}: loss {event['loss']:.4f}"] if step else []
            self._draw("\n".join([*self._rows, *last]))

    def close(self) -> None:
        self._draw("\n".join(self._rows))

    def _draw(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def sentence(event: Event) -> str:
    """Return the line that stands for an event, or nothing.

    Examples
    --------
    >>> sentence({"event": "stop", "reason": "patience", "step": 40, "epoch": 4})
    'stopped by patience after 40 steps, 4 epochs'
    """
    kind = event["event"]
    if kind == "evaluation":
        parts = [f"loss {event['loss']:.4f}"]
        measured = [f"{n} {v:.4f}" for n, v in event.get("validation", {}).items()]
        if measured:
            parts.append("validation: " + ", ".join(measured))
        if event["best"]:
            parts.append("best")
        return f"epoch {event['epoch']}, step {event['step']}: " + ", ".join(parts)
    if kind == "resume":
        return f"resumed at step {event['step']}"
    if kind == "stop":
        after = f"after {event['step']} steps, {event['epoch']} epochs"
        return f"stopped by {event['reason']} {after}"
    return ""


def _remaining(event: Event, total: int | None) -> str:
    if not total:
        return ""
    seconds = (total - event["step"]) * event["seconds_per_step"]
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} left"
