"""What a convolutional network has learned to look for, and what it sees in one example."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn
from .pictures import feature_tiles, filter_tiles, picture

__all__ = ["convolutions", "describe", "watched"]


def convolutions(model: Any) -> list[tuple[str, Any]]:
    """Return the two-dimensional convolutions in a model, with their paths.

    Examples
    --------
    >>> from chainrule import random
    >>> conv = nn.Conv2d.init(random.key(0), 1, 4, 3)
    >>> [path for path, layer in convolutions(nn.Sequential(conv, nn.relu))]
    ['layers[0]']
    """
    found: list[tuple[str, Any]] = []

    def note(path: str, layer: Any) -> Any:
        found.append((path, layer))
        return layer

    _replaced(model, note, "")
    return found


def watched(model: Any, seen: dict[str, Any]) -> Any:
    """Return the same model, whose convolutions leave their outputs in a dict by path.

    Examples
    --------
    >>> from chainrule import random
    >>> model = nn.Sequential(nn.Conv2d.init(random.key(0), 1, 4, 3), nn.relu)
    >>> seen = {}
    >>> outputs = watched(model, seen)(np.ones((1, 1, 8, 8)))
    >>> {path: maps.shape for path, maps in seen.items()}
    {'layers[0]': (1, 4, 6, 6)}
    """
    return _replaced(model, lambda path, layer: _Watched(path, layer, seen), "")


def describe(
    model: Any, predict: Callable[[Any, Any], Any], example: Any, where: int = 0
) -> dict[str, Any]:
    """Return the filters of a model's convolutions and their answers to an example.

    Parameters
    ----------
    model : pytree
        It has at least one two-dimensional convolution.
    predict : callable
        ``predict(model, inputs)`` runs the model.
    example : array or None
        One input, without the axis of the batch.
    where : int
        Its place in the validation data.
    """
    seen: dict[str, Any] = {}
    if example is not None:
        predict(watched(model, seen), np.asarray(example)[None])
    layers = []
    for path, layer in convolutions(model):
        maps = seen.get(path)
        layers.append(
            {
                "name": f"{path} {type(layer).__name__}".strip(),
                "filters": filter_tiles(np.asarray(layer.weight)),
                "maps": None if maps is None else feature_tiles(np.asarray(maps)[0]),
            }
        )
    shown = None if example is None else {"index": where, "input": picture(example)}
    return {"layers": layers, "example": shown}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class _Watched:
    path: str
    layer: Any
    seen: dict[str, Any]

    def __call__(self, x: Any) -> Any:
        y = self.layer(x)
        self.seen[self.path] = y
        return y


def _replaced(node: Any, replace: Callable[[str, Any], Any], path: str) -> Any:
    """Return a model with another layer in place of each convolution."""
    if isinstance(node, nn.Conv2d):
        return replace(path.removeprefix("."), node)
    if isinstance(node, tuple | list):
        items = [_replaced(item, replace, f"{path}[{i}]") for i, item in enumerate(node)]
        if isinstance(node, tuple) and hasattr(node, "_fields"):
            return type(node)(*items)
        return type(node)(items)
    if isinstance(node, dict):
        return {key: _replaced(item, replace, f"{path}[{key!r}]") for key, item in node.items()}
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        changed = copy.copy(node)
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            new = _replaced(value, replace, f"{path}.{field.name}")
            if new is not value:
                object.__setattr__(changed, field.name, new)
        return changed
    return node
