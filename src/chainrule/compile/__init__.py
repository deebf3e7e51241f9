"""From a program to machine code."""

from .jit import Compiled, explain_compile, jit
from .runtime.buffers import clear_buffers
from .runtime.threads import num_threads, set_num_threads
from .warning import JitWarning

__all__ = [
    "Compiled",
    "JitWarning",
    "clear_buffers",
    "explain_compile",
    "jit",
    "num_threads",
    "set_num_threads",
]
