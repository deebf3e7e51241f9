"""All that is known of a run, read from its folder and kept up to date."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import Any

from ..session import EVENTS
from .recorder import FEATURES, FOLDER, HISTOGRAMS, PREDICTIONS, STATISTICS
from .series import Series, level_for
from .tail import Line, Tail

__all__ = ["History"]

CURVE_BUCKETS = 1000
FLOW_BUCKETS = 250
RIDGES = 32

_TRAINING, _VALIDATION = "training", "validation"


class History:
    """What a folder says about a run, in answers that are small however long the run is.

    Parameters
    ----------
    folder : Path
        It has ``events.jsonl``, and ``view`` beside it if the run was recorded for a live view.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.train import EventLog
    >>> folder = Path(tempfile.mkdtemp())
    >>> with EventLog(folder / "events.jsonl") as log:
    ...     for step in (1, 2, 3):
    ...         _ = log.write("step", step=step, epoch=0, loss=1 / step, seconds_per_step=0.1)
    >>> history = History(folder)
    >>> history.summary()["step"]
    3
    >>> history.curves()["series"][0]["mean"]
    [1.0, 0.5, 0.333333]
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._events = Tail(folder / EVENTS)
        self._statistics = Tail(folder / FOLDER / STATISTICS)
        self._histograms = Tail(folder / FOLDER / HISTOGRAMS)
        self._clear()

    def _clear(self) -> None:
        # Whoever has data of another generation starts over; the time tells servers apart, too.
        self.generation = time.time_ns() % 2**53
        self._curves: dict[tuple[str, str], Series] = {}
        self._start: dict[str, Any] = {}
        self._latest: dict[str, Any] = {}
        self._evaluations = 0
        self._best: dict[str, Any] | None = None
        self._clear_flow()
        self._places: list[tuple[int, int, int]] = []

    def _clear_flow(self) -> None:
        self._parameters: list[dict[str, Any]] = []
        self._flow: dict[str, list[Series]] = {"gradient": [], "ratio": [], "weight": []}

    # ------------------------------------------------------------------ reading

    def refresh(self) -> None:
        """Read what is new."""
        with self._lock:
            anew, lines = self._events.read()
            if anew:
                self._clear()
                self._statistics = Tail(self._statistics.path)
                self._histograms = Tail(self._histograms.path)
            for line in lines:
                self._take(line.content)
            anew, lines = self._statistics.read()
            if anew:
                self._clear_flow()
                self._renew()
            for line in lines:
                self._take_statistics(line.content)
            anew, lines = self._histograms.read()
            if anew:
                self._places = []
            for line in lines:
                self._take_place(line)

    def _renew(self) -> None:
        self.generation = max(self.generation + 1, time.time_ns() % 2**53)

    def _take(self, event: dict[str, Any]) -> None:
        kind, step = event["event"], event["step"]
        self._latest = event if kind != "checkpoint" else {**self._latest, "time": event["time"]}
        if kind == "step":
            self._append("loss", _TRAINING, step, event.get("loss"))
        elif kind == "evaluation":
            self._evaluations += 1
            for name, value in event.get("validation", {}).items():
                self._append(str(name), _VALIDATION, step, value)
            if event.get("best"):
                self._best = event
        elif kind == "start":
            self._start = {**event, "began": self._start.get("began", event.get("time"))}
        elif kind == "resume":
            self._rewind(step, bool(event.get("evaluated")))

    def _rewind(self, step: int, evaluated: bool) -> None:
        """Forget what a run did after the checkpoint from which it goes on."""
        if all(series.last_step <= step for series in self._curves.values()) and evaluated:
            return
        for (_, name), series in self._curves.items():
            again = name == _VALIDATION and not evaluated
            series.rewind(step - 1 if again else step)
        if self._best is not None and self._best["step"] > step - (not evaluated):
            self._best = None
        self._renew()

    def _append(self, chart: str, name: str, step: int, value: Any) -> None:
        series = self._curves.setdefault((chart, name), Series())
        series.append(step, _number(value))

    def _take_statistics(self, record: dict[str, Any]) -> None:
        if record["event"] == "parameters":
            if record["parameters"] != self._parameters:
                self._clear_flow()
                self._renew()
                self._parameters = record["parameters"]
                for rows in self._flow.values():
                    rows.extend(Series() for _ in self._parameters)
            return
        step = record["step"]
        columns = (record.get(name, []) for name in ("weight", "gradient", "update"))
        for i, row in enumerate(zip(*columns, strict=False)):
            weight, gradient, update = map(_number, row)
            ratio = update / weight if weight else math.nan
            for name, value in (("gradient", gradient), ("ratio", ratio), ("weight", weight)):
                series = self._flow[name][i]
                if series.last_step >= step:  # the run was resumed before that
                    series.rewind(step - 1)
                    self._renew()
                series.append(step, value)

    def _take_place(self, line: Line) -> None:
        step = line.content["step"]
        while self._places and self._places[-1][0] >= step:
            self._places.pop()
        self._places.append((step, line.offset, line.size))

    # ------------------------------------------------------------------ answers

    def summary(self) -> dict[str, Any]:
        """Return what the head of the page shows, and what tells whether the rest has changed."""
        with self._lock:
            self.refresh()
            start, latest = self._start, self._latest
            training = self._curves.get(("loss", _TRAINING), Series())
            return {
                "generation": self.generation,
                "name": self.folder.resolve().name,
                "step": latest.get("step", 0),
                "epoch": latest.get("epoch", 0),
                "total_steps": start.get("total_steps"),
                "epochs": start.get("epochs"),
                "parameters": start.get("parameters"),
                "monitor": start.get("monitor", "loss"),
                "began": start.get("began"),
                "time": latest.get("time"),
                "now": time.time(),
                "reason": latest.get("reason") if latest.get("event") == "stop" else None,
                "seconds_per_step": latest.get("seconds_per_step"),
                "loss": _written(training.last),
                "last": [
                    {"chart": chart, "name": name, "value": _written(series.last)}
                    for (chart, name), series in self._curves.items()
                ],
                "evaluations": self._evaluations,
                "best_step": None if self._best is None else self._best["step"],
                "unreadable": self._events.unreadable + self._statistics.unreadable,
                "versions": {
                    "histograms": len(self._places) and self._places[-1][0],
                    "predictions": self._version(PREDICTIONS),
                    "features": self._version(FEATURES),
                },
            }

    def curves(
        self, level: int = -1, start: int = 0, end: int | None = None, limit: int = CURVE_BUCKETS
    ) -> dict[str, Any]:
        """Return the curves of loss and metrics.

        Parameters
        ----------
        level : int
            Level that the asker has buckets of, from before ``start``. If another one fits now,
            all is sent.
        start, end : int
            First step, and the one before which to stop.
        limit : int
            Most buckets of a curve.
        """
        with self._lock:
            self.refresh()
            curves = [(c, n, series) for (c, n), series in self._curves.items()]
            return self._bucketed(curves, level, start, end, limit)

    def flow(self, level: int = -1, start: int = 0, limit: int = FLOW_BUCKETS) -> dict[str, Any]:
        """Return norms of gradients and weights and update ratios, by parameter."""
        with self._lock:
            self.refresh()
            rows = [
                (kind, i, row) for kind, rows in self._flow.items() for i, row in enumerate(rows)
            ]
            answer = self._bucketed(rows, level, start, None, limit)
            for series in answer["series"]:
                del series["low"], series["high"]
            return {**answer, "parameters": self._parameters}

    def _bucketed(
        self,
        curves: list[tuple[str, Any, Series]],
        level: int,
        start: int,
        end: int | None,
        limit: int,
    ) -> dict[str, Any]:
        last = max((series.last_step for *_, series in curves), default=0)
        stop = last + 1 if end is None else end
        # A window's width tells its level; without an end, the whole run's does.
        fitting = level_for(stop if end is None else stop - start, limit)
        whole = fitting != level
        begin = 0 if whole and end is None else start
        return {
            "generation": self.generation,
            "level": fitting,
            "start": begin,
            "series": [
                {"chart": chart, "name": name, **series.buckets(fitting, begin, end)}
                for chart, name, series in curves
            ],
        }

    def histograms(self, parameter: int | None = None) -> dict[str, Any]:
        """Return the latest histograms of all parameters, or those of one over time."""
        with self._lock:
            self.refresh()
            if not self._places:
                return {"parameters": self._parameters, "records": []}
            places = self._places[-1:]
            if parameter is not None:
                count = min(RIDGES, len(self._places))
                chosen = [
                    round(i * (len(self._places) - 1) / max(count - 1, 1)) for i in range(count)
                ]
                places = [self._places[i] for i in chosen]
            records = [self._histograms.at(offset, size) for _, offset, size in places]
        if parameter is not None:
            records = [
                {**r, "weights": r["weights"][parameter : parameter + 1],
                 "gradients": r["gradients"][parameter : parameter + 1]}
                for r in records
            ]  # fmt: skip
        kept = ("step", "weights", "gradients")
        return {
            "parameters": self._parameters,
            "records": [{name: record[name] for name in kept} for record in records],
        }

    def predictions(self) -> dict[str, Any]:
        """Return confusion matrix and worst examples of the latest judgement."""
        return self._side_file(PREDICTIONS)

    def features(self) -> dict[str, Any]:
        """Return the latest filters and feature maps."""
        return self._side_file(FEATURES)

    def _side_file(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.folder / FOLDER / name).read_bytes())
        except FileNotFoundError:
            return {"reason": "Nothing of this kind has been recorded yet."}
        return content

    def _version(self, name: str) -> int:
        try:
            return (self.folder / FOLDER / name).stat().st_mtime_ns // 1000
        except FileNotFoundError:
            return 0


def _number(value: Any) -> float:
    """Return a number; those that JSON lacks stand as texts."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _written(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
