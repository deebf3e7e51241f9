"""What became of a function: its program, loop nests, memory and code, and the time it took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..program.equation import Equation, Var
from ..program.printing import names_of
from ..program.program import Program

if TYPE_CHECKING:
    from .jit import Compiled
    from .native import Native
    from .tiers import Watch

WIDTH = 100


class Compilation:
    """How a function was compiled for some arguments. Print it.

    Attributes
    ----------
    recorded : Program
        What the function computes, as it was recorded.
    program : Program
        The same after simplification, which is what is compiled.
    parts : list of Native
        The native functions: one, or several if parts are left to NumPy.
    """

    def __init__(self, compiled: Compiled, name: str) -> None:
        self.name = name
        self.recorded: Program = compiled.program
        native = compiled.native
        self.program: Program = compiled.program if native is None else native.program
        self.left = dict(getattr(native, "left", {}))
        candidates = [native] if native is not None else []
        if self.left:
            candidates = [part for part, _, _ in native.parts]
        self.watch = compiled.watch
        self.parts: list[Native] = [p for p in candidates if type(p).__name__ == "Native"]

    @property
    def llvm(self) -> str:
        """The LLVM assembly after optimisation."""
        return "\n".join(part.code.optimised for part in self.parts)

    @property
    def assembly(self) -> str:
        """The instructions of the processor."""
        return "\n".join(part.code.assembly for part in self.parts)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self._verdict()}"
        for equation, reason in self.left.values():
            yield f"  left to NumPy: {equation.primitive.name}: {reason}"
        yield ""
        yield f"Program, {_count(len(self.program), 'equation')} of {len(self.recorded)} recorded"
        yield from (f"  {line}" for line in str(self.program).splitlines())
        for number, part in enumerate(self.parts):
            title = f" of part {number + 1}" if len(self.parts) > 1 else ""
            yield ""
            yield from _of_part(part, title, self.watch)

    def _verdict(self) -> str:
        if not self.parts:
            return "interpreted"
        many = _count(len(self.parts), "native function")
        return f"{many}, with NumPy between them" if self.left else many


def _of_part(part: Native, title: str, watch: Watch | None) -> Iterator[str]:
    if part.template is not None:
        yield f"Shapes{title}, all with this machine code"
        yield from (f"  {line}" for line in part.template.lines())
    yield f"Loop nests{title}"
    for line in _nests(part.plan.groups, "  ", names_of(part.program)):
        yield line[:WIDTH]
    facts = part.facts
    yield f"Memory{title}"
    arguments, results = facts["bytes of arguments"], facts["bytes of results"]
    inner, apart = part.workspace, facts["bytes without reuse"]
    yield f"  arguments {size(arguments)}, results {size(results)}, in between {size(inner)}"
    if facts["in place"]:
        yield f"  {_count(facts['in place'], 'result')} written over arguments"
    yield f"  without reuse there would be {size(apart)} in between"
    yield f"  peak: {size(arguments + results + inner)}"
    for name, shape, n, offset, first, last in facts["buffers"][:12]:
        type_ = f"{name}[{','.join(map(str, shape))}]"
        yield f"    {type_:<20} {size(n):>10} at {offset:>8}, nests {first} to {last}"
    yield f"Code{title}"
    lines = part.code.text.count("\n")
    yield f"  {size(facts['bytes of code'])} of machine code from {lines} lines of LLVM"
    yield f"  for {'all lengths' if part.template is not None else 'these shapes only'}"
    if watch is not None:
        yield f"  {watch}"
    shared = "chainrule.runtime.parallel" in part.code.text
    yield f"  large nests shared among threads: {_yes(shared)}"
    yield f"  interpreter's lock released: {_yes(facts['releases the lock'])}"
    yield f"Time{title}, in ms" + (" (the code was found on disk)" if part.cached else "")
    yield "  " + ", ".join(f"{stage} {1e3 * s:.1f}" for stage, s in part.seconds.items())


def _nests(groups: list[Any], indent: str, names: dict[Var, str]) -> Iterator[str]:
    for number, group in enumerate(groups):
        shape = " x ".join(map(str, group.domain)) or "once"
        way = ", in memory order" if group.flat else ""
        makes = ", ".join(_result(root, names) for root in group.roots)
        steps = getattr(group.inner, "steps", 0)
        if group.inner is not None:
            shape = f"{steps} steps" if steps else "until it ends"
            way = ""
        yield f"{indent}{number}: {shape}{way}: {makes}"
        for block in getattr(group.inner, "blocks", ()):
            yield from _nests(block.plan.groups, indent + "    ", names)


def _result(root: Equation, names: dict[Var, str]) -> str:
    outs = (f"{names.get(out) or out.name or ''} {out.type}".strip() for out in root.outs)
    return f"{', '.join(outs)} by {root.primitive.name}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"


def size(n: int) -> str:
    """Return a number of bytes as a person reads it.

    Examples
    --------
    >>> size(900), size(80_000_000)
    ('900 B', '76.3 MiB')
    """
    value, unit = float(n), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
