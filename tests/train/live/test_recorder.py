import base64
import json
import re

import numpy as np
import pytest

from chainrule import nn, optim, random, train
from chainrule.cli.main import main
from chainrule.train.live.features import convolutions, watched
from chainrule.train.live.history import History
from chainrule.train.live.predictions import NotShownError, judge
from chainrule.train.live.statistics import histogram
from tests.train.live.runs import HOSTILE, METRIC, fit, images, network


def read(folder, name):
    return json.loads((folder / "view" / name).read_text())


def lines(folder, name):
    return [json.loads(line) for line in (folder / "view" / name).read_text().splitlines()]


def silent(**options):
    return train.LiveView(serve=False, **options)


class Spy:
    """Keeps what each step was."""

    def __init__(self):
        self.steps = {}

    def __call__(self, event, run):
        pass

    def observe(self, run, gradients, updates):
        self.steps[run.step] = (run.model, gradients, updates)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder, spy = tmp_path_factory.mktemp("recorded"), Spy()
    result = fit(folder, live=silent(share=1.0, class_names=["left", HOSTILE]), callbacks=[spy])
    return folder, result, spy


class TestRecords:
    def test_watching_changes_no_bit(self, tmp_path, recorded):
        plain = fit(tmp_path, live=False)
        for name in ("weight", "bias"):
            assert np.array_equal(
                getattr(recorded[1].model[0], name), getattr(plain.model[0], name)
            )
        assert not (tmp_path / "view").exists()

    def test_norms(self, recorded):
        folder, _, spy = recorded
        header, *records = lines(folder, "statistics.jsonl")
        assert header["parameters"][0] == {"name": "layers[0].weight", "shape": [4, 1, 3, 3]}
        assert len(header["parameters"]) == 4
        assert records
        for record in records:
            for kind, model in zip(
                ("weight", "gradient", "update"), spy.steps[record["step"]], strict=True
            ):
                want = np.linalg.norm(model[0].weight)
                assert record[kind][0] == pytest.approx(want, rel=1e-5)

    def test_histograms(self, recorded):
        folder, _, spy = recorded
        for record in lines(folder, "histograms.jsonl"):
            model, gradients, _ = spy.steps[record["step"]]
            for kind, layer in (("weights", model[3]), ("gradients", gradients[3])):
                found = record[kind][2]
                assert sum(found["counts"]) == layer.weight.size
                assert found["low"] == pytest.approx(layer.weight.min(), rel=1e-5)
                assert found["mean"] == pytest.approx(layer.weight.mean(), rel=1e-4, abs=1e-9)

    def test_the_final_model_is_judged(self, recorded):
        folder, result, _ = recorded
        inputs, labels = images(60, key=1)
        logits = result.model(inputs)
        found = read(folder, "predictions.json")
        want = train.confusion_matrix(labels, logits.argmax(axis=1), 2)
        assert (found["matrix"], found["step"]) == (want.tolist(), 30)
        losses = nn.cross_entropy(logits, labels, reduction="none")
        order = np.argsort(-losses)[:24]
        assert [e["loss"] for e in found["worst"]] == pytest.approx(losses[order], abs=1e-3)
        assert found["worst"][0]["index"] == order[0]
        assert found["names"] == ["left", HOSTILE]

    def test_filters_and_feature_maps(self, recorded):
        folder, result, _ = recorded
        (layer,) = read(folder, "features.json")["layers"]
        weight, tiles = result.model[0].weight, layer["filters"]
        pixels = np.frombuffer(base64.b64decode(tiles["data"]), np.uint8).reshape(4, 3, 3)
        shown = (pixels.astype(float) - 128) / 127 * tiles["scale"]
        assert shown == pytest.approx(weight[:, 0], abs=tiles["scale"] / 127)
        maps, tiles = result.model[0](images(60, key=1)[0][:1])[0], layer["maps"]
        pixels = np.frombuffer(base64.b64decode(tiles["data"]), np.uint8).reshape(maps.shape)
        shown = tiles["low"] + pixels / 255 * (tiles["high"] - tiles["low"])
        assert shown == pytest.approx(maps, abs=(tiles["high"] - tiles["low"]) / 255)

    def test_a_resumed_run_goes_on_recording(self, tmp_path):
        fit(tmp_path, steps=20, live=silent(share=1.0))
        fit(tmp_path, steps=40, live=silent(share=1.0), resume=True)
        steps = [r["step"] for r in lines(tmp_path, "statistics.jsonl") if "weight" in r]
        assert (min(steps), max(steps) > 20) == (1, True)
        flow = History(tmp_path).flow()
        assert flow["series"][0]["x"] == steps

    def test_a_run_begun_anew_forgets_the_old_records(self, tmp_path):
        fit(tmp_path, live=silent(share=1.0))
        (tmp_path / "last.safetensors").unlink()
        fit(tmp_path, steps=1, live=silent(share=1.0))
        assert [r["step"] for r in lines(tmp_path, "statistics.jsonl")] == [0, 1]

    def test_without_a_folder(self):
        with pytest.raises(ValueError, match="needs folder="):
            fit(None)


