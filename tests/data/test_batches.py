import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import data, random


def shown(batches, epoch=0, start=0):
    return [np.array(batch).tolist() for batch in batches.epoch(epoch, start)]


class TestOrder:
    def test_without_a_key_examples_keep_their_order(self):
        assert shown(data.Batches(np.arange(5), 2)) == [[0, 1], [2, 3], [4]]

    def test_each_epoch_has_every_example_once_and_another_order(self):
        batches = data.Batches(np.arange(100), 7, key=3)
        first, second = np.concatenate(list(batches.epoch(0))), np.concatenate([*batches.epoch(1)])
        assert sorted(first) == sorted(second) == list(range(100))
        assert not np.array_equal(first, second)

    def test_the_key_determines_the_order(self):
        one, two, other = (data.Batches(np.arange(50), 8, key=k) for k in (1, random.key(1), 2))
        assert shown(one, 4) == shown(two, 4)
        assert shown(one, 4) != shown(other, 4)

    @given(
        st.integers(1, 30),
        st.integers(1, 12),
        st.integers(0, 40),
        st.sampled_from(["keep", "fill"]),
    )
    def test_any_place_can_be_started_from(self, count, size, start, last):
        batches = data.Batches(
            np.arange(count), size, key=5, last=last,
            augment=lambda key, batch: batch + random.uniform(key, len(batch)),
        )  # fmt: skip
        assert shown(batches, 2, start) == shown(batches, 2)[start:]

    def test_trees_are_cut_alike(self):
        x = np.arange(12.0).reshape(6, 2)
        batches = data.Batches({"x": x, "y": (np.arange(6),)}, 4, key=0)
        for batch in batches:
            assert np.array_equal(batch["x"], x[batch["y"][0]])


class TestLastBatch:
    def test_it_is_kept_dropped_or_filled_up(self):
        x = np.arange(5)
        assert [len(b) for b in data.Batches(x, 2, last="keep")] == [2, 2, 1]
        assert [len(b) for b in data.Batches(x, 2, last="drop")] == [2, 2]
        assert shown(data.Batches(x, 2, last="fill")) == [[0, 1], [2, 3], [4, 0]]
        assert shown(data.Batches(x, 12, last="fill")) == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]]

    @pytest.mark.parametrize("last", ["keep", "drop", "fill"])
    @pytest.mark.parametrize("count", [4, 5, 6, 7, 8])
    def test_len_counts_the_batches(self, count, last):
        batches = data.Batches(np.arange(count), 4, last=last)
        assert len(batches) == len(list(batches))


class TestErrors:
    def test_lengths_that_differ_are_named(self):
        with pytest.raises(ValueError, match=r"data\[0\] holds 3 examples, but data\[1\] holds 4"):
            data.Batches((np.zeros(3), np.zeros(4)), 2)

    def test_what_is_no_array_is_named(self):
        with pytest.raises(TypeError, match=r"data\['y'\] is int"):
            data.Batches({"x": np.zeros(3), "y": 3}, 2)

    def test_no_examples(self):
        with pytest.raises(ValueError, match="no examples"):
            data.Batches(np.zeros((0, 3)), 2)

    def test_no_batch_is_left(self):
        with pytest.raises(ValueError, match="3 examples fill no batch of 4"):
            data.Batches(np.zeros(3), 4, last="drop")

    def test_augmentation_needs_a_key(self):
        with pytest.raises(ValueError, match="needs a key"):
            data.Batches(np.zeros(3), 2, augment=lambda key, batch: batch)

    def test_an_unknown_policy(self):
        with pytest.raises(ValueError, match="'keep', 'drop', 'fill'"):
            data.Batches(np.zeros(3), 2, last="wrap")


def test_a_memory_map_larger_than_the_memory_is_read_by_the_batch(tmp_path):
    """A sparse file of 64 GiB under a limit of 3 GiB on what the process may allocate."""
    program = f"""
import resource
import numpy as np
from chainrule import data

rows, columns = 1 << 13, 1 << 20
array = np.lib.format.open_memmap(
    {str(tmp_path / "x.npy")!r}, mode="w+", dtype=np.float64, shape=(rows, columns)
)
array[:, 0] = np.arange(rows)
del array
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
mapped = data.memory_map({str(tmp_path / "x.npy")!r})
assert mapped.nbytes == 64 << 30
batches = data.Batches(mapped, 2, key=0)
order, _ = batches.order(0)
for index, batch in zip(range(5), batches.epoch(0)):
    assert type(batch) is np.ndarray
    assert np.array_equal(batch[:, 0], order[2 * index : 2 * index + 2])
print("read")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "read\n", done.stderr


class TestStream:
    def test_a_list_is_read_anew_in_each_epoch(self):
        stream = data.Stream([1, 2, 3])
        assert list(stream.epoch(0)) == list(stream.epoch(1)) == [1, 2, 3]
        assert list(stream.epoch(1, start=2)) == [3]

    def test_a_function_may_take_the_epoch(self):
        assert list(data.Stream(lambda: iter("ab")).epoch(7)) == ["a", "b"]
        assert list(data.Stream(lambda epoch: [epoch] * 2).epoch(7)) == [7, 7]

    def test_a_generator_is_refused(self):
        with pytest.raises(TypeError, match="generator is used up after one epoch"):
            data.Stream(i for i in range(3))

    def test_a_generator_function_is_closed_when_left(self):
        closed = []

        def numbers():
            try:
                yield from range(10)
            finally:
                closed.append(True)

        batches = data.Stream(numbers).epoch(0)
        assert next(batches) == 0
        batches.close()
        assert closed == [True]

    def test_examples_are_stacked(self):
        examples = [{"x": np.full(2, i), "y": i} for i in range(5)]
        batches = list(data.stack(examples, 2))
        assert [len(b["y"]) for b in batches] == [2, 2, 1]
        assert batches[1]["x"].tolist() == [[2, 2], [3, 3]]
        assert len(list(data.stack(examples, 2, last="drop"))) == 2
