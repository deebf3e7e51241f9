"""What the user's program calls each value."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..maps import Hole
from ..program.equation import Equation, Var
from ..program.pytree import flatten
from ..program.spans import argument_texts, result_name, statement_of
from ..transform.arguments import _python_function
from .collect import Collected
from .expression import Symbol
from .frames import user_path
from .statements import Block

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOSSES = frozenset({"loss", "cost", "error", "objective", "total_loss"})
MAX_TEXT = 24

Use = tuple[Any, Equation, int, int]
"""A constant, the equation and the place where it is used, and how often that ran before."""


def nth(name: str, n: int) -> str:
    """Name of the n-th value that goes by one name: ``h⁽³⁾``."""
    return f"{name}⁽{str(n).translate(_SUPERSCRIPTS)}⁾"


class Names:
    """The names of variables and constants.

    Attributes
    ----------
    output : str
        The name of the result: the user's, or ``L``.
    given : list of Var
        Variables that the program has no name for, and that were given one.
    """

    def __init__(self, found: Collected, blocks: list[Block]) -> None:
        self._found = found
        self.given: list[Var] = []
        self._names: dict[Var, str] = {}
        self._bases: dict[Var, str] = {}
        self._homes = {var: block for block in blocks for var in block.made}
        self._constants: dict[int, Symbol] = {}
        self._scope = list(_scope(found))
        self._taken: set[str] = {name for name, _ in self._scope}
        for var, path in zip(found.inputs, input_paths(found), strict=True):
            self._names[var] = self._bases[var] = path
        self._name_results(blocks)
        self.output = self._name_output()

    # -- variables -------------------------------------------------------------------------------

    def of(self, var: Var) -> str | None:
        """Name of a variable; None if the program gave it none."""
        return self._names.get(var)

    def base(self, var: Var) -> str | None:
        """Name of a variable without the number that tells repetitions apart."""
        return self._bases.get(var)

    def ensure(self, var: Var) -> str:
        """Name of a variable; a short new one if the program gave it none."""
        name = self._names.get(var)
        if name is None:
            name = _helper_name(self._homes.get(var), var)
            if name is None or name in self._taken:
                name = self._fresh("t")
            self.given.append(var)
            self._names[var] = self._bases[var] = name
            self._taken.add(name)
        return name

    def _name_results(self, blocks: list[Block]) -> None:
        inputs = set(self._names.values())
        named: dict[str, list[Var]] = {}
        for block in blocks:
            for var, base in _results(block).items():
                named.setdefault(base, []).append(var)
        for base, variables in named.items():
            several = len(variables) > 1 or base in inputs
            for n, var in enumerate(variables, 1):
                self._names[var] = nth(base, n) if several else base
                self._bases[var] = base
        self._taken.update(self._names.values(), named)
        self._versioned = {base for base, variables in named.items() if len(variables) > 1}

    def _name_output(self) -> str:
        output = self._found.output
        name = None if output is None else self._names.get(output)
        numbered = output is not None and name != self._bases.get(output)
        unfit = name is None or name in _LOSSES or numbered
        if output is not None and unfit and "L" not in self._taken:
            self._taken.add("L")
            self._names[output] = self._bases[output] = "L"
            return "L"
        return name or "L"

    # -- constants -------------------------------------------------------------------------------

    def register(self, uses: Iterable[Use]) -> None:
        """Name constant arrays: as arguments or variables of the user's, or by their source.

        A piece of source that stands for different arrays in turn, as ``x[t]`` in a loop does,
        is numbered like a variable.
        """
        by_text: dict[str, list[tuple[Any, int]]] = {}
        for value, equation, position, n in uses:
            name = self._scope_name(value)
            text = operand_text(equation, position) if name is None else None
            if name is not None:
                self._constants[id(value)] = Symbol(name, value)
            elif text is not None:
                by_text.setdefault(text, []).append((value, n))
        for text, values in by_text.items():
            first = values[0][0]
            varies = any(not same(first, value) for value, _ in values[1:])
            for value, n in values:
                name = text if _is_atom(text) or not varies else f"({text})"
                if text in self._versioned:
                    name = nth(name, 0)
                elif varies:
                    name = nth(name, n + 1)
                self._constants[id(value)] = Symbol(name, value, atomic=_is_atom(name))

    def constant(self, value: Any) -> Symbol | None:
        """Return the symbol of a constant; None if the program has no name for it."""
        return self._constants.get(id(value))

    def unnamed(self, value: Any) -> Symbol:
        """Return a new symbol for an array that the program has no name for."""
        found = self._constants.get(id(value))
        if found is None:
            stem = "mask" if np.asarray(value).dtype.kind == "b" else "c"
            found = self._constants[id(value)] = Symbol(self._fresh(stem), value, hidden=True)
        return found

    def _scope_name(self, value: Any) -> str | None:
        for name, candidate in self._scope:
            if candidate.size > 1 and same(candidate, value):
                return name
        return None

    def _fresh(self, stem: str) -> str:
        n = 1
        while f"{stem}{n}" in self._taken:
            n += 1
        self._taken.add(f"{stem}{n}")
        return f"{stem}{n}"

    def free(self, wanted: str) -> bool:
        """Whether no value of the program goes by a name."""
        return wanted not in self._taken


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are the same one, or equal."""
    if a is b:
        return True
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def input_paths(found: Collected) -> list[str]:
    """Names of the differentiated leaves: ``W``, ``params['W1']``."""
    arguments = found.arguments
    paths: list[str] = []
    for key, treedef, _ in arguments.parts:
        paths.extend(treedef.leaf_paths(_argument(arguments, key)))
    return paths


