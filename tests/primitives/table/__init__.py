"""The table of all operations: what is called, with which arguments, and how it may be checked.

To test another operation add one row to its family. ``test_table.py`` runs every row through every
mode.
"""

from . import algebra, arrays, elementwise
from .rows import ROWS, Row

__all__ = ["ROWS", "Row", "algebra", "arrays", "elementwise"]
