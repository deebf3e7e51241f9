import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file

from chainrule import nn, random, train
from chainrule.train import checkpoint
from chainrule.train.tensors import CheckpointError, read_tensors, serialize
from chainrule.tree import flatten
from chainrule.tree import paths as leaf_paths


class Pair(NamedTuple):
    first: object
    second: object


@dataclass(frozen=True)
class Layer:
    weight: object
    bias: object = None


def identical(one, two):
    (a, tree), (b, other) = flatten(one), flatten(two)
    assert tree == other
    for x, y in zip(a, b, strict=True):
        assert type(x) is type(y)
        if isinstance(x, np.ndarray | np.generic):
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            assert x.tobytes() == y.tobytes()
        else:
            assert repr(x) == repr(y)


TREE = {
    "layers": [Layer(np.arange(6.0).reshape(2, 3), np.zeros(2, np.float32)), Layer(np.ones(1))],
    "memory": Pair(np.array(3.5), (None, np.int64(7))),
    "key": random.key(2**63 + 5),
    "strided": np.arange(12, dtype=np.int16).reshape(3, 4).T[::2],
    "empty": np.zeros((0, 3), bool),
    "complex": np.array([1 + 2j, complex(np.nan, -np.inf)]),
    "plain": [
        3,
        -(2**70),
        0.1,
        float("nan"),
        float("-inf"),
        -0.0,
        True,
        False,
        "ein \u00dcber",
        2j,
    ],
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


class TestRoundTrip:
    def test_every_kind_of_leaf_keeps_every_bit(self, file):
        train.save(file, TREE)
        identical(train.load(file, like=TREE), TREE)

    def test_without_a_structure_leaves_come_by_path(self, file):
        train.save(file, TREE)
        found = train.load(file)
        assert sorted(found) == sorted(leaf_paths(TREE))
        assert np.array_equal(found["['layers'][0].weight"], TREE["layers"][0].weight)
        assert found["['plain'][1]"] == -(2**70)

    @given(
        hnp.arrays(
            st.sampled_from(["f4", "f8", "f2", "i1", "u4", "i8", "?", "c8", "c16", ">f8", ">i2"]),
            hnp.array_shapes(min_dims=0, min_side=0),
        )
    )
    def test_any_array(self, tmp_path_factory, array):
        file = tmp_path_factory.mktemp("x") / "a.safetensors"
        train.save(file, array)
        found = train.load(file, like=array.astype(array.dtype.newbyteorder("=")))
        assert np.array_equal(found, array, equal_nan=array.dtype.kind in "fc")
        found[...] = 0  # what is loaded can be written to

    def test_a_bare_array_and_no_array_at_all(self, file):
        for tree in (np.ones(3), {}, 5):
            train.save(file, tree)
            identical(train.load(file, like=tree), tree)

    def test_other_readers_can_read_it(self, file):
        from safetensors.numpy import load_file

        train.save(file, {"W": np.ones((2, 2))})
        assert np.array_equal(load_file(file)["['W']"], np.ones((2, 2)))

    def test_what_cannot_be_saved_is_named(self, file):
        with pytest.raises(TypeError, match=r"\['f'\]\[1\] cannot be saved: it is a builtin_func"):
            train.save(file, {"f": [1, len]})
        with pytest.raises(TypeError, match="ndarray of object"):
            train.save(file, np.array([{}], object))
        assert not file.exists()


class TestErrors:
    def fails(self, file, match, like=None):
        with pytest.raises(CheckpointError, match=match) as caught:
            train.load(file, like=like)
        assert str(file) in str(caught.value)

    def test_no_file(self, file):
        self.fails(file, "there is no such file")

    def test_every_truncation_is_noticed(self, file):
        train.save(file, {"a": np.arange(3.0), "b": np.arange(5.0)})
        whole = file.read_bytes()
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            self.fails(file, "empty|not a safetensors file|truncated")
        file.write_bytes(whole[:-1])
        self.fails(file, r"truncated: tensor \['b'\] is not complete")

    def test_every_changed_bit_is_noticed(self, file):
        train.save(file, {"a": np.arange(3.0), "n": 5, "c": np.array([1j])})
        whole = file.read_bytes()
        for place in range(len(whole)):
            for bit in (1, 16, 128):
                changed = bytearray(whole)
                changed[place] ^= bit
                file.write_bytes(changed)
                with pytest.raises(CheckpointError, match=r"model\.safetensors: "):
                    train.load(file)

    def test_a_damaged_tensor_is_named(self, file):
        train.save(file, {"a": np.arange(3.0), "b": np.arange(5.0)})
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        self.fails(file, r"tensor \['b'\] does not match its checksum")

    def test_foreign_files(self, file):
        file.write_bytes(b"PK\x03\x04 a zip file, say, that is long enough")
        self.fails(file, "not a safetensors file")
        file.write_bytes(os.urandom(200))
        self.fails(file, "not a safetensors file|truncated")
        save_file({"W": np.ones(3)}, file)
        self.fails(file, "not a checkpoint of chainrule")

    def test_another_version(self, file, monkeypatch):
        monkeypatch.setattr(checkpoint, "VERSION", 2)
        train.save(file, {"a": np.arange(3.0)})
        monkeypatch.undo()
        self.fails(file, "written in version 2 of the format, and this release .* reads version 1")

    def test_wrong_shape_dtype_and_kind_name_the_tensor(self, file):
        train.save(file, {"net": [Layer(np.zeros((2, 3)))], "n": 1})
        name = r"\['net'\]\[0\]\.weight"
        like = lambda leaf, n=1: {"net": [Layer(leaf)], "n": n}
        expected = rf"{name} has shape \(2, 3\), but \(3, 2\) is expected"
        self.fails(file, expected, like(np.zeros((3, 2))))
        expected = rf"{name} has dtype float64, but float32 is expected"
        self.fails(file, expected, like(np.zeros((2, 3), np.float32)))
        self.fails(file, rf"{name} is of type ndarray, but float is expected", like(1.0))
        self.fails(file, r"\['n'\] is 1, but an array", like(np.zeros((2, 3)), np.zeros(())))
        self.fails(file, r"\['n'\] is of type int, but float", like(np.zeros((2, 3)), 1.0))

    def test_missing_and_surplus_tensors_are_named(self, file):
        train.save(file, {"a": np.zeros(1), "b": np.zeros(1)})
        self.fails(file, r"\['c'\] is missing", {k: np.zeros(1) for k in "abc"})
        self.fails(file, r"\['b'\] is in the file, but not expected", {"a": np.zeros(1)})
        self.fails(file, r"\['c'\] is missing; it has \['b'\]", {k: np.zeros(1) for k in "ac"})

    def test_a_tensor_that_was_taken_out_is_named(self, file):
        train.save(file, {"a": np.zeros(1), "b": np.zeros(1)})
        tensors, about = read_tensors(file)
        del tensors["['b']"]
        file.write_bytes(serialize(tensors, about))
        self.fails(file, r"damaged: tensor \['b'\] is missing")

    def test_a_deeply_nested_header_is_no_crash(self, file):
        header = b'{"a":' + b"[" * 100_000
        file.write_bytes(len(header).to_bytes(8, "little") + header)
        self.fails(file, "not a safetensors file")

    def test_nothing_is_unpickled(self, file):
        train.save(file, TREE)
        program = (
            "import sys; sys.modules['pickle'] = None\n"
            "from chainrule.train.checkpoint import load\n"
            f"print(len(load({str(file)!r})))"
        )
        block = "import numpy, pickle, safetensors.numpy, chainrule\n"
        done = subprocess.run(
            [sys.executable, "-c", block + program], capture_output=True, text=True
        )
        assert done.stdout == f"{len(leaf_paths(TREE))}\n", done.stderr


class TestAtomicity:
    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, file, monkeypatch):
        train.save(file, {"a": np.zeros(3)})

        def full(descriptor):
            raise OSError("no space left on device")

        monkeypatch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            train.save(file, {"a": np.ones(3)})
        monkeypatch.undo()
        assert train.load(file)["['a']"].tolist() == [0, 0, 0]
        assert os.listdir(file.parent) == [file.name]

    def test_the_file_is_on_the_disk_before_its_name_is(self, file, monkeypatch):
        calls = []
        for name in ("fsync", "replace"):
            original = getattr(os, name)
            monkeypatch.setattr(
                checkpoint.os,
                name,
                lambda *args, n=name, f=original: (calls.append(n), f(*args))[1],
            )
        train.save(file, {"a": np.zeros(3)})
        assert calls == ["fsync", "replace", "fsync"]

    def test_what_a_killed_process_left_is_overwritten(self, file):
        (file.parent / f".{file.name}.partial").write_bytes(b"half of a file")
        train.save(file, {"a": np.zeros(3)})
        assert os.listdir(file.parent) == [file.name]


