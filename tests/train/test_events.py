import builtins
import json
import math
import sys
import types

import pytest

from chainrule.train import EventLog, read_events
from chainrule.train.display import Notebook, Terminal, display_for


class TestLog:
    def test_an_event_is_on_the_disk_at_once(self, tmp_path):
        file = tmp_path / "events.jsonl"
        with EventLog(file) as log:
            for step in range(3):
                log.write("step", step=step)
                assert len(file.read_text().splitlines()) == step + 1

    def test_numbers_that_json_lacks_come_back(self, tmp_path):
        file = tmp_path / "events.jsonl"
        with EventLog(file) as log:
            log.write("evaluation", step=1, loss=math.nan, validation={"a": -math.inf, "b": 1.5})
        strict = json.loads(file.read_text(), parse_constant=pytest.fail)
        assert strict["loss"] == "nan"
        event = read_events(file)[0]
        assert math.isnan(event["loss"])
        assert event["validation"] == {"a": -math.inf, "b": 1.5}

    def test_a_torn_line_is_passed_over_and_cut_off(self, tmp_path):
        file = tmp_path / "events.jsonl"
        file.write_text('{"event": "step", "step": 1}\n{"event": "st')
        assert [e["step"] for e in read_events(file)] == [1]
        with EventLog(file) as log:
            log.write("step", step=2)
        assert [e["step"] for e in read_events(file)] == [1, 2]

    def test_repeated_steps_count_once(self, tmp_path):
        file = tmp_path / "events.jsonl"
        with EventLog(file) as log:
            for kind, step in [("start", 0), ("step", 1), ("step", 2), ("resume", 1),
                               ("step", 2), ("resume", 0), ("step", 1)]:  # fmt: skip
                log.write(kind, step=step, mark=(kind, step), evaluated=False)
        kept = [tuple(e["mark"]) for e in read_events(file)]
        assert kept == [("start", 0), ("resume", 0), ("step", 1)]

    @pytest.mark.parametrize("evaluated", [True, False])
    def test_an_evaluation_that_comes_again_counts_once(self, tmp_path, evaluated):
        file = tmp_path / "events.jsonl"
        with EventLog(file) as log:
            log.write("step", step=4)
            log.write("evaluation", step=4)
            log.write("resume", step=4, evaluated=evaluated)
        kinds = [e["event"] for e in read_events(file)]
        assert kinds == ["step", *(["evaluation"] if evaluated else []), "resume"]

    def test_without_a_file_events_go_nowhere(self):
        with EventLog() as log:
            assert log.write("step", step=1)["step"] == 1


EVENTS = [
    {"event": "start", "time": 0.0, "step": 0, "epoch": 0, "total_steps": 20},
    {"event": "step", "time": 1.0, "step": 10, "epoch": 0, "loss": 0.5, "seconds_per_step": 0.1},
    {"event": "evaluation", "time": 2.0, "step": 10, "epoch": 0, "loss": 0.75, "best": True,
     "validation": {"loss": 0.5, "accuracy": 0.25}},
    {"event": "stop", "time": 3.0, "step": 10, "epoch": 1, "reason": "epochs"},
]  # fmt: skip

TEXT = """\
epoch 0, step 10: loss 0.7500, validation: loss 0.5000, accuracy 0.2500, best
stopped by epochs after 10 steps, 1 epochs
"""


def play(display):
    for event in EVENTS:
        display.show(event)
    display.close()


class TestDisplay:
    def test_lines_for_a_log(self, capsys):
        play(display_for("auto"))
        assert capsys.readouterr().out == TEXT

    def test_silence(self, capsys):
        play(display_for(None))
        assert capsys.readouterr().out == ""

    def test_a_terminal(self, capsys, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        display = display_for("auto")
        assert isinstance(display, Terminal)
        play(display)
        out = capsys.readouterr().out
        assert "step 10/20" in out
        assert "0:01 left" in out
        assert TEXT.splitlines()[0] in out

    def test_hostile_names_are_no_markup(self, capsys):
        terminal = Terminal()
        terminal.show({**EVENTS[2], "validation": {"[red]x[/red]": 1.0}})
        terminal.close()
        assert "[red]x[/red] 1.0000" in capsys.readouterr().out

    def test_a_notebook(self, monkeypatch):
        drawn = []

        class Handle:
            def update(self, content, raw):
                drawn.append(content["text/plain"])

        def display(content, raw, display_id):
            drawn.append(content["text/plain"])
            return Handle()

        module = types.ModuleType("IPython.display")
        module.display = display
        monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", module)
        shell = type("ZMQInteractiveShell", (), {})
        monkeypatch.setattr(builtins, "get_ipython", lambda: shell(), raising=False)
        notebook = display_for("auto")
        assert isinstance(notebook, Notebook)
        play(notebook)
        assert drawn[0] == "step 10: loss 0.5000"
        assert drawn[-1] + "\n" == TEXT
