"""From a program to machine code."""

from .jit import Compiled, jit
from .threads import num_threads, set_num_threads
from .warning import JitWarning

__all__ = ["Compiled", "JitWarning", "jit", "num_threads", "set_num_threads"]
