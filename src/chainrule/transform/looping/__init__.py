"""Loops that do less: without what nobody reads, and with what can be done outside of them."""

from .passes import improve_loops

__all__ = ["improve_loops"]
