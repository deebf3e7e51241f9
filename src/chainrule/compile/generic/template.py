"""Machine code of generic programs, and the versions of a function that it serves."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from math import gcd
from typing import TYPE_CHECKING, Any

from ...program.program import Program
from ...program.records import replaced
from ..native import Native
from ..plan.memory import Buffer, arrange
from ..runtime import cache, loader
from ..sizes import LEAST, PREFIX, Parameter, Size, holds, is_fixed, value_of
from .leaves import Copy
from .unify import Generic, unified

if TYPE_CHECKING:
    from ..build import Build
    from ..recorded import Recorded

MISSES = 3  # attempts in vain, after which a function is compiled for exact shapes only
MOST = 4  # generic programs of one function
DISTANCES = (1, -1, 2, -2, 8, -8, 16)  # at which code is tried whether it serves others


class Template:
    """The machine code of a generic program, not yet loaded.

    Attributes
    ----------
    generic : Generic
        The program.
    image : Image or None
        Its machine code; None if that would be right for one of the two programs only.

    Raises
    ------
    UnsupportedError
        If the program cannot be compiled for sizes that are not known.
    """

    def __init__(
        self, generic: Generic, donated: frozenset[int], nesting: tuple[Any, ...] | None
    ) -> None:
        self.generic = generic
        self.options = donated, nesting
        options = ("generic", sorted(donated), nesting, *generic.captured.values())
        key = cache.key_of(_without_symbols(generic.program), options)
        self.image = cache.find(key)
        if self.image is not None and self._is_right(self.image.facts["guards"]):
            return
        self.image = None
        guards = generic.scope.guards
        self.build  # noqa: B018 - it notes the guards
        if self._is_right(guards.items()):
            image = self.build.image()
            image.facts = _written_down(image.facts) | {
                "symbols": [[symbol, e] for e, symbol in generic.scope.symbols.items()],
                "guards": [[list(guard), truth] for guard, truth in guards.items()],
            }
            cache.keep(key, image)
            self.image = image

    @functools.cached_property
    def build(self) -> Build:
        """How the machine code is made."""
        from ..build import Build, Symbols  # with LLVM, which code from disk does without

        generic, (donated, nesting) = self.generic, self.options
        symbols = Symbols(generic.scope, generic.instance, generic.captured, generic.numbers_of)
        generic.scope.is_closed = False
        build = Build(generic.program, donated, nesting, symbols)
        generic.scope.is_closed = True
        return build

    def _is_right(self, guards: Iterable[Any]) -> bool:
        """Tell whether code is right for the example and, it seems, for others."""
        guards, generic = list(guards), self.generic
        example = generic.scope.example
        others = (generic.first, *_others(generic.first, example))
        return holds(guards, example) and any(holds(guards, x) for x in others)

    def instance(self, program: Program) -> Instance | None:
        """Return the machine code for a program, if it is one that this code serves."""
        numbers = self.generic.numbers(program)
        if numbers is None or self.image is None:
            return None
        if not holds(self.image.facts["guards"], numbers):
            return None
        return Instance(self, numbers)


def _others(first: Sequence[Any], example: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield numbers on the line through those of two programs."""
    whole = [k for k, n in enumerate(example) if type(n) is int]
    step = gcd(*(example[k] - first[k] for k in whole)) or 1
    for distance in DISTANCES:
        numbers = list(example)
        for k in whole:
            numbers[k] += distance * (example[k] - first[k]) // step
        if all(numbers[k] >= LEAST for k in whole):
            yield numbers


