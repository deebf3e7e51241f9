"""Loops that count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import ir
from .scalar import I64


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
