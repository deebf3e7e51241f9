"""Adafactor: second moments of a matrix kept as one row and one column."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .scaling import LearningRate, zero_count
from .transformation import (
    Transformation,
    align,
    check_between,
    need_params,
    scalar,
    zeros,
)

__all__ = ["AdafactorState", "adafactor"]


class AdafactorState(NamedTuple):
    """Number of updates, and mean squares: by row and by column of matrices, else of each number.

    For a parameter of fewer than two axes ``column`` holds an empty array.
    """

    count: Any
    row: Any
    column: Any


def adafactor(
    learning_rate: LearningRate = 1e-2,
    beta2_decay: float = -0.8,
    eps1: float | None = None,
    eps2: float = 1e-3,
    threshold: float = 1.0,
    weight_decay: float = 0.0,
) -> Transformation:
    r"""Adaptive steps with a memory of n + m numbers for a matrix of n × m.

    .. math::

        \hat\beta &= 1 - t^{\gamma}, \qquad
        \rho = \min(\eta, 1 / \sqrt{t}), \qquad
        \alpha = \max(\epsilon_2, \operatorname{rms}(p)) \, \rho \\
        R &\leftarrow \hat\beta R + (1 - \hat\beta) \operatorname{mean}_\text{columns} g^2, \qquad
        C \leftarrow \hat\beta C + (1 - \hat\beta) \operatorname{mean}_\text{rows} g^2 \\
        V &= R C / \operatorname{mean} R, \qquad
        u = g / \max(\sqrt{V}, \epsilon_1), \qquad
        p \leftarrow p - \alpha \, u / \max(1, \operatorname{rms}(u) / d)

    Parameters
    ----------
    learning_rate : float or callable
        The greatest relative step :math:`\eta`, or a schedule.
    beta2_decay : float
        The exponent :math:`\gamma`, below 0.
    eps1 : float, optional
        The least root of a mean square; the dtype's epsilon by default.
    eps2 : float
        The least scale of a parameter.
    threshold : float
        The bound :math:`d` on the root mean square of an update.
    weight_decay : float
        Decoupled weight decay, per unit of learning rate.

    Notes
    -----
    Defaults and use of the epsilons are PyTorch's. There is no first moment.

    References
    ----------
    N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost",
    ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = adafactor(0.1)
    >>> params = np.ones((2, 3))
    >>> state = optimiser.init(params)
    >>> state.row.shape, state.column.shape
    ((2, 1), (1, 3))
    >>> optimiser.update(params, state, params)[0].round(6)
    array([[-0.1, -0.1, -0.1],
           [-0.1, -0.1, -0.1]])
    """
    check_between(-np.inf, 0, beta2_decay=beta2_decay)
    check_between(0, np.inf, eps2=eps2, threshold=threshold, weight_decay=weight_decay)

    def init(params: Any) -> AdafactorState:
        tree, (nothing,) = align(zeros=zeros(params, "Adafactor", real=True))
        rows = [x if x.ndim < 2 else x[..., :1] * 1 for x in nothing]
        columns = [np.zeros(0, x.dtype) if x.ndim < 2 else x[..., :1, :] * 1 for x in nothing]
        return AdafactorState(zero_count(), tree.unflatten(rows), tree.unflatten(columns))

    def update(
        gradients: Any, state: AdafactorState, params: Any = None, **extra: Any
    ) -> tuple[Any, AdafactorState]:
        need_params(params, "Adafactor")
        tree, (old, grads) = align(params=params, gradients=gradients)
        rows = tree.flatten_like(state.row, "state.row")
        columns = tree.flatten_like(state.column, "state.column")
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        time = np.true_divide(state.count + 1, 1)
        fresh, relative = np.power(time, beta2_decay), np.minimum(rate, 1 / np.sqrt(time))
        updates, next_rows, next_columns = [], [], []
        for p, g, row, column in zip(old, grads, rows, columns, strict=True):
            row, column, square = _mean_squares(g, row, column, scalar(fresh, g), eps1)
            direction = g / np.maximum(np.sqrt(square), _least(square, eps1))
            direction = direction / np.maximum(1.0, _rms(direction) / threshold)
            size = scalar(relative, g) * np.maximum(_rms(p), eps2)
            updates.append(-(size * direction) - scalar(rate * weight_decay, p) * p)
            next_rows.append(row)
            next_columns.append(column)
        kept = tree.unflatten(next_rows), tree.unflatten(next_columns)
        return tree.unflatten(updates), AdafactorState(state.count + 1, *kept)

    return Transformation(init, update)


def _mean_squares(
    g: Any, row: Any, column: Any, fresh: Any, eps1: float | None
) -> tuple[Any, Any, Any]:
    """Return the next row, the next column, and the mean square of each number."""
    square = g * g
    if np.ndim(g) < 2:
        row = row + fresh * (square - row)
        return row, column, row
    row = row + fresh * (np.mean(square, axis=-1, keepdims=True) - row)
    column = column + fresh * (np.mean(square, axis=-2, keepdims=True) - column)
    total = np.maximum(np.mean(row, axis=-2, keepdims=True), _least(row, eps1))
    return row, column, row * column / total


def _least(array: Any, eps1: float | None) -> float:
    return float(np.finfo(np.result_type(array)).eps) if eps1 is None else eps1


def _rms(array: Any) -> Any:
    return np.sqrt(np.mean(np.square(array)))
