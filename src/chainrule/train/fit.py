"""Training: a loop over batches, with all that a long run needs around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import random
from .run import Result, Run, as_key, reading, source_of
from .session import Session, Settings, folder_of_run, observers, with_live_view
from .step import DivergedError, clipped, make_step
from .tensors import FilePath

if TYPE_CHECKING:
    from .live import LiveView

__all__ = ["fit"]


def fit(
    model: Any,
    loss: Callable[..., Any],
    data: Any,
    optimiser: Any,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
    key: Any = 0,
    state: Any = None,
    clip: float | None = None,
    dtype: Any = None,
    jit: bool = False,
    validation: Any = None,
    metrics: Mapping[str, Callable[..., Any]] | None = None,
    validate_every: int | None = None,
    monitor: str = "loss",
    mode: str = "min",
    patience: int | None = None,
    callbacks: Sequence[Callable[[dict[str, Any], Run], Any]] = (),
    folder: FilePath | None = "auto",
    resume: bool = False,
    save_every: float = 30.0,
    log: str | None = "auto",
    live: bool | LiveView = False,
) -> Result:
    """Train a model.

    Parameters
    ----------
    model : pytree
        The parameters to start from.
    loss : callable
        ``loss(model, *batch)`` gives one number. If it has parameters named ``key``, ``train`` or
        ``state``, it gets a key for this step, whether it trains, and the running statistics;
        with a state it returns ``(value, new_state)``. :func:`supervised` makes such a function.
    data : pytree of arrays, Batches, Prefetch, Stream, list of batches or callable
        Arrays are shuffled and cut into batches; see :mod:`chainrule.data` for the others.
    optimiser : Transformation
        Of :mod:`chainrule.optim`.
    epochs, steps : int, optional
        How long to train: whichever is reached first.
    batch_size : int
        For data that comes as arrays, also of the validation.
    key : array of shape (2,) or int
        All randomness follows from it.
    state : pytree, optional
        Running statistics to start from: ``nn.init_state(model)``.
    clip : float, optional
        Largest global norm of the gradients; longer ones are shortened to it.
    dtype : dtype, optional
        Precision of the computation, such as float32 with parameters in float64.
    jit : bool
        Whether to compile loss and gradient with :func:`chainrule.jit`, once for each shape of
        batch. Then the loss must not branch on values.
    validation : data, optional
        Held-out examples, on which loss and metrics are measured.
    metrics : mapping, optional
        From a name to a function like the loss, such as ``supervised(accuracy)``.
    validate_every : int, optional
        Steps between evaluations; by default there is one after each epoch.
    monitor, mode : str
        What tells the best model: ``"loss"`` (of the validation, if there is one) or the name of a
        metric; and whether its ``"min"`` or its ``"max"`` is best.
    patience : int, optional
        Stop after so many evaluations in a row that were not the best.
    callbacks : sequence of callables
        ``callback(event, run)`` is called with each event; True from it stops the run. If it has
        a method ``observe(run, gradients, updates)``, that is called after each step. One with an
        attribute ``each_step`` that is False is not told of every step, which saves time.
    folder : str or Path, optional
        Where ``events.jsonl``, ``last.safetensors`` and ``best.safetensors`` go; by default a new
        one below ``runs``. None writes nothing.
    resume : bool
        Go on from the last checkpoint in the folder, if any, as if the run had never stopped.
    save_every : float
        Seconds between checkpoints. There is always one at the end.
    log : {"auto", "terminal", "notebook", "lines", None}
        How progress is shown.
    live : bool or LiveView
        Show the run in the browser while it goes on.

    Returns
    -------
    Result
        Also after Ctrl-C, which stops after the current step.

    Raises
    ------
    DivergedError
        If the loss is not finite. The checkpoint is of the step before.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import optim, train
    >>> x = np.linspace(-1, 1, 64)
    >>> def loss(model, x, y):
    ...     return np.mean((model["a"] * x + model["b"] - y) ** 2)
    >>> start = {"a": np.zeros(()), "b": np.zeros(())}
    >>> examples, quiet = (x, 3 * x + 1), {"folder": None, "log": None}
    >>> result = train.fit(start, loss, examples, optim.sgd(0.3), epochs=20, **quiet)
    >>> result.model["a"].round(3), result.model["b"].round(3), result.reason
    (np.float64(3.0), np.float64(1.0), 'epochs')
    """
    data_key, step_key = random.split(as_key(key))
    source, optimiser = source_of(data, batch_size, data_key), clipped(optimiser, clip)
    settings = Settings(
        epochs=epochs, steps=steps, loss=loss, validation=validation, metrics=metrics or {},
        monitor=monitor, mode=mode, patience=patience, validate_every=validate_every, dtype=dtype,
        batch_size=batch_size, callbacks=with_live_view(callbacks, live), save_every=save_every,
        folder=folder_of_run(folder, resume))  # fmt: skip
    run = Run.begin(model, optimiser, state, step_key, source)
    # without resume=True there is none: folder_of_run has seen to that
    if (checkpoint := settings.checkpoint) is not None and checkpoint.exists():
        run = run.resumed(checkpoint)
    step = make_step(loss, optimiser, dtype, jit, observers=observers(settings))

    with Session(settings, log) as session:
        session.begin(run, source)
        try:
            while not session.reason(run):
                with reading(source, run.epoch, run.batch) as batches:
                    for batch in batches:
                        run, value = step(run, batch)
                        run = session.stepped(run, value)
                        if session.reason(run):
                            break
                    else:
                        run = session.ended_epoch(run)
        except DivergedError as error:
            error.result = session.result(run, "diverged")
            raise
        reason = session.reason(run) or "epochs"
        return session.result(run if reason == "interrupted" else session.evaluated(run), reason)
