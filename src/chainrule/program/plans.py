"""Code that takes a tree of one known structure apart, or puts it together, without a search.

A training loop flattens and rebuilds trees of the same few structures at every step. For such a
structure Python code is written once, which reads the leaves straight out of a tree after checking
that the tree is what the code was written for:

    def split(a0):
        a1 = a0.weight
        a2 = a0.bias
        if a2 is not None: return None
        leaves = [a1]
        return leaves if known_leaves(map(type, leaves)) else None
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .pytree import TreeDef

__all__ = [
    "OFTEN",
    "Build",
    "Coder",
    "DataclassCoder",
    "DictCoder",
    "NamedTupleCoder",
    "NothingCoder",
    "Plans",
    "SequenceCoder",
    "builder_of",
]

Split = Callable[[Any], "list[Any] | None"]
Build = Callable[[Sequence[Any]], Any]

OFTEN = 8
_MOST_PLANS = 4  # for one type of root: each is tried in turn
_MOST_LEAVES = 1000  # of a structure for which code is written: larger ones would take it too long


class Writer:
    """Lines of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.objects: dict[str, Any] = {}
        self._used = 0

    def name(self) -> str:
        """Return a variable that is not used yet."""
        self._used += 1
        return f"a{self._used}"

    def refer(self, value: Any) -> str:
        """Return the name of an object."""
        name = f"o{len(self.objects)}"
        self.objects[name] = value
        return name

    def require(self, condition: str) -> None:
        """Leave the function with None unless a condition holds."""
        self.lines.append(f"if not ({condition}): return None")

    def let(self, value: str) -> str:
        """Return a new variable with a value."""
        name = self.name()
        self.lines.append(f"{name} = {value}")
        return name

    def function(self, head: str) -> Any:
        """Return the function with these lines."""
        body = "\n    ".join(self.lines)
        scope = dict(self.objects)
        exec(f"def {head}:\n    {body}", scope)
        return scope[head.partition("(")[0]]


class Coder(Protocol):
    """Writes the code for one type of container."""

    def split(self, node: str, aux: Any, count: int, writer: Writer) -> list[str] | None:
        """Write the checks of a node; return its children, or None if no code can be written."""

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        """Return the expression of a node."""


def splitter_of(treedef: TreeDef, known_leaves: Callable[[Iterable[type]], bool]) -> Split | None:
    """Return a function that gives the leaves of a tree, or None if it is another structure.

    Parameters
    ----------
    treedef : TreeDef
        The structure; the type of its root is not checked again.
    known_leaves : callable
        Whether all of some types are types of leaves.
    """
    if treedef.num_leaves > _MOST_LEAVES:
        return None
    writer, leaves = Writer(), list[str]()
    if not _split(treedef, "a0", writer, leaves):
        return None
    known = writer.refer(known_leaves)
    writer.lines.append(f"leaves = [{', '.join(leaves)}]")
    writer.lines.append(f"return leaves if {known}(map(type, leaves)) else None")
    written = writer.function("split(a0)")

    def split(tree: Any) -> list[Any] | None:
        try:
            found: list[Any] | None = written(tree)
        except AttributeError:  # a field that nothing has set yet
            return None
        return found

    return split


def _split(treedef: TreeDef, node: str, writer: Writer, leaves: list[str]) -> bool:
    kind, aux, nested = treedef.parts
    if kind is None:
        leaves.append(node)
        return True
    if node != "a0" and kind.cls is not type(None):
        writer.require(f"type({node}) is {writer.refer(kind.cls)}")
    if kind.coder is None:
        return False
    children = kind.coder.split(node, aux, len(nested), writer)
    return children is not None and all(
        _split(child, name, writer, leaves) for child, name in zip(nested, children, strict=True)
    )


def builder_of(treedef: TreeDef) -> Build | None:
    """Return a function that puts leaves into a structure; None if no code can be written."""
    if treedef.num_leaves > _MOST_LEAVES:
        return None
    writer = Writer()
    leaves = [writer.name() for _ in range(treedef.num_leaves)]
    if leaves:
        writer.lines.append(f"{', '.join(leaves)}, = leaves")
    root = _join(treedef, iter(leaves), writer)
    if root is None:
        return None
    writer.lines.append(f"return {root}")
    build: Build = writer.function("build(leaves)")
    return build


def _join(treedef: TreeDef, leaves: Any, writer: Writer) -> str | None:
    kind, aux, nested = treedef.parts
    if kind is None:
        return str(next(leaves))
    if kind.coder is None:
        return None
    children = [_join(child, leaves, writer) for child in nested]
    if any(child is None for child in children):
        return None
    return kind.coder.join(aux, [str(child) for child in children], writer)


