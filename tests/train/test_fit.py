import functools
import json
import math
import tempfile
import threading
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule import data, nn, optim, random, train
from chainrule.train.tensors import CheckpointError
from chainrule.tree import flatten
from chainrule.tree import map as tree_map


def problem(examples=70, dtype=np.float64):
    x = random.normal(random.key(1), (examples, 3), dtype=dtype)
    y = np.argmax(x @ random.normal(random.key(2), (3, 3), dtype=dtype), axis=1)
    return x, y


def network(dtype=np.float64):
    one, two = random.split(random.key(0))
    return nn.Sequential(
        nn.Linear.init(one, 3, 8, dtype=dtype), nn.tanh, nn.Linear.init(two, 8, 3, dtype=dtype)
    )


LOSS = train.supervised(nn.cross_entropy)
ACCURACY = {"accuracy": train.supervised(train.accuracy)}


def quietly(*args, **options):
    return train.fit(*args, **{"folder": None, "log": None, **options})


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in flatten(tree)[0]]


class TestLoop:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_loop_written_by_hand_gives_the_same_bits(self, dtype):
        batches = data.Batches(problem(dtype=dtype), 16, key=3)
        optimiser = optim.adam(0.01)

        model = network(dtype)
        state = optimiser.init(model)
        for epoch in range(4):
            for x, y in batches.epoch(epoch):
                gradients = cr.grad(lambda m: nn.cross_entropy(m(x), y))(model)  # noqa: B023
                updates, state = optimiser.update(gradients, state, model)
                model = optim.apply(model, updates)

        result = quietly(network(dtype), LOSS, batches, optimiser, epochs=4)
        assert bits(result.model) == bits(model)
        assert result.steps == 20
        assert result.epochs == 4

    def test_it_learns_and_measures(self):
        learn, test = data.hold_out(problem(400), stratify=problem(400)[1])
        seen = []
        result = quietly(
            network(), LOSS, learn, optim.adam(0.02), epochs=15, validation=test, metrics=ACCURACY,
            callbacks=[lambda event, run: seen.append(event["event"])],
        )  # fmt: skip
        assert result.history[-1]["validation"]["accuracy"] > 0.9
        assert result.history[-1]["loss"] < result.history[0]["loss"] / 2
        assert seen.count("evaluation") == 15
        assert seen.count("step") == result.steps
        assert (seen[0], seen[-1]) == ("start", "stop")

    def test_prefetch_changes_nothing(self):
        batches = data.Batches(problem(), 16, key=3)
        plain, ahead = (
            quietly(network(), LOSS, source, optim.sgd(0.1), epochs=2)
            for source in (batches, data.Prefetch(batches))
        )
        assert bits(plain.model) == bits(ahead.model)

    def test_the_key_determines_everything(self):
        one, two, other = (
            quietly(network(), LOSS, problem(), optim.sgd(0.1), epochs=2, key=k)
            for k in (5, random.key(5), 6)
        )
        assert bits(one.model) == bits(two.model)
        assert bits(one.model) != bits(other.model)

    def test_steps_end_in_the_middle_of_an_epoch(self):
        result = quietly(network(), LOSS, problem(), optim.sgd(0.1), steps=7, epochs=50)
        assert (result.steps, result.epochs, result.reason) == (7, 2, "steps")
        assert [e["step"] for e in result.history] == [3, 6, 7]

    def test_an_endless_stream_with_evaluations_by_steps(self):
        x, y = problem()

        def source(epoch):
            while True:
                yield x, y

        result = quietly(
            network(), LOSS, source, optim.sgd(0.1), steps=10, validate_every=4, validation=(x, y)
        )
        assert [e["step"] for e in result.history] == [4, 8, 10]

    def test_data_without_batches(self):
        with pytest.raises(ValueError, match="no batches in epoch 1"):
            quietly(network(), LOSS, [], optim.sgd(0.1), epochs=3)

    def test_a_batch_that_is_no_tuple_is_one_argument(self):
        loss = lambda w, batch: np.sum((batch["x"] - w) ** 2)
        result = quietly(np.zeros(()), loss, [{"x": np.ones(4)}], optim.sgd(0.1), epochs=50)
        assert np.isclose(result.model, 1)


