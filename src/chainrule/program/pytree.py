"""Nested containers of arrays, seen as a flat list of leaves and a structure.

A transformation differentiates with respect to flat lists of arrays, while its users keep their
parameters in dicts, lists, tuples, named tuples and dataclasses. ``flatten`` goes from the second
form to the first, and the ``TreeDef`` that it returns goes back.

A node is recognised by its exact type: a subclass of ``dict`` or ``list`` may hold invariants that
a rebuilt copy would break, so it is a leaf until its author calls ``register``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from .containers import (
    BUILTIN,
    DICTS,
    KINDS,
    LEAF_TYPES,
    REGISTERED,
    Kind,
    indices,
    is_dataclass,
)
from .plans import OFTEN, Build, Plans, builder_of

__all__ = ["LEAF", "TreeDef", "flatten", "leaf_paths", "register", "tree_map"]


class TreeDef:
    """The structure of a tree, without its leaves.

    Two structures are equal when they nest the same containers with the same keys; the insertion
    order of a dict's keys is kept for ``unflatten`` but does not count.

    Examples
    --------
    >>> leaves, treedef = flatten({"W": 1.0, "b": [2.0, None]})
    >>> leaves
    [1.0, 2.0]
    >>> treedef
    TreeDef({'W': *, 'b': [*, None]})
    >>> treedef.unflatten([10, 20])
    {'W': 10, 'b': [20, None]}
    """

    __slots__ = ("_aux", "_builder", "_children", "_hash", "_kind", "_unflattened", "num_leaves")

    num_leaves: int

    def __init__(
        self, kind: Kind | None, aux: Any, children: tuple[TreeDef, ...], num_leaves: int
    ) -> None:
        self._kind = kind
        self._aux = aux
        self._children = children
        self._hash: int | None = None
        self._builder: Build | None = None
        self._unflattened = 0
        self.num_leaves = num_leaves

    @property
    def parts(self) -> tuple[Kind | None, Any, tuple[TreeDef, ...]]:
        """Kind and auxiliary data of the root, and the structures of its children."""
        return self._kind, self._aux, self._children

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """Put leaves, in the order in which ``flatten`` gave them, into this structure."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(f"{self!r} holds {self.num_leaves} leaves, got {len(leaves)}")
        if self._builder is not None:
            return self._builder(leaves)
        self._unflattened += 1
        if self._unflattened == OFTEN:
            self._builder = builder_of(self)
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        kind = self._kind
        if kind is None:
            return next(leaves)
        children = [next(leaves) if c is LEAF else c._build(leaves) for c in self._children]
        return kind.join(self._aux, children)

    def flatten_like(self, tree: Any, root: str = "tree") -> list[Any]:
        """Leaves of ``tree``, which must have this structure.

        Raises
        ------
        ValueError
            Naming the first place, by its path from ``root``, where ``tree`` differs.

        Examples
        --------
        >>> _, treedef = flatten({"a": 1, "b": (2, 3)})
        >>> treedef.flatten_like({"b": (20, 30), "a": 10})
        [10, 20, 30]
        >>> treedef.flatten_like({"a": 10, "b": [20, 30]}, root="grads")
        Traceback (most recent call last):
            ...
        ValueError: grads['b']: expected a tuple of 2, got a list of 2
        """
        leaves, treedef = flatten(tree)
        if treedef == self:
            return leaves
        # Keys that cannot be sorted flatten in insertion order, so dicts that hold the same keys
        # can still compare unequal here: look the children up by key before calling it an error.
        aligned: list[Any] = []
        self._align(tree, root, aligned)
        return aligned

    def _align(self, tree: Any, path: str, leaves: list[Any]) -> None:
        kind = KINDS[type(tree)]
        if kind is not self._kind:
            raise ValueError(f"{path}: expected {self._describe()}, got {_describe(tree)}")
        if kind is None:
            leaves.append(tree)
            return
        children, aux = kind.split(tree)
        if kind.cls in DICTS and set(aux[0]) == set(self._aux[0]):
            children = [tree[key] for key in self._aux[0]]
        elif kind.identity(aux) != kind.identity(self._aux) or len(children) != len(self._children):
            raise ValueError(f"{path}: expected {self._describe()}, got {_describe(tree)}")
        for name, treedef, child in zip(self._names(), self._children, children, strict=True):
            treedef._align(child, path + name, leaves)

    def leaf_paths(self, root: str = "") -> list[str]:
        """Path of every leaf as an expression that starts with ``root``.

        Examples
        --------
        >>> flatten({"W": 1.0, "b": [2.0, 3.0]})[1].leaf_paths("params")
        ["params['W']", "params['b'][0]", "params['b'][1]"]
        """
        if self._kind is None:
            return [root]
        paths: list[str] = []
        for name, child in zip(self._names(), self._children, strict=True):
            paths.extend(child.leaf_paths(root + name))
        return paths

    def _names(self) -> Sequence[str]:
        assert self._kind is not None
        return self._kind.names(self._aux, len(self._children))

    def _describe(self) -> str:
        """Say in words what the top of this structure is, for an error message."""
        if self._kind is None:
            return "a leaf"
        if self._kind.cls is type(None):
            return "None"
        name = self._kind.cls.__name__
        if self._kind.cls in DICTS:
            keys = ", ".join(repr(key) for key in self._aux[0])
            return f"a {name} with keys {keys}" if keys else f"an empty {name}"
        settings = self._settings()
        return f"a {name} of {len(self._children)}" + (f" with {settings}" if settings else "")

    def _settings(self) -> str:
        """Write the static fields of a dataclass."""
        assert self._kind is not None
        if not is_dataclass(self._kind.cls) or self._kind.cls in REGISTERED:
            return ""
        return ", ".join(f"{field}={value!r}" for field, value in self._aux[1])

    def _text(self) -> str:
        if self._kind is None:
            return "*"
        cls = self._kind.cls
        parts = [child._text() for child in self._children]
        if cls is type(None):
            return "None"
        if cls is tuple:
            return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        if cls is list:
            return f"[{', '.join(parts)}]"
        if cls in DICTS:
            keyed = zip(self._aux[0], parts, strict=True)
            body = "{" + ", ".join(f"{key!r}: {part}" for key, part in keyed) + "}"
            return body if cls is dict else f"{cls.__name__}({body})"
        named = zip(self._names(), parts, strict=True)
        labelled = [f"{name[1:]}={part}" if name[0] == "." else part for name, part in named]
        return f"{cls.__name__}({', '.join(labelled)})"

    def __repr__(self) -> str:
        return f"TreeDef({self._text()})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, TreeDef):
            return NotImplemented
        kind = self._kind
        if kind is not other._kind or self.num_leaves != other.num_leaves:
            return False
        if kind is None:
            return True
        same_aux = kind.identity(self._aux) == kind.identity(other._aux)
        return same_aux and self._children == other._children

    def __hash__(self) -> int:
        if self._hash is None:
            kind = self._kind
            cls, aux = (None, None) if kind is None else (kind.cls, kind.identity(self._aux))
            self._hash = hash((cls, aux, self._children))
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        cls = None if self._kind is None else self._kind.cls
        return _restore, (cls, self._aux, self._children, self.num_leaves)


