"""Many calls from many threads: the same results, and no memory lost."""

from __future__ import annotations

import pytest

from benchmarks.soak import soak


@pytest.mark.parametrize("calls", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_calls_from_four_threads(calls):
    gained, wrong = soak(calls)
    assert wrong == 0
    assert gained < 8 << 20
