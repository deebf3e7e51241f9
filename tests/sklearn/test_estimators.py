"""What a user of scikit-learn expects of the estimators, beyond its own checks."""

import io
import pickle
import warnings
from functools import partial

import numpy as np
import pytest

from chainrule import nn, optim, random, tree

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule.sklearn import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    NeuralEstimator,
    RNNClassifier,
    pad_sequences,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (8,), "learning_rate": 0.03, "max_iter": 20, "random_state": 0}


def halves(load, seed=0):
    X, y = load(return_X_y=True)
    classes = y if y.dtype.kind == "i" else None
    return train_test_split(X, y, test_size=0.25, random_state=seed, stratify=classes)


def same_weights(one, two):
    pairs = zip(tree.leaves(one.model_), tree.leaves(two.model_), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


# --- how well they do ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "seeds", "required"),
    [(load_digits, [0], 0.97), (load_breast_cancer, [0, 1], 0.94), (load_wine, [0, 1], 0.94)],
)
def test_classifiers_are_as_good_as_scikit_learns(load, seeds, required):
    ours, theirs = [], []
    for seed in seeds:
        X, X_test, y, y_test = halves(load, seed)
        sizes = {"hidden_layer_sizes": (200,), "max_iter": 40, "random_state": seed}
        ours.append(MLPClassifier(learning_rate=0.005, **sizes).fit(X, y).score(X_test, y_test))
        theirs_alone = TheirClassifier(learning_rate_init=0.005, **sizes)
        scaled = make_pipeline(StandardScaler(), theirs_alone)
        theirs.append(scaled.fit(X, y).score(X_test, y_test))
    print(f"{load.__name__}: ours {np.mean(ours):.4f}, scikit-learn's {np.mean(theirs):.4f}")
    assert np.mean(ours) >= required
    assert np.mean(ours) >= np.mean(theirs) - 0.015


def test_the_regressor_is_better_than_scikit_learns_on_diabetes():
    """Theirs does not scale the targets, which are numbers around 150."""
    X, X_test, y, y_test = halves(load_diabetes)
    settings = {"hidden_layer_sizes": (32,), "max_iter": 60, "random_state": 0}
    ours = MLPRegressor(**settings).fit(X, y).score(X_test, y_test)
    scaled = make_pipeline(StandardScaler(), TheirRegressor(**settings))
    theirs = scaled.fit(X, y).score(X_test, y_test)
    print(f"diabetes: ours R² {ours:.3f}, scikit-learn's {theirs:.3f}")
    assert ours > 0.3 > theirs


@pytest.mark.slow
def test_convolutions_read_digits_from_rows_of_pixels():
    X, X_test, y, y_test = halves(load_digits)
    model = CNNClassifier(
        channels=(16,), learning_rate=0.01, max_iter=12, batch_size=64, random_state=0
    )
    model.fit(X.astype(np.float32), y)
    assert model.run_.model[0].weight.dtype == np.float32
    assert model.score(X_test.astype(np.float32), y_test) >= 0.97


def test_images_may_come_in_any_of_three_shapes():
    rng = np.random.default_rng(0)
    images = rng.random((30, 6, 4))
    labels = images[:, :3].sum((1, 2)) > images[:, 3:].sum((1, 2))
    settings = {"channels": (4,), "max_iter": 3, "random_state": 0}
    plain = CNNClassifier(**settings).fit(images, labels)
    channel = CNNClassifier(**settings).fit(images[:, None], labels)
    rows = CNNClassifier(image_shape=(6, 4), **settings).fit(images.reshape(30, -1), labels)
    assert same_weights(plain, channel)
    assert same_weights(plain, rows)
    with pytest.raises(ValueError, match="does not fit rows of 24"):
        CNNClassifier(image_shape=(5, 5)).fit(images.reshape(30, -1), labels)
    with pytest.raises(ValueError, match=r"shape \(6, 4\), but X has \(4, 6\)"):
        plain.predict(images.reshape(30, 4, 6))


# --- sequences -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrent_networks_find_a_sign_far_back(cell):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 6, 2))
    y = np.where(X[:, 2, 0] > 0, "up", "down")
    model = RNNClassifier(
        cell=cell, hidden_size=12, learning_rate=0.05, max_iter=40, random_state=0
    )
    assert model.fit(X, y).score(X, y) > 0.95