def _restore(cls: type | None, aux: Any, children: tuple[TreeDef, ...], count: int) -> TreeDef:
    """Rebuild a pickled or copied structure around this process's own container kinds."""
    if cls is None:
        return LEAF
    kind = KINDS[cls]
    if kind is None:
        raise ValueError(f"{cls.__qualname__} is not registered as a container here")
    return TreeDef(kind, aux, children, count)


LEAF = TreeDef(None, None, (), 1)
"""The structure of a bare leaf."""

_PLANS = Plans(LEAF_TYPES.issuperset)


def _describe(tree: Any) -> str:
    treedef = flatten(tree)[1]
    return f"a leaf ({type(tree).__name__})" if treedef is LEAF else treedef._describe()


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """Split a tree into its leaves and its structure.

    Dicts, ``OrderedDict``, ``defaultdict``, lists, tuples, named tuples, dataclass instances and
    registered classes are nodes, ``None`` is a node without children, and everything else is a
    leaf. A dict gives its values in the order of its sorted keys, so that dicts with the same
    keys flatten alike; keys that cannot be sorted keep their insertion order. A dataclass field
    that is declared as ``field(metadata={"static": True})`` is part of the structure and not a
    child; its value has to be hashable.

    Examples
    --------
    >>> leaves, treedef = flatten(({"b": 1, "a": 2}, [3, None]))
    >>> leaves
    [2, 1, 3]
    >>> treedef.unflatten(leaves)
    ({'b': 1, 'a': 2}, [3, None])
    """
    cls = type(tree)
    kind = KINDS[cls]
    if kind is None:
        return [tree], LEAF
    for split, treedef in _PLANS.of(cls):
        found = split(tree)
        if found is not None:
            return found, treedef
    leaves: list[Any] = []
    treedef = _gather(tree, kind, leaves)
    _PLANS.watch(cls, treedef)
    return leaves, treedef