class TestOptions:
    def test_early_stopping_keeps_the_best(self):
        script = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 4.0, 9.0])
        current = {}

        def metric(model, x):
            return current.setdefault(float(model), None) or next(script)

        result = quietly(
            np.zeros(()), lambda w, x: np.sum((w - 100 + x) ** 2), np.zeros(1), optim.sgd(0.01),
            epochs=100, validation=np.zeros(1), metrics={"m": metric}, monitor="m", patience=3,
        )  # fmt: skip
        assert result.reason == "patience"
        assert [e["best"] for e in result.history] == [True, True, False, True, False, False, False]
        assert result.best == 1.0
        fourth = quietly(
            np.zeros(()), lambda w, x: np.sum((w - 100 + x) ** 2), np.zeros(1), optim.sgd(0.01),
            epochs=4,
        )  # fmt: skip
        assert result.best_model == fourth.model

    def test_the_largest_can_be_the_best(self):
        result = quietly(
            network(), LOSS, problem(), optim.adam(0.02), epochs=5, validation=problem(),
            metrics=ACCURACY, monitor="accuracy", mode="max",
        )  # fmt: skip
        values = [e["validation"]["accuracy"] for e in result.history]
        assert result.best == max(values)
        assert train.evaluate(result.best_model, ACCURACY, problem())["accuracy"] == max(values)

    def test_clip_is_the_transformation_of_that_name(self):
        clipped = optim.chain(optim.clip_by_global_norm(0.1), optim.sgd(1.0))
        one = quietly(network(), LOSS, problem(), optim.sgd(1.0), epochs=2, clip=0.1)
        two = quietly(network(), LOSS, problem(), clipped, epochs=2)
        free = quietly(network(), LOSS, problem(), optim.sgd(1.0), epochs=2)
        assert bits(one.model) == bits(two.model)
        assert bits(one.model) != bits(free.model)

    def test_mixed_precision_computes_in_one_and_keeps_the_other(self):
        seen = set()

        def loss(model, x, y):
            outputs = model(x)
            seen.add((x.dtype, outputs.dtype))
            return nn.cross_entropy(outputs, y)

        result = quietly(network(), loss, problem(), optim.sgd(0.1), epochs=3, dtype=np.float32)
        assert seen == {(np.dtype(np.float32), np.dtype(np.float32))}
        assert {leaf.dtype for leaf in flatten(result.model)[0]} == {np.dtype(np.float64)}
        exact = quietly(network(), loss, problem(), optim.sgd(0.1), epochs=3)
        for one, two in zip(flatten(result.model)[0], flatten(exact.model)[0], strict=True):
            assert np.allclose(one, two, atol=1e-4)
            assert not np.array_equal(one, two)

    def test_class_weights_move_the_decision(self):
        x = np.concatenate([random.normal(random.key(0), 900), random.normal(random.key(1), 100)])
        y = np.repeat([0, 1], [900, 100])
        x[y == 1] += 1.5
        weights = train.class_weights(y)
        assert np.allclose(weights[y].mean(), 1)
        model = nn.Linear.init(random.key(0), 1, 2)
        rates = []
        for given in (None, weights):
            loss = train.supervised(nn.cross_entropy, class_weights=given)
            fitted = quietly(model, loss, (x[:, None], y), optim.adam(0.05), epochs=10).model
            found = np.argmax(fitted(x[:, None]), axis=1)
            rates.append(np.mean(found[y == 1]))
        assert rates[0] < 0.4 < 0.65 < rates[1]

    def test_the_loss_gets_a_key_per_step_and_knows_when_it_trains(self):
        keys, modes = [], []

        def loss(model, x, *, key=None, train=False):
            keys.append(None if key is None else tuple(np.asarray(key)))
            modes.append(train)
            return np.sum((model - x) ** 2)

        x = np.ones(8)
        quietly(np.zeros(()), loss, x, optim.sgd(0.1), epochs=2, batch_size=4, validation=x)
        # two steps and two batches of validation per epoch
        assert modes == [True, True, False, False] * 2
        assert len({k for k in keys if k}) == 4
        assert keys.count(None) == 4

    def test_running_statistics_go_along(self):
        def loss(model, x, *, state=None, train=False):
            value = np.mean((x - model) ** 2)
            return value, {"calls": state["calls"] + 1.0} if train else state

        result = quietly(
            np.zeros(()), loss, np.ones(6), optim.sgd(0.1), epochs=3, batch_size=2,
            state={"calls": np.zeros(())}, validation=np.ones(2),
        )  # fmt: skip
        assert result.state["calls"] == 9
        assert "loss" in result.history[-1]["validation"]

    def test_a_callback_can_stop(self):
        stop = lambda event, run: run.step == 3
        result = quietly(network(), LOSS, problem(), optim.sgd(0.1), epochs=9, callbacks=[stop])
        assert (result.reason, result.steps) == ("callback", 3)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({}, "how long to train"),
            ({"epochs": 1, "mode": "best"}, "'min' or 'max'"),
            ({"epochs": 1, "monitor": "acc"}, "monitor is one of 'loss', not 'acc'"),
            ({"epochs": 1, "metrics": ACCURACY}, "give validation="),
            ({"epochs": 1, "metrics": {"loss": LOSS}, "validation": 1}, "name yours otherwise"),
            ({"epochs": 1, "log": "loud"}, "log is one of 'auto'"),
            ({"epochs": 1, "resume": True}, "in which folder"),
            ({"epochs": 1, "state": np.zeros(1)}, None),
        ],
    )
    def test_mistakes_are_explained(self, options, match):
        if match is None:
            with pytest.raises(TypeError, match="no parameter `state`"):
                quietly(np.zeros(3), lambda w, x: np.sum(w), np.ones(3), optim.sgd(1.0), **options)
        else:
            with pytest.raises(ValueError, match=match):
                quietly(network(), LOSS, problem(), optim.sgd(0.1), **options)


