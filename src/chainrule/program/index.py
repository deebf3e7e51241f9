"""What stands between the brackets of ``x[...]``, taken apart into arrays and static rest."""

from __future__ import annotations

from typing import Any


class Hole(int):
    """The place of the n-th array in an index whose arrays are operands of the equation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"#{int(self)}"


def split_index(index: Any) -> tuple[list[Any], tuple[Any, ...]]:
    """Take the arrays out of an index: they become operands, the rest is static."""
    parts: list[Any] = []
    spec: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if hasattr(part, "dtype") and getattr(part, "shape", None) is not None:
            spec.append(Hole(len(parts)))
            parts.append(part)
        else:
            spec.append(part)
    return parts, tuple(spec)


def join_index(parts: Any, spec: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put the arrays back where :func:`split_index` took them from."""
    return tuple(parts[p] if type(p) is Hole else p for p in spec)


def index_text(index: Any) -> str:
    """Write an index as it stands in source code."""
    parts = index if isinstance(index, tuple) else (index,)
    return ", ".join(_part_text(p) for p in parts)


def _part_text(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if e is None else str(e) for e in (part.start, part.stop)]
        return ":".join(ends if part.step is None else [*ends, str(part.step)])
    if part is Ellipsis:
        return "..."
    return str(part) if isinstance(part, int | None) else "index"
