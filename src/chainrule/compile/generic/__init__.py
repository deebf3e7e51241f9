"""One machine code for programs that differ in nothing but the lengths of some axes.

A function is recorded for every combination of shapes. Two recordings that have the same equations
in the same order, and numbers that differ, are made one *generic* program: wherever the numbers
differ it has a symbol, the same for the same pair of numbers. The machine code of that program
serves every further recording that has one number for each symbol, provided that all decisions
which were taken while the code was made are right for these numbers. What the user's code did with
a length needs no attention: it is in the recording.
"""

from .template import Family

__all__ = ["Family"]
