"""What all estimators share: parameters, checks of the data, learning, predicting."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_scalar

from .. import nn, random
from ..data import Batches
from ..train import Run
from .examples import checked
from .learning import Patience, Steps, optimiser_of, takes_weights
from .targets import Labels, Numbers

__all__ = ["Neural"]

_AT_ONCE = 2048
"""How many examples are predicted at once; more would only need more memory."""


def _classifies(estimator: Neural) -> bool:
    return estimator._classifies()


def _knows_probabilities(estimator: Neural) -> bool:
    return estimator._classifies() and estimator._criterion() is nn.cross_entropy


@dataclass(eq=False, repr=False, kw_only=True)
class Neural(BaseEstimator):
    """A network as an estimator. Its subclasses say which network, and for what.

    They are dataclasses, so that their parameters stand in one place; ``get_params`` reads them
    from the ``__init__`` that a dataclass makes.
    """

    optimiser: Any = "adam"
    learning_rate: Any = 0.001
    alpha: float = 0.0001
    batch_size: Any = "auto"
    max_iter: int = 200
    tol: float = 0.0001
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    standardise: bool = True
    shuffle: bool = True
    warm_start: bool = False
    random_state: Any = None
    jit: Any = "auto"
    verbose: bool = False

    run_: Run = field(init=False)  # where the training is

    # --- what subclasses say ---------------------------------------------------------------------

    def _classifies(self) -> bool:
        """Whether labels are predicted, or numbers."""
        raise NotImplementedError

    def _criterion(self) -> Any:
        """Return the loss of outputs and targets."""
        raise NotImplementedError

    def _network(self, key: Any, inputs: tuple[int, ...], outputs: int, dtype: Any) -> Any:
        """Return the network to start from, for examples of a shape."""
        raise NotImplementedError

    def _weights_of_classes(self) -> Any:
        """Return ``class_weight``, where there are classes."""
        return None

    def _arranged(self, X: Any) -> Any:
        """Return examples in the shape that the network takes."""
        return X

    # how many axes X may have; whether NaN says, where there are three, that there is no element
    _axes: ClassVar[tuple[int, ...]] = (2,)
    _ragged: ClassVar[bool] = False
    # which axis of arranged examples has the features that are standardised; whether y is too
    _feature_axis: ClassVar[int] = -1
    _scales_targets: ClassVar[bool] = True

    # --- learning --------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn from examples.

        Parameters
        ----------
        X : array of shape (examples, features) or more axes
        y : array of shape (examples,) or (examples, targets)
        sample_weight : array of shape (examples,), optional
            How much each example counts.

        Returns
        -------
        self
        """
        self._check_parameters()
        continues = self.warm_start and hasattr(self, "run_")
        arrays = self._taken(X, y, sample_weight, begins=not continues)
        held_out = None
        if self.early_stopping:
            arrays, held_out = self._split(arrays)
        patience = Patience(self.tol, self.n_iter_no_change)
        best = self.run_.model, self.run_.state
        for _ in range(self.max_iter):
            stops = patience.ends(self._take_pass(arrays, held_out))
            if patience.improved:
                best = self.run_.model, self.run_.state
            if stops:
                break
        else:
            warnings.warn(
                f"the training was still getting better after max_iter={self.max_iter} passes",
                ConvergenceWarning,
                stacklevel=2,
            )
        if held_out is not None:
            self.run_ = replace(self.run_, model=best[0], state=best[1])
            self.best_validation_score_ = -patience.best
        return self

    def _fit_further(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
        """Take one pass over some more examples."""
        self._check_parameters()
        if self.early_stopping:
            raise ValueError("partial_fit takes one pass at a time; early_stopping is for fit")
        if isinstance(self._weights_of_classes(), str):
            raise ValueError("partial_fit does not know all examples: give class_weight as a dict")
        begins = not hasattr(self, "run_")
        self._take_pass(self._taken(X, y, sample_weight, begins=begins, classes=classes))
        return self

    def _taken(
        self, X: Any, y: Any, sample_weight: Any, *, begins: bool, classes: Any = None
    ) -> tuple[Any, ...]:
        """Check examples and return what the network learns from: inputs, targets, weights."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X, y = checked(self, X, y, reset=begins)
        counted = sample_weight is not None or self._weights_of_classes() is not None
        if counted and not takes_weights(self._criterion()):
            raise ValueError("to weigh examples, the loss needs a parameter `reduction`")
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if weights.sum() <= 0 or weights.min() < 0:
            raise ValueError("sample weights are not negative, and some of them are above zero")
        X = self._arranged(X)
        if begins:
            self._begin(X, y, weights, classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes!r} differ from those of the first call")
        targets = self.targets_.encode(y, X.dtype)
        if self._classifies():
            weights = self.targets_.weights(self._weights_of_classes(), targets, weights)
        return self._scaled(X), targets, (weights / weights.mean()).astype(X.dtype)

    def _begin(self, X: Any, y: Any, weights: Any, classes: Any) -> None:
        """Make all that depends on the data: targets, scales, the network."""
        if self._classifies():
            self.targets_: Any = Labels.of(y, classes)
            self.classes_ = self.targets_.classes
        else:
            self.targets_ = Numbers.of(y, weights, scaled=self._scales_targets)
        self.n_outputs_ = self.targets_.outputs
        self.input_scaler_ = self._scaler(X, weights) if self.standardise else None
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        model_key, step_key, self._order_key = random.split(random.key(int(seed)), 3)
        model = self._network(model_key, X.shape[1:], self.n_outputs_, X.dtype)
        self.run_ = Run.begin(model, self._rule(), nn.init_state(model), step_key, None)
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self._steps: Steps | None = None

    def _take_pass(self, arrays: tuple[Any, ...], held_out: Any = None) -> float:
        """Take one pass over the examples, and return what should fall."""
        X, y, weights = arrays
        size = min(200, len(X)) if self.batch_size == "auto" else min(self.batch_size, len(X))
        key = self._order_key if self.shuffle else None
        batches = Batches((X, (y, weights)), size, key=key)
        if self._steps is None or self._steps.size != size:
            self._steps = Steps(self._criterion(), self._rule(), self.jit, size)
        self.run_, self.loss_ = self._steps.take_pass(self.run_, batches)
        self.loss_curve_.append(self.loss_)
        self.best_loss_ = min(self.loss_curve_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        if held_out is None:
            return self.loss_
        X, y, weights = held_out
        outputs = self._outputs_of(X)
        if self._classifies():
            score = accuracy_score(y, np.argmax(outputs, axis=1), sample_weight=weights)
        else:
            score = r2_score(y, outputs.reshape(y.shape), sample_weight=weights)
        self.validation_scores_ = [*(self.validation_scores_ or []), float(score)]
        if self.verbose:
            print(f"Validation score: {score:f}")
        return -float(score)

    def _split(self, arrays: tuple[Any, ...]) -> tuple[Any, Any]:
        """Set some of the examples apart, to tell by them when to stop."""
        y = arrays[1]
        parts = train_test_split(
            *arrays,
            test_size=self.validation_fraction,
            random_state=self.random_state,
            stratify=y if self._classifies() else None,
        )
        return tuple(parts[::2]), tuple(parts[1::2])

    def _rule(self) -> Any:
        return optimiser_of(self.optimiser, self.learning_rate, self.alpha)

    def _check_parameters(self) -> None:
        check_scalar(self.alpha, "alpha", (int, float), min_val=0)
        check_scalar(self.max_iter, "max_iter", (int, np.integer), min_val=1)
        check_scalar(self.n_iter_no_change, "n_iter_no_change", (int, np.integer), min_val=1)
        if self.batch_size != "auto":
            check_scalar(self.batch_size, "batch_size", (int, np.integer), min_val=1)
        if self.jit not in ("auto", True, False):
            raise ValueError(f"jit is 'auto', True or False, not {self.jit!r}")
        if self.early_stopping:
            check_scalar(
                self.validation_fraction, "validation_fraction", float, min_val=0, max_val=1,
                include_boundaries="neither",
            )  # fmt: skip

    # --- predicting ------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Return the label of each example, or its numbers."""
        outputs = self._outputs(X)
        return self.targets_.decode(outputs)

    @available_if(_knows_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of ``classes_``."""
        return nn.softmax(self._outputs(X))

    @available_if(_knows_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class."""
        return nn.log_softmax(self._outputs(X))

    @available_if(_classifies)
    def decision_function(self, X: Any) -> Any:
        """Return the output for each class; of two classes, how much the second is ahead."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    @property
    def model_(self) -> Any:
        """The network: a tree of arrays that can be called, saved and explained."""
        return self.run_.model

    @property
    def n_iter_(self) -> int:
        """How many passes over the examples were taken."""
        return self.run_.epoch

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._outputs_of(self._scaled(self._arranged(checked(self, X))))

    def _outputs_of(self, X: Any) -> Any:
        model, state = self.run_.model, self.run_.state
        parts = (X[start : start + _AT_ONCE] for start in range(0, len(X), _AT_ONCE))
        return np.concatenate([nn.apply_layer(model, part, state)[0] for part in parts])

    # --- scales ----------------------------------------------------------------------------------

    def _scaler(self, X: Any, weights: Any) -> Any:
        rows = self._rows(X)
        return StandardScaler().fit(rows, sample_weight=np.repeat(weights, len(rows) // len(X)))

    def _scaled(self, X: Any) -> Any:
        if self.input_scaler_ is None:
            return X
        moved = np.moveaxis(X, self._feature_axis, -1)
        scaled = self.input_scaler_.transform(self._rows(X)).reshape(moved.shape)
        return np.ascontiguousarray(np.moveaxis(scaled, -1, self._feature_axis))

    def _rows(self, X: Any) -> Any:
        return np.moveaxis(X, self._feature_axis, -1).reshape(-1, X.shape[self._feature_axis])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out compiled code, which is made again where it is needed."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "_steps" in state:
            state["_steps"] = None
        return state
