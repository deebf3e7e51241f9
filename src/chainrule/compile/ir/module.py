"""Modules, their functions and variables, and the blocks of functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .types import FunctionType, PointerType, Type
from .values import Constant, Value

_PLAIN = re.compile(r"[A-Za-z$._][\w$.]*\Z", re.ASCII)
LIKELY, UNLIKELY = "!0", "!1"
EFFORTS = ("usual", "little", "long", "much")
LENGTH = "%length"  # in the text of functions that are the same but for one number
SHARED = 100  # instructions from which a call costs little beside them
_WEIGHTS = """
!0 = !{!"branch_weights", i32 99, i32 1}
!1 = !{!"branch_weights", i32 1, i32 99}
"""


class Module:
    """A program: its functions and variables by name."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.globals: dict[str, Any] = {}
        self._hints: list[str] = []
        self._is_shared = False

    def declare_intrinsic(
        self, name: str, types: Sequence[Type] = (), kind: FunctionType | None = None
    ) -> Function:
        """Return a function that LLVM knows, for operands of such types."""
        full = ".".join([name, *(t.short for t in types)])
        found: Function | None = self.globals.get(full)
        return found or Function(self, kind or FunctionType(types[0], types), full)

    def __str__(self) -> str:
        """Return the text of the whole module."""
        self._share()
        defined = [g.definition() for g in self.globals.values() if not g.is_copy]
        return "\n".join(defined) + _WEIGHTS

    def hint(self, name: str, value: int) -> str:
        """Return what to write behind the last branch of a loop, to tell LLVM about the loop."""
        place = 2 * len(self._hints) + 2
        lines = f"!{place} = distinct !{{!{place}, !{place + 1}}}\n"
        self._hints.append(lines + f'!{place + 1} = !{{!"{name}", i32 {value}}}\n')
        return f", !llvm.loop !{place}"

    def parts(self) -> dict[str, str]:
        """Return the text in parts, by how much is worth doing to their functions.

        What is written into its callers is in each part that calls it, and so is what each part
        is to have for itself. Other functions of one part can be linked to those that call them.
        """
        self._share()
        found: dict[str, dict[Function, None]] = {EFFORTS[0]: {}}
        for g in self.globals.values():
            if isinstance(g, Function) and g.blocks and not g.is_everywhere and not g.is_copy:
                g.close(found.setdefault(g.effort, {}))
        variables = [v for v in self.globals.values() if isinstance(v, GlobalVariable)]
        linked = len(found) > 1
        texts: dict[str, str] = {}
        for effort, functions in found.items():
            others = dict.fromkeys(f for g in functions for f in g.callees if f not in functions)
            lines = [
                *(v.definition(linked) if not texts else v.declaration(linked) for v in variables),
                *(f.declaration() for f in others),
                *(f.definition(linked) for f in functions),
            ]
            texts[effort] = "".join(["\n".join(lines), _WEIGHTS, *self._hints])
        return texts

    def _share(self) -> None:
        """Let functions that are the same be one."""
        if self._is_shared:
            return
        self._is_shared = True
        first: dict[str, Function] = {}
        for f in self.globals.values():
            if isinstance(f, Function) and f.may_be_shared:
                f.same = first.setdefault(f.written(), f)
                if f.same is not f and f.is_inlined:
                    f.same.attributes.discard("alwaysinline")
                    f.same.attributes.add("noinline")
                if f.same.length != f.length:
                    f.same.takes_length = True
                    f.same.effort = "long"


class _Global(Value):
    """What has a name in a module: its value is an address."""

    __slots__ = ("linkage", "module", "name")
    is_copy = False

    def __init__(self, module: Module, name: str) -> None:
        if name in module.globals:
            raise ValueError(f"there is a `{name}` in the module already")
        super().__init__(PointerType(), f"@{name}" if _PLAIN.match(name) else f'@"{name}"')
        self.module = module
        self.name = name
        self.linkage = ""
        module.globals[name] = self


class GlobalVariable(_Global):
    """A variable; one of another module unless it has an ``initializer``."""

    __slots__ = ("global_constant", "initializer", "value_type")

    def __init__(self, module: Module, value_type: Type, name: str) -> None:
        super().__init__(module, name)
        self.value_type = value_type
        self.initializer: Constant | None = None
        self.global_constant = False

    def _kind(self) -> str:
        return "constant" if self.global_constant else "global"

    def declaration(self, linked: bool = False) -> str:
        """Return the text for a module in which the variable is not."""
        linkage = "external hidden" if linked and self.linkage else "external"
        return f"{self.text} = {linkage} {self._kind()} {self.value_type.text}"

    def definition(self, linked: bool = False) -> str:
        """Return the text of the variable; perhaps so that another module may use it."""
        if self.initializer is None:
            return self.declaration()
        linkage = "hidden" if linked and self.linkage else self.linkage
        return f"{self.text} = {linkage} {self._kind()} {self.initializer}"


