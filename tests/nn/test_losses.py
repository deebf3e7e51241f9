"""Losses: against PyTorch, against differences, at extreme values, and their refusals."""

import numpy as np
import pytest

from chainrule import check_gradients, grad, jit, nn
from chainrule.errors import ChainruleError, ShapeError, TraceError
from tests.nn.oracle import DTYPES, compare, drawn, torch_or_skip

REDUCTION = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
CLASSES = np.array([[2, 0, 4, 1, 2], [3, 3, 0, 2, 1], [4, 1, 1, 0, 2]])
SIGNS = np.array([1, -1, 1, 1, -1])


def functional():
    return torch_or_skip().nn.functional


@pytest.mark.oracle
@DTYPES
@REDUCTION
@pytest.mark.parametrize(
    ("ours", "theirs", "options", "their_options"),
    [
        (nn.squared_error, "mse_loss", {}, {}),
        (nn.absolute_error, "l1_loss", {}, {}),
        (nn.huber, "huber_loss", {"delta": 0.7}, {"delta": 0.7}),
        (nn.smooth_l1, "smooth_l1_loss", {"beta": 0.7}, {"beta": 0.7}),
    ],
)
def test_regression(ours, theirs, options, their_options, reduction, dtype):
    f = getattr(functional(), theirs)
    compare(
        lambda p, t: ours(p, t, reduction=reduction, **options),
        lambda p, t: f(p, t, reduction=reduction, **their_options),
        drawn(0, dtype, (3, 5), (3, 5)),
    )


@pytest.mark.oracle
@DTYPES
@REDUCTION
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [None, 1])
def test_cross_entropy_of_classes(ignore, weighted, smoothing, reduction, dtype):
    torch = torch_or_skip()
    weights = np.array([0.5, 2.0, 1.0, 0.0, 3.0], dtype) if weighted else None
    compare(
        lambda z: nn.cross_entropy(
            z,
            CLASSES,
            class_weights=weights,
            label_smoothing=smoothing,
            ignore_index=ignore,
            reduction=reduction,
        ),
        lambda z: functional().cross_entropy(
            torch.movedim(z, -1, 1),
            torch.tensor(CLASSES),
            weight=None if weights is None else torch.tensor(weights),
            label_smoothing=smoothing,
            ignore_index=-100 if ignore is None else ignore,
            reduction=reduction,
        ),
        drawn(1, dtype, (3, 5, 5)),
    )


@pytest.mark.oracle
@DTYPES
@REDUCTION
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(weighted, reduction, dtype):
    torch = torch_or_skip()
    weights = np.array([0.5, 2.0, 1.0, 3.0], dtype) if weighted else None
    options = {"label_smoothing": 0.1, "reduction": reduction}
    logits, scores = drawn(2, dtype, (6, 4), (6, 4))
    compare(
        lambda z, s: nn.cross_entropy(z, nn.softmax(s), class_weights=weights, **options),
        lambda z, s: functional().cross_entropy(
            z, s.softmax(-1), weight=None if weights is None else torch.tensor(weights), **options
        ),
        [logits, scores],
    )


@pytest.mark.oracle
@DTYPES
@REDUCTION
@pytest.mark.parametrize("positive", [None, 2.5])
def test_binary_cross_entropy(positive, reduction, dtype):
    torch = torch_or_skip()
    target = (np.arange(15).reshape(3, 5) % 2).astype(dtype)
    compare(
        lambda z: nn.binary_cross_entropy(z, target, positive_weight=positive, reduction=reduction),
        lambda z: functional().binary_cross_entropy_with_logits(
            z,
            torch.tensor(target),
            pos_weight=None if positive is None else torch.tensor(positive, dtype=z.dtype),
            reduction=reduction,
        ),
        drawn(3, dtype, (3, 5)),
    )