class TestStateDict:
    def write(self, file, **tensors):
        save_file({name.replace("_", "."): array for name, array in tensors.items()}, file)

    def test_names_and_precision_are_mapped(self, file):
        self.write(file, fc_weight=np.ones((2, 3), np.float32), fc_bias=np.zeros(2, np.float32))
        like = Layer(np.zeros((2, 3)), np.zeros(2))
        names = {".weight": "fc.weight", "bias": "fc.bias"}
        found = train.load_state_dict(file, like, names)
        assert isinstance(found, Layer)
        assert found.weight.dtype == np.float64
        assert np.array_equal(found.weight, np.ones((2, 3)))

    def test_bfloat16_becomes_float32(self, file):
        exact = np.array([1.0, -2.5, 3e38], np.float32)
        halves = (exact.view(np.uint32) >> 16).astype("<u2").tobytes()
        header = {"W": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + halves)
        found = train.load_state_dict(file, {"W": np.zeros(3, np.float32)}, {"['W']": "W"})
        assert np.allclose(found["W"], exact, rtol=1e-2)
        assert found["W"][:2].tolist() == [1.0, -2.5]

    @pytest.mark.parametrize(
        ("names", "ignore", "match"),
        [
            ({"weight": "fc.weight"}, (), r"fc\.bias is not used by the name map"),
            ({"weight": "fc.weight"}, ("fc.bias",), r"bias is missing"),
            ({"weight": "fc.weight", "bias": "fc.b"}, (), r"tensor fc\.b, meant for bias, is miss"),
            ({"wait": "fc.weight"}, (), r"the model has no wait"),
            ({"weight": "fc.bias", "bias": "fc.weight"}, (), r"shape \(2,\), but \(2, 3\)"),
        ],
    )
    def test_what_does_not_fit_is_named(self, file, names, ignore, match):
        self.write(file, fc_weight=np.ones((2, 3), np.float32), fc_bias=np.zeros(2, np.float32))
        like = Layer(np.zeros((2, 3)), np.zeros(2))
        with pytest.raises(CheckpointError, match=match):
            train.load_state_dict(file, like, names, ignore)

    @pytest.mark.oracle
    def test_a_network_that_pytorch_wrote_gives_its_outputs(self, file):
        torch = pytest.importorskip("torch")
        from safetensors.torch import save_file as save_for_torch

        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Flatten(2)]
        theirs = torch.nn.Sequential(*layers, torch.nn.LSTM(16, 5, batch_first=True))
        theirs(torch.randn(8, 2, 4, 4))  # so that the running statistics are not those of the start
        save_for_torch(theirs.state_dict(), file)
        key, single = random.key(0), {"dtype": np.float32}
        conv = nn.Conv2d.init(key, 2, 4, 3, padding=1, **single)
        norm, lstm = nn.BatchNorm.init(4, **single), nn.LSTM.init(key, 16, 5, **single)
        like = {"conv": conv, "norm": norm, "state": norm.init_state(), "lstm": lstm}
        names = {
            **{f"['conv'].{n}": f"0.{n}" for n in ("weight", "bias")},
            **{f"['norm'].{n}": f"1.{n}" for n in ("weight", "bias")},
            "['state'].mean": "1.running_mean",
            "['state'].variance": "1.running_var",
            **{
                f"['lstm'].cells[0][0].{n}": f"3.{n}_l0"
                for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            },
        }
        found = train.load_state_dict(file, like, names, ["1.num_batches_tracked"])
        x = torch.randn(3, 2, 4, 4)
        expected = theirs.eval()(x)[0].detach().numpy()
        y, _ = found["norm"](found["conv"](x.numpy()), found["state"])
        got, _ = found["lstm"](np.reshape(y, (3, 4, 16)))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
