import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.train import EventLog, read_events
from chainrule.train.live.history import History
from chainrule.train.live.pace import Pace
from chainrule.train.live.series import Series, level_for
from tests.train.live.runs import append_step, write_long_run

NUMBERS = st.floats(-100, 100) | st.sampled_from([math.nan, math.inf, -math.inf])


def curve(history, chart="loss", name="training", **question):
    found = history.curves(**question)["series"]
    return next(s for s in found if (s["chart"], s["name"]) == (chart, name))


class TestSeries:
    @given(st.lists(st.tuples(st.integers(1, 5), NUMBERS), min_size=1), st.integers(0, 5))
    def test_buckets_are_what_numpy_says_of_each(self, gaps, level):
        steps = np.cumsum([gap for gap, _ in gaps])
        values = np.array([value for _, value in gaps])
        series = Series()
        for step, value in zip(steps, values, strict=True):
            series.append(int(step), value)
        got = series.buckets(level)
        for i, bucket in enumerate(np.unique(steps // 2**level)):
            inside = values[steps // 2**level == bucket]
            finite = inside[np.isfinite(inside)]
            assert got["x"][i] == steps[steps // 2**level == bucket][-1]
            if finite.size:
                want = finite.mean(), finite.min(), finite.max()
                have = got["mean"][i], got["low"][i], got["high"][i]
                assert have == pytest.approx(want, rel=1e-4, abs=1e-4)
            else:
                assert got["mean"][i] is got["low"][i] is got["high"][i] is None

    @given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 5))
    def test_later_buckets_go_on_from_earlier_ones(self, count, more, level):
        series = Series()
        for step in range(count):
            series.append(step, math.sin(step))
        have = series.buckets(level)
        last = have["x"][-1] >> level << level
        for step in range(count, count + more):
            series.append(step, math.sin(step))
        new = series.buckets(level, last)
        kept = sum(x < last for x in have["x"])
        for column, whole in series.buckets(level).items():
            assert have[column][:kept] + new[column] == whole

    def test_a_peak_of_one_step_is_seen_among_100_000(self):
        series = Series()
        for step in range(100_000):
            series.append(step, 50.0 if step == 54_321 else 1.0)
        buckets = series.buckets(level_for(100_000, 1000))
        assert len(buckets["x"]) <= 1000
        assert max(buckets["high"]) == 50.0

    def test_a_part_is_rounded_outwards(self):
        series = Series()
        for step in range(100):
            series.append(step, step)
        assert series.buckets(3, 17, 33)["x"] == [23, 31, 39]


class TestHistory:
    def test_it_reads_on(self, tmp_path):
        write_long_run(tmp_path, 5)
        history = History(tmp_path)
        assert curve(history)["x"] == [1, 2, 3, 4, 5]
        with open(tmp_path / "events.jsonl", "a") as file:
            append_step(file, 6, 0.25)
        got = curve(history, level=0, start=5)
        assert (got["x"], got["mean"][1]) == ([5, 6], 0.25)

    def test_an_incomplete_line_waits(self, tmp_path):
        write_long_run(tmp_path, 5)
        history = History(tmp_path)
        with open(tmp_path / "events.jsonl", "a", buffering=1) as file:
            file.write('{"event": "step", "ti')
            file.flush()
            assert history.summary()["step"] == 5
            file.write('me": 3.0, "step": 6, "epoch": 0, "loss": "nan"}\n')
        assert history.summary()["step"] == 6
        assert curve(history)["mean"][-1] is None

    def test_a_resumed_run_is_shown_as_read_events_reads_it(self, tmp_path):
        with EventLog(tmp_path / "events.jsonl") as log:
            for step in range(1, 10):
                log.write("step", step=step, epoch=0, loss=float(step))
                if step % 3 == 0:
                    log.write("evaluation", step=step, epoch=0, loss=0.0, best=True,
                              validation={"loss": step / 10})  # fmt: skip
            before = History(tmp_path)
            generation = before.summary()["generation"]
            log.write("resume", step=6, epoch=0, evaluated=False)
            log.write("evaluation", step=6, epoch=0, loss=0.0, best=True, validation={"loss": 7.0})
            log.write("step", step=7, epoch=0, loss=70.0)
        events = read_events(tmp_path / "events.jsonl")
        for history in (before, History(tmp_path)):
            want = [(e["step"], e["loss"]) for e in events if e["event"] == "step"]
            got = curve(history)
            assert list(zip(got["x"], got["mean"], strict=True)) == want
            validation = curve(history, name="validation")
            assert (validation["x"], validation["mean"]) == ([3, 6], [0.3, 7.0])
        assert before.summary()["generation"] != generation

    def test_another_run_in_the_same_folder(self, tmp_path):
        write_long_run(tmp_path, 50)
        history = History(tmp_path)
        generation = history.summary()["generation"]
        write_long_run(tmp_path, 3)
        assert curve(history)["x"] == [1, 2, 3]
        assert history.summary()["generation"] != generation

    def test_damaged_lines_are_counted(self, tmp_path):
        write_long_run(tmp_path, 5)
        with open(tmp_path / "events.jsonl", "a") as file:
            file.write("not json\n[]\n")
            append_step(file, 6, 0.5)
        summary = History(tmp_path).summary()
        assert (summary["unreadable"], summary["step"]) == (2, 6)

    def test_answers_stay_small_however_long_the_run(self, tmp_path):
        write_long_run(tmp_path, 100_000)
        history = History(tmp_path)
        whole = history.curves()
        assert len(json.dumps(whole)) < 60_000
        again = history.curves(level=whole["level"], start=99_900)
        assert len(json.dumps(again)) < 500
        near = curve(history, level=0, start=40_000, end=40_500)
        assert (near["x"][0], len(near["x"])) == (40_000, 500)

    def test_before_the_first_event(self, tmp_path):
        history = History(tmp_path)
        assert history.summary()["step"] == 0
        assert history.curves()["series"] == []
        assert history.flow()["parameters"] == []
        assert history.histograms()["records"] == []
        assert "Nothing" in history.predictions()["reason"]


class TestPace:
    @given(st.floats(0.005, 0.1), st.floats(1e-4, 1.0))
    def test_records_stay_within_their_share(self, step, cost):
        now, spent, count = 0.0, 0.0, 0

        def clock():
            return now

        pace = Pace(share=0.02, floor=0.05, density=100, clock=clock)
        while now < 20:
            now += step
            if pace.due():
                count += 1
                with pace.recording():
                    now += cost
                spent += cost
            assert spent <= 0.02 * now + cost
        assert count >= min(0.01 * 20 / cost, 50)

    def test_a_first_record_that_is_known_to_be_dear_waits(self):
        times = iter([0.0, 0.0, 50.0, 99.0, 101.0])
        pace = Pace(share=0.01, floor=0.05, density=100, clock=lambda: next(times))
        assert [pace.due(expected=1.0) for _ in range(4)] == [False, False, False, True]

    def test_a_day_of_records_is_bounded(self):
        now, count = 0.0, 0
        pace = Pace(share=0.02, floor=0.05, density=200, clock=lambda: now)
        while now < 86_400:
            now += 0.5
            if pace.due():
                count += 1
                with pace.recording():
                    now += 1e-4
        assert count < 2500