@pytest.mark.oracle
@DTYPES
@REDUCTION
def test_negative_log_likelihood_and_multi_margin(reduction, dtype):
    torch = torch_or_skip()
    target = torch.tensor(CLASSES[0])
    arrays = drawn(4, dtype, (5, 7))
    compare(
        lambda p: nn.nll(p, CLASSES[0], reduction=reduction),
        lambda p: functional().nll_loss(p, target, reduction=reduction),
        arrays,
    )
    compare(
        lambda s: nn.multi_margin(s, CLASSES[0], margin=0.8, reduction=reduction),
        lambda s: functional().multi_margin_loss(s, target, margin=0.8, reduction=reduction),
        arrays,
    )


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize(("reduction", "theirs"), [("mean", "batchmean"), ("sum", "sum")])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_divergence(log_target, reduction, theirs, dtype):
    compare(
        lambda z, s: nn.kl_divergence(
            nn.log_softmax(z),
            nn.log_softmax(s) if log_target else nn.softmax(s),
            log_target=log_target,
            reduction=reduction,
        ),
        lambda z, s: functional().kl_div(
            z.log_softmax(-1),
            s.log_softmax(-1) if log_target else s.softmax(-1),
            log_target=log_target,
            reduction=theirs,
        ),
        drawn(5, dtype, (4, 6), (4, 6)),
    )


@pytest.mark.oracle
@DTYPES
@REDUCTION
def test_cosine_and_triplet(reduction, dtype):
    torch = torch_or_skip()
    compare(
        lambda a, b: nn.cosine_embedding(a, b, SIGNS, margin=0.1, reduction=reduction),
        lambda a, b: functional().cosine_embedding_loss(
            a, b, torch.tensor(SIGNS), margin=0.1, reduction=reduction
        ),
        drawn(6, dtype, (5, 3), (5, 3)),
    )
    compare(
        lambda a, p, n: nn.triplet(a, p, n, margin=0.4, reduction=reduction),
        lambda a, p, n: functional().triplet_margin_loss(a, p, n, 0.4, reduction=reduction),
        drawn(7, dtype, (5, 3), (5, 3), (5, 3)),
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda p: nn.squared_error(p, 0.3),
        lambda p: nn.absolute_error(p, np.ones((3, 5))),
        lambda p: nn.huber(p, 0.1, delta=0.6),
        lambda p: nn.cross_entropy(p, np.array([1, 4, 0]), label_smoothing=0.1),
        lambda p: nn.binary_cross_entropy(p, np.eye(3, 5), label_smoothing=0.1),
        lambda p: nn.hinge(p, np.where(np.eye(3, 5) > 0, 1, -1)),
        lambda p: nn.multi_margin(p, np.array([1, 4, 0])),
        lambda p: nn.kl_divergence(nn.log_softmax(p), np.full((3, 5), 0.2)),
        lambda p: nn.cosine_embedding(p, np.ones((3, 5)), np.array([1, -1, 1])),
        lambda p: nn.triplet(p, np.ones((3, 5)), np.zeros((3, 5))),
    ],
)
def test_gradients(loss):
    check_gradients(loss, drawn(8, np.float64, (3, 5))[0], order=2)


def test_hinge():
    scores, target = np.array([0.3, 2.0, -1.5]), np.array([1, 1, 1])
    assert nn.hinge(scores, target, reduction="sum") == pytest.approx(0.7 + 0.0 + 2.5)
    assert grad(lambda s: nn.hinge(s, target, reduction="sum"))(scores).tolist() == [-1, 0, -1]
    assert grad(lambda s: nn.hinge(s, np.array([1])))(np.array([1.0])) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_stay_finite(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype)
    for loss in (
        lambda z: nn.cross_entropy(z, np.array([1, 2]), label_smoothing=0.1),
        lambda z: nn.binary_cross_entropy(z, np.eye(2, 3, dtype=dtype)),
        lambda z: nn.binary_cross_entropy(z, np.eye(2, 3, dtype=int)),
    ):
        assert np.isfinite(loss(logits))
        assert loss(logits).dtype == dtype
        slope = grad(loss)(logits)
        assert np.all(np.isfinite(slope))
        assert slope.dtype == dtype
    assert nn.cross_entropy(logits, np.array([1, 2]), reduction="none")[0] == 2e4


