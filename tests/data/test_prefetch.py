import gc
import threading
import time

import numpy as np
import pytest

from chainrule import data


def reading_threads():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


def ends(condition, seconds=5.0):
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.01)
    return condition()


def test_items_arrive_in_order_and_the_thread_ends():
    assert list(data.Prefetched(range(100), depth=3)) == list(range(100))
    assert ends(lambda: not reading_threads())


def test_items_are_made_in_another_thread_ahead_of_time():
    made, threads = [], set()

    def source():
        for i in range(10):
            threads.add(threading.current_thread().name)
            made.append(i)
            yield i

    with data.Prefetched(source(), depth=2) as items:
        assert next(items) == 0
        assert ends(lambda: len(made) == 4)  # one taken, two waiting, one in the hand
        time.sleep(0.05)
        assert len(made) == 4
    assert threads == {"prefetch"}


def test_an_exception_arrives_where_it_happened_with_its_traceback():
    def source():
        yield 1
        raise OSError("the disk is gone")

    items = data.Prefetched(source())
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone") as caught:
        next(items)
    assert any(entry.name == "source" for entry in caught.traceback)
    assert list(items) == []
    assert ends(lambda: not reading_threads())


def test_closing_ends_the_thread_and_closes_the_source():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = data.Prefetched(source())
    next(items)
    items.close()
    assert closed.is_set()
    assert not reading_threads()
    assert list(items) == []


def test_a_forgotten_iterator_ends_its_thread():
    items = data.Prefetched(iter(int, 1))
    next(items)
    del items
    gc.collect()
    assert ends(lambda: not reading_threads())


def test_leaving_an_epoch_early_ends_the_thread():
    batches = data.Prefetch(data.Batches(np.arange(1000), 2, key=0))
    for _ in batches.epoch(0):
        break
    gc.collect()
    assert ends(lambda: not reading_threads())


def test_prefetched_batches_are_the_same():
    plain = data.Batches(np.arange(50), 8, key=1)
    ahead = data.Prefetch(plain, depth=3)
    assert len(ahead) == len(plain)
    assert ahead.describe() == plain.describe()
    for one, two in zip(plain.epoch(3, 2), ahead.epoch(3, 2), strict=True):
        assert np.array_equal(one, two)


def test_what_has_no_epochs_is_refused():
    with pytest.raises(TypeError, match="list has no epochs"):
        data.Prefetch([1, 2])
