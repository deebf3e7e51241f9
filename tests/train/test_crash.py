"""Runs that are ended from outside, and go on to the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule import train
from chainrule.tree import flatten

from .trainee import EPOCHS, run

TRAINEE = Path(__file__).with_name("trainee.py")


def start(folder, epochs=EPOCHS, pause=0.0):
    command = [sys.executable, str(TRAINEE), str(folder), str(epochs), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def same_run(folder, unbroken):
    """Whether everything that a run has come to is the same to the last bit."""
    one, two = (train.load(path / "last.safetensors") for path in (folder, unbroken))
    assert one.keys() == two.keys()
    for name in one:
        assert np.asarray(one[name]).tobytes() == np.asarray(two[name]).tobytes(), name
    # time and the pace are the only things that may differ
    left = [
        [{k: v for k, v in e.items() if k not in ("time", "seconds_per_step")} for e in events
         if e["event"] in ("step", "evaluation")]
        for events in (train.read_events(path / "events.jsonl") for path in (folder, unbroken))
    ]  # fmt: skip
    assert left[0] == left[1]


def kill_at_random_moments(tmp_path, times, seed):
    moments = random.Random(seed)
    unbroken, folder = tmp_path / "unbroken", tmp_path / "killed"
    run(unbroken)
    checkpoint = folder / "last.safetensors"
    kills, first = 0, True
    while kills < times:
        if not first and train.load(checkpoint)["epoch"] >= EPOCHS - 1:
            for file in folder.iterdir():  # begin anew: there is too little left to be killed in
                file.unlink()
        first = False
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(folder, pause=0.003)
        wait_for(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns != before, process)  # noqa: B023
        time.sleep(moments.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    process = start(folder)
    output, errors = process.communicate(timeout=120)
    assert "ended: epochs" in output, errors
    same_run(folder, unbroken)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    kill_at_random_moments(tmp_path, 5, seed=0)


@pytest.mark.slow
def test_a_run_that_is_killed_fifty_times_goes_on_to_the_same_bits(tmp_path):
    kill_at_random_moments(tmp_path, 50, seed=1)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent between processes")
def test_ctrl_c_stops_after_the_step_with_a_checkpoint(tmp_path):
    unbroken, folder = tmp_path / "unbroken", tmp_path / "interrupted"
    run(unbroken)
    process = start(folder, pause=0.01)
    wait_for(lambda: (folder / "last.safetensors").exists(), process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    assert "ended: interrupted" in output
    assert "stopped by interrupted after" in output
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = events[-1]
    assert (last["event"], last["reason"]) == ("stop", "interrupted")
    assert train.load(folder / "last.safetensors")["step"] == last["step"]
    output, errors = start(folder).communicate(timeout=60)
    assert "ended: epochs" in output, errors
    same_run(folder, unbroken)


def test_a_second_ctrl_c_interrupts_at_once(tmp_path):
    process = start(tmp_path, pause=30.0)
    wait_for(lambda: (tmp_path / "events.jsonl").exists(), process)
    wait_for(lambda: (tmp_path / "events.jsonl").read_text().count("\n"), process)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0


def test_resumed_in_one_process(tmp_path):
    """The state of a run, step by step: any checkpoint leads to the same end."""
    whole = run(tmp_path / "whole")
    places = [(1, "step"), (7, "checkpoint"), (8, "step"), (8, "checkpoint"), (8, "evaluation"),
              (9, "step"), (16, "evaluation"), (20, "checkpoint")]  # fmt: skip
    for steps, kind in places:
        folder = tmp_path / f"{steps} {kind}"
        run_until(folder, lambda e, run, n=steps, k=kind: e["event"] == k and run.step >= n)
        resumed = run(folder, resume=True)
        same_run(folder, tmp_path / "whole")
        leaves = [flatten((r.model, r.state, r.best_model))[0] for r in (whole, resumed)]
        for one, two in zip(*leaves, strict=True):
            assert one.tobytes() == two.tobytes()


class CutError(Exception):
    pass


def run_until(folder, condition):
    """Run until a condition holds, and end as abruptly as can be."""
    from chainrule.train import session

    original = session.Session.pass_on

    def pass_on(self, event, run):
        original(self, event, run)
        if condition(event, run):
            raise CutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Session, "pass_on", pass_on)
        with pytest.raises(CutError):
            run(folder)
