"""An explanation as plain data: for JSON, and for programs that show it in their own way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation
    from .steps import Step

MAX_ELEMENTS = 1000


def to_dict(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as dicts, lists, texts and finite numbers."""
    good, all_ = explanation.edges
    return {
        "function": explanation.function,
        "place": explanation.place,
        "level": explanation.level,
        "output": explanation.output,
        "value": _number(explanation.value),
        "edges": all_,
        "edges_verified": good,
        "verified": explanation.verified,
        "legend": dict(explanation.legend),
        "unused": list(explanation.unused),
        "steps": [_step(step) for step in explanation.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    span = step.span
    return {
        "index": step.index,
        "symbol": step.symbol,
        "name": step.name,
        "rule": step.rule,
        "formula": step.formula,
        "file": None if span is None else span.file,
        "line": step.line,
        "source": None if span is None or span.statement is None else span.statement.text,
        "shape": list(step.shape),
        "shapes": step.shapes,
        "dtype": str(np.asarray(step.value).dtype),
        "norm": _number(step.norm),
        "gain": _number(step.gain),
        "leaf": step.leaf,
        "error": _number(step.error),
        "verified": step.verified,
        "smooth": step.smooth,
        "masked": _number(step.masked),
        "note": step.note,
        "gradient": _array(step.value),
    }


def _number(value: Any) -> float | str | None:
    """Return a number; a text for those that JSON does not know."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def _array(value: Any) -> Any:
    """Return an array as nested lists; None if it is too large to be read."""
    array = np.asarray(value)
    if array.size > MAX_ELEMENTS:
        return None
    if array.dtype.kind == "c":
        return {"real": _array(array.real), "imag": _array(array.imag)}
    if array.ndim:
        return [_array(row) for row in array]
    return _number(array)
