"""The tables of what becomes what: a primitive is emitted as it is, or put together first.

A primitive is in one of two tables. ``EMITTERS`` has those that ONNX has operators for, and
``COMPOSED`` those that are written here in NumPy, in terms of others: what that NumPy code does
takes the place of the equation, so that such an entry needs to know nothing of ONNX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Emitter = Callable[..., Any]
Condition = Callable[..., bool]

EMITTERS: dict[str, Emitter] = {}
"""By name of the step: ``(graph, step, values) -> names of the results``."""

COMPOSED: dict[str, list[tuple[Condition, Callable[..., Any]]]] = {}
"""By name of the primitive: when it applies, and the NumPy code."""


def emits(*names: str) -> Callable[[Emitter], Emitter]:
    """Say that the decorated function emits the step with this name.

    It is called as ``f(graph, out, *values, **params)`` with the type of the result, and returns
    the name of the tensor.
    """

    def register(f: Emitter) -> Emitter:
        def emit(graph: Any, step: Any, values: Any) -> list[str]:
            return [f(graph, step.outs[0].type, *values, **step.params)]

        for name in names:
            EMITTERS[name] = emit
        return f

    return register


def emits_step(name: str) -> Callable[[Emitter], Emitter]:
    """Say that the decorated function emits steps of this name, with all their results."""

    def register(f: Emitter) -> Emitter:
        EMITTERS[name] = f
        return f

    return register


def always(out: Any, *operands: Any, **params: Any) -> bool:
    """Apply to all types."""
    return True


def is_wide(out: Any, *operands: Any, **params: Any) -> bool:
    """Apply to float64, for which onnxruntime has fewer operators than for float32."""
    return bool(out.dtype == np.float64)


def composed(*names: str, when: Condition = always) -> Callable[[Any], Any]:
    """Say that the decorated NumPy code takes the place of these primitives."""

    def register(f: Any) -> Any:
        for name in names:
            COMPOSED.setdefault(name, []).append((when, f))
        return f

    return register
