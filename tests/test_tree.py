"""The public functions over trees."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule
from chainrule import errors, tree
from chainrule.errors import call_from_outside

TREES = st.recursive(
    st.one_of(st.none(), st.integers(), st.floats(allow_nan=False)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.lists(below, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), below, max_size=3),
    ),
    max_leaves=12,
)


@given(TREES)
def test_a_tree_is_its_leaves_in_its_structure(value):
    leaves, treedef = tree.flatten(value)
    assert leaves == tree.leaves(value)
    assert treedef == tree.structure(value)
    assert tree.unflatten(treedef, leaves) == value
    assert len(tree.paths(value)) == len(leaves) == treedef.num_leaves


@given(TREES)
def test_paths_lead_to_the_leaves(value):
    for path, leaf in zip(tree.paths(value, "value"), tree.leaves(value), strict=True):
        assert eval(path, {"value": value}) == leaf


@given(TREES)
def test_mapping_with_paths_gives_each_leaf_its_own(value):
    pairs = tree.leaves(tree.map_with_path(lambda path, x: f"{path}={x!r}", value, root="t"))
    expected = zip(tree.paths(value, "t"), tree.leaves(value), strict=True)
    assert pairs == [f"{path}={leaf!r}" for path, leaf in expected]


def test_mapping_over_several_trees_needs_one_structure():
    assert tree.map(lambda a, b: a - b, [3, {"x": 5}], [1, {"x": 1}]) == [2, {"x": 4}]
    with pytest.raises(ValueError, match=r"\[1\]\['x'\]"):
        tree.map_with_path(lambda path, a, b: a, [3, {"x": 5}], [1, {"x": [1]}])


def test_a_registered_class_is_differentiated():
    class Line:
        def __init__(self, slope, offset):
            self.slope, self.offset = slope, offset

    tree.register(Line, lambda li: ((li.slope, li.offset), None), lambda aux, parts: Line(*parts))
    change = chainrule.grad(lambda line: line.slope * line.offset)(Line(2.0, 3.0))
    assert (change.slope, change.offset) == (3.0, 2.0)


def test_the_errors_are_those_that_are_raised():
    with pytest.raises(errors.GradientError):
        chainrule.grad(lambda x: x)(np.ones(2))
    assert issubclass(errors.ShapeError, errors.ChainruleError)


def test_a_call_from_outside_is_located_here():
    span = call_from_outside("/nowhere/")
    assert span is not None
    assert span.function == "test_a_call_from_outside_is_located_here"
    assert call_from_outside("/") is None


def test_trees_are_there_at_once():
    code = "import chainrule; print(chainrule.tree.map(abs, [-1]), chainrule.errors.ShapeError)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("[1] ")
