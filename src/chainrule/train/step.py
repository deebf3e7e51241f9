"""One step of training, and the evaluation of what was learned."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from .. import jit as compiled
from .. import random, tree, value_and_grad
from .run import Run, reading, source_of

__all__ = ["DivergedError", "evaluate", "make_step", "supervised"]

Loss = Callable[..., Any]
_OPTIONS = ("key", "train", "state")


class DivergedError(FloatingPointError):
    """The loss is no longer a finite number.

    Attributes
    ----------
    result : Result or None
        The run as it was before that step.
    """

    result: Any = None


def supervised(criterion: Loss, **settings: Any) -> Loss:
    """Return the function of model, inputs and targets that a criterion of outputs makes.

    Parameters
    ----------
    criterion : callable
        ``criterion(outputs, targets, **settings)``: a loss such as ``nn.cross_entropy``, or a
        metric.
    **settings
        Such as ``class_weights``.

    Returns
    -------
    callable
        ``loss(model, inputs, targets, *, key=None, train=False, state=None)``. Key, train and
        state go to a model that takes them; with a state it returns the pair of value and new
        state.

    Examples
    --------
    >>> def squared_error(outputs, targets):
    ...     return np.mean((outputs - targets) ** 2)
    >>> loss = supervised(squared_error)
    >>> float(loss(np.tanh, np.zeros(3), np.ones(3)))
    1.0
    """

    def loss(
        model: Any,
        inputs: Any,
        targets: Any,
        *,
        key: Any = None,
        train: bool = False,
        state: Any = None,
    ) -> Any:
        offered = {"key": key, "train": train, "state": state}
        options = {name: offered[name] for name in accepted(model) if offered[name] is not None}
        outputs = model(inputs, **options)
        if state is None:
            return criterion(outputs, targets, **settings)
        if "state" not in options:
            return criterion(outputs, targets, **settings), state
        outputs, state = outputs
        return criterion(outputs, targets, **settings), state

    loss.__name__ = getattr(criterion, "__name__", "loss")
    loss.needs_key = draws  # type: ignore[attr-defined]  # read by make_step
    return loss


def draws(model: Any) -> bool:
    """Whether a model uses a key: it takes one, and has no method ``draws`` that denies it.

    Examples
    --------
    >>> from chainrule import nn
    >>> draws(nn.Sequential(nn.tanh, nn.relu)), draws(nn.Sequential(nn.tanh, nn.Dropout(0.5)))
    (False, True)
    """
    return bool(model.draws()) if hasattr(model, "draws") else "key" in accepted(model)


def make_step(
    loss: Loss,
    optimiser: Any,
    dtype: Any = None,
    jit: bool = False,
    observers: Sequence[Callable[[Run, Any, Any], Any]] = (),
) -> Callable[[Run, Any], Any]:
    """Return the function that takes a run one batch further.

    Parameters
    ----------
    loss : callable
        ``loss(model, *batch)``. Of the keywords ``key``, ``train`` and ``state`` it gets those
        that it has parameters for.
    optimiser : Transformation
        Of :mod:`chainrule.optim`.
    dtype : dtype, optional
        Precision of the computation. Parameters and their updates keep the precision of the model.
    jit : bool
        Whether to compile loss and gradient, once for each shape of batch.
    observers : sequence of callables
        Each is called after a step with the run, the gradients and the updates.

    Returns
    -------
    callable
        ``step(run, batch)`` gives ``(run, value)``. It is for runs of one model.
    """
    from ..optim import apply

    options_of = _options(loss)
    computed = in_precision(loss, dtype)
    plain = value_and_grad(computed)
    stateful = value_and_grad(computed, has_aux=True)
    if jit:
        # a run repeats to the last bit, so its code must not depend on the clock
        plain, stateful = (compiled(f, background=False) for f in (plain, stateful))

    def step(run: Run, batch: Any) -> tuple[Run, float]:
        args = batch if isinstance(batch, tuple) else (batch,)
        options, state = options_of(run), run.state
        if state is None:
            value, gradients = plain(run.model, *args, **options)
        else:
            (value, state), gradients = stateful(run.model, *args, **options)
        loss_value = float(value)
        if not math.isfinite(loss_value):
            raise DivergedError(
                f"the loss is {loss_value} at step {run.step + 1} (epoch {run.epoch + 1}, batch "
                f"{run.batch + 1}); a smaller learning rate or clip=1.0 often helps"
            )
        updates, memory = optimiser.update(gradients, run.optimiser, run.model, value=loss_value)
        run = run.advanced(apply(run.model, updates), memory, state, loss_value)
        for observe in observers:
            observe(run, gradients, updates)
        return run, loss_value

    return step


def _options(loss: Loss) -> Callable[[Run], dict[str, Any]]:
    """Return the function that gives the keywords with which a loss is called in training."""
    takes = accepted(loss)
    needs_key = getattr(loss, "needs_key", lambda model: "key" in takes)
    drawing: bool | None = None

    def options(run: Run) -> dict[str, Any]:
        nonlocal drawing
        if drawing is None:  # asked once: the layers of a model stay the same
            drawing = needs_key(run.model)
        given: dict[str, Any] = {"train": True} if "train" in takes else {}
        if drawing:
            given["key"] = random.fold_in(run.key, run.step)
        if run.state is not None:
            if "state" not in takes:
                raise TypeError("there is a state, but the loss has no parameter `state`")
            given["state"] = run.state
        return given

    return options


def clipped(optimiser: Any, norm: float | None) -> Any:
    """Return an optimiser that gets gradients of at most this global norm."""
    from .. import optim

    return optimiser if norm is None else optim.chain(optim.clip_by_global_norm(norm), optimiser)


def evaluate(
    model: Any,
    functions: Mapping[str, Loss],
    data: Any,
    *,
    state: Any = None,
    batch_size: int = 256,
    dtype: Any = None,
) -> dict[str, float]:
    """Return the mean of functions of the model over data.

    Parameters
    ----------
    model : pytree
        What is judged.
    functions : mapping
        From a name to ``f(model, *batch)``, such as the loss; called with ``train=False`` and
        ``state`` where it has parameters for them.
    data : pytree of arrays, Batches or Stream
        Batches count by the number of their examples.
    state : pytree, optional
        Running statistics of the model.
    batch_size : int
        For data that comes as arrays.
    dtype : dtype, optional
        Precision of the computation.

    Examples
    --------
    >>> def distance(model, x):
    ...     return np.mean(np.abs(x - model))
    >>> evaluate(2.0, {"distance": distance}, np.arange(5.0))
    {'distance': 1.2}
    """
    totals = dict.fromkeys(functions, 0.0)
    examples = 0
    computed = {name: in_precision(f, dtype) for name, f in functions.items()}
    with reading(source_of(data, batch_size), 0, 0) as batches:
        for batch in batches:
            args = batch if isinstance(batch, tuple) else (batch,)
            count = len(tree.leaves(batch)[0])
            examples += count
            for name, f in functions.items():
                offered = {"train": False, "state": state}
                options = {n: offered[n] for n in accepted(f) if offered.get(n) is not None}
                value = computed[name](model, *args, **options)
                totals[name] += count * float(value[0] if "state" in options else value)
    if not examples:
        raise ValueError("there are no batches to evaluate")
    return {name: total / examples for name, total in totals.items()}


def in_precision(f: Loss, dtype: Any) -> Loss:
    """Return a function that computes with floats of another precision."""
    if dtype is None:
        return f

    def cast(leaf: Any) -> Any:
        floating = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        return leaf.astype(dtype) if floating else leaf

    def computed(model: Any, *args: Any, **options: Any) -> Any:
        return f(tree.map(cast, model), *tree.map(cast, args), **options)

    computed.__name__ = getattr(f, "__name__", "loss")
    return computed


def accepted(f: Any) -> tuple[str, ...]:
    """Return which of key, train and state a function or a model has parameters for."""
    cls = type(f)
    return _accepted(cls.__call__) if is_dataclass(cls) else _signature(f)


def _signature(f: Any) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):  # a function in C, such as np.tanh
        return ()
    return tuple(name for name in _OPTIONS if name in parameters)


@functools.cache  # asked once per step for the model, and slow
def _accepted(call: Any) -> tuple[str, ...]:
    return _signature(call)
