"""The types of containers that are nodes of a tree, and how each is taken apart and joined."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from .plans import (
    Coder,
    DataclassCoder,
    DictCoder,
    NamedTupleCoder,
    NothingCoder,
    SequenceCoder,
)

__all__ = [
    "BUILTIN",
    "DICTS",
    "KINDS",
    "LEAF_TYPES",
    "REGISTERED",
    "Kind",
    "indices",
    "is_dataclass",
]


class Kind(NamedTuple):
    """How one container type is taken apart and put together again."""

    cls: type
    split: Callable[[Any], tuple[Sequence[Any], Any]]
    join: Callable[[Any, list[Any]], Any]
    # Text that leads from a node to each child, such as ``['W']``, ``[0]`` or ``.bias``.
    names: Callable[[Any, int], Sequence[str]]
    # The part of the auxiliary data that two equal structures must share.
    identity: Callable[[Any], Hashable] = lambda aux: aux
    coder: Coder | None = None


def indices(aux: Any, count: int) -> list[str]:
    """Return the names of children that are counted."""
    return [f"[{index}]" for index in range(count)]


def _dict_keys(tree: dict[Any, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Keys in flattening order and keys in insertion order."""
    keys = tuple(tree)
    try:
        return tuple(sorted(keys)), keys
    except TypeError:
        return keys, keys


def _split_dict(tree: dict[Any, Any]) -> tuple[list[Any], Any]:
    aux = _dict_keys(tree)
    return [tree[key] for key in aux[0]], aux


def _join_dict(aux: Any, children: list[Any]) -> dict[Any, Any]:
    order, inserted = aux[0], aux[1]
    tree = dict(zip(order, children, strict=True))
    return tree if order == inserted else {key: tree[key] for key in inserted}


def _split_defaultdict(tree: defaultdict[Any, Any]) -> tuple[list[Any], Any]:
    order, inserted = _dict_keys(tree)
    return [tree[key] for key in order], (order, inserted, tree.default_factory)


def _key_names(aux: Any, count: int) -> list[str]:
    return [f"[{key!r}]" for key in aux[0]]


def _namedtuple_kind(cls: Any) -> Kind:
    # ``_make`` goes past a ``__new__`` that a subclass may have overridden to check its values.
    names = tuple("." + name for name in cls._fields)
    return Kind(
        cls,
        split=lambda tree: (tree, None),
        join=lambda aux, children: cls._make(children),
        names=lambda aux, count: names,
        coder=NamedTupleCoder(cls._make),
    )


def is_dataclass(cls: type) -> bool:
    """Return whether a class is a dataclass."""
    return hasattr(cls, "__dataclass_fields__")  # as the module, which takes long to import, does


def _dataclass_kind(cls: Any) -> Kind:
    """All fields are children, but for those declared with ``metadata={"static": True}``.

    Static fields belong to the structure, so their values have to be hashable.

    An instance is rebuilt field by field, without ``__init__`` and ``__post_init__``: those may
    check or convert what a tracer or a gradient cannot satisfy, and they know nothing of fields
    declared with ``init=False``.
    """
    import dataclasses

    declared = dataclasses.fields(cls)
    fields = tuple(field.name for field in declared if not field.metadata.get("static"))
    fixed = tuple(field.name for field in declared if field.metadata.get("static"))

    def split(tree: Any) -> tuple[list[Any], _DataclassAux]:
        settings = tuple((name, getattr(tree, name)) for name in fixed if hasattr(tree, name))
        try:
            return [getattr(tree, name) for name in fields], (fields, settings)
        except AttributeError:  # a field with ``init=False`` that nothing has set yet
            present = tuple(name for name in fields if hasattr(tree, name))
            return [getattr(tree, name) for name in present], (present, settings)

    def join(aux: _DataclassAux, children: list[Any]) -> Any:
        tree = object.__new__(cls)
        for name, value in (*zip(aux[0], children, strict=True), *aux[1]):
            object.__setattr__(tree, name, value)
        return tree

    def names(aux: _DataclassAux, count: int) -> list[str]:
        return ["." + name for name in aux[0]]

    return Kind(cls, split, join, names, coder=DataclassCoder(cls, fields, fixed))


# Names of the fields that are children, and names and values of the static ones.
_DataclassAux = tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]


def _learn(cls: type) -> Kind | None:
    """Kind of a type that was not seen before; None for a leaf."""
    if issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make"):
        return _namedtuple_kind(cls)
    if is_dataclass(cls):
        return _dataclass_kind(cls)
    return None


class _Kinds(dict[type, "Kind | None"]):
    """Kind by exact type; a new type is classified once, when it is first met."""

    def __missing__(self, cls: type) -> Kind | None:
        kind = self[cls] = _learn(cls)
        if kind is None:
            LEAF_TYPES.add(cls)
        return kind


KINDS = _Kinds()
LEAF_TYPES: set[type] = set()
REGISTERED: set[type] = set()
DICTS = (dict, OrderedDict, defaultdict)

for _kind in (
    Kind(
        type(None),
        lambda tree: ((), None),
        lambda aux, children: None,
        indices,
        coder=NothingCoder(),
    ),
    Kind(
        tuple,
        lambda tree: (tree, None),
        lambda aux, children: tuple(children),
        indices,
        coder=SequenceCoder("({})"),
    ),
    Kind(
        list,
        lambda tree: (tree, None),
        lambda aux, children: children,
        indices,
        coder=SequenceCoder("[{}]"),
    ),
    Kind(dict, _split_dict, _join_dict, _key_names, lambda aux: aux[0], DictCoder()),
    Kind(
        OrderedDict,
        _split_dict,
        lambda aux, children: OrderedDict(_join_dict(aux, children)),
        _key_names,
        lambda aux: aux[0],
    ),
    Kind(
        defaultdict,
        _split_defaultdict,
        lambda aux, children: defaultdict(aux[2], _join_dict(aux, children)),
        _key_names,
        lambda aux: aux[0],
    ),
):
    KINDS[_kind.cls] = _kind
BUILTIN = frozenset(KINDS)
