"""Making a program shorter without changing what it computes."""

from .passes import simplify

__all__ = ["simplify"]