def test_the_end_of_a_short_sequence_is_its_own():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 2)) for length in rng.integers(2, 6, 40)]
    y = [bool(s[-1, 0] > 0) for s in sequences]
    X = pad_sequences(sequences)
    model = RNNClassifier(hidden_size=8, learning_rate=0.05, max_iter=40, random_state=0)
    model.fit(X, y)
    assert model.score(X, y) > 0.9
    longer = np.concatenate([X, np.full((40, 3, 2), np.nan)], axis=1)
    np.testing.assert_allclose(model.predict_proba(longer), model.predict_proba(X), atol=1e-12)
    alone = np.concatenate([model.predict_proba(s[None]) for s in sequences])
    np.testing.assert_allclose(alone, model.predict_proba(X), atol=1e-12)


def test_sequences_of_different_widths_cannot_be_padded():
    with pytest.raises(ValueError, match="same number of features"):
        pad_sequences([np.zeros((2, 3)), np.zeros((2, 4))])


# --- inside of scikit-learn ----------------------------------------------------------------------


def test_search_in_a_pipeline(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(standardise=False, **SMALL))
    search = GridSearchCV(
        pipeline, {"mlpclassifier__learning_rate": [1e-6, 0.05]}, cv=3, scoring="neg_log_loss"
    )
    search.fit(X, y)
    assert search.best_params_ == {"mlpclassifier__learning_rate": 0.05}
    assert search.predict(X[:1])[0] == "setosa"
    assert cross_val_score(search.best_estimator_, X, y, cv=3).mean() > 0.9


def test_what_they_are():
    assert is_classifier(MLPClassifier())
    assert is_regressor(MLPRegressor())
    assert is_classifier(NeuralEstimator(None, nn.cross_entropy))
    assert is_regressor(NeuralEstimator(None, partial(nn.huber, delta=2.0)))
    assert is_classifier(NeuralEstimator(None, print, task="classification"))
    assert not hasattr(MLPRegressor(), "predict_proba")
    assert not hasattr(NeuralEstimator(None, nn.multi_margin), "predict_proba")
    assert repr(MLPClassifier(alpha=0.5)) == "MLPClassifier(alpha=0.5)"


def test_a_clone_is_not_fitted(iris):
    model = MLPClassifier(**SMALL).fit(*iris)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(iris[0])
    with pytest.raises(AttributeError):
        _ = copy.model_


@pytest.mark.parametrize("through", [pickle, joblib])
def test_pickles_learn_on_as_the_original(iris, through):
    model = MLPClassifier(dropout=0.2, **SMALL).fit(*iris)
    if through is pickle:
        copy = pickle.loads(pickle.dumps(model))
    else:
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        copy = joblib.load(io.BytesIO(buffer.getvalue()))
    np.testing.assert_array_equal(copy.predict_proba(iris[0]), model.predict_proba(iris[0]))
    assert same_weights(model.partial_fit(*iris), copy.partial_fit(*iris))


def test_the_same_random_state_gives_the_same_bits(iris):
    settings = {**SMALL, "dropout": 0.2, "early_stopping": True}
    one, two = (MLPClassifier(**settings).fit(*iris) for _ in range(2))
    other = MLPClassifier(**{**settings, "random_state": 1}).fit(*iris)
    assert same_weights(one, two)
    assert one.loss_curve_ == two.loss_curve_
    assert not same_weights(one, other)


def test_compiled_steps_learn_the_same(iris):
    pytest.importorskip("llvmlite")
    plain, compiled = (MLPClassifier(jit=jit, **SMALL).fit(*iris) for jit in (False, True))
    np.testing.assert_allclose(plain.loss_curve_, compiled.loss_curve_, rtol=1e-9)
    copy = pickle.loads(pickle.dumps(compiled))  # without the compiled code
    assert same_weights(compiled.partial_fit(*iris), copy.partial_fit(*iris))


