"""Neighbours: arrays and functions of PyTorch and JAX, and models in ONNX's format.

:func:`from_dlpack` and :func:`to_dlpack` exchange arrays without copying them. A chainrule
function becomes one that PyTorch or JAX differentiates by :func:`to_torch` and :func:`to_jax`, and
a function of theirs becomes one that chainrule differentiates by :func:`from_torch` and
:func:`from_jax`, each to any order. :func:`to_onnx` makes of a function or a network a model for
other runtimes.
"""

from typing import TYPE_CHECKING, Any

from .dlpack import from_dlpack, to_dlpack

if TYPE_CHECKING:
    from .jax import from_jax, to_jax
    from .onnx import to_onnx
    from .torch import from_torch, to_torch

__all__ = [
    "from_dlpack",
    "from_jax",
    "from_torch",
    "to_dlpack",
    "to_jax",
    "to_onnx",
    "to_torch",
]

_ROOMS = {
    "from_torch": "torch",
    "to_torch": "torch",
    "from_jax": "jax",
    "to_jax": "jax",
    "to_onnx": "onnx",
}


def __getattr__(name: str) -> Any:
    """Import the part for a neighbour, and the neighbour with it, when it is first asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    library = _ROOMS[name]
    try:
        room = import_module(f"{__name__}.{library}")
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        wanted = "chainrule[onnx]" if library == "onnx" else library
        raise ImportError(f"{name} needs {library}: pip install {wanted}") from error
    return getattr(room, name)
