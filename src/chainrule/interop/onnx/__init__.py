"""Models for other runtimes: a function or a network in ONNX's format."""

from .export import to_onnx

__all__ = ["to_onnx"]
