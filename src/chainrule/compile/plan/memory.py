"""Where in the memory of a call each buffer lies: buffers that are not needed together share."""

from __future__ import annotations

from typing import Any

from ...program.records import record
from ..runtime.layout import ALIGNMENT, FRAME_BYTES


@record
class Buffer:
    """Memory of a size that is needed from one step of a program to another.

    Attributes
    ----------
    key : object
        Whose memory it is.
    size : int
        In bytes.
    first, last : int
        The steps.
    offset : int
        Where it lies.
    """

    key: Any
    size: int
    first: int
    last: int
    offset: int = -1

    def meets(self, other: Buffer) -> bool:
        """Tell whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


def arrange(buffers: list[Buffer]) -> int:
    """Give every buffer its place, the largest first, each as low as it can lie.

    Returns
    -------
    int
        How many bytes there are in all, with the frame of the call in front.

    Examples
    --------
    >>> a, b, c = Buffer("a", 100, 0, 1), Buffer("b", 100, 1, 2), Buffer("c", 90, 2, 3)
    >>> arrange([a, b, c])
    320
    >>> [x.offset for x in (a, b, c)]
    [64, 192, 64]
    """
    placed: list[Buffer] = []
    end = FRAME_BYTES
    for buffer in sorted(buffers, key=lambda x: -x.size):
        at = FRAME_BYTES
        for other in sorted((p for p in placed if p.meets(buffer)), key=lambda p: p.offset):
            if at + buffer.size <= other.offset:
                break
            at = max(at, aligned(other.offset + other.size))
        buffer.offset = at
        placed.append(buffer)
        end = max(end, aligned(at + buffer.size))
    return end


def aligned(n: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-n // ALIGNMENT) * ALIGNMENT
