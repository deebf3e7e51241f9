"""What LLVM's vectoriser is told about a loop."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.ir.values import MDValue

_I32 = ir.IntType(32)


class _LoopId(MDValue):
    """The identity of a loop, a node of metadata that names itself first."""

    def descr(self, buf: Any) -> None:
        """Write the node's text."""
        names = [o.get_reference() for o in (self, *self.operands)]
        buf += (f"distinct !{{ {', '.join(names)} }}", "\n")


def one_at_a_time(b: ir.IRBuilder, counter: Any) -> None:
    """Let the loop with a counter work at one vector at a time.

    LLVM counts a call as little. With the calls written out there would not be registers enough
    for several; and the processor starts with the next vector by itself.
    """
    count = b.module.add_metadata(["llvm.loop.interleave.count", ir.Constant(_I32, 1)])
    name = str(len(b.module.metadata))
    _, last = counter.incomings[-1]
    last.terminator.set_metadata("llvm.loop", _LoopId(b.module, [count], name))
