"""The operations that a program is made of; importing this room fills their tables."""

from . import contraction, elementwise, indexing, inspection, layout, reductions

__all__ = ["contraction", "elementwise", "indexing", "inspection", "layout", "reductions"]
