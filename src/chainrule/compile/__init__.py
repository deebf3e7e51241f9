"""From a program to machine code."""

from .jit import Compiled, jit
from .warning import JitWarning

__all__ = ["Compiled", "JitWarning", "jit"]
