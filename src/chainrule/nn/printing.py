"""How models are printed: their layers, with the shapes and the numbers of their parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .. import tree


def parameter_count(model: Any) -> int:
    """Return how many numbers the leaves of a model hold.

    Examples
    --------
    >>> from chainrule import nn, random
    >>> nn.parameter_count(nn.Linear.init(random.key(0), 3, 4))
    16
    """
    return sum(int(np.size(leaf)) for leaf in tree.leaves(model))


def summary(model: Any) -> str:
    """Write a model with the shapes and the numbers of its parameters.

    Any dataclass can be printed so; the layers of this room do it by themselves.

    Examples
    --------
    >>> from chainrule import nn, random
    >>> first, second = random.split(random.key(0))
    >>> print(nn.summary([nn.Linear.init(first, 3, 40), nn.Linear.init(second, 40, 2)]))
    [  # 242 parameters
      Linear(weight=float64[40, 3], bias=float64[40]),  # 160
      Linear(weight=float64[2, 40], bias=float64[2]),  # 82
    ]
    """
    count = parameter_count(model)
    unit = "parameter" if count == 1 else "parameters"
    first, *rest = _lines(model)
    return "\n".join([f"{first}  # {count:,} {unit}" if count else first, *rest])


class Printed:
    """A mixin that prints a dataclass by :func:`summary`; it does nothing else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return summary(self)


def _lines(node: Any) -> list[str]:
    """Return a node on one line if it holds no other layers, else with a line for each."""
    if not _holds_layers(node):
        return [_inline(node)]
    opening, closing, parts = _parts(node)
    lines = [opening]
    for label, child in parts:
        count = 0 if isinstance(child, bool | int | float | str) else parameter_count(child)
        first, *rest = _lines(child)
        if rest:
            first, last = f"{label}{first}", rest.pop() + ","
            lines += [f"  {first}  # {count:,}" if count else f"  {first}"]
            lines += [f"  {line}" for line in (*rest, last)]
        else:
            lines.append(f"  {label}{first}," + (f"  # {count:,}" if count else ""))
    return [*lines, closing]


def _holds_layers(node: Any) -> bool:
    if isinstance(node, list | tuple):
        return any(_is_layer(child) or _holds_layers(child) for child in node)
    if isinstance(node, dict):
        return _holds_layers(list(node.values()))
    if not _is_layer(node) or hasattr(node, "__inline__"):
        return False
    return _holds_layers([child for _, child in _fields(node)])


def _is_layer(node: Any) -> bool:
    return dataclasses.is_dataclass(node) and not isinstance(node, type)


def _fields(node: Any) -> list[tuple[str, Any]]:
    """Return names and values of the fields that say something."""
    fields = []
    for field in dataclasses.fields(node):
        value = getattr(node, field.name, None)
        is_default = field.metadata.get("static") and value == field.default
        if value is not None and not is_default:
            fields.append((field.name, value))
    return fields


def _parts(node: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    if isinstance(node, dict):
        return "{", "}", [(f"{key!r}: ", child) for key, child in node.items()]
    if isinstance(node, list):
        return "[", "]", [("", child) for child in node]
    if isinstance(node, tuple):
        return "(", ")", [("", child) for child in node]
    fields = _fields(node)
    name = type(node).__name__
    if len(fields) == 1 and isinstance(fields[0][1], tuple):  # a container: no need for its name
        return f"{name}(", ")", [("", child) for child in fields[0][1]]
    return f"{name}(", ")", [(f"{label}=", child) for label, child in fields]


def _inline(node: Any) -> str:
    if hasattr(node, "__inline__"):
        return str(node.__inline__())
    if _is_layer(node):
        fields = ", ".join(f"{name}={_inline(value)}" for name, value in _fields(node))
        return f"{type(node).__name__}({fields})"
    if hasattr(node, "shape") and hasattr(node, "dtype"):
        return f"{node.dtype}[{', '.join(map(str, node.shape))}]"
    if callable(node):
        return getattr(node, "__name__", type(node).__name__)
    if isinstance(node, list | tuple | dict):
        opening, closing, parts = _parts(node)
        comma = "," if isinstance(node, tuple) and len(node) == 1 else ""
        return (
            opening + ", ".join(label + _inline(child) for label, child in parts) + comma + closing
        )
    return repr(node)
