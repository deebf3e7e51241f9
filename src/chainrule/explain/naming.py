"""What the user's program calls each value."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..program.equation import Equation, Var
from ..program.pytree import flatten
from ..program.spans import argument_texts, result_name
from ..transform.arguments import _python_function
from .collect import Collected
from .expression import Symbol
from .frames import user_path
from .statements import Block

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOSSES = frozenset({"loss", "cost", "error", "objective", "total_loss"})
MAX_TEXT = 24


def nth(name: str, n: int) -> str:
    """Name of the n-th value that goes by one name: ``h⁽³⁾``."""
    return f"{name}⁽{str(n).translate(_SUPERSCRIPTS)}⁾"


class Names:
    """The names of variables and constants.

    Attributes
    ----------
    output : str
        The name of the result: the user's, or ``L``.
    """

    def __init__(self, found: Collected, blocks: list[Block]) -> None:
        self._found = found
        self._names: dict[Var, str] = {}
        self._bases: dict[Var, str] = {}
        self._temporaries: dict[Var, str] = {}
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
            n = len(self._temporaries) + 1
            while f"t{n}" in self._taken:
                n += 1
            name = self._temporaries[var] = self._names[var] = self._bases[var] = f"t{n}"
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
        if output is not None and (name is None or name in _LOSSES) and "L" not in self._taken:
            self._taken.add("L")
            self._names[output] = self._bases[output] = "L"
            return "L"
        return name or "L"

    # -- constants -------------------------------------------------------------------------------

    def constant(self, value: Any, equation: Equation | None, position: int, n: int) -> Symbol:
        """Name a constant array: as an argument or variable of the user's, or by its source."""
        known = self._constants.get(id(value))
        if known is None:
            known = self._constants[id(value)] = self._name_constant(value, equation, position, n)
        return known

    def known_constant(self, value: Any) -> Symbol | None:
        """Return the symbol of a constant that has been named before, or None."""
        return self._constants.get(id(value))

    def _name_constant(self, value: Any, equation: Any, position: int, n: int) -> Symbol:
        for name, candidate in self._scope:
            if candidate is value or (
                candidate.shape == value.shape
                and candidate.dtype == value.dtype
                and candidate.size > 1
                and np.array_equal(candidate, value, equal_nan=value.dtype.kind in "fc")
            ):
                return Symbol(name, value)
        text = None if equation is None else operand_text(equation, position)
        if text is None:
            return Symbol(self._fresh("c"), value)
        if text in self._versioned:
            text = nth(text, 0)
        elif n:
            text = nth(text if _is_atom(text) else f"({text})", n + 1)
        return Symbol(text, value, atomic=_is_atom(text))

    def _fresh(self, stem: str) -> str:
        n = 1
        while f"{stem}{n}" in self._taken:
            n += 1
        self._taken.add(f"{stem}{n}")
        return f"{stem}{n}"

    def free(self, wanted: str) -> bool:
        """Whether no value of the program goes by a name."""
        return wanted not in self._taken


def input_paths(found: Collected) -> list[str]:
    """Names of the differentiated leaves: ``W``, ``params['W1']``."""
    arguments = found.arguments
    paths: list[str] = []
    for key, treedef, _ in arguments.parts:
        paths.extend(treedef.leaf_paths(arguments._argument(key)))
    return paths


def _results(block: Block) -> dict[Var, str]:
    """Names that the block's frame gives to its results."""
    last: dict[Any, Equation] = {}
    for equation in block.equations:
        path = user_path(equation)
        if len(path) > block.depth:
            last[path[block.depth]] = equation  # a helper's last result is what it returns
    found: dict[Var, str] = {}
    for (code, lasti), equation in last.items():
        name = result_name(code, lasti)
        if name is not None:
            found[equation.outs[0]] = name
    return found


def _scope(found: Collected) -> Iterator[tuple[str, Any]]:
    """Arrays that the function can name: its other arguments, closures and globals."""
    arguments = found.arguments
    chosen = set(arguments.keys)
    for key, value in [*enumerate(arguments.args), *arguments.kwargs.items()]:
        if key not in chosen:
            leaves, treedef = flatten(value)
            yield from _arrays(treedef.leaf_paths(arguments._argument(key)), leaves)
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
    # What lies between the user's frame and the operation is an operator or a ufunc; a NumPy
    # function that is built from several operations has frames of its own operands.
    texts = argument_texts(*path[-1])
    arity = len(equation.operands)
    if equation.primitive.name == "where" and len(texts) == 3:
        arity = 3
    if len(texts) != arity or position >= len(texts):
        return None
    text = " ".join(texts[position].split())
    return text if 0 < len(text) <= MAX_TEXT else None


def _is_atom(text: str) -> bool:
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return True  # one of ours, with a superscript
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant)
