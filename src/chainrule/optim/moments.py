"""Scaling by running moments of the gradients: Adam and its relatives.

Powers are NumPy's function and not the operator, whose last digit depends on whether a count is a
scalar or, after a checkpoint was loaded, an array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .scaling import zero_count
from .transformation import Transformation, align, check_between, scalar, zeros

__all__ = [
    "AdagradState",
    "AdamState",
    "AdamaxState",
    "LionState",
    "NadamState",
    "RmsState",
    "scale_by_adagrad",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_lion",
    "scale_by_nadam",
    "scale_by_rms",
]


class AdamState(NamedTuple):
    """Number of updates, running means of g and g², and with AMSGrad the greatest of the latter."""

    count: Any
    mean: Any
    square: Any
    greatest: Any


def scale_by_adam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, amsgrad: bool = False
) -> Transformation:
    r"""Divide the running mean of the gradient by the root of that of its square.

    The formulas and parameters are those of :func:`adam`, without its learning rate.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_adam()
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0].round(5)
    array([ 1., -1.])
    """
    check_between(0, 1, b1=b1, b2=b2)
    check_between(0, np.inf, eps=eps)

    def init(params: Any) -> AdamState:
        mean, square = zeros(params, "Adam", real=True), zeros(params, "Adam")
        return AdamState(zero_count(), mean, square, zeros(params, "Adam") if amsgrad else None)

    def update(
        gradients: Any, state: AdamState, params: Any = None, **extra: Any
    ) -> tuple[Any, AdamState]:
        tree, (means, squares, grads) = align(
            mean=state.mean, square=state.square, gradients=gradients
        )
        count = state.count + 1
        unbias, root = 1 / (1 - np.power(b1, count)), 1 / np.sqrt(1 - np.power(b2, count))
        means = _averages(means, grads, b1)
        squares = _averages(squares, [g * g for g in grads], b2)
        scales, greatest = squares, None
        if amsgrad:
            before = align(square=state.square, greatest=state.greatest)[1][1]
            scales = [np.maximum(w, v) for w, v in zip(before, squares, strict=True)]
            greatest = tree.unflatten(scales)
        updates = [
            scalar(unbias, m) * m / (np.sqrt(v) * scalar(root, v) + eps)
            for m, v in zip(means, scales, strict=True)
        ]
        kept = AdamState(count, tree.unflatten(means), tree.unflatten(squares), greatest)
        return tree.unflatten(updates), kept

    return Transformation(init, update)


class NadamState(NamedTuple):
    """Number of updates, product of the momenta, running means of g and g²."""

    count: Any
    product: Any
    mean: Any
    square: Any


def scale_by_nadam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, momentum_decay: float = 0.004
) -> Transformation:
    r"""Adam's scaling with Nesterov's momentum; :func:`nadam` has the formulas.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_nadam()
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0].round(3)
    array([ 1.056, -1.056])
    """
    check_between(0, 1, b1=b1, b2=b2)
    check_between(0, np.inf, eps=eps, momentum_decay=momentum_decay)

    def init(params: Any) -> NadamState:
        mean = zeros(params, "NAdam", real=True)
        return NadamState(zero_count(), np.ones(()), mean, zeros(params, "NAdam"))

    def update(
        gradients: Any, state: NadamState, params: Any = None, **extra: Any
    ) -> tuple[Any, NadamState]:
        tree, (means, squares, grads) = align(
            mean=state.mean, square=state.square, gradients=gradients
        )
        count = state.count + 1
        now = b1 * (1 - 0.5 * np.power(0.96, count * momentum_decay))
        following = b1 * (1 - 0.5 * np.power(0.96, (count + 1) * momentum_decay))
        product = state.product * now
        of_gradient = (1 - now) / (1 - product)
        of_mean = following / (1 - product * following)
        root = 1 / np.sqrt(1 - np.power(b2, count))
        means = _averages(means, grads, b1)
        squares = _averages(squares, [g * g for g in grads], b2)
        updates = [
            (scalar(of_gradient, g) * g + scalar(of_mean, m) * m)
            / (np.sqrt(v) * scalar(root, v) + eps)
            for g, m, v in zip(grads, means, squares, strict=True)
        ]
        kept = NadamState(count, product, tree.unflatten(means), tree.unflatten(squares))
        return tree.unflatten(updates), kept

    return Transformation(init, update)


class AdamaxState(NamedTuple):
    """Number of updates, running mean of g, and decaying maximum of its size."""

    count: Any
    mean: Any
    greatest: Any


def scale_by_adamax(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Transformation:
    r"""Divide the running mean of the gradient by its decaying maximum; see :func:`adamax`.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_adamax()
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0].round(5)
    array([ 1., -1.])
    """
    check_between(0, 1, b1=b1, b2=b2)
    check_between(0, np.inf, eps=eps)

    def init(params: Any) -> AdamaxState:
        mean = zeros(params, "Adamax", real=True)
        return AdamaxState(zero_count(), mean, zeros(params, "Adamax"))

    def update(
        gradients: Any, state: AdamaxState, params: Any = None, **extra: Any
    ) -> tuple[Any, AdamaxState]:
        tree, (means, maxima, grads) = align(
            mean=state.mean, greatest=state.greatest, gradients=gradients
        )
        count = state.count + 1
        unbias = 1 / (1 - np.power(b1, count))
        means = _averages(means, grads, b1)
        maxima = [np.maximum(b2 * n, np.abs(g) + eps) for n, g in zip(maxima, grads, strict=True)]
        updates = [scalar(unbias, m) * m / n for m, n in zip(means, maxima, strict=True)]
        return tree.unflatten(updates), AdamaxState(
            count, tree.unflatten(means), tree.unflatten(maxima)
        )

    return Transformation(init, update)


class AdagradState(NamedTuple):
    """The sum of the squares of all gradients."""

    total: Any


def scale_by_adagrad(initial: float = 0.0, eps: float = 1e-10) -> Transformation:
    r"""Divide the gradient by the root of the sum of its squares so far; see :func:`adagrad`.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_adagrad()
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0].round(5)
    array([ 1., -1.])
    """
    check_between(0, np.inf, initial=initial, eps=eps)

    def init(params: Any) -> AdagradState:
        tree, (nothing,) = align(total=zeros(params, "Adagrad", real=True))
        return AdagradState(tree.unflatten(np.full_like(zero, initial) for zero in nothing))

    def update(
        gradients: Any, state: AdagradState, params: Any = None, **extra: Any
    ) -> tuple[Any, AdagradState]:
        tree, (totals, grads) = align(total=state.total, gradients=gradients)
        totals = [s + g * g for s, g in zip(totals, grads, strict=True)]
        updates = [g / (np.sqrt(s) + eps) for s, g in zip(totals, grads, strict=True)]
        return tree.unflatten(updates), AdagradState(tree.unflatten(totals))

    return Transformation(init, update)


class RmsState(NamedTuple):
    """Running means of g² and, if centred, of g."""

    square: Any
    mean: Any


def scale_by_rms(decay: float = 0.99, eps: float = 1e-8, centred: bool = False) -> Transformation:
    r"""Divide the gradient by the root of its running mean square; see :func:`rmsprop`.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_rms(decay=0.75)
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0].round(4)
    array([ 2., -2.])
    """
    check_between(0, 1, decay=decay)
    check_between(0, np.inf, eps=eps)

    def init(params: Any) -> RmsState:
        square = zeros(params, "RMSProp", real=True)
        return RmsState(square, zeros(params, "RMSProp") if centred else None)

    def update(
        gradients: Any, state: RmsState, params: Any = None, **extra: Any
    ) -> tuple[Any, RmsState]:
        tree, (squares, grads) = align(square=state.square, gradients=gradients)
        squares = _averages(squares, [g * g for g in grads], decay)
        variances, mean = squares, None
        if centred:
            means = _averages(align(mean=state.mean)[1][0], grads, decay)
            mean = tree.unflatten(means)
            # Rounding may bring the variance of a steady gradient below zero.
            variances = [np.maximum(s - m * m, 0.0) for s, m in zip(squares, means, strict=True)]
        updates = [g / (np.sqrt(v) + eps) for g, v in zip(grads, variances, strict=True)]
        return tree.unflatten(updates), RmsState(tree.unflatten(squares), mean)

    return Transformation(init, update)


class LionState(NamedTuple):
    """Running mean of the gradient."""

    mean: Any


def scale_by_lion(b1: float = 0.9, b2: float = 0.99) -> Transformation:
    r"""Take the sign of a running mean of the gradient; see :func:`lion`.

    Examples
    --------
    >>> import numpy as np
    >>> first = scale_by_lion()
    >>> first.update(np.array([100.0, -0.01]), first.init(np.zeros(2)))[0]
    array([ 1., -1.])
    """
    check_between(0, 1, b1=b1, b2=b2)

    def init(params: Any) -> LionState:
        return LionState(zeros(params, "Lion", real=True))

    def update(
        gradients: Any, state: LionState, params: Any = None, **extra: Any
    ) -> tuple[Any, LionState]:
        tree, (means, grads) = align(mean=state.mean, gradients=gradients)
        updates = [np.sign(c) for c in _averages(means, grads, b1)]
        return tree.unflatten(updates), LionState(tree.unflatten(_averages(means, grads, b2)))

    return Transformation(init, update)


def _averages(averages: list[Any], values: list[Any], decay: float) -> list[Any]:
    """Move each running average towards its new value."""
    return [decay * a + (1 - decay) * x for a, x in zip(averages, values, strict=True)]