class Instance:
    """The machine code of a generic program for some numbers.

    Attributes
    ----------
    template : Template
        Where it comes from.
    numbers : list
        What the symbols stand for.
    image : Image
        The code, ready to be loaded.
    """

    def __init__(self, template: Template, numbers: list[Any]) -> None:
        self.template = template
        self.numbers = numbers
        given = template.image
        assert given is not None
        known = {k: v for k, v in given.facts.items() if k not in ("symbols", "guards")}
        facts = _filled_in(known, numbers)
        buffers = [
            Buffer(None, size, first, last) for _, _, size, _, first, last in facts["buffers"]
        ]
        workspace = arrange(buffers)
        facts["buffers"] = [
            [*row[:3], buffer.offset, *row[4:]]
            for row, buffer in zip(facts["buffers"], buffers, strict=True)
        ]
        sizes = {}
        for symbol, expression in given.facts["symbols"]:
            if expression[0] == "buffer":
                value = buffers[expression[1]].offset
            else:
                value = value_of(expression, numbers)
            sizes[f"{PREFIX}{symbol}"] = value % (1 << 64)
        self.image = replaced(given, facts=facts, workspace=workspace, sizes=sizes)

    @property
    def build(self) -> Build:
        """How the machine code was made."""
        return self.template.build

    def lines(self) -> Iterator[str]:
        """Yield what is said about the shapes that the code serves."""
        generic = self.template.generic
        generic.scope.is_closed = True
        inputs = [v for v in generic.program.inputs if v not in generic.captured]
        yield ", ".join(f"{v.name}: {v.type}" for v in inputs if not is_fixed(*v.type.shape))
        lengths: list[Any] = [n for v in inputs for n in v.type.shape if not is_fixed(n)]
        own = {n.expression[1]: str(n) for n in lengths}
        yield "here " + ", ".join(f"{name} = {self.numbers[k]}" for k, name in own.items())


def _without_symbols(program: Program) -> Program:
    """Return a program with numbers in place of its symbols, by which it is known."""

    def leaf(kind: str, value: Any) -> Any:
        if type(value) in (Size, Parameter):
            return [value.dtype.str, value.expression[1]]
        return value

    return Copy(leaf).program(program)


def _written_down(x: Any) -> Any:
    """Return facts with sizes as expressions, as JSON has them."""
    if type(x) is Size:
        return {"size": x.expression}
    if type(x) is dict:
        return {key: _written_down(v) for key, v in x.items()}
    return list(map(_written_down, x)) if type(x) in (list, tuple) else x


def _filled_in(x: Any, numbers: Sequence[Any]) -> Any:
    """Return facts with numbers where there are expressions."""
    if type(x) is dict:
        if "size" in x:
            return None if x["size"][0] == "buffer" else value_of(x["size"], numbers)
        return {key: _filled_in(v, numbers) for key, v in x.items()}
    return [_filled_in(v, numbers) for v in x] if type(x) is list else x


class Family:
    """The versions of a function for arguments that differ in lengths of axes only.

    Parameters
    ----------
    before : iterable of Recorded
        Programs that were found on disk.
    """

    def __init__(self, before: Iterable[Recorded] = ()) -> None:
        self._templates: list[Template] = []
        self._exact: list[Program] = [recorded.lowered for recorded in before]  # the last ones
        self._misses = 0

    def native(
        self, program: Program, donated: frozenset[int], nesting: tuple[Any, ...] | None
    ) -> Native | None:
        """Return a program compiled with others of the family, or None: compile it by itself."""
        # what is returned as it is isn't written over
        donated = frozenset(k for k in donated if program.inputs[k] not in program.outputs)
        for template in self._templates:
            instance = template.instance(program)
            if instance is not None and template.options == (donated, nesting):
                return Native(program, donated, nesting, instance).compile()
        if len(self._templates) < MOST and loader.is_supported():
            for other in reversed(self._exact):
                generic = unified(other, program) if self._misses < MISSES else None
                if generic is not None:
                    native = self._compiled(generic, program, donated, nesting)
                    if native is not None:
                        return native
                    self._misses += 1
            self._exact = [*self._exact[1 - MISSES :], program]
        return None

    def _compiled(
        self,
        generic: Generic,
        program: Program,
        donated: frozenset[int],
        nesting: tuple[Any, ...] | None,
    ) -> Native | None:
        """Compile a generic program and return the code for the one at hand, if that works."""
        try:
            template = Template(generic, donated, nesting)
            instance = template.instance(program)
            if instance is None:
                return None
            native = Native(program, donated, nesting, instance).compile()
        except Exception:
            # whatever goes wrong where something asks of a size what only a number can do; if it
            # has another reason, it goes wrong again when the program is compiled by itself
            return None
        self._templates.append(template)
        return native
