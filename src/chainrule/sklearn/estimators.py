"""The estimators, as scikit-learn's users call them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import ClassifierTags, RegressorTags

from .. import nn, tree
from .networks import chosen, convolutional, dense, recurrent
from .neural import Neural

__all__ = [
    "CNNClassifier",
    "MLPClassifier",
    "MLPRegressor",
    "NeuralEstimator",
    "RNNClassifier",
]

REGRESSION_LOSSES = {
    "squared_error": nn.squared_error,
    "absolute_error": nn.absolute_error,
    "huber": nn.huber,
}

_OF_CLASSES = (nn.cross_entropy, nn.nll, nn.multi_margin)


@dataclass(eq=False, repr=False, kw_only=True)
class _WithClasses(Neural):
    """What estimators share that may have classes."""

    class_weight: Any = None

    def _weights_of_classes(self) -> Any:
        return self.class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Take one pass over some more examples.

        Parameters
        ----------
        X, y, sample_weight
            As for ``fit``.
        classes : array, optional
            All labels that there will be. The first call needs it if its y lacks some.

        Returns
        -------
        self
        """
        return self._fit_further(X, y, sample_weight, classes if self._classifies() else None)


@dataclass(eq=False, repr=False, kw_only=True)
class _Classifier(ClassifierMixin, _WithClasses):
    """A classifier by cross-entropy."""

    def _classifies(self) -> bool:
        return True

    def _criterion(self) -> Any:
        return nn.cross_entropy


