"""Bounds on gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tree import leaves
from ..tree import map as tree_map
from .transformation import Transformation, check_between, in_dtype, stateless

__all__ = ["clip_by_global_norm", "clip_by_value", "global_norm"]


def global_norm(tree: Any) -> Any:
    """Return the Euclidean norm of all numbers in a tree together.

    Examples
    --------
    >>> import numpy as np
    >>> float(global_norm({"W": np.array([[3.0]]), "b": np.array([0.0, 4.0])}))
    5.0
    """
    squares = [np.sum(np.square(np.abs(leaf)), dtype=np.float64) for leaf in leaves(tree)]
    return np.sqrt(sum(squares))


def clip_by_global_norm(max_norm: float) -> Transformation:
    r"""Shorten the gradient, all parameters together, to a norm of at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min(1, c / \lVert g \rVert)

    The direction stays. A gradient that is not finite has no direction and becomes NaN.

    Parameters
    ----------
    max_norm : float
        The bound :math:`c`, in units of the loss per unit of the parameters. PyTorch's
        ``clip_grad_norm_`` divides by the norm plus 1e-6, and so ends just below the bound.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> clip = clip_by_global_norm(1.0)
    >>> clip.update({"W": np.array([3.0]), "b": np.array([4.0])}, ())[0]
    {'W': array([0.6]), 'b': array([0.8])}
    """
    check_between(0, np.inf, max_norm=max_norm)

    def change(gradients: Any, params: Any) -> Any:
        norm = global_norm(gradients)
        factor = max_norm / np.maximum(norm, max_norm) if max_norm else 0.0
        # Without this, an infinite gradient would silently stop all other parameters.
        factor = np.where(np.isfinite(norm), factor, np.nan)
        return tree_map(lambda g: g * in_dtype(factor, _real(g)), gradients)

    return stateless(change)


def _real(leaf: Any) -> Any:
    return np.real(leaf) if np.result_type(leaf).kind == "c" else leaf


def clip_by_value(max_value: float) -> Transformation:
    r"""Clip each number of the gradient to :math:`[-c, c]`, as ``clip_grad_value_`` of PyTorch.

    Parameters
    ----------
    max_value : float
        The bound :math:`c`.

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_value(1.0).update(np.array([0.5, -3.0]), ())[0]
    array([ 0.5, -1. ])
    """
    check_between(0, np.inf, max_value=max_value)
    return stateless(
        lambda gradients, params: tree_map(lambda g: np.clip(g, -max_value, max_value), gradients)
    )
