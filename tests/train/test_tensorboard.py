import struct
import sys

import numpy as np
import pytest

from chainrule import train
from tests.train.live.runs import fit

tensorboardX = pytest.importorskip("tensorboardX", reason="writes for TensorBoard")


def read(folder):
    """Read the records of TensorBoard's files by the framing that they have."""
    from tensorboardX.proto import event_pb2

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (size,) = struct.unpack_from("<Q", content, place)
            event = event_pb2.Event.FromString(content[place + 12 : place + 12 + size])
            place += 12 + size + 4
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return fit(folder, live=False, callbacks=[train.TensorBoard(share=1.0)]), folder


class TestTensorBoard:
    def test_losses_and_metrics(self, run):
        result, folder = run
        found = read(folder)
        events = train.read_events(folder / "events.jsonl")
        want = {e["step"]: e["loss"] for e in events if e["event"] == "step"}
        got = {step: value.simple_value for step, value in found["loss/training"]}
        assert got == pytest.approx(want)
        want = {e["step"]: e["validation"]["accuracy"] for e in result.history}
        got = {step: value.simple_value for step, value in found["accuracy/validation"]}
        assert got == pytest.approx(want)

    def test_norms_and_histograms(self, run):
        found = read(run[1])
        names = {tag.partition("/")[2] for tag in found if tag.startswith("gradient_norm/")}
        assert "layers.0.weight" in names
        assert len(names) == 4
        step, value = found["weights/layers.0.weight"][0]
        assert (step, value.histo.num) == (1, 36)
        assert np.sum(value.histo.bucket) == 36
        assert found["gradients/layers.0.weight"]
        assert 0 < found["update_ratio/layers.0.weight"][0][1].simple_value < 1

    @pytest.mark.oracle
    def test_tensorboard_reads_it(self, run):
        accumulator = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator"
        ).EventAccumulator(str(run[1]))
        accumulator.Reload()
        assert [e.step for e in accumulator.Scalars("loss/training")] == list(range(1, 31))
        assert accumulator.Histograms("weights/layers.0.weight")

    def test_a_run_without_a_folder(self):
        with pytest.raises(ValueError, match=r"TensorBoard\(folder=...\)"):
            fit(None, live=False, callbacks=[train.TensorBoard()])

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
        with pytest.raises(ImportError, match=r"chainrule\[tensorboard\]"):
            train.TensorBoard()
