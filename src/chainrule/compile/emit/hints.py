"""What LLVM's vectoriser is told about a loop."""

from __future__ import annotations

from .. import ir


def one_at_a_time(b: ir.IRBuilder, counter: ir.Phi) -> None:
    """Let the loop with a counter work at one vector at a time.

    LLVM counts a call as little. With the calls written out there would not be registers enough
    for several; and the processor starts with the next vector by itself.
    """
    _, last = counter.incoming[-1]
    last.lines[-1] += b.module.hint("llvm.loop.interleave.count", 1)