def test_excluded_class_has_no_gradient():
    logits = np.array([[1.0, -np.inf, 2.0]])
    assert nn.cross_entropy(logits, np.array([0])) == pytest.approx(np.log(1 + np.e))
    slope = grad(lambda z: nn.cross_entropy(z, np.array([0])))(logits)
    assert np.all(np.isfinite(slope))
    assert slope[0, 1] == 0.0


def test_ignored_elements_do_not_count():
    z = drawn(0, np.float64, (4, 3))[0]
    target = np.array([0, -1, 2, -1])
    mean = nn.cross_entropy(z, target, ignore_index=-1)
    assert mean == pytest.approx(nn.cross_entropy(z[[0, 2]], target[[0, 2]]))
    slope = grad(lambda z: nn.cross_entropy(z, target, ignore_index=-1))(z)
    assert np.all(slope[[1, 3]] == 0.0)


def test_kl_of_certain_target():
    target = np.array([[0.0, 1.0]])
    slope = grad(lambda z: nn.kl_divergence(nn.log_softmax(z), target))(np.zeros((1, 2)))
    np.testing.assert_allclose(slope, [[0.5, -0.5]])


def test_equal_vectors_have_finite_gradients():
    u = np.ones((2, 3))
    for loss in (
        lambda a: nn.cosine_embedding(a, u, np.array([1, -1])),
        lambda a: nn.triplet(a, u, u),
        lambda a: nn.cosine_embedding(0.0 * a, u, np.array([1, 1])),
    ):
        assert np.all(np.isfinite(grad(loss)(u)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.squared_error(np.ones((4, 1)), np.ones(4)), r"prediction\[\.\.\., 0\]"),
        (lambda: nn.cross_entropy(np.ones((4, 3)), np.ones((4, 1), int)), r"target\[\.\.\., 0\]"),
        (lambda: nn.cross_entropy(np.ones((4, 3)), np.ones((4, 3), int)), "astype"),
        (lambda: nn.cross_entropy(np.ones((4, 3, 2)), np.ones((4, 2), int)), "moveaxis"),
        (lambda: nn.triplet(np.ones((4, 3)), np.ones((4, 2)), np.ones((4, 3))), "same shape"),
    ],
)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message) as caught:
        call()
    assert "test_losses.py" in str(caught.value)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="one of 'mean', 'sum', 'none', not 'avg'"):
        nn.squared_error(np.ones(2), np.ones(2), reduction="avg")


@pytest.mark.parametrize("wrong", [-1, 4])
@pytest.mark.parametrize(
    "loss",
    [
        nn.cross_entropy,
        nn.multi_margin,
        lambda scores, target: nn.nll(nn.log_softmax(scores), target),
        lambda scores, target: nn.cross_entropy(scores, target, ignore_index=-100),
        lambda scores, target: nn.cross_entropy(scores, target, class_weights=np.ones(4)),
        lambda scores, target: np.sum(nn.Embedding(scores[:4])(target)),
    ],
)
@pytest.mark.parametrize("transform", [lambda f: f, grad, jit, lambda f: jit(grad(f))])
def test_a_class_that_does_not_exist_is_refused(loss, wrong, transform):
    scores = np.cos(np.arange(24.0)).reshape(6, 4)
    with pytest.raises(IndexError):
        transform(loss)(scores, np.array([0, 1, wrong, 3, 2, 0]))
    with pytest.raises(ChainruleError, match="but there are 4") as caught:
        loss(scores, np.array([0, 1, wrong, 3, 2, 0]))
    assert "test_losses.py" in str(caught.value)


def test_an_ignored_class_may_be_any_number():
    scores = np.cos(np.arange(8.0)).reshape(2, 4)
    loss = lambda scores, target: nn.cross_entropy(scores, target, ignore_index=-1)
    expected = nn.cross_entropy(scores[:1], np.array([2]))
    for f in (loss, jit(loss)):
        np.testing.assert_allclose(f(scores, np.array([2, -1])), expected, rtol=1e-14)


def test_words_are_no_classes():
    with pytest.raises(TraceError, match="dtype <U3"):
        nn.cross_entropy(np.zeros((2, 3)), np.array(["cat", "dog"]))