@dataclass(eq=False, repr=False, kw_only=True)
class _MLP(Neural):
    """Fully connected layers, for classes or for numbers."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    dropout: float = 0.0

    def _network(self, key: Any, inputs: tuple[int, ...], outputs: int, dtype: Any) -> Any:
        hidden, activation = _sizes(self.hidden_layer_sizes), self.activation
        return dense(
            key, inputs[0], hidden, outputs,
            activation=activation, dropout=self.dropout, dtype=dtype,
        )  # fmt: skip


@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(_Classifier, _MLP):
    """A classifier of fully connected layers.

    Its parameters have the names and, where that is good, the defaults of scikit-learn's class of
    the same name. It also has dropout, class weights, any optimiser and learning rate schedule of
    :mod:`chainrule.optim`, and it standardises the features.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    activation : {"relu", "tanh", "logistic", "gelu", "silu", "identity"}
        Of the hidden layers.
    dropout : float
        The share of hidden units that are left out in each step.
    class_weight : dict or "balanced", optional
        How much examples of each class count.
    **others
        See :class:`NeuralEstimator`; ``standardise`` is True here.

    Attributes
    ----------
    classes_ : array
        The labels.
    model_ : nn.Sequential
        The network, for standardised features.
    loss_curve_ : list of float
        Mean loss of each pass.

    Examples
    --------
    >>> from chainrule.sklearn import MLPClassifier
    >>> X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), ["no", "yes", "yes", "no"]
    >>> model = MLPClassifier(hidden_layer_sizes=(8,), learning_rate=0.1, random_state=0)
    >>> model.fit(X, y).predict(X)
    array(['no', 'yes', 'yes', 'no'], dtype='<U3')
    """


@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorMixin, _MLP):
    """A regressor of fully connected layers, for one or several targets.

    Features and targets are standardised; predictions come in the units of y.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    activation : {"relu", "tanh", "logistic", "gelu", "silu", "identity"}
        Of the hidden layers.
    dropout : float
        The share of hidden units that are left out in each step.
    loss : {"squared_error", "absolute_error", "huber"}
        Between standardised targets.
    **others
        See :class:`NeuralEstimator`; ``standardise`` is True here.

    Attributes
    ----------
    model_ : nn.Sequential
        The network, between standardised features and standardised targets.
    loss_curve_ : list of float
        Mean loss of each pass.

    Examples
    --------
    >>> from chainrule.sklearn import MLPRegressor
    >>> X = np.linspace(-3, 3, 200)[:, np.newaxis]
    >>> y = 100 * np.sin(X[:, 0])
    >>> model = MLPRegressor(activation="tanh", learning_rate=0.01, random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.99)
    True
    """

    loss: str = "squared_error"

    def _classifies(self) -> bool:
        return False

    def _criterion(self) -> Any:
        return chosen("loss", self.loss, REGRESSION_LOSSES)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Take one pass over some more examples.

        Parameters
        ----------
        X, y, sample_weight
            As for ``fit``. The scales of features and targets are those of the first call.

        Returns
        -------
        self
        """
        return self._fit_further(X, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _sizes(sizes: Any) -> Sequence[int]:
    """Return sizes of layers; a single one may stand without a tuple."""
    sizes = tuple(sizes) if np.iterable(sizes) else (sizes,)
    if any(size < 1 for size in sizes):
        raise ValueError(f"hidden layers have at least one unit, not {sizes}")
    return sizes


@dataclass(eq=False, repr=False, kw_only=True)
class CNNClassifier(_Classifier):
    """A classifier of images by convolutions.

    Parameters
    ----------
    image_shape : tuple of int, optional
        (height, width) or (channels, height, width) of images that come as rows of pixels. By
        default rows whose length is a square number are square images, and others are lines.
    channels : tuple of int
        Of each convolution. Each is followed by a pool of 2 × 2 that leaves at least 4 × 4.
    kernel_size : int
        Of the convolutions; odd.
    hidden_layer_sizes : tuple of int
        Units of each fully connected layer behind them.
    activation : {"relu", "tanh", "logistic", "gelu", "silu", "identity"}
        Of convolutions and hidden layers.
    dropout : float
        The share of hidden units that are left out in each step.
    class_weight : dict or "balanced", optional
        How much examples of each class count.
    **others
        See :class:`NeuralEstimator`; ``standardise`` is True here, with one scale for each channel.

    Notes
    -----
    X has shape (examples, pixels), (examples, height, width) or
    (examples, channels, height, width).

    Examples
    --------
    >>> from chainrule.sklearn import CNNClassifier
    >>> images = np.zeros((20, 4, 4))
    >>> images[:10, 1] = images[10:, :, 2] = 1.0
    >>> labels = ["row"] * 10 + ["column"] * 10
    >>> model = CNNClassifier(channels=(4,), learning_rate=0.01, max_iter=30, random_state=0)
    >>> float(model.fit(images, labels).score(images, labels))
    1.0
    """

    image_shape: Any = None
    channels: Any = (16, 32)
    kernel_size: int = 3
    hidden_layer_sizes: Any = (64,)
    activation: str = "relu"
    dropout: float = 0.0

    _axes: ClassVar[tuple[int, ...]] = (2, 3, 4)
    _feature_axis: ClassVar[int] = 1

    def _arranged(self, X: Any) -> Any:
        if X.ndim == 4:
            return X
        if X.ndim == 3:
            return X[:, np.newaxis]
        pixels = X.shape[1]
        side = math.isqrt(pixels)
        shape = self.image_shape or ((side, side) if side**2 == pixels else (1, pixels))
        shape = (1,) * (3 - len(shape)) + tuple(shape)
        if math.prod(shape) != pixels:
            raise ValueError(f"image_shape={self.image_shape} does not fit rows of {pixels} pixels")
        return X.reshape(-1, *shape)

    def _network(self, key: Any, inputs: tuple[int, ...], outputs: int, dtype: Any) -> Any:
        return convolutional(
            key,
            inputs,
            _sizes(self.channels),
            _sizes(self.hidden_layer_sizes),
            outputs,
            kernel_size=self.kernel_size,
            activation=self.activation,
            dropout=self.dropout,
            dtype=dtype,
        )


@dataclass(eq=False, repr=False, kw_only=True)
class RNNClassifier(_Classifier):
    """A classifier of sequences by a recurrent network and its last state.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
        The kind of network.
    hidden_size : int
        Features of its state.
    num_layers : int
        How many of them, each over the outputs of the one before.
    bidirectional : bool
        Whether each layer also runs backwards.
    dropout : float
        Between layers.
    class_weight : dict or "balanced", optional
        How much examples of each class count.
    **others
        See :class:`NeuralEstimator`; ``standardise`` is True here, with one scale for each feature
        at all times.

    Notes
    -----
    X has shape (examples, times, features), or (examples, times) for one feature. Sequences of
    different lengths are filled up with NaN, as :func:`pad_sequences` does it; their last state
    is that at their own end.

    Examples
    --------
    >>> from chainrule.sklearn import RNNClassifier, pad_sequences
    >>> X = pad_sequences([[1.0, 2.0, 3.0], [3.0, 2.0], [2.0, 3.0], [5.0, 4.0, 3.0]] * 5)
    >>> y = ["up", "down", "up", "down"] * 5
    >>> model = RNNClassifier(hidden_size=8, learning_rate=0.03, max_iter=60, random_state=0)
    >>> model.fit(X, y).predict(pad_sequences([[1.0, 2.0], [4.0, 3.0, 2.0]]))
    array(['up', 'down'], dtype='<U4')
    """

    cell: str = "lstm"
    hidden_size: int = 32
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0

    _axes: ClassVar[tuple[int, ...]] = (2, 3)
    _ragged: ClassVar[bool] = True

    def _arranged(self, X: Any) -> Any:
        return X[..., np.newaxis] if X.ndim == 2 else X

    def _network(self, key: Any, inputs: tuple[int, ...], outputs: int, dtype: Any) -> Any:
        return recurrent(
            key,
            inputs[-1],
            self.hidden_size,
            outputs,
            cell=self.cell,
            layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            dtype=dtype,
        )


@dataclass(eq=False, repr=False)
class NeuralEstimator(_WithClasses):
    """Any network and any loss as an estimator.

    Parameters
    ----------
    model : callable or pytree
        ``model(key, inputs, outputs)`` makes the network to start from: ``inputs`` is the number
        of features (of the last axis, if X has more than two), ``outputs`` that of classes or
        targets. Or a network itself, whose arrays it then starts from.
    loss : callable
        Of outputs and targets, such as those of :mod:`chainrule.nn`. Weights of examples need a
        loss with a parameter ``reduction``.
    task : {"auto", "classification", "regression"}
        What is predicted; by default classes, if the loss is ``nn.cross_entropy``, ``nn.nll`` or
        ``nn.multi_margin``.
    optimiser : str or callable
        ``"adam"``, ``"adamw"``, ``"sgd"`` (with Nesterov's momentum), ``"rmsprop"``, ``"adagrad"``,
        ``"nadam"``, ``"lion"``, or a function that makes one from a learning rate.
    learning_rate : float or schedule
        A schedule of :mod:`chainrule.optim` is a function of the number of steps.
    alpha : float
        Strength of the penalty on the squares of weights.
    batch_size : int or "auto"
        By default 200, or all examples if there are fewer.
    max_iter : int
        The most passes over the examples.
    tol, n_iter_no_change : float, int
        It stops after so many passes in a row that were not better by ``tol``.
    early_stopping : bool
        Whether it is a score on held-out examples that has to get better, rather than the loss.
        Then the network is that of the best score.
    validation_fraction : float
        The share of these examples.
    standardise : bool
        Whether features are brought to mean 0 and deviation 1 over the training examples.
    shuffle : bool
        Whether the examples come in another order in each pass.
    warm_start : bool
        Whether ``fit`` goes on from where it ended.
    random_state : int, RandomState or None
        Of the parameters, the order, dropout and the held-out examples.
    jit : {"auto", True, False}
        Whether steps are compiled; "auto" does so in longer runs, if llvmlite is installed.
    verbose : bool
        Whether to print the loss of each pass.

    Attributes
    ----------
    model_ : pytree
        The network as it is now.
    run_ : train.Run
        The network with the state of its optimiser and its keys.
    loss_curve_ : list of float
        Mean loss of each pass, without the penalty.
    n_iter_ : int
        How many passes there were.
    validation_scores_, best_validation_score_ : list of float, float
        With ``early_stopping``: accuracy or coefficient of determination.

    Examples
    --------
    >>> from chainrule import nn, optim, random
    >>> from chainrule.sklearn import NeuralEstimator
    >>> def network(key, inputs, outputs):
    ...     first, second = random.split(key)
    ...     layers = nn.Linear.init(first, inputs, 8), nn.tanh, nn.Linear.init(second, 8, outputs)
    ...     return nn.Sequential(*layers)
    >>> X = np.linspace(-2, 2, 50)[:, np.newaxis]
    >>> model = NeuralEstimator(network, nn.huber, learning_rate=0.03, random_state=0)
    >>> bool(model.fit(X, np.abs(X[:, 0])).score(X, np.abs(X[:, 0])) > 0.95)
    True
    """

    model: Any
    loss: Any
    _: KW_ONLY
    task: str = "auto"
    standardise: bool = False

    _axes: ClassVar[tuple[int, ...]] = tuple(range(2, 8))
    _scales_targets: ClassVar[bool] = False

    def _classifies(self) -> bool:
        if self.task not in ("auto", "classification", "regression"):
            raise ValueError(f"task is 'auto', 'classification' or 'regression', not {self.task!r}")
        loss = self.loss.func if isinstance(self.loss, partial) else self.loss
        return self.task == "classification" or (self.task == "auto" and loss in _OF_CLASSES)

    def _criterion(self) -> Any:
        return self.loss

    def _network(self, key: Any, inputs: tuple[int, ...], outputs: int, dtype: Any) -> Any:
        if any(isinstance(leaf, np.ndarray) for leaf in tree.leaves(self.model)):
            start = self.model
        else:
            start = self.model(key, inputs[-1], outputs)
        return tree.map(lambda p: p.astype(dtype) if p.dtype.kind == "f" else p, start)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or the coefficient of determination.

        Parameters
        ----------
        X, y, sample_weight
            Examples, and how much each counts.
        """
        mixin = ClassifierMixin if self._classifies() else RegressorMixin
        return float(mixin.score(self, X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self._classifies():
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
            tags.target_tags.multi_output = True
        return tags