def test_a_loss_that_branches_is_left_uncompiled(iris, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr("chainrule.sklearn.learning.COMPILED_FROM", 2)

    def branching(outputs, y):
        loss = nn.squared_error(outputs, y)
        return loss if loss > 1e-3 else loss * 2.0

    X = iris[0]
    model = NeuralEstimator(line, branching, max_iter=6, learning_rate=0.1, random_state=0)
    model.fit(X[:, :3], X[:, 3])
    assert len(model.loss_curve_) == 6
    with pytest.raises(TypeError, match=r"`if`|branch"):
        clone(model).set_params(jit=True).fit(X[:, :3], X[:, 3])


def line(key, inputs, outputs):
    return nn.Linear.init(key, inputs, outputs)


# --- learning in parts ---------------------------------------------------------------------------


def test_partial_fit_is_a_pass_of_fit(iris):
    X, y = iris
    at_once = MLPClassifier(**{**SMALL, "max_iter": 5}).fit(X, y)
    in_parts = MLPClassifier(**SMALL)
    for _ in range(5):
        in_parts.partial_fit(X, y)
    assert same_weights(at_once, in_parts)
    assert in_parts.n_iter_ == 5
    assert in_parts.loss_curve_ == at_once.loss_curve_


def test_partial_fit_meets_classes_later(iris):
    X, y = iris
    model = MLPClassifier(**SMALL)
    model.partial_fit(X[:50], y[:50], classes=np.unique(y))
    for _ in range(30):
        for start in (50, 100, 0):
            model.partial_fit(X[start : start + 50], y[start : start + 50])
    assert set(model.predict(X)) == set(y)
    with pytest.raises(ValueError, match=r"'rose'.* not among the classes"):
        model.partial_fit(X[:2], ["rose", "setosa"])
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(X, y, classes=["rose", "setosa"])


def test_warm_start_goes_on(iris):
    through = MLPClassifier(**{**SMALL, "max_iter": 8}).fit(*iris)
    again = MLPClassifier(warm_start=True, **{**SMALL, "max_iter": 4}).fit(*iris).fit(*iris)
    assert same_weights(through, again)
    assert again.n_iter_ == 8 == len(again.loss_curve_)
    cold = MLPClassifier(**{**SMALL, "max_iter": 4}).fit(*iris).fit(*iris)
    assert cold.n_iter_ == 4


# --- weights -------------------------------------------------------------------------------------


def test_weights_count_like_repetitions(iris):
    X, y = iris
    counts = np.random.default_rng(0).integers(0, 3, len(X))
    settings = {**SMALL, "batch_size": 1000}
    weighted = MLPClassifier(**settings).fit(X, y, sample_weight=counts)
    repeated = MLPClassifier(**settings).fit(np.repeat(X, counts, 0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


def test_class_weights_are_sample_weights():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] + rng.normal(size=200) > 1.5).astype(int)  # rare
    plain = MLPClassifier(standardise=False, **SMALL)
    by_class = clone(plain).set_params(class_weight={0: 1, 1: 5}).fit(X, y)
    by_sample = clone(plain).fit(X, y, sample_weight=np.where(y, 5, 1))
    balanced = clone(plain).set_params(class_weight="balanced").fit(X, y)
    plain.fit(X, y)
    assert same_weights(by_class, by_sample)
    assert by_class.predict(X).sum() > plain.predict(X).sum() < balanced.predict(X).sum()
    with pytest.raises(ValueError, match="class_weight as a dict"):
        clone(balanced).partial_fit(X, y)


def test_weights_that_cannot_be_used_are_refused(iris):
    X = iris[0]
    model = NeuralEstimator(line, lambda outputs, y: np.mean((outputs - y) ** 2), max_iter=2)
    model.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="reduction"):
        model.fit(X, X[:, 0], sample_weight=np.ones(len(X)))
    with pytest.raises(ValueError, match="not negative"):
        MLPRegressor().fit(X, X[:, 0], sample_weight=-np.ones(len(X)))


# --- stopping ------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best(iris):
    settings = {**SMALL, "max_iter": 300, "learning_rate": 0.1}
    model = MLPClassifier(early_stopping=True, n_iter_no_change=5, **settings).fit(*iris)
    assert model.n_iter_ < 300
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.8
    with pytest.raises(ValueError, match="early_stopping"):
        model.partial_fit(*iris)


