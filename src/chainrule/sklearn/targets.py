"""What an estimator predicts, on its way to the network and back: labels and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

__all__ = ["Labels", "Numbers"]


@dataclass(frozen=True)
class Labels:
    """The classes of a classification; the network has one output for each.

    Examples
    --------
    >>> labels = Labels.of(["spam", "ham", "spam"])
    >>> labels.encode(["ham", "spam"], np.float32)
    array([0, 1])
    >>> labels.decode(np.array([[0.1, 0.9], [2.0, 1.0]]))
    array(['spam', 'ham'], dtype='<U4')
    """

    classes: Any

    @classmethod
    def of(cls, y: Any, classes: Any = None) -> Labels:
        """Return the classes that there are, in their order."""
        check_classification_targets(y)
        return cls(np.unique(y if classes is None else classes))

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.classes)

    def encode(self, y: Any, dtype: Any) -> Any:
        """Return the position of each label among the classes."""
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(f"y has labels {unknown} that are not among the classes")
        return np.searchsorted(self.classes, y)

    def decode(self, outputs: Any) -> Any:
        """Return the label with the largest output."""
        return self.classes[np.argmax(outputs, axis=1)]

    def weights(self, class_weight: Any, y: Any, sample_weight: Any) -> Any:
        """Return the weights of examples, with those of their classes."""
        if class_weight is None:
            return sample_weight
        if isinstance(class_weight, str) and class_weight == "balanced":
            counts = np.bincount(y, sample_weight, minlength=len(self.classes))
            of_class = counts.sum() / (len(counts) * np.where(counts > 0, counts, 1.0))
        else:
            of_class = compute_class_weight(class_weight, classes=self.classes, y=self.classes[y])
        return sample_weight * of_class[y]


@dataclass(frozen=True)
class Numbers:
    """The numbers of a regression; the network has one output for each target.

    Attributes
    ----------
    scaler : StandardScaler or None
        Brings targets to mean 0 and deviation 1, and outputs back.
    outputs : int
        How many targets there are.
    single : bool
        Whether y has no axis for the targets.
    """

    scaler: Any
    outputs: int
    single: bool

    @classmethod
    def of(cls, y: Any, sample_weight: Any, scaled: bool) -> Numbers:
        """Return the targets of such numbers."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = _columns(y)
        scaler = StandardScaler().fit(columns, sample_weight=sample_weight) if scaled else None
        return cls(scaler, columns.shape[1], y.ndim == 1)

    def encode(self, y: Any, dtype: Any) -> Any:
        """Return the targets of the network, of shape (examples, outputs)."""
        columns = _columns(y)
        if columns.shape[1] != self.outputs:
            raise ValueError(f"y has {columns.shape[1]} targets, but {self.outputs} are expected")
        if self.scaler is not None:
            columns = self.scaler.transform(columns)
        return columns.astype(dtype)

    def decode(self, outputs: Any) -> Any:
        """Return numbers as they were given."""
        outputs = _columns(outputs)
        if self.scaler is not None:
            outputs = self.scaler.inverse_transform(outputs)
        return outputs[:, 0] if self.single else outputs


def _columns(y: Any) -> Any:
    y = np.asarray(y)
    return y[:, np.newaxis] if y.ndim == 1 else y