def _argument(arguments: Any, key: Any) -> str:
    """Name of an argument; ``arg0`` where the function takes any number of them."""
    name: str = arguments._argument(key)
    return name.replace("argument ", "arg")


def _results(block: Block) -> dict[Var, str]:
    """Names that the block's frames give to its results, the outermost frame's first."""
    found: dict[Var, str] = {}
    made = set(block.made)
    around: list[Block] = []
    outer: Block | None = block
    while outer is not None:
        around.insert(0, outer)
        outer = outer.outer
    stored = [e.operands[1] for e in block.equations if e.primitive.name == "setitem"]
    for part in around:
        for var, name in _names_in_frame(part):
            if var in made and not any(
                var is v for v in stored
            ):  # `r[i] = v` names the new r, and not v
                found.setdefault(var, name)
    return found


def _names_in_frame(block: Block) -> Iterator[tuple[Var, str]]:
    """Yield what the block's frame calls its results."""
    depth = block.depth
    calls: dict[Any, list[Equation]] = {}
    for equation in block.equations:
        path = user_path(equation)
        if len(path) > depth:
            calls.setdefault(path[depth], []).append(equation)
    for (code, lasti), equations in calls.items():
        name = result_name(code, lasti)
        inner = user_path(equations[-1])[depth + 1 :]
        if name is not None and inner and inner[0][0].co_name == "<listcomp>":
            turns = [e for e in equations if e.origin == equations[-1].origin]
            yield from ((e.outs[0], f"{name}[{i}]") for i, e in enumerate(turns))
        elif name is not None:
            yield equations[-1].outs[0], name  # a helper's last result is what it returns
        else:
            statement = statement_of(code, lasti)
            targets = () if statement is None else statement.targets
            yield from _unpacked(equations, targets, depth)


def _unpacked(
    equations: list[Equation], targets: tuple[str, ...], depth: int
) -> Iterator[tuple[Var, str]]:
    """Yield the names in ``a, b = f(x)``, as far as it's clear which result is which."""
    if len(targets) < 2:
        return
    if len(equations[-1].outs) >= len(targets):  # `carry, ys = scan(...)`, and what it keeps
        yield from zip(equations[-1].outs, targets, strict=False)
        return
    if all(len(user_path(e)) == depth + 1 for e in equations):
        if len(targets) == len(equations):  # `a, b = np.split(x, 2)`
            yield from zip((e.outs[0] for e in equations), targets, strict=True)
        return
    inside: dict[str, Var] = {}
    for equation in equations:
        path = user_path(equation)
        name = result_name(*path[depth + 1]) if len(path) > depth + 1 else None
        if name in targets:  # the helper calls it by the same name
            inside[name] = equation.outs[0]
    yield from ((var, name) for name, var in inside.items())


def _helper_name(block: Block | None, var: Var) -> str | None:
    """Name of the helper that returned a value: ``net`` for an unnamed ``net(x)``."""
    name = None
    while block is not None and block.equations[-1].outs[0] is var:
        inner = user_path(block.equations[-1])[block.depth + 1 :]
        if inner and inner[0][0].co_name.isidentifier():
            name = inner[0][0].co_name
        block = block.outer
    return name


def _scope(found: Collected) -> Iterator[tuple[str, Any]]:
    """Arrays that the function can name: its other arguments, closures and globals."""
    arguments = found.arguments
    chosen = set(arguments.keys)
    for key, value in [*enumerate(arguments.args), *arguments.kwargs.items()]:
        if key not in chosen:
            leaves, treedef = flatten(value)
            yield from _arrays(treedef.leaf_paths(_argument(arguments, key)), leaves)
    function = _python_function(arguments.f)
    code = getattr(function, "__code__", None)
    if code is not None:
        outside = inspect.getclosurevars(function) if inspect.isfunction(function) else None
        if outside is not None:
            for name, value in {**outside.nonlocals, **outside.globals}.items():
                yield from _arrays([name], [value])


def _arrays(names: list[str], values: list[Any]) -> Iterator[tuple[str, Any]]:
    for name, value in zip(names, values, strict=True):
        if isinstance(value, np.ndarray) and value.ndim:
            yield name, value


def operand_text(equation: Equation, position: int) -> str | None:
    """Source of an operand, if the operation is just what the user wrote there."""
    path = user_path(equation)
    if not path:
        return None
    texts = argument_texts(*path[-1])
    if equation.primitive.name == "getitem" and position and len(texts) == 2:
        texts, position = _index_texts(texts[1], equation.params["spec"]), position - 1
    elif equation.primitive.name in ("concatenate", "stack") and texts:
        texts = _element_texts(texts[0])
    if equation.primitive.name != "getitem" and len(texts) != len(equation.operands):
        return None  # NumPy builds the function from several operations with their own operands
    if position >= len(texts):
        return None
    text = " ".join(texts[position].split())
    return text if 0 < len(text) <= MAX_TEXT else None


def _element_texts(text: str) -> list[str]:
    """Return the sources of the elements of a list or tuple."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return []
    return [ast.unparse(e) for e in node.elts] if isinstance(node, ast.List | ast.Tuple) else []


def _index_texts(text: str, spec: tuple[Any, ...]) -> list[str]:
    """Return the sources of the arrays in an index."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return []
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    if len(parts) != len(spec):
        return []
    return [ast.unparse(p) for p, s in zip(parts, spec, strict=True) if type(s) is Hole]


def _is_atom(text: str) -> bool:
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return True  # one of ours, with a superscript
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant)