def _gather(tree: Any, kind: Kind, leaves: list[Any]) -> TreeDef:
    start = len(leaves)
    children, aux = kind.split(tree)
    treedefs = []
    for child in children:
        child_kind = KINDS[type(child)]
        if child_kind is None:
            leaves.append(child)
            treedefs.append(LEAF)
        else:
            treedefs.append(_gather(child, child_kind, leaves))
    return TreeDef(kind, aux, tuple(treedefs), len(leaves) - start)


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply ``f`` to each leaf of ``tree`` together with the matching leaves of ``rest``.

    Raises
    ------
    ValueError
        If a tree of ``rest`` has another structure than ``tree``.

    Examples
    --------
    >>> tree_map(lambda p, g: p - 0.5 * g, {"W": 1.0, "b": 2.0}, {"W": 2.0, "b": 4.0})
    {'W': 0.0, 'b': 0.0}
    """
    leaves, treedef = flatten(tree)
    if not rest:
        return treedef.unflatten(map(f, leaves))
    others = [
        treedef.flatten_like(other, f"tree_map argument {position}: tree")
        for position, other in enumerate(rest, start=2)
    ]
    return treedef.unflatten(map(f, leaves, *others))


def leaf_paths(tree: Any, root: str = "") -> list[str]:
    """Path of every leaf of ``tree``, as an expression that starts with ``root``.

    Examples
    --------
    >>> leaf_paths([{"W": 1.0}, (2.0, 3.0)], "params")
    ["params[0]['W']", 'params[1][0]', 'params[1][1]']
    """
    return flatten(tree)[1].leaf_paths(root)


def register(
    cls: type,
    flatten: Callable[[Any], tuple[Sequence[Any], Hashable]],
    unflatten: Callable[[Any, list[Any]], Any],
    names: Callable[[Any], Sequence[str]] | None = None,
) -> None:
    """Make the instances of a class nodes of a tree.

    Parameters
    ----------
    cls : type
        The class; subclasses need a registration of their own.
    flatten : callable
        Gives ``(children, aux)`` of an instance. ``aux`` holds what is not differentiated and
        must be hashable.
    unflatten : callable
        Builds an instance from ``(aux, children)``. It must accept children of any type.
    names : callable, optional
        Gives, from ``aux``, the text that leads to each child, such as ``".weight"``.

    Examples
    --------
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> register(
    ...     Interval,
    ...     lambda i: ((i.low, i.high), None),
    ...     lambda aux, children: Interval(*children),
    ...     names=lambda aux: (".low", ".high"),
    ... )
    >>> leaf_paths(Interval(1.0, 2.0), "bounds")
    ['bounds.low', 'bounds.high']
    """
    if cls in BUILTIN or cls in REGISTERED:
        raise ValueError(f"{cls.__qualname__} is already a tree node")
    REGISTERED.add(cls)
    given = names
    label = indices if given is None else lambda aux, count: given(aux)
    KINDS[cls] = Kind(cls, flatten, unflatten, label)
    LEAF_TYPES.discard(cls)
    _PLANS.clear()
