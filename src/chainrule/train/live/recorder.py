"""Writes what a live view shows beside the events of a run, within a budget of time."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import write_atomically
from ..events import Event, EventLog
from ..run import Run, reading, source_of
from ..step import accepted, in_precision
from . import features
from .pace import Pace
from .predictions import NotShownError, judge
from .statistics import histogram, measured, norms, parameter_names

__all__ = ["FOLDER", "Recorder"]

FOLDER = "view"
STATISTICS, HISTOGRAMS = "statistics.jsonl", "histograms.jsonl"
PREDICTIONS, FEATURES = "predictions.json", "features.json"


class Recorder:
    """Records a run for a live view, now and then.

    Parameters
    ----------
    folder : Path
        Of the run; the records go to its subfolder ``view``.
    validation : data, optional
        Where a classifier is judged.
    share : float
        Part of the time that recording may take.
    predict : callable, optional
        ``predict(model, inputs)`` gives logits; by default the model is called.
    class_names : sequence of str, optional
        Names of the classes.
    image_shape : tuple of int, optional
        Shape of an example's image, where the model takes it flattened.
    batch_size, dtype
        As :func:`fit` has them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        validation: Any = None,
        share: float = 0.01,
        predict: Callable[[Any, Any], Any] | None = None,
        class_names: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        batch_size: int = 256,
        dtype: Any = None,
    ) -> None:
        self._folder = folder / FOLDER
        self._validation = validation
        self._predict = predict
        self._names = None if class_names is None else [str(name) for name in class_names]
        self._image_shape = image_shape
        self._batch_size = batch_size
        self._dtype = dtype
        self._logs: list[EventLog] = []
        self._norms = Pace(0.25 * share, floor=0.05, density=200)
        self._histograms = Pace(0.25 * share, floor=0.25, density=100)
        self._answers = Pace(0.5 * share, floor=0.5, density=100)
        self._answered = -1
        self._stepped = 0.0

    def start(self, run: Run) -> None:
        """Open the files and note the names of the parameters."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if run.step == 0:
            for name in (STATISTICS, HISTOGRAMS, PREDICTIONS, FEATURES):
                (self._folder / name).unlink(missing_ok=True)
        self._statistics_log = EventLog(self._folder / STATISTICS)
        self._histogram_log = EventLog(self._folder / HISTOGRAMS)
        self._logs = [self._statistics_log, self._histogram_log]
        self._statistics_log.write(
            "parameters", step=run.step, parameters=parameter_names(run.model)
        )

    def observe(self, run: Run, gradients: Any, updates: Any) -> None:
        """Take notice of a step: called after each, so it has to be quick."""
        if self._norms.due():
            with self._norms.recording():
                self._record_norms(run, gradients, updates)
        if self._histograms.due():
            with self._histograms.recording():
                self._record_histograms(run, gradients)
        self._stepped = time.monotonic()

    def evaluated(self, run: Run) -> None:
        """Judge the model on the validation data."""
        # The evaluation that has just been done is a pass over the same data.
        if self._answers.due(expected=time.monotonic() - self._stepped):
            with self._answers.recording():
                self._record_answers(run)

    def stop(self, run: Run) -> None:
        """Judge the final model."""
        if self._answered != run.step:
            self._record_answers(run)

    def close(self) -> None:
        """Close the files."""
        for log in self._logs:
            log.close()

    def _record_norms(self, run: Run, gradients: Any, updates: Any) -> None:
        self._statistics_log.write(
            "statistics", step=run.step, **norms(run.model, gradients, updates)
        )

    def _record_histograms(self, run: Run, gradients: Any) -> None:
        pairs = [
            (histogram(weight), histogram(gradient))
            for _, weight, gradient in measured(run.model, gradients)
        ]
        self._histogram_log.write(
            "histograms",
            step=run.step,
            weights=[weight for weight, _ in pairs],
            gradients=[gradient for _, gradient in pairs],
        )

    def _record_answers(self, run: Run) -> None:
        self._answered = run.step
        for file, record in ((PREDICTIONS, self._predictions), (FEATURES, self._features)):
            try:
                content = record(run)
            except NotShownError as reason:
                content = {"reason": str(reason)}
            except Exception as error:  # of the user's model or data: training goes on
                content = {"reason": f"The model could not be asked: {error!r}"}
            content = {"step": run.step, "epoch": run.epoch, **content}
            write_atomically(self._folder / file, json.dumps(_plain(content)).encode())

    def _predictions(self, run: Run) -> Event:
        if self._validation is None:
            raise NotShownError("There is no validation data.")
        return {
            "names": self._names,
            **judge(
                lambda inputs: self._run_model(run.model, inputs, run.state),
                self._validation,
                batch_size=self._batch_size,
                image_shape=self._image_shape,
            ),
        }

    def _features(self, run: Run) -> Event:
        if not features.convolutions(run.model):
            raise NotShownError("The model has no two-dimensional convolutions.")
        example = None
        if self._validation is not None:
            with reading(source_of(self._validation, 1), 0, 0) as batches:
                first = next(iter(batches), None)
            inputs = first[0] if isinstance(first, tuple) and first else first
            example = inputs[0] if isinstance(inputs, np.ndarray) and len(inputs) else None
        return features.describe(
            run.model, lambda model, x: self._run_model(model, x, run.state), example
        )

    def _run_model(self, model: Any, inputs: Any, state: Any) -> Any:
        if self._predict is not None:
            return self._predict(model, inputs)
        if not callable(model):
            raise NotShownError(
                "The model cannot be called: give LiveView(predict=...) to show its answers."
            )
        takes = accepted(model)
        options = {"state": state} if state is not None and "state" in takes else {}
        outputs = in_precision(lambda m, x: m(x, **options), self._dtype)(model, inputs)
        return outputs[0] if options else outputs


def _plain(value: Any) -> Any:
    """Leave out numbers that JSON cannot write."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
