"""Code that is written for a structure gives what the search gives, and only for that structure."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from chainrule.program import pytree
from chainrule.program.plans import OFTEN, Plans, builder_of, splitter_of
from chainrule.program.pytree import LEAF, flatten, register, tree_map

from .test_pytree import Pair, Unset, trees


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Layer:
    weight: Any
    bias: Any = None
    rate: float = field(default=0.5, metadata={"static": True})


@dataclass(frozen=True, slots=True)
class Frozen:
    scale: Any


def known(types):
    return all(cls in (int, float, str, object) for cls in types)


@given(trees)
def test_written_code_does_what_the_search_does(tree):
    leaves, treedef = flatten(tree)
    split, build = splitter_of(treedef, known), builder_of(treedef)
    if split is not None and type(tree) not in (int, str):
        assert split(tree) == leaves
    if build is not None:
        rebuilt = build(leaves)
        assert rebuilt == tree
        assert type(rebuilt) is type(tree)


@pytest.mark.parametrize(
    ("tree", "other"),
    [
        ((1, 2), (1, 2, 3)),
        ((1, 2), (1, (2,))),
        ((1, (2,)), (1, [2])),
        ([1, None], [1, 2]),
        ([1, 2], [1, None]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),  # another order to be rebuilt in
        ([{"a": 1}], [OrderedDict(a=1)]),
        ([Layer(1)], [Layer(1, 2)]),
        ([Layer(1)], [Layer(1, rate=0.25)]),
        ([Layer(1, rate=1)], [Layer(1, rate=True)]),  # equal, but not the same
        ([Layer(1)], [Frozen(1)]),
        (Point(1, 2), Point(1, [2])),
        ([Unset(1)], [1]),
    ],
)
def test_a_tree_of_another_structure_is_not_taken(tree, other):
    split = splitter_of(flatten(tree)[1], known)
    assert split is None or split(other) is None


@pytest.mark.parametrize("tree", [[Pair(1)], {1: 2}, [OrderedDict(a=1)], [Unset(1)]])
def test_no_code_is_written_where_equal_may_not_be_the_same(tree):
    assert splitter_of(flatten(tree)[1], known) is None


def test_a_field_that_is_gone_is_noticed():
    layer = Layer(1, 2)
    split = splitter_of(flatten([layer])[1], known)
    assert split([layer]) == [1, 2]
    del layer.weight
    assert split([layer]) is None


def test_often_is_soon():
    plans, treedef = Plans(known), flatten([1, [2]])[1]
    for _ in range(2 * OFTEN):
        assert plans.of(list) == ()
        plans.watch(list, treedef)
    ((split, planned),) = plans.of(list)
    assert planned is treedef
    assert split([3, [4]]) == [3, 4]
    plans.clear()
    assert plans.of(list) == ()


def test_many_structures_in_turn_have_little_code_written():
    plans = Plans(known)
    structures = [flatten([0] * n)[1] for n in range(1, 60)]
    written = set()
    for treedef in structures * 2:
        for _ in range(2 * OFTEN):
            plans.watch(list, treedef)
        assert len(plans.of(list)) <= 4
        written.update(id(split) for split, _ in plans.of(list))
    assert len(written) < 12


def test_the_same_structure_comes_back_as_the_same_object(monkeypatch):
    # whatever structures other tests have brought, these are watched from the beginning
    monkeypatch.setattr(pytree, "_PLANS", Plans(pytree.LEAF_TYPES.issuperset))
    trees = [{"layers": (Layer(float(i), [i]), Frozen(i))} for i in range(4 * OFTEN)]
    found = [flatten(tree) for tree in trees]
    assert [leaves for leaves, _ in found] == [[float(i), i, i] for i in range(len(trees))]
    assert found[-1][1] is found[-2][1]
    assert found[-1][1] == found[0][1]
    for tree in trees:
        assert tree_map(lambda leaf: leaf, tree) == tree


def test_a_class_that_is_registered_later_is_a_node_from_then_on():
    class Box:
        def __init__(self, item):
            self.item = item

    trees = [[Box(i)] for i in range(4 * OFTEN)]
    assert all(flatten(tree)[0] == tree for tree in trees)
    register(Box, lambda box: ((box.item,), None), lambda aux, children: Box(*children))
    assert [flatten(tree)[0] for tree in trees] == [[i] for i in range(len(trees))]


def test_a_leaf_needs_no_code():
    assert flatten(1.0) == ([1.0], LEAF)
