"""Loops that count, and functions that several nests call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from .. import ir
from .scalar import I64

if TYPE_CHECKING:
    from .codegen import Nest

POINTER = ir.PointerType()


@contextmanager
def counted(b: ir.IRBuilder, stop: Any, start: Any = None, step: int = 1) -> Iterator[Any]:
    """Write a loop; the body is what is written inside of the context."""
    before = b.block
    head = b.append_basic_block("loop")
    after = b.append_basic_block("done")
    begin = I64(0) if start is None else start
    b.cbranch(b.icmp_signed("<", begin, stop), head, after)
    b.position_at_end(head)
    i = b.phi(I64, "i")
    i.add_incoming(begin, before)
    yield i
    following = b.add(i, I64(step), flags=["nsw"])
    i.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, stop), head, after)
    b.position_at_end(after)


class Shared:
    """Writes a function that all nests of a module call, instead of a copy of it each."""

    def __init__(self, function: ir.Function) -> None:
        self.b = ir.IRBuilder(function.append_basic_block("entry"))

    def loop(self, stop: Any, start: Any = None) -> AbstractContextManager[Any]:
        """Write a loop."""
        return counted(self.b, stop, start)


def shared(
    nest: Nest,
    name: str,
    given: Sequence[Any],
    write: Callable[[Shared, Sequence[Any]], None],
    effort: str = "usual",
) -> None:
    """Call the function of this name with pointers; ``write`` writes it if there is none yet."""
    module = nest.b.module
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * len(given)), name)
        function.linkage, function.effort = "internal", effort
        for argument in function.args:
            argument.add_attribute("noalias")
        inner = Shared(function)
        write(inner, function.args)
        inner.b.ret_void()
    nest.b.call(function, given)
