"""Values for arguments: where they come from, which one wins, and what is refused."""

import json

import numpy as np
import pytest

from chainrule.cli.target import InputError, find_target
from chainrule.cli.values import collect, select

SOURCE = """
import numpy as np

SCALE = 3.0


def f(w, x, y=1.0, *, n=2):
    return np.sum((w * x - y) ** n)


class Net:
    def __call__(self, x):
        return x

    def method(self, x):
        return x
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture
def target(file):
    return find_target(f"{file}:f")


def test_each_source_yields_to_the_one_before_it(file, target):
    np.savez(file.with_suffix(".npz"), w=1.0, x=1.0, y=1.0, n=1)
    file.with_suffix(".json").write_text(json.dumps({"w": 9.0, "x": 9.0}))
    np.savez(file.with_name("other.npz"), w=2.0, x=2.0)
    values = collect(target, ["w=3.0"], file.with_name("other.npz"))
    assert values.by_name() == {"w": 3.0, "x": 2.0, "y": 1.0, "n": 1}
    assert values.sources == {
        "w": "--arg",
        "x": str(file.with_name("other.npz")),
        "y": "model.npz",
        "n": "model.npz",
    }
    assert values.kwargs == {"n": 1}


def test_json_beside_the_file_gives_arrays_and_nested_containers(file, target):
    content = {"w": [[1.0, 2.0], [3.0, 4.0]], "x": {"a": [1.5], "name": "x"}, "unknown": 1}
    file.with_suffix(".json").write_text(json.dumps(content))
    values = collect(target, [], None).by_name()
    np.testing.assert_array_equal(values["w"], [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(values["x"]["a"], [1.5])
    assert values["x"]["name"] == "x"
    assert values["y"] == 1.0
    assert values["n"] == 2


def test_expressions_know_numpy_the_module_and_what_came_before(target):
    values = collect(target, ["w=SCALE * np.ones(2)", "x=[w[0], 1]"], None).by_name()
    np.testing.assert_array_equal(values["w"], [3.0, 3.0])
    np.testing.assert_array_equal(values["x"], [3.0, 1.0])


def test_a_list_of_arrays_stays_a_list(target):
    values = collect(target, ["w=[np.ones(2), np.ones(2)]", "x=[[1.0], [1.0, 2.0]]"], None)
    assert [type(part) for part in values.args[0]] == [np.ndarray, np.ndarray]
    assert [part.shape for part in values.args[1]] == [(1,), (2,)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["w"], "no name=value"),
        (["q=1.0"], "no argument q"),
        (["w=nothing"], "NameError"),
        (["w=1 +"], "SyntaxError"),
        (["w=1.0"], "no value for argument x of f"),
        ([], "no value for arguments w, x of f"),
    ],
)
def test_what_does_not_fit_is_named(target, given, message):
    with pytest.raises(InputError, match=message):
        collect(target, given, None)


def test_a_missing_value_shows_the_three_ways_to_give_it(target):
    with pytest.raises(InputError) as caught:
        collect(target, ["w=1.0"], None)
    for way in ("--arg 'x=", "--npz values.npz", "model.npz or model.json", "def f(..., x=...)"):
        assert way in caught.value.help


def test_pickles_are_never_loaded(file, target):
    np.savez(file.with_name("evil.npz"), w=np.array([object()], dtype=object), x=1.0)
    with pytest.raises(InputError, match="cannot be read"):
        collect(target, [], file.with_name("evil.npz"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"plain text", b"\x80\x04N."])
def test_a_broken_npz_is_an_input_error(file, target, content):
    path = file.with_name("broken.npz")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.npz"):
        collect(target, [], path)


def test_an_npz_without_names_or_without_matching_names_is_refused(file, target):
    np.save(file.with_name("single.npy"), np.ones(2))
    with pytest.raises(InputError, match="single array"):
        collect(target, [], file.with_name("single.npy"))
    np.savez(file.with_name("other.npz"), a=1.0)
    with pytest.raises(InputError, match="holds no argument of f"):
        collect(target, [], file.with_name("other.npz"))
    with pytest.raises(InputError, match="no file"):
        collect(target, [], file.with_name("nowhere.npz"))


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\x00"])
def test_a_broken_json_is_an_input_error(file, target, content):
    file.with_suffix(".json").write_text(content)
    with pytest.raises(InputError, match=r"model\.json"):
        collect(target, [], None)


def test_all_floating_arguments_are_chosen_unless_some_are_named(target):
    values = collect(target, ["w=np.ones(2)", "x=np.arange(2)"], None)
    assert select(values, None, target) == (0, 2)
    assert select(values, "y, w", target) == (2, 0)
    assert select(values, "2", target) == (2,)
    with pytest.raises(InputError, match="x does not hold floating-point"):
        select(values, "w,x", target)
    for wanted in ("q", "3", "n", "", "w,,x"):
        with pytest.raises(InputError, match="no argument"):
            select(values, wanted, target)


def test_nothing_floating_is_refused(target):
    with pytest.raises(InputError, match="floating"):
        select(collect(target, ["w=1", "x=2", "y=3"], None), None, target)


def test_methods_take_their_object_from_an_expression(file):
    target = find_target(f"{file}:Net.method")
    values = collect(target, ["self=Net()", "x=2.0"], None)
    assert select(values, None, target) == (1,)
    with pytest.raises(InputError) as caught:
        collect(target, [], None)
    assert "self=Net()" in caught.value.help


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("{file}", "which function", "model.py:f"),
        ("{file}:g", "has no g", "model.py:f"),
        ("{file}:np", "is a module", "model.py:f"),
        ("{file}:Net.nothing", "has no Net.nothing", "defines f"),
        ("{folder}/modle.py:f", "no file", "model.py"),
        ("nothing_of_this_name:f", "no module", "FILE.py:FUNCTION"),
        ("numpy.nothing_of_this_name:f", "no module", "FILE.py:FUNCTION"),
        (":f", "names no file", "FILE.py:FUNCTION"),
        ("f", "no module", "FILE.py:FUNCTION"),
    ],
)
def test_a_target_that_is_not_there_says_what_is(file, text, message, help):
    with pytest.raises(InputError, match=message) as caught:
        find_target(text.format(file=file, folder=file.parent))
    assert help in caught.value.help