def test_a_best_network_that_was_not_the_last_is_given_back():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] * 10
    settings = {"early_stopping": True, "n_iter_no_change": 4, "random_state": 0, "max_iter": 40}
    model = MLPRegressor(optimiser="sgd", learning_rate=0.15, **settings).fit(X, y)
    scores = model.validation_scores_
    assert model.best_validation_score_ == max(scores) > scores[-1]
    _, X_held, _, y_held = train_test_split(X, y, test_size=0.1, random_state=0)
    assert np.isclose(model.score(X_held, y_held), model.best_validation_score_)


def test_it_says_so_when_it_could_go_on(iris):
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        MLPClassifier(**{**SMALL, "max_iter": 3}).fit(*iris)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = MLPClassifier(**{**SMALL, "max_iter": 500, "tol": 0.01}).fit(*iris)
    assert done.n_iter_ < 500


# --- targets -------------------------------------------------------------------------------------


def test_several_targets_in_their_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = np.stack([1000 + 100 * X[:, 0], 0.01 * X[:, 1]], axis=1)
    model = MLPRegressor(**{**SMALL, "max_iter": 100}).fit(X, Y)
    assert model.predict(X).shape == (200, 2)
    assert model.score(X, Y) > 0.95
    assert MLPRegressor(**SMALL).fit(X, Y[:, 0]).predict(X).shape == (200,)
    with pytest.raises(ValueError, match="1 targets, but 2"):
        model.partial_fit(X, Y[:, 0])


def test_names_of_features_are_kept():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    model = MLPRegressor(**SMALL).fit(frame, [0.0, 1.0, 2.0])
    assert list(model.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a"]])


def test_probabilities_go_with_the_labels(iris):
    X, y = iris
    model = MLPClassifier(**SMALL).fit(X, y)
    p = model.predict_proba(X)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(p.sum(1), 1.0)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), atol=1e-12)
    np.testing.assert_array_equal(model.classes_[p.argmax(1)], model.predict(X))
    with pytest.raises(ValueError, match="1d array"):
        model.fit(X, np.eye(3, dtype=int)[np.arange(150) % 3] + np.eye(3, dtype=int)[0])


# --- any network ---------------------------------------------------------------------------------


def test_a_network_with_running_statistics():
    X, X_test, y, y_test = halves(load_wine)

    def network(key, inputs, outputs):
        first, second = random.split(key)
        return nn.Sequential(
            nn.BatchNorm.init(inputs),
            nn.Linear.init(first, inputs, 16),
            nn.relu,
            nn.Dropout(0.1),
            nn.Linear.init(second, 16, outputs),
        )

    model = NeuralEstimator(
        network, nn.cross_entropy, learning_rate=0.02, max_iter=40, batch_size=32, random_state=0
    )
    model.fit(X, y)
    assert model.score(X_test, y_test) > 0.93
    assert model.run_.state is not None


def test_a_network_may_be_given_with_its_weights(iris):
    X = iris[0]
    start = nn.Linear(np.full((1, 3), 0.5), np.zeros(1))
    model = NeuralEstimator(
        start, nn.squared_error, optimiser=optim.sgd, learning_rate=1e-12, max_iter=1
    )
    model.fit(X[:, :3], X[:, 3])
    np.testing.assert_allclose(model.predict(X[:, :3]), X[:, :3].sum(1) / 2)
    assert start.weight[0, 0] == 0.5


def test_a_schedule_and_an_optimiser_of_ones_own(iris):
    schedule = optim.cosine_decay(0.05, 40)
    rule = partial(optim.adamw, weight_decay=0.1)
    model = MLPClassifier(**{**SMALL, "learning_rate": schedule, "optimiser": rule})
    assert model.fit(*iris).score(*iris) > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimiser": "adamm"},
        {"activation": "rely"},
        {"batch_size": 0},
        {"max_iter": 0},
        {"alpha": -1.0},
        {"jit": "yes"},
        {"hidden_layer_sizes": (0,)},
        {"early_stopping": True, "validation_fraction": 1.0},
    ],
)
def test_wrong_parameters_are_named(iris, wrong):
    with pytest.raises(ValueError, match=next(reversed(wrong)).split("_")[0]):
        MLPClassifier(**wrong).fit(*iris)


def test_the_loss_is_shown(iris, capsys):
    MLPClassifier(verbose=True, early_stopping=True, **{**SMALL, "max_iter": 2}).fit(*iris)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("Iteration 1, loss = ")
    assert out[1].startswith("Validation score: ")
    assert len(out) == 4
