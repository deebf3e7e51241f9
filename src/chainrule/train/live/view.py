"""The live view of a training run, as a person asks for it."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Sequence
from typing import Any

from ..events import Event
from ..run import Run
from ..session import Settings
from .recorder import Recorder
from .server import Server

__all__ = ["LiveView"]


class LiveView:
    """Shows a training run in the browser while it goes on, and records it for later.

    Given to :func:`fit` as ``live=``; ``live=True`` means one with these defaults.

    Parameters
    ----------
    serve : bool
        Whether to serve the page. Without it the run is only recorded, for
        ``chainrule view FOLDER`` later.
    port : int, optional
        By default that of the run's last view, or any that is free.
    open_browser : bool
        Whether to open the page by itself.
    predict : callable, optional
        ``predict(model, inputs)`` gives a classifier's logits; by default the model is called.
    class_names : sequence of str, optional
        Names of the classes.
    image_shape : tuple of int, optional
        Shape of an example's image, where the model takes it flattened: ``(8, 8)``.
    share : float
        Part of the time that recording may take. The final model is judged in any case.

    Attributes
    ----------
    url : str or None
        Address of the page, once training has begun. It works on this machine only, and the token
        in it lets in whoever has it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from chainrule import optim, train
    >>> x, folder = np.linspace(-1, 1, 64), tempfile.mkdtemp()
    >>> def loss(model, x, y):
    ...     return np.mean((model["a"] * x - y) ** 2)
    >>> with train.LiveView(serve=False) as live:
    ...     result = train.fit({"a": np.zeros(())}, loss, (x, 3 * x), optim.sgd(0.3), epochs=5,
    ...                        folder=folder, log=None, live=live)
    >>> train.write_view(folder, f"{folder}/run.html")
    """

    each_step = False  # it reads the steps from the run's records

    def __init__(
        self,
        *,
        serve: bool = True,
        port: int | None = None,
        open_browser: bool = False,
        predict: Callable[[Any, Any], Any] | None = None,
        class_names: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        share: float = 0.01,
    ) -> None:
        self._serve, self._port, self._open = serve, port, open_browser
        self._shown: dict[str, Any] = {
            "predict": predict,
            "class_names": class_names,
            "image_shape": image_shape,
            "share": share,
        }
        self._recorder: Recorder | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str | None:
        return None if self._server is None else self._server.url

    def attach(self, settings: Settings) -> None:
        """Get ready for a run; called by :func:`fit`."""
        if settings.folder is None:
            raise ValueError("a live view reads the run's folder, so live= needs folder=")
        self.close()
        self._recorder = Recorder(
            settings.folder,
            validation=settings.validation,
            batch_size=settings.batch_size,
            dtype=settings.dtype,
            **self._shown,
        )
        if self._serve:
            self._server = Server(settings.folder, self._port)
            print(f"live view: {self.url}", file=sys.stderr, flush=True)
            if self._open:
                webbrowser.open(self._server.url)

    def __call__(self, event: Event, run: Run) -> None:
        """Take notice of an event."""
        assert self._recorder is not None, "a LiveView is given to fit as live="
        if event["event"] == "start":
            self._recorder.start(run)
        elif event["event"] == "evaluation":
            self._recorder.evaluated(run)
        elif event["event"] == "stop":
            self._recorder.stop(run)

    def observe(self, run: Run, gradients: Any, updates: Any) -> None:
        """Take notice of a step."""
        assert self._recorder is not None
        self._recorder.observe(run, gradients, updates)

    def detach(self) -> None:
        """Close the files of a run, however it ended; the page stays."""
        if self._recorder is not None:
            self._recorder.close()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving the page."""
        if self._server is not None:
            self._server.close()
            self._server = None
