"""What goes on around the steps of a run: records, checkpoints, evaluations, reasons to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import tree
from .checkpoint import save
from .display import display_for
from .events import Event, EventLog, read_events
from .interrupt import Interrupt
from .run import Result, Run
from .step import Loss, evaluate
from .tensors import FilePath

__all__ = ["Session", "Settings", "folder_of_run"]

LAST, BEST, EVENTS = "last.safetensors", "best.safetensors", "events.jsonl"

_TOGETHER = 0.2  # seconds; to write each step by itself takes longer

Callback = Callable[[Event, Run], Any]


@dataclass(frozen=True)
class Settings:
    """What :func:`fit` was asked for; its parameters say what each is."""

    epochs: int | None
    steps: int | None
    loss: Loss
    validation: Any
    metrics: Mapping[str, Loss]
    monitor: str
    mode: str
    patience: int | None
    validate_every: int | None
    batch_size: int
    dtype: Any
    callbacks: Sequence[Callback]
    folder: Path | None
    save_every: float

    @property
    def checkpoint(self) -> Path | None:
        """Where the run goes on from, if there is such a file."""
        return None if self.folder is None else self.folder / LAST

    def __post_init__(self) -> None:
        if self.epochs is None and self.steps is None:
            raise ValueError("say how long to train: epochs= or steps=")
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max', not {self.mode!r}")
        if self.monitor != "loss" and self.monitor not in self.metrics:
            known = ", ".join(repr(name) for name in ("loss", *self.metrics))
            raise ValueError(f"monitor is one of {known}, not {self.monitor!r}")
        if self.metrics and self.validation is None:
            raise ValueError("metrics are taken of validation data: give validation=")
        if "loss" in self.metrics:
            raise ValueError("the metric named 'loss' is the loss itself; name yours otherwise")


class Session:
    """One call of :func:`fit`, from its first step to its last."""

    def __init__(self, settings: Settings, log: str | None) -> None:
        self.settings = settings
        self.log = log
        self.history: list[Event] = []
        self._stop_wanted = False
        self._saved_step = -1
        self._waiting: list[Event | tuple[float, int, int, int, float]] = []
        self._validate_every = settings.validate_every
        self._each_step = any(getattr(c, "each_step", True) for c in settings.callbacks)

    def __enter__(self) -> Session:
        folder = self.settings.folder
        # also after a run that was killed before its first checkpoint
        self._continues = folder is not None and (folder / EVENTS).exists()
        with ExitStack() as stack:
            self.events = EventLog(None if folder is None else folder / EVENTS)
            stack.callback(self.events.close)
            self.display = display_for(self.log)
            stack.callback(self.display.close)
            stack.callback(self.write)
            for callback in self.settings.callbacks:
                if hasattr(callback, "detach"):
                    stack.callback(callback.detach)
            self.interrupt = stack.enter_context(Interrupt())
            self._stack = stack.pop_all()
        self._began = self._saved_at = self._due = time.monotonic()
        self._to_unix = time.time() - self._began
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def tell(self, run: Run, kind: str, **fields: Any) -> Event:
        """Record an event, show it and pass it to the callbacks."""
        event = {"event": kind, "time": time.time(), "step": run.step, "epoch": run.epoch, **fields}
        self._waiting.append(event)
        if kind != "evaluation":  # these may be many: they are written with the steps
            self.write()
        self.display.show(event)
        self.pass_on(event, run)
        return event

    def pass_on(self, event: Event, run: Run) -> None:
        """Give an event to the callbacks."""
        for callback in self.settings.callbacks:
            if callback(event, run) is True:
                self._stop_wanted = True

    def begin(self, run: Run, source: Any) -> None:
        """Record how the run starts or goes on."""
        self._first_step = run.step
        if self._continues and self.settings.folder is not None:
            self.tell(run, "resume", evaluated=not run.loss_count)
            events = read_events(self.settings.folder / EVENTS)
            self.history = [e for e in events if e["event"] == "evaluation"]
        leaves = tree.leaves(run.model)
        self.tell(
            run,
            "start",
            parameters=int(sum(getattr(leaf, "size", 1) for leaf in leaves)),
            total_steps=self._total_steps(source),
            epochs=self.settings.epochs,
            monitor=self.settings.monitor,
            order=run.order,
        )

    def stepped(self, run: Run, loss: float) -> Run:
        """Record one step and do what is due after it."""
        # Between steps that fill the caches all that is touched here has to be fetched anew, so
        # most is put off until it is due.
        now = time.monotonic()
        step = now, run.step, run.epoch, run.batch, loss
        self._waiting.append(step)
        if self._each_step:
            self.pass_on(self._step_event(*step), run)
        if self._validate_every and run.step % self._validate_every == 0:
            run = self.evaluated(run)
        if now >= self._due:
            self.saved(run)
            self.write()
        return run

    def _step_event(self, now: float, step: int, epoch: int, batch: int, loss: float) -> Event:
        """Describe a step."""
        return {
            "event": "step",
            "time": now + self._to_unix,
            "step": step,
            "epoch": epoch,
            "batch": batch,
            "loss": loss,
            "seconds_per_step": (now - self._began) / (step - self._first_step),
        }

    def write(self) -> None:
        """Write what has happened since the last time, and show the last step."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            events = [self._step_event(*e) if isinstance(e, tuple) else e for e in waiting]
            self.events.write_all(events)
            if events[-1]["event"] == "step":  # the others are shown when they happen
                self.display.show(events[-1])
        self._due = time.monotonic() + min(_TOGETHER, self.settings.save_every)

    def evaluated(self, run: Run) -> Run:
        """Judge the model, unless nothing has happened since it was judged last."""
        settings = self.settings
        if not run.loss_count:
            return run
        fields: dict[str, Any] = {"loss": run.loss_sum / run.loss_count}
        if settings.validation is not None:
            fields["validation"] = evaluate(
                run.model,
                {"loss": settings.loss, **settings.metrics},
                settings.validation,
                state=run.state,
                batch_size=settings.batch_size,
                dtype=settings.dtype,
            )
        value = fields.get("validation", fields)[settings.monitor]
        run = run.judged(value if settings.mode == "min" else -value)
        self.history.append(self.tell(run, "evaluation", **fields, best=run.waited == 0))
        return run

    def ended_epoch(self, run: Run) -> Run:
        """Judge the model after an epoch and go on to the next."""
        if not run.batch:
            raise ValueError(f"the data has no batches in epoch {run.epoch + 1}")
        if not self.settings.validate_every:
            run = self.evaluated(run)
        run = run.next_epoch()
        self.saved(run)
        return run

    def saved(self, run: Run, *, now: bool = False) -> None:
        """Write the checkpoints when it is time to."""
        folder = self.settings.folder
        if folder is None:
            return
        waited = time.monotonic() - self._saved_at
        if not now and (waited < self.settings.save_every or self._saved_step == run.step):
            return
        self.write()  # else a crash might lose the record of steps that are not done again
        save(folder / LAST, run)
        model, state = run.best_model
        save(folder / BEST, {"model": model, "state": state})
        self._saved_at, self._saved_step = time.monotonic(), run.step
        self.tell(run, "checkpoint", file=LAST)

    def reason(self, run: Run) -> str | None:
        """Return why the run has to stop here, if it has to."""
        settings = self.settings
        if self.interrupt.requested:
            return "interrupted"
        if self._stop_wanted:
            return "callback"
        if settings.steps is not None and run.step >= settings.steps:
            return "steps"
        if settings.epochs is not None and run.epoch >= settings.epochs:
            return "epochs"
        if settings.patience is not None and run.waited >= settings.patience:
            return "patience"
        return None

    def result(self, run: Run, reason: str) -> Result:
        """Write the last checkpoint and record the end."""
        self.saved(run, now=True)
        self.tell(run, "stop", reason=reason)
        model, state = run.best_model
        return Result(
            model=run.model,
            state=run.state,
            best_model=model,
            best_state=state,
            best=run.best if self.settings.mode == "min" else -run.best,
            steps=run.step,
            epochs=run.epoch,
            reason=reason,
            history=self.history,
            folder=self.settings.folder,
        )

    def _total_steps(self, source: Any) -> int | None:
        """Return the number of steps after which the run ends at the latest, if it is known."""
        limits = [self.settings.steps] if self.settings.steps is not None else []
        if self.settings.epochs is not None and hasattr(source, "__len__"):
            limits.append(self.settings.epochs * len(source))
        return min(limits, default=None)


