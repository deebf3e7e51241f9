"""Trees of arrays: parameters in dicts, lists, tuples, named tuples and dataclasses.

Every transformation takes and gives such trees. The functions here are for the code between them,
such as the step of an optimiser. A class of your own becomes a node by :func:`register`; a
dataclass is one already.

Examples
--------
>>> from chainrule import tree
>>> params = {"W": 1.0, "layers": [2.0, 3.0]}
>>> tree.map(lambda p: 10 * p, params)
{'W': 10.0, 'layers': [20.0, 30.0]}
>>> tree.paths(params, "params")
["params['W']", "params['layers'][0]", "params['layers'][1]"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .program.pytree import TreeDef, flatten, register
from .program.pytree import leaf_paths as paths
from .program.pytree import tree_map as map

__all__ = [
    "TreeDef",
    "flatten",
    "leaves",
    "map",
    "map_with_path",
    "paths",
    "register",
    "structure",
    "unflatten",
]


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a tree, in the order in which :func:`flatten` gives them.

    Examples
    --------
    >>> leaves({"b": 1.0, "a": [2.0, None]})
    [2.0, 1.0]
    """
    return flatten(tree)[0]


def structure(tree: Any) -> TreeDef:
    """Return the structure of a tree, without its leaves.

    Examples
    --------
    >>> structure({"b": 1.0, "a": [2.0, None]})
    TreeDef({'a': [*, None], 'b': *})
    >>> structure([1, 2]) == structure([3, 4])
    True
    """
    return flatten(tree)[1]


def unflatten(treedef: TreeDef, leaves: Iterable[Any]) -> Any:
    """Put leaves into a structure.

    Examples
    --------
    >>> unflatten(structure({"b": 1.0, "a": 2.0}), [20, 10])
    {'b': 10, 'a': 20}
    """
    return treedef.unflatten(leaves)


def map_with_path(f: Callable[..., Any], tree: Any, *rest: Any, root: str = "") -> Any:
    """Apply ``f(path, leaf, ...)`` to each leaf of a tree and its matching leaves in others.

    Parameters
    ----------
    f : callable
        Gets the path of the leaf as :func:`paths` writes it, and the leaf of each tree.
    tree, *rest : pytree
        Trees of one structure.
    root : str
        What the paths begin with.

    Examples
    --------
    >>> params = {"weight": 1.0, "bias": 2.0}
    >>> map_with_path(lambda path, p: 0.0 if "bias" in path else p, params)
    {'weight': 1.0, 'bias': 0.0}
    """
    names = unflatten(structure(tree), paths(tree, root))
    return map(f, names, tree, *rest)
