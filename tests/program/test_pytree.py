"""Trees go to leaves and back unchanged, whatever they are made of."""

import copy
import pickle
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.program.pytree import LEAF, TreeDef, flatten, leaf_paths, register, tree_map


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Layer:
    W: Any
    b: Any = 0.0


@dataclass(frozen=True, slots=True)
class Frozen:
    scale: Any
    shift: Any


@dataclass
class Derived:
    a: Any
    twice: Any = field(init=False)
    constructed: int = field(default=0, init=False)

    def __post_init__(self):
        self.twice = 2 * self.a
        self.constructed += 1


@dataclass
class Unset:
    a: Any
    cache: Any = field(init=False)


class Dense:
    def __init__(self, weight, bias, activation):
        self.weight, self.bias, self.activation = weight, bias, activation


register(
    Dense,
    lambda d: ((d.weight, d.bias), d.activation),
    lambda activation, children: Dense(*children, activation),
    names=lambda activation: (".weight", ".bias"),
)


class Pair:
    def __init__(self, *items):
        self.items = items


register(Pair, lambda p: (p.items, None), lambda aux, children: Pair(*children))


def containers(children):
    keys = st.text(max_size=3) | st.integers()
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
        st.dictionaries(keys, children, max_size=4),
        st.dictionaries(keys, children, max_size=4).map(OrderedDict),
        st.dictionaries(keys, children, max_size=4).map(lambda d: defaultdict(list, d)),
        st.builds(Point, children, children),
        st.builds(Layer, children, children),
        st.builds(Frozen, children, children),
    )


leaves = st.integers() | st.text(max_size=2)
trees = st.recursive(leaves | st.none(), containers, max_leaves=12)


@given(trees)
def test_unflatten_undoes_flatten(tree):
    parts, treedef = flatten(tree)
    rebuilt = treedef.unflatten(parts)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)
    assert treedef.num_leaves == len(parts) == len(leaf_paths(tree))
    assert flatten(rebuilt)[1] == treedef


@given(trees)
def test_structure_does_not_depend_on_the_leaves(tree):
    parts, treedef = flatten(tree)
    other = flatten(treedef.unflatten([object() for _ in parts]))[1]
    assert other == treedef
    assert hash(other) == hash(treedef)
    assert repr(other) == repr(treedef)


@given(trees)
def test_structure_survives_copying_and_pickling(tree):
    parts, treedef = flatten(tree)
    for twin in (copy.copy(treedef), copy.deepcopy(treedef), pickle.loads(pickle.dumps(treedef))):
        assert twin == treedef
        assert twin.unflatten(parts) == tree


@given(trees)
def test_paths_are_expressions_that_reach_the_leaves(tree):
    parts = flatten(tree)[0]
    paths = leaf_paths(tree, "tree")
    assert [eval(path, {"tree": tree}) for path in paths] == parts


@given(trees, trees)
def test_equal_structures_and_only_they_can_be_mapped_together(first, second):
    same = flatten(first)[1] == flatten(second)[1]
    try:
        mapped = tree_map(lambda a, b: b, first, second)
    except ValueError:
        assert not same
    else:
        assert flatten(mapped)[0] == flatten(first)[1].flatten_like(second)


def test_bare_leaf_and_none():
    x = np.ones(3)
    assert flatten(x)[0][0] is x
    assert flatten(x)[1] is LEAF
    assert LEAF.unflatten([x]) is x
    assert flatten(None)[0] == []
    assert flatten(None)[1].unflatten([]) is None
    assert flatten(None)[1] != LEAF


def test_dict_flattens_by_sorted_key_and_keeps_its_insertion_order():
    tree = {"b": 1, "a": 2}
    parts, treedef = flatten(tree)
    assert parts == [2, 1]
    assert list(treedef.unflatten(parts)) == ["b", "a"]
    assert treedef == flatten({"a": 2, "b": 1})[1]
    assert hash(treedef) == hash(flatten({"a": 2, "b": 1})[1])


def test_keys_that_cannot_be_sorted_are_still_matched_by_key():
    tree = {1: "one", "a": "letter"}
    assert flatten(tree)[0] == ["one", "letter"]
    mapped = tree_map(lambda x, y: (x, y), tree, {"a": "b", 1: "two"})
    assert mapped == {1: ("one", "two"), "a": ("letter", "b")}


def test_container_types_are_told_apart():
    kinds = [(1, 2), [1, 2], Point(1, 2), Frozen(1, 2), {0: 1, 1: 2}, OrderedDict({0: 1, 1: 2})]
    treedefs = [flatten(tree)[1] for tree in kinds]
    assert len(set(treedefs)) == len(kinds)


def test_structure_compares_with_other_types():
    assert flatten((1,))[1] != "TreeDef"
    assert flatten(1)[1] != 1


def test_defaultdict_keeps_its_factory():
    rebuilt = flatten(defaultdict(list, a=1))[1].unflatten([2])
    assert rebuilt["missing"] == []


def test_namedtuple_with_a_checking_constructor():
    base = namedtuple("base", "low high")

    class Interval(base):
        __slots__ = ()

        def __new__(cls, low, high):
            assert low < high
            return super().__new__(cls, low, high)

    rebuilt = tree_map(lambda v: -v, Interval(1, 2))
    assert type(rebuilt) is Interval
    assert rebuilt == (-1, -2)