def observers(settings: Settings) -> list[Callable[[Run, Any, Any], Any]]:
    """Return the methods of the callbacks that look at each step, after telling them of the run."""
    for callback in settings.callbacks:
        if hasattr(callback, "attach"):
            callback.attach(settings)
    return [callback.observe for callback in settings.callbacks if hasattr(callback, "observe")]


def with_live_view(callbacks: Sequence[Callback], live: Any) -> Sequence[Callback]:
    """Return the callbacks with the live view that was asked for, if one was."""
    if live is False or live is None:
        return callbacks
    if live is True:
        from .live import LiveView  # imported at use: it brings a server

        live = LiveView()
    return [*callbacks, live]


def folder_of_run(folder: FilePath | None, resume: bool) -> Path | None:
    """Make the folder of a run, which must be empty of other runs."""
    if folder is None:
        if resume:
            raise ValueError("to resume a run, say in which folder it is")
        return None
    if folder == "auto":
        if resume:
            raise ValueError("to resume a run, say in which folder it is")
        stamp, number = time.strftime("%Y-%m-%d_%H-%M-%S"), 1
        while (path := Path("runs", f"{stamp}_{number}")).exists():
            number += 1
    else:
        path = Path(folder)
    if not resume and (path / LAST).exists():
        raise FileExistsError(
            f"{path} holds a run already: say resume=True to go on with it, or another folder"
        )
    path.mkdir(parents=True, exist_ok=True)
    return path
