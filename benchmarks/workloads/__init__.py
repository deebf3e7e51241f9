"""One module per workload.

A workload is a module with

- ``TITLE``: what it is, in a few words;
- ``inputs()``: the arguments, as NumPy arrays or floats, the same on every call;
- ``build(np)``: the function to differentiate by all arguments, written in plain NumPy; ``np`` is
  NumPy, or the namespace that a peer wants in its place;
- ``OPERATIONS``: how many primitive operations one evaluation performs.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = ("worked_example", "rosenbrock", "elementwise", "rnn_loop")


def load(name: str) -> ModuleType:
    """Return the module of a workload."""
    return import_module(f"{__name__}.{name}")