class TestFiles:
    def run(self, folder, **options):
        options = {"epochs": 3, "save_every": 0, "log": None, **options}
        return train.fit(
            network(), LOSS, data.Batches(problem(), 16, key=3), optim.adam(0.01),
            folder=folder, validation=problem(40), metrics=ACCURACY, **options,
        )  # fmt: skip

    def test_every_event_is_one_line_of_json(self, tmp_path):
        result = self.run(tmp_path / "run")
        lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        assert all({"event", "time", "step", "epoch"} <= set(e) for e in events)
        kinds = [e["event"] for e in events]
        assert kinds[0] == "start"
        assert kinds[-1] == "stop"
        assert kinds.count("step") == 15
        assert kinds.count("evaluation") == 3
        assert events[0]["parameters"] == 3 * 8 + 8 + 8 * 3 + 3
        assert events[0]["total_steps"] == 15
        assert [e for e in events if e["event"] == "evaluation"] == result.history

    def test_the_best_model_is_a_checkpoint_by_itself(self, tmp_path):
        result = self.run(tmp_path)
        best = train.load(tmp_path / "best.safetensors", {"model": network(), "state": None})
        assert bits(best["model"]) == bits(result.best_model)

    def test_a_folder_with_a_run_is_not_overwritten(self, tmp_path):
        self.run(tmp_path)
        with pytest.raises(FileExistsError, match="resume=True"):
            self.run(tmp_path)

    def test_by_default_each_run_gets_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folders = {self.run("auto").folder for _ in range(3)}
        assert len(folders) == 3
        assert all((folder / "events.jsonl").exists() for folder in folders)

    def test_resuming_a_finished_run_changes_nothing(self, tmp_path):
        first = self.run(tmp_path)
        again = self.run(tmp_path, resume=True)
        assert bits(first.model) == bits(again.model)
        assert bits(first.best_model) == bits(again.best_model)
        assert again.history == first.history

    def test_going_on_equals_a_run_that_was_longer(self, tmp_path):
        self.run(tmp_path, epochs=2)
        longer = self.run(tmp_path, epochs=5, resume=True)
        assert bits(longer.model) == bits(self.run(None, epochs=5).model)
        assert [e["epoch"] for e in longer.history] == [0, 1, 2, 3, 4]

    def test_other_data_is_noticed(self, tmp_path):
        self.run(tmp_path)
        with pytest.raises(CheckpointError, match=r'"size": 16.*but now the data has.*"size": 8'):
            train.fit(
                network(), LOSS, data.Batches(problem(), 8, key=3), optim.adam(0.01), epochs=5,
                folder=tmp_path, resume=True, log=None,
            )  # fmt: skip

    def test_another_model_is_noticed(self, tmp_path):
        self.run(tmp_path)
        with pytest.raises(CheckpointError, match=r"model\.layers\[0\]\.weight has dtype float64"):
            train.fit(
                network(np.float32), LOSS, data.Batches(problem(), 16, key=3), optim.adam(0.01),
                epochs=5, folder=tmp_path, resume=True, log=None,
            )  # fmt: skip


class TestDivergence:
    def test_it_stops_before_the_bad_step_and_says_where(self, tmp_path):
        def loss(w, x):
            return np.sum(x * w)

        batches = [np.ones(2), np.ones(2), np.array([1.0, math.nan]), np.ones(2)]
        with pytest.raises(train.DivergedError, match="loss is nan at step 3 ") as caught:
            train.fit(
                np.ones(2), loss, batches, optim.sgd(0.25), epochs=1, folder=tmp_path, log=None
            )
        result = caught.value.result
        assert (result.steps, result.reason) == (2, "diverged")
        assert result.model.tolist() == [0.5, 0.5]
        assert train.load(tmp_path / "last.safetensors")["model"].tolist() == [0.5, 0.5]
        assert train.read_events(tmp_path / "events.jsonl")[-1]["reason"] == "diverged"


