"""Finding the loops again that a trace has unrolled."""

from .passes import reroll

__all__ = ["reroll"]
