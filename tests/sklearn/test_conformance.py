"""scikit-learn's own checks of an estimator, all of them, with none expected to fail."""

import warnings

import pytest

from chainrule import nn, random

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

from chainrule.sklearn import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    NeuralEstimator,
    RNNClassifier,
)

pytestmark = pytest.mark.slow


def network(key, inputs, outputs):
    first, second = random.split(key)
    return nn.Sequential(
        nn.Linear.init(first, inputs, 12), nn.tanh, nn.Linear.init(second, 12, outputs)
    )


# Small and short, but long enough for the checks that something is learned.
QUICK = {"learning_rate": 0.1, "max_iter": 12, "jit": False}
ESTIMATORS = {
    "MLPClassifier": MLPClassifier(hidden_layer_sizes=(12,), **QUICK),
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(12,), **QUICK),
    "CNNClassifier": CNNClassifier(
        channels=(4,), hidden_layer_sizes=(), learning_rate=0.1, max_iter=8, jit=False
    ),
    "RNNClassifier": RNNClassifier(
        cell="rnn", hidden_size=6, learning_rate=0.1, max_iter=4, jit=False
    ),
    "NeuralEstimator of classes": NeuralEstimator(network, nn.cross_entropy, **QUICK),
    "NeuralEstimator of numbers": NeuralEstimator(network, nn.squared_error, **QUICK),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_check_estimator(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = check_estimator(ESTIMATORS[name], on_fail=None, on_skip=None)
    failures = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failures
    assert sum(r["status"] == "passed" for r in results) > 50
