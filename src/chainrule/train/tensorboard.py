"""Training runs for TensorBoard."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .events import Event
from .live.pace import Pace
from .live.statistics import measured
from .run import Run
from .tensors import FilePath

__all__ = ["TensorBoard"]


class TensorBoard:
    """A callback that writes what TensorBoard shows: ``tensorboard --logdir runs``.

    Losses and metrics are scalars, with ``training`` and ``validation`` as two curves of one name;
    norms of gradients and update ratios are scalars, weights and gradients histograms.

    Parameters
    ----------
    folder : str or Path, optional
        Where to write; by default the folder of the run.
    share : float
        Part of the time that norms and histograms may take.

    Raises
    ------
    ImportError
        If the package tensorboardX is missing: ``pip install 'chainrule[tensorboard]'``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from chainrule import optim, train
    >>> x, folder = np.linspace(-1, 1, 64), tempfile.mkdtemp()
    >>> def loss(model, x, y):
    ...     return np.mean((model["a"] * x - y) ** 2)
    >>> result = train.fit({"a": np.zeros(())}, loss, (x, 3 * x), optim.sgd(0.3), epochs=2,
    ...                    folder=folder, log=None, callbacks=[train.TensorBoard()])
    """

    def __init__(self, folder: FilePath | None = None, *, share: float = 0.01) -> None:
        try:
            import tensorboardX  # noqa: F401 - a missing one is told before training
        except ImportError:
            raise ImportError(
                "TensorBoard needs the package tensorboardX: pip install 'chainrule[tensorboard]'"
            ) from None
        self._folder = folder
        self._share = share
        self._writer: Any = None

    def attach(self, settings: Any) -> None:
        """Get ready for a run; called by :func:`fit`."""
        folder = self._folder if self._folder is not None else settings.folder
        if folder is None:
            raise ValueError("the run has no folder: say TensorBoard(folder=...)")
        self._into = str(folder)
        self._norms = Pace(0.5 * self._share, floor=0.05, density=200)
        self._histograms = Pace(0.5 * self._share, floor=1.0, density=100)

    def __call__(self, event: Event, run: Run) -> None:
        """Take notice of an event."""
        kind, step = event["event"], event["step"]
        if kind == "start":
            self._begin(step)
        elif kind == "step":
            self._writer.add_scalar("loss/training", event["loss"], step, event["time"])
        elif kind == "evaluation":
            for name, value in event.get("validation", {}).items():
                self._writer.add_scalar(f"{name}/validation", value, step, event["time"])

    def detach(self) -> None:
        """Close the file of a run, however it ended."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def observe(self, run: Run, gradients: Any, updates: Any) -> None:
        """Take notice of a step."""
        if self._norms.due():
            with self._norms.recording():
                self._write_norms(run, gradients, updates)
        if self._histograms.due():
            with self._histograms.recording():
                self._write_histograms(run, gradients)

    def _begin(self, step: int) -> None:
        from tensorboardX import SummaryWriter

        # A resumed run does some steps again: TensorBoard drops what was written of them before.
        again = {"purge_step": step + 1} if step else {}
        self._writer = SummaryWriter(self._into, write_to_disk=True, **again)

    def _write_norms(self, run: Run, gradients: Any, updates: Any) -> None:
        for name, weight, gradient, update in measured(run.model, gradients, updates):
            norm = float(np.linalg.norm(weight.ravel()))
            size = float(np.linalg.norm(gradient.ravel()))
            self._writer.add_scalar(f"gradient_norm/{_tag(name)}", size, run.step)
            if norm:
                ratio = float(np.linalg.norm(update.ravel())) / norm
                self._writer.add_scalar(f"update_ratio/{_tag(name)}", ratio, run.step)

    def _write_histograms(self, run: Run, gradients: Any) -> None:
        for name, weight, gradient in measured(run.model, gradients):
            for kind, array in (("weights", weight), ("gradients", gradient)):
                values = np.abs(array) if array.dtype.kind == "c" else array
                finite = values[np.isfinite(values)]
                if finite.size:
                    self._writer.add_histogram(f"{kind}/{_tag(name)}", finite, run.step)


def _tag(path: str) -> str:
    """Return the path of a parameter in the characters that a tag may have."""
    return ".".join(re.findall(r"[\w-]+", path))