class TestWhatCannotBeShown:
    def reasons(self, folder):
        return [read(folder, name)["reason"] for name in ("predictions.json", "features.json")]

    def line(self, folder, targets, **options):
        def loss(model, x, y):
            return np.mean((model["a"] * x + model["b"] - y) ** 2)

        x = np.linspace(-1, 1, 32)
        return train.fit(
            {"a": np.zeros(()), "b": np.zeros(())}, loss, (x, targets(x)), optim.sgd(0.1),
            epochs=2, folder=folder, log=None, live=silent(**options), validation=(x, targets(x)),
        )  # fmt: skip

    def test_a_regression(self, tmp_path):
        self.line(tmp_path, lambda x: 2 * x)
        predictions, features = self.reasons(tmp_path)
        assert "not labels" in predictions
        assert "no two-dimensional convolutions" in features
        assert [p["name"] for p in History(tmp_path).flow()["parameters"]] == ["['a']", "['b']"]

    def test_a_model_that_cannot_be_called(self, tmp_path):
        self.line(tmp_path, lambda x: (x > 0).astype(int))
        assert "predict=" in self.reasons(tmp_path)[0]

    def test_a_predict_that_fails_does_not_end_the_run(self, tmp_path):
        result = self.line(tmp_path, lambda x: (x > 0).astype(int), predict=lambda m, x: 1 / 0)
        assert result.reason == "epochs"
        assert "ZeroDivisionError" in self.reasons(tmp_path)[0]

    def test_two_classes_from_one_number(self):
        labels = np.array([0, 1, 1, 0])
        logits = np.array([-3.0, 4.0, -1.0, -2.0])
        for outputs in (logits, logits[:, None]):
            found = judge(lambda x, outputs=outputs: outputs, (np.zeros((4, 2)), labels))
            assert found["matrix"] == [[2, 0], [1, 1]]
            want = nn.binary_cross_entropy(logits[2:3], labels[2:3].astype(float))
            assert found["worst"][0]["loss"] == pytest.approx(want, abs=1e-4)

    def test_outputs_of_another_shape(self):
        with pytest.raises(NotShownError, match="not scores"):
            judge(lambda x: np.zeros((4, 2, 3)), (np.zeros((4, 2)), np.zeros(4, int)))

    def test_labels_that_the_loss_ignores(self):
        logits = np.array([[1.0, 0.0], [1.0, 0.0]])
        found = judge(lambda x: logits, (np.zeros((2, 2)), np.array([-100, 0])))
        assert (found["matrix"], len(found["worst"])) == ([[1, 0], [0, 0]], 1)

    def test_many_classes(self):
        labels = np.arange(100)
        found = judge(lambda x: np.eye(100)[(labels + 1) % 100], (np.zeros((100, 1)), labels))
        assert found["matrix"] is None
        assert found["pairs"][0][2:] == [1, 1]

    @pytest.mark.parametrize(
        "values", [[], [np.nan], [np.inf, -np.inf], [1e308, -1e308], [5.0], [1e-310, 0]]
    )
    def test_histograms_of_what_has_no_width(self, values):
        found = histogram(np.array(values))
        json.dumps({**found, "mean": None, "std": None}, allow_nan=False)
        assert sum(found["counts"]) + found["missing"] == len(values)


class TestFeatures:
    def test_convolutions_anywhere(self):
        conv = nn.Conv2d.init(random.key(0), 2, 2, 3, padding="same")
        model = {"a": [nn.Residual(nn.Sequential(conv, nn.relu))], "b": (conv,)}
        paths = [path for path, _ in convolutions(model)]
        assert paths == ["['a'][0].layer.layers[0]", "['b'][0]"]

    def test_the_model_itself_stays_as_it_is(self):
        model, seen = network(), {}
        x = images(3)[0]
        assert np.array_equal(watched(model, seen)(x), model(x))
        assert list(seen) == ["layers[0]"]
        assert type(model[0]) is nn.Conv2d


class TestFile:
    def test_nothing_in_it_leaves_the_script_it_stands_in(self, tmp_path):
        fit(tmp_path, live=silent(class_names=[HOSTILE, METRIC]), metric=METRIC)
        train.write_view(tmp_path, tmp_path / "run.html")
        page = (tmp_path / "run.html").read_text()
        assert page.count("</script>") == page.count("<script") == 2
        assert "<img" not in page
        data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
        assert json.loads(data)["predictions"]["names"] == [HOSTILE, METRIC]

    def test_it_loads_nothing(self, recorded):
        folder = recorded[0]
        train.write_view(folder, folder / "run.html")
        page = (folder / "run.html").read_text()
        assert "default-src 'none'; script-src 'sha256-" in page
        assert set(re.findall(r"https?://[^'\"\s]+", page)) == {"http://www.w3.org/2000/svg"}

    def test_the_command(self, tmp_path, capsys):
        folder = tmp_path / "one"
        fit(folder, steps=2, live=silent())
        assert main(["view", str(folder), "--output", str(tmp_path / "x.html")]) == 0
        assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")
        capsys.readouterr()
        assert main(["view", str(tmp_path)]) == 2
        assert f"the latest run below it is {folder}" in capsys.readouterr().err
        assert main(["view", str(folder), "--output", str(tmp_path / "no" / "x.html")]) == 2
        assert "cannot be written" in capsys.readouterr().err
