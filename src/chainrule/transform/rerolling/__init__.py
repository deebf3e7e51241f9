"""Finding the loops again that a trace has unrolled."""

from .passes import reroll, reroll_equations

__all__ = ["reroll", "reroll_equations"]