def test_dataclass_is_rebuilt_without_running_its_constructor():
    tree = Derived(3)
    assert flatten(tree)[0] == [3, 6, 1]
    mapped = tree_map(lambda v: v * 10, tree)
    assert (mapped.a, mapped.twice, mapped.constructed) == (30, 60, 10)


def test_dataclass_field_that_was_never_set():
    parts, treedef = flatten(Unset(1))
    assert parts == [1]
    assert not hasattr(treedef.unflatten([2]), "cache")
    full = Unset(1)
    full.cache = 5
    with pytest.raises(ValueError, match="expected a Unset of 1, got a Unset of 2"):
        treedef.flatten_like(full)


@dataclass(frozen=True)
class Strided:
    weight: Any
    stride: int = field(default=1, metadata={"static": True})


def test_static_field_is_part_of_the_structure():
    parts, treedef = flatten(Strided(2.0, 3))
    assert parts == [2.0]
    assert treedef.unflatten([5.0]) == Strided(5.0, 3)
    assert treedef == flatten(Strided(7.0, 3))[1]
    assert treedef != flatten(Strided(2.0, 4))[1]
    assert hash(treedef) == hash(flatten(Strided(7.0, 3))[1])
    assert leaf_paths(Strided(2.0, 3), "layer") == ["layer.weight"]
    assert tree_map(lambda v: v + 1, Strided(2.0, 3)) == Strided(3.0, 3)
    with pytest.raises(ValueError, match="a Strided of 1 with stride=3, got a Strided of 1 with"):
        treedef.flatten_like(Strided(2.0, 4))


def test_dataclass_class_is_a_leaf():
    assert flatten(Layer)[0] == [Layer]


def test_subclass_of_a_container_is_a_leaf():
    class Params(dict):
        pass

    tree = Params(a=1)
    assert flatten(tree)[0][0] is tree


def test_array_valued_dataclass_fields():
    layer = tree_map(lambda v: v + 1, Layer(np.zeros((2, 2)), np.zeros(2)))
    np.testing.assert_array_equal(layer.W, np.ones((2, 2)))
    np.testing.assert_array_equal(layer.b, np.ones(2))


def test_registered_class():
    tree = {"net": [Dense(1, 2, "relu"), Pair(3, 4)]}
    parts, treedef = flatten(tree)
    assert parts == [1, 2, 3, 4]
    paths = treedef.leaf_paths("m")
    assert paths == ["m['net'][0].weight", "m['net'][0].bias", "m['net'][1][0]", "m['net'][1][1]"]
    rebuilt = treedef.unflatten([10, 20, 30, 40])["net"]
    assert (rebuilt[0].weight, rebuilt[0].bias, rebuilt[0].activation) == (10, 20, "relu")
    assert rebuilt[1].items == (30, 40)
    assert flatten(Dense(1, 2, "relu"))[1] != flatten(Dense(1, 2, "tanh"))[1]
    assert repr(treedef) == "TreeDef({'net': [Dense(weight=*, bias=*), Pair(*, *)]})"


def test_registering_a_class_that_was_met_as_a_leaf():
    class Late:
        def __init__(self, value):
            self.value = value

    assert flatten(Late(1))[1] is LEAF
    register(Late, lambda late: ((late.value,), None), lambda aux, children: Late(*children))
    assert flatten(Late(1))[0] == [1]


@pytest.mark.parametrize("cls", [dict, list, tuple, type(None), Dense])
def test_registering_twice_is_refused(cls):
    with pytest.raises(ValueError, match="already a tree node"):
        register(cls, lambda tree: ((), None), lambda aux, children: None)


def test_wrong_number_of_leaves():
    with pytest.raises(ValueError, match=r"TreeDef\(\(\*, \*\)\) holds 2 leaves, got 3"):
        flatten((1, 2))[1].unflatten([1, 2, 3])


@pytest.mark.parametrize(
    ("tree", "other", "message"),
    [
        ({"W": [1, 2]}, {"W": (1, 2)}, r"tree['W']: expected a list of 2, got a tuple of 2"),
        ({"W": [1, 2]}, {"W": [1]}, r"tree['W']: expected a list of 2, got a list of 1"),
        ({"W": 1}, {"V": 1}, r"tree: expected a dict with keys 'W', got a dict with keys 'V'"),
        ({"W": 1}, {}, r"tree: expected a dict with keys 'W', got an empty dict"),
        ([1, (2,)], [1, 2], r"tree[1]: expected a tuple of 1, got a leaf (int)"),
        ([1, 2], [1, None], r"tree[1]: expected a leaf, got None"),
        ([1, None], [1, 2.0], r"tree[1]: expected None, got a leaf (float)"),
        (Layer(1, 2), Layer(1, [2]), r"tree.b: expected a leaf, got a list of 1"),
        (Point(1, 2), (1, 2), r"tree: expected a Point of 2, got a tuple of 2"),
    ],
)
def test_mismatch_names_the_place(tree, other, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        tree_map(lambda a, b: a, tree, other)
    assert str(caught.value) == f"tree_map argument 2: {message}"


def test_repr():
    tree = {"b": (1,), "a": [None, Layer(1, Point(2, 3))], "c": OrderedDict(x=1), "d": ()}
    text = "{'a': [None, Layer(W=*, b=Point(x=*, y=*))], 'b': (*,), 'c': OrderedDict({'x': *})"
    assert repr(flatten(tree)[1]) == f"TreeDef({text}, 'd': ()}})"
    assert isinstance(flatten(tree)[1], TreeDef)
