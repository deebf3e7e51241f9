"""From a program to machine code."""

from .jit import Compiled, JitWarning, jit

__all__ = ["Compiled", "JitWarning", "jit"]
