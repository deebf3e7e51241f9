"""Checks of the examples that an estimator is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_X_y, validate_data

__all__ = ["checked"]

_FLOATS = [np.float64, np.float32]


def checked(estimator: Any, X: Any, y: Any = None, *, reset: bool = False) -> Any:
    """Return examples, or examples and their targets, as arrays.

    Tables have the number and the names of their features checked, as scikit-learn does; of arrays
    with more axes it is the shape.
    """
    if _axes(X) <= 2:
        options: dict[str, Any] = {"dtype": _FLOATS}
        if y is not None:
            options |= _of_targets(estimator)
            X, y = validate_data(estimator, X, y, reset=reset, **options)
        else:
            X = validate_data(estimator, X, reset=reset, **options)
    else:
        X, y = _of_more_axes(estimator, X, y)
    _check_shape(estimator, X.shape[1:], reset)
    return X if y is None else (X, y)


def _axes(X: Any) -> int:
    return X.ndim if hasattr(X, "ndim") else np.asarray(X, object).ndim


def _of_targets(estimator: Any) -> dict[str, Any]:
    numbers = not estimator._classifies()
    return {"multi_output": numbers, "y_numeric": numbers}


def _of_more_axes(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    options: dict[str, Any] = {"dtype": _FLOATS, "allow_nd": True}
    if estimator._ragged and _axes(X) == 3:
        options["ensure_all_finite"] = "allow-nan"
    if y is None:
        return check_array(X, **options), None
    return check_X_y(X, y, **options, **_of_targets(estimator))


def _check_shape(estimator: Any, shape: tuple[int, ...], reset: bool) -> None:
    name = type(estimator).__name__
    if len(shape) + 1 not in estimator._axes:
        allowed = " or ".join(map(str, estimator._axes))
        raise ValueError(f"{name} takes X of {allowed} axes, not {len(shape) + 1}")
    if reset:
        estimator.input_shape_ = shape
        if len(shape) > 1:
            estimator.n_features_in_ = shape[-1]
        return
    known = estimator.input_shape_
    if estimator._ragged and len(shape) == 2:  # the times may differ
        shape, known = shape[1:], known[1:]
    if shape != known:
        raise ValueError(f"{name} learned from examples of shape {known}, but X has {shape}")
