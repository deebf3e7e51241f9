"""Functions that LLVM knows, by name and type."""

from __future__ import annotations

from typing import Any

from .. import ir


def suffix(kind: Any) -> str:
    """Return how LLVM writes a type in the names of its functions."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    bits = "f64" if isinstance(element, ir.DoubleType) else "f32"
    return f"v{kind.count}{bits}" if isinstance(kind, ir.VectorType) else bits


def intrinsic(module: ir.Module, name: str, result: Any, given: list[Any]) -> Any:
    """Return a function that LLVM knows."""
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result, given), name)
