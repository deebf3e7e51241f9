"""The runner: wrong, missing and failing peers are named and never timed."""

import dataclasses

import numpy as np
import pytest

from benchmarks import page, process, results, runner
from benchmarks.case import Case
from benchmarks.peers import INTERPRETED, PEERS
from benchmarks.workloads import cases

SHORT = runner.Settings(rounds=2, seconds=0.001, options=("quick",), kernels="")


def test_peers_are_compared_and_timed_in_processes_of_their_own():
    got = runner.run(cases()["worked_example"], [INTERPRETED, "NumPy by hand"], SHORT)
    assert list(got) == [INTERPRETED, "NumPy by hand"]
    for result in got.values():
        assert result["cpu"] > 0
        assert result["rounds"] == 2
        assert result["deviation"] < 1e-14


def test_a_peer_that_is_missing_is_named(monkeypatch):
    absent = dataclasses.replace(PEERS["autograd"], needs="no_such_package")
    monkeypatch.setitem(PEERS, "autograd", absent)
    got = runner.run(cases()["worked_example"], [INTERPRETED, "autograd"], SHORT)
    assert got["autograd"] == {"error": "no_such_package is not installed"}


def test_a_peer_that_takes_too_long_is_named():
    hurried = dataclasses.replace(SHORT, start=0.0)
    got = runner.run(cases()["worked_example"], [INTERPRETED], hurried)
    assert got[INTERPRETED]["error"].startswith("its first call was not done after")


def test_a_peer_that_does_not_apply_is_no_failure():
    assert runner.run(cases()["attention"], ["NumPy by hand"], SHORT) == {}


def test_a_peer_that_fails_is_named_with_its_error(tmp_path):
    worker = process.Worker("no such peer", "attention", tmp_path, process.environment(1, "", ""))
    try:
        with pytest.raises(process.PeerError, match="KeyError"):
            worker.first(30.0)
    finally:
        worker.close()


def test_wrong_results_are_refused():
    right = [np.array([1.0, 2.0]), np.float64(3.0)]
    assert runner.compare(right, [np.array([1.0, 2.0 + 1e-9]), np.float64(3.0)], 1e-6) == (
        pytest.approx(5e-10, rel=1e-6)
    )
    with pytest.raises(process.PeerError, match="result 0 is wrong"):
        runner.compare(right, [np.array([1.0, 2.1]), np.float64(3.0)], 1e-6)
    with pytest.raises(process.PeerError, match="result 1 is wrong"):
        runner.compare(right, [np.array([1.0, 2.0]), np.float64(np.nan)], 1e-6)
    with pytest.raises(process.PeerError, match="shape"):
        runner.compare(right, [np.array([1.0]), np.float64(3.0)], 1e-6)


def _stored(**cpu):
    limits = {"float32": 1e11, "float64": 5e10, "bandwidth": 1e10}
    found = {name.replace("_", " "): {"cpu": t} for name, t in cpu.items()}
    return {"limits": limits, "results": found}


def test_the_ratio_is_to_the_best_system_that_differentiates():
    case: Case = cases()["logistic_regression"]
    stored = _stored(chainrule_jit=2e-3, JAX=5e-3, autograd=4e-3, NumPy_by_hand=1e-3)
    line = results.line(case, stored)
    assert (line.rival, line.ratio, line.reached) == ("autograd", 0.5, True)
    assert line.limit == pytest.approx(8 * 20_000 * 200 / 1e10)
    assert line.limit_name == "memory"
    slower = results.line(case, _stored(chainrule_jit=5e-3, JAX=5e-3))
    assert (slower.ratio, slower.reached) == (1.0, False)
    failed = results.line(case, {**stored, "results": {"chainrule jit": {"error": "broken"}}})
    assert (failed.ratio, failed.reached, failed.why) == (None, False, "broken")


def test_what_is_left_to_numpy_is_told_without_files():
    text = (
        "parts of `f` run in NumPy and not as native code: "
        "`sort` is not compiled yet (/a/b.py:3); `sort` is not compiled yet (/a/c.py:7)"
    )
    assert page._left(text) == "`sort` is not compiled yet"


def test_times_are_written_with_their_units():
    assert [results.time_text(t) for t in (2.0, 0.0015, 2.5e-6, 6.5e-8, None)] == [
        *("2 s", "1.5 ms", "2.5 µs", "65 ns", "–")
    ]
