"""Connectionist temporal classification."""

import itertools

import numpy as np
import pytest

from chainrule import check_gradients, grad, nn
from chainrule.errors import ShapeError
from tests.nn.oracle import DTYPES, compare, drawn, torch_or_skip

LABELS = np.array([[1, 2, 2], [3, 1, 0], [1, 1, 4], [0, 0, 0]])
LENGTHS = np.array([9, 4, 7, 2])
LABEL_LENGTHS = np.array([3, 2, 3, 0])


def by_enumeration(log_p, labels, blank):
    """Add up the probabilities of all ways, one by one."""
    total = 0.0
    for way in itertools.product(range(log_p.shape[1]), repeat=log_p.shape[0]):
        merged = [c for c, _ in itertools.groupby(way) if c != blank]
        if merged == list(labels):
            total += np.exp(sum(log_p[t, c] for t, c in enumerate(way)))
    return -np.log(total)


@pytest.mark.parametrize("labels", [[1, 2], [1, 1], [2], [], [1, 2, 1]])
@pytest.mark.parametrize("blank", [0, 2])
def test_against_all_ways(labels, blank):
    labels = [c if c != blank else 0 for c in labels]
    logits = drawn(0, np.float64, (1, 5, 3))[0]
    expected = by_enumeration(nn.log_softmax(logits)[0], labels, blank)
    got = nn.ctc(logits, np.array([labels], int), blank=blank, reduction="sum")
    assert got == pytest.approx(expected, abs=1e-12)


@pytest.mark.oracle
@DTYPES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_against_torch(reduction, dtype):
    torch = torch_or_skip()

    def theirs(z):
        return torch.nn.functional.ctc_loss(
            z.log_softmax(-1).transpose(0, 1),
            torch.tensor(LABELS),
            torch.tensor(LENGTHS),
            torch.tensor(LABEL_LENGTHS),
            reduction=reduction,
        )

    compare(
        lambda z: nn.ctc(
            z, LABELS, lengths=LENGTHS, label_lengths=LABEL_LENGTHS, reduction=reduction
        ),
        theirs,
        drawn(1, dtype, (4, 9, 5)),
        1e-9 if dtype == np.float64 else 1e-3,
    )


def test_gradients_and_dtype():
    logits = drawn(2, np.float64, (2, 5, 4))[0]
    labels = np.array([[1, 1], [2, 3]])

    def loss(z):
        return nn.ctc(z, labels, lengths=[5, 4], label_lengths=[2, 1])

    check_gradients(loss, logits, max_elements=15)
    slope = grad(loss)(logits.astype(np.float32))
    assert slope.dtype == np.float32
    assert loss(logits.astype(np.float32)).dtype == np.float32
    assert np.all(slope[1, 4] == 0.0)
    np.testing.assert_allclose(slope.sum(-1), 0.0, atol=1e-6)


def test_padding_of_labels_does_not_matter():
    logits = drawn(3, np.float64, (1, 5, 4))[0]
    one = nn.ctc(logits, np.array([[1, 2, 3]]), label_lengths=[2])
    assert one == nn.ctc(logits, np.array([[1, 2, -100]]), label_lengths=[2])
    assert one == pytest.approx(nn.ctc(logits, np.array([[1, 2]])))


def test_labels_that_do_not_fit():
    logits, labels = np.zeros((2, 2, 3)), np.array([[1, 1], [1, 2]])
    assert nn.ctc(logits, labels, reduction="none")[0] == np.inf
    slope = grad(lambda z: nn.ctc(z, labels, reduction="sum"))(logits)
    assert np.all(slope[0] == 0.0)
    assert np.any(slope[1] != 0.0)


def test_single_time():
    logits = drawn(4, np.float64, (1, 1, 3))[0]
    slope = grad(lambda z: nn.ctc(z, np.array([[1]])))(logits)
    np.testing.assert_allclose(slope, nn.softmax(logits) - np.eye(3)[[[1]]], atol=1e-12)


def test_refusals():
    with pytest.raises(ShapeError, match=r"logits\[np.newaxis\]"):
        nn.ctc(np.zeros((5, 3)), np.array([1]))
    with pytest.raises(ValueError, match="lengths lie between"):
        nn.ctc(np.zeros((1, 5, 3)), np.array([[1]]), lengths=[6])