def test_optimiser_states_survive_a_checkpoint(tmp_path):
    """Every optimiser goes on to the same bits."""
    for optimiser in (optim.adam(0.01), optim.sgd(0.1, momentum=0.9), optim.rmsprop(0.01),
                      optim.adamw(optim.cosine_decay(0.1, 20)), optim.lion(0.01)):  # fmt: skip
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        common = {"log": None, "folder": folder, "clip": 1.0}
        batches = data.Batches(problem(), 16, key=3)
        train.fit(network(), LOSS, batches, optimiser, steps=7, **common)
        resumed = train.fit(network(), LOSS, batches, optimiser, steps=15, resume=True, **common)
        whole = quietly(network(), LOSS, batches, optimiser, steps=15, clip=1.0)
        assert bits(resumed.model) == bits(whole.model)


def test_training_in_another_thread_works():
    results = []
    thread = threading.Thread(
        target=lambda: results.append(quietly(network(), LOSS, problem(), optim.sgd(0.1), steps=3))
    )
    thread.start()
    thread.join()
    assert results[0].steps == 3


def test_a_model_stays_what_it_was(tmp_path):
    model = network()
    before = tree_map(np.copy, model)
    quietly(model, LOSS, problem(), optim.adam(0.1), epochs=2)
    assert bits(model) == bits(before)


@pytest.mark.slow
def test_the_loop_costs_less_than_three_percent_of_a_millisecond():
    """Taken of a small step, where the difference is not lost in the noise."""
    loss = lambda w, x: np.sum((w - x) ** 2)
    optimiser, batch = optim.sgd(0.1), (np.ones(4),)
    step = train.make_step(loss, optimiser)
    start = train.Run.begin(np.zeros(4), optimiser, None, random.key(0), None)
    count = 500

    def bare():
        run = start
        for _ in range(count):
            run, _ = step(run, batch)

    def fitted(folder):
        train.fit(np.zeros(4), loss, [batch] * count, optimiser, epochs=1, folder=folder, log=None)

    def shortest(f, arguments):
        times = []
        for given in arguments:
            began = time.process_time()
            f(*given)
            times.append(time.process_time() - began)
        return min(times)

    with tempfile.TemporaryDirectory() as folder:
        whole = shortest(fitted, [(f"{folder}/{i}",) for i in range(7)])
    overhead = (whole - shortest(bare, [()] * 7)) / count
    assert overhead < 0.03 * 1e-3


@pytest.mark.parametrize(
    ("layer", "drawing"),
    [
        (nn.LSTM.init(random.key(0), 3, 4, layers=2), False),
        (nn.LSTM.init(random.key(0), 3, 4, dropout=0.5), False),  # between layers, and there is one
        (nn.LSTM.init(random.key(0), 3, 4, layers=2, dropout=0.5), True),
        (nn.MultiHeadAttention.init(random.key(0), 4, 2), False),
        (nn.TransformerBlock.init(random.key(0), 4, 2), False),
        (nn.TransformerBlock.init(random.key(0), 4, 2, dropout=0.1), True),
        (nn.Residual(nn.Dropout(0.0)), False),
        (nn.Residual(nn.Dropout(0.1)), True),
    ],
)
def test_a_key_is_made_for_models_that_draw(layer, drawing):
    from chainrule.train.step import draws

    assert draws(layer) == drawing
    assert draws(nn.Sequential(np.tanh, layer)) == drawing


def test_a_callback_is_told_of_each_step_unless_it_declines():
    class Callback:
        def __init__(self):
            self.kinds = []

        def __call__(self, event, run):
            self.kinds.append(event["event"])

    told, spared = Callback(), Callback()
    spared.each_step = False
    options = {"epochs": 1, "batch_size": 16}
    quietly(network(), LOSS, problem(), optim.sgd(0.1), callbacks=[told], **options)
    quietly(network(), LOSS, problem(), optim.sgd(0.1), callbacks=[spared], **options)
    assert told.kinds.count("step") > 1
    assert spared.kinds == [kind for kind in told.kinds if kind != "step"]


@pytest.mark.filterwarnings("ignore::chainrule.compile.JitWarning")
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_compiled_training_goes_where_plain_training_goes(dtype):
    first, second = random.split(random.key(0))
    layers = nn.Linear.init(first, 3, 8), nn.tanh, nn.BatchNorm.init(8), nn.Dropout(0.2)
    start = nn.Sequential(*layers, nn.Linear.init(second, 8, 1))
    x = np.random.default_rng(0).normal(size=(20, 3))
    run = functools.partial(
        train.fit, start, train.supervised(nn.squared_error), (x, x[:, :1]), optim.adam(0.01),
        batch_size=8, state=nn.init_state(start), dtype=dtype, folder=None, log=None, epochs=3,
    )  # fmt: skip
    plain, compiled = run(), run(jit=True)
    tolerance = 1e-12 if dtype is None else 1e-5
    for a, b in zip(flatten(plain.model)[0], flatten(compiled.model)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for a, b in zip(flatten(plain.state)[0], flatten(compiled.state)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
