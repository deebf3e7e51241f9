import numpy as np
import pytest
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight

from chainrule import data, train


def test_measures_agree_with_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    answers = outputs.argmax(axis=1)
    assert train.accuracy(outputs, labels) == metrics.accuracy_score(labels, answers)
    expected = metrics.confusion_matrix(labels, answers)
    assert np.array_equal(train.confusion_matrix(labels, answers), expected)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert np.allclose(train.class_weights(labels), expected)
    x, y = rng.normal(size=(2, 20))
    assert np.isclose(train.mean_absolute_error(x, y), metrics.mean_absolute_error(x, y))


def test_shapes_that_broadcast_by_accident_are_refused():
    with pytest.raises(ValueError, match=r"targets of shape \(3,\) for outputs of shape \(3, 1\)"):
        train.mean_absolute_error(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="labels of shape"):
        train.accuracy(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="answers of shape"):
        train.confusion_matrix([0, 1], [0])


def test_classes_outside_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        train.confusion_matrix([0, 2], [0, 1], classes=2)
    with pytest.raises(ValueError, match="class 1 has no examples"):
        train.class_weights([0, 2])


def test_evaluation_weighs_batches_by_their_examples():
    x = np.arange(10.0)
    value = train.evaluate(0.0, {"mean": lambda w, x: np.mean(x)}, data.Batches(x, 4))["mean"]
    assert value == 4.5


def test_evaluation_of_nothing():
    with pytest.raises(ValueError, match="no batches to evaluate"):
        train.evaluate(0.0, {}, [])