class Argument(Value):
    """An argument of a function."""

    __slots__ = ("attributes",)

    def __init__(self, type: Type, text: str) -> None:
        super().__init__(type, text)
        self.attributes: list[str] = []

    def add_attribute(self, name: str) -> None:
        """State something about the argument, such as ``noalias``."""
        self.attributes.append(name)


class Function(_Global):
    """A function; one of another module as long as it has no blocks.

    Attributes
    ----------
    effort : str
        How much is worth doing to it, one of ``EFFORTS``: ``little`` without loops or with loops
        over vectors; ``long`` to loops that run for long, which needn't be unrolled; ``much`` to
        those with conditions that are the same in each step.
    same : Function
        The one that stands for it.
    is_local : bool
        Whether each part of the program that calls it has it for itself.
    companions : list of Function
        What has to be where it is.
    length : int or None
        What ``LENGTH`` stands for in its text.
    takes_length : bool
        Whether it is handed that number, as it stands for functions that differ in it.
    """

    __slots__ = (
        "args",
        "attributes",
        "blocks",
        "called",
        "companions",
        "count",
        "effort",
        "is_local",
        "kind",
        "length",
        "same",
        "takes_length",
    )

    def __init__(self, module: Module, kind: FunctionType, name: str) -> None:
        super().__init__(module, name)
        self.kind = kind
        self.args = tuple(Argument(t, f"%a{k}") for k, t in enumerate(kind.args))
        self.attributes: set[str] = set()
        self.blocks: list[Block] = []
        self.count = 0
        self.effort = EFFORTS[0]
        self.called: dict[Function, None] = {}
        self.same = self
        self.is_local = False
        self.companions: list[Function] = []
        self.length: int | None = None
        self.takes_length = False

    def append_basic_block(self, name: str = "block") -> Block:
        """Return a new block at the end of the function."""
        self.count += 1
        block = Block(self, f"{name}.{self.count}")
        self.blocks.append(block)
        return block

    @property
    def callees(self) -> list[Function]:
        """The functions that it calls."""
        return list(dict.fromkeys(f.same for f in self.called))

    @property
    def is_copy(self) -> bool:  # type: ignore[override]
        """Whether another function stands for it."""
        return self.same is not self

    @property
    def is_inlined(self) -> bool:
        """Whether it is written into those that call it."""
        return "alwaysinline" in self.attributes

    @property
    def is_everywhere(self) -> bool:
        """Whether it is in each part that calls it."""
        return self.is_inlined or self.is_local

    @property
    def may_be_shared(self) -> bool:
        """Whether another function may stand for this one, if it is the same."""
        if self.linkage != "internal" or not self.blocks:
            return False
        return not self.is_inlined or sum(len(b.lines) for b in self.blocks) >= SHARED

    def close(self, found: dict[Function, None]) -> None:
        """Add the function and what has to be in the same part."""
        found[self] = None
        for f in (*self.callees, *self.companions):
            if f.is_everywhere and f not in found:
                f.close(found)

    def written(self) -> str:
        """Return the text behind the name, whatever its length is."""
        given = ", ".join(" ".join([a.type.text, *a.attributes, a.text]) for a in self.args)
        lines = "\n".join(map(str, self.blocks))
        return f"({given}) {' '.join(sorted(self.attributes))} {{\n{lines}\n}}"

    def body(self) -> str:
        """Return the text behind the name."""
        text = self.written()
        if self.takes_length:
            return text.replace(")", f", i64 {LENGTH})", 1)
        return text if self.length is None else text.replace(LENGTH, str(self.length))

    def declaration(self) -> str:
        """Return the text for a module that only calls the function."""
        kinds = ", ".join([*(t.text for t in self.kind.args), *["i64"] * self.takes_length])
        return f"declare {self.kind.return_type.text} {self.text}({kinds})"

    def definition(self, linked: bool = False) -> str:
        """Return the text of the function; perhaps so that another module may call it."""
        if not self.blocks:
            return self.declaration()
        linkage = "hidden" if linked and self.linkage and not self.is_inlined else self.linkage
        return f"define {linkage} {self.kind.return_type.text} {self.text}{self.body()}"


class Block:
    """Instructions that are executed one after the other; the last one says what comes next."""

    __slots__ = ("function", "is_terminated", "lines", "name")

    def __init__(self, function: Function, name: str) -> None:
        self.function = function
        self.name = name
        self.lines: list[Any] = []  # text, or what becomes text when the function is complete
        self.is_terminated = False

    def __str__(self) -> str:
        return "\n  ".join([f"{self.name}:", *map(str, self.lines)])