class Plans:
    """The structures that come often, with the code for each.

    Parameters
    ----------
    known_leaves : callable
        Whether all of some types are types of leaves.
    """

    def __init__(self, known_leaves: Callable[[Iterable[type]], bool]) -> None:
        self.known_leaves = known_leaves
        self.clear()

    def clear(self) -> None:
        """Forget all: a type is no longer what the code takes it for."""
        self._plans: dict[type, tuple[tuple[Split, TreeDef], ...]] = {}
        self._watches: dict[type, _Watch] = {}

    def of(self, cls: type) -> tuple[tuple[Split, TreeDef], ...]:
        """Return what there is for trees with a root of this type."""
        return self._plans.get(cls, ())

    def watch(self, cls: type, treedef: TreeDef) -> None:
        """Take notice of a structure without a plan, and make one if it has come often."""
        watch = self._watches.get(cls)
        if watch is None:
            watch = self._watches[cls] = _Watch()
        watch.seen += 1
        if watch.seen < watch.every:
            return
        watch.seen, last, watch.last = 0, watch.last, treedef
        if last is None or last != treedef:
            return
        split, plans = splitter_of(treedef, self.known_leaves), self.of(cls)
        if split is None or len(plans) == _MOST_PLANS:
            watch.every *= 4  # so that many structures in turn don't have code written all the time
        if split is not None:
            self._plans[cls] = ((split, treedef), *plans)[:_MOST_PLANS]


class _Watch:
    """Looks at one in so many trees with a root of one type, for a structure that comes again."""

    def __init__(self) -> None:
        self.every = OFTEN
        self.seen = 0
        self.last: TreeDef | None = None


# --- the types of containers ----------------------------------------------------------------------


class NothingCoder:
    """None."""

    def split(self, node: str, aux: Any, count: int, writer: Writer) -> list[str] | None:
        writer.require(f"{node} is None")
        return []

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        return "None"


class SequenceCoder:
    """Lists and tuples; ``display`` is the expression of one, with a place for its elements."""

    def __init__(self, display: str) -> None:
        self.display = display

    def split(self, node: str, aux: Any, count: int, writer: Writer) -> list[str] | None:
        writer.require(f"len({node}) == {count}")
        children = [writer.name() for _ in range(count)]
        if children:
            writer.lines.append(f"{', '.join(children)}, = {node}")
        return children

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        return self.display.format("".join(child + ", " for child in children))


class NamedTupleCoder(SequenceCoder):
    """A named tuple."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__("({})")
        self.make = make

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        return f"{writer.refer(self.make)}({super().join(aux, children, writer)})"


class DictCoder:
    """A dict whose keys are strings.

    Keys of other types may be equal and yet not the same, such as 1 and True.
    """

    def split(self, node: str, aux: Any, count: int, writer: Writer) -> list[str] | None:
        order, inserted = aux
        if any(type(key) is not str for key in order):
            return None
        writer.require(f"tuple({node}) == {writer.refer(inserted)}")
        return [writer.let(f"{node}[{key!r}]") for key in order]

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        order, inserted = aux
        values = dict(zip(order, children, strict=True))
        items = (f"{writer.refer(key)}: {values[key]}" for key in inserted)
        return "{" + ", ".join(items) + "}"


class DataclassCoder:
    """An instance of a dataclass; its static fields must be the very objects of the structure."""

    def __init__(self, cls: type, fields: tuple[str, ...], fixed: tuple[str, ...]) -> None:
        self.cls = cls
        self.fields = fields
        self.fixed = fixed

    def split(self, node: str, aux: Any, count: int, writer: Writer) -> list[str] | None:
        present, settings = aux
        if present != self.fields or tuple(name for name, _ in settings) != self.fixed:
            return None
        for name, value in settings:
            writer.require(f"{node}.{name} is {writer.refer(value)}")
        return [writer.let(f"{node}.{name}") for name in present]

    def join(self, aux: Any, children: list[str], writer: Writer) -> str:
        present, settings = aux
        node = writer.let(f"{writer.refer(object.__new__)}({writer.refer(self.cls)})")
        put = writer.refer(object.__setattr__)
        values = [*children, *(writer.refer(value) for _, value in settings)]
        names = [*present, *(name for name, _ in settings)]
        for name, value in zip(names, values, strict=True):
            writer.lines.append(f"{put}({node}, {name!r}, {value})")
        return node
