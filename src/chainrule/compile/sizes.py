"""Sizes that machine code takes when it is loaded, and what was decided on them while it was made.

A *generic* program has a :class:`Size` where programs that differ only in the lengths of some axes
have different numbers. A size knows the number of an example, so that a program can be planned and
written with it as with any other number; wherever that asks how it compares with something, or for
the number itself, the answer is the example's, and is noted as a *guard*. Code made so is right
for all numbers for which the guards hold.

In machine code a size is the address of a symbol that does not exist: who loads the code says
where it is. So it costs no more than the address of a function.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

PREFIX = "chainrule.size."
Expression = Any  # a number, or (operator, ...) with expressions behind it; lists after JSON
NAMES = "nmkpqrs"
LEAST = 2  # axes of length 0 and 1 have rules of their own

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "==": operator.eq}
_FORMATS = {"f8": "d", "f4": "f"}


class Scope:
    """The sizes of one generic program.

    Parameters
    ----------
    example : sequence of int or float
        The numbers that the symbols stand for in the program that is at hand.

    Attributes
    ----------
    guards : dict
        (relation, expression, expression): whether it holds in the example.
    symbols : dict
        The expressions whose values the machine code needs, numbered.
    is_closed : bool
        Whether nothing is decided any more, so that sizes may be shown as expressions.
    """

    def __init__(self, example: Sequence[int | float]) -> None:
        self.example = tuple(example)
        self.guards: dict[tuple[str, Expression, Expression], bool] = {}
        self.symbols: dict[Expression, int] = {}
        self.is_closed = False

    def unknown(self, name: str, number: int) -> Any:
        """Return a size that is decided on when the code is loaded; nobody may ask for it."""
        return Size(self, (name, number), None)

    def note(self, relation: str, a: Expression, b: Expression, holds: bool) -> bool:
        """Keep in mind that a decision depends on a relation, and return whether it holds."""
        self.guards[relation, a, b] = holds
        return holds

    def symbol(self, expression: Expression) -> str:
        """Return the name by which machine code refers to an expression's value."""
        return f"{PREFIX}{self.symbols.setdefault(expression, len(self.symbols))}"

    def declarations(self) -> str:
        """Return the symbols as LLVM declares them.

        They are weak and of no size, as LLVM concludes from an ordinary variable that its address
        isn't zero, and differs from that of others.
        """
        lines = (f'@"{PREFIX}{k}" = extern_weak global [0 x i8]' for k in self.symbols.values())
        return "\n".join(lines) + "\n"


class Size:
    """A number that is another one for other shapes; see the head of this file."""

    __slots__ = ("expression", "hint", "scope")
    __array_ufunc__ = None  # NumPy's numbers leave arithmetic to us
    dtype = np.dtype(np.int64)  # as an operand
    shape: tuple[int, ...] = ()

    def __init__(self, scope: Scope, expression: Expression, hint: int | None) -> None:
        self.scope = scope
        self.expression = expression
        self.hint = hint

    @property
    def known(self) -> int:
        """The number in the example, for estimates, which may be wrong for others."""
        assert self.hint is not None
        return self.hint

    # -- arithmetic ------------------------------------------------------------------------------

    def _combined(self, name: str, a: Any, b: Any) -> Any:
        x, y = _expression(a), _expression(b)
        if x is None or y is None:
            # floating-point numbers are estimates: they decide about speed alone
            return _ARITHMETIC[name](_hint(a), _hint(b))
        simple = _simplified(name, x, y, a, b)
        if simple is not None:
            return simple
        hint = _ARITHMETIC[name](int(_hint(a)), int(_hint(b)))
        return Size(self.scope, (name, x, y), hint)

    def __add__(self, other: Any) -> Any:
        return self._combined("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._combined("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._combined("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combined("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._combined("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combined("*", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._combined("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._combined("//", other, self)

    def __mod__(self, other: Any) -> Any:
        return self._combined("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._combined("%", other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __truediv__(self, other: Any) -> float:
        return float(self.known / _hint(other))

    def __rtruediv__(self, other: Any) -> float:
        return float(_hint(other) / self.known)

    def __neg__(self) -> Any:
        return self._combined("-", 0, self)

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    # -- comparisons, which are guards -----------------------------------------------------------

    def _compared(self, name: str, a: Any, b: Any) -> Any:
        x, y = _expression(a), _expression(b)
        if x is None or y is None:
            if isinstance(a, Size | float) and isinstance(b, Size | float):
                return _RELATIONS[name](_hint(a), _hint(b))  # an estimate
            return NotImplemented
        if x == y:
            return name == "=="
        return self.scope.note(name, x, y, _RELATIONS[name](int(_hint(a)), int(_hint(b))))

    def __eq__(self, other: object) -> Any:
        return self._compared("==", self, other)

    def __ne__(self, other: object) -> Any:
        same = self._compared("==", self, other)
        return same if same is NotImplemented else not same

    def __lt__(self, other: Any) -> Any:
        return self._compared("<", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared("<", other, self)

    def __le__(self, other: Any) -> Any:
        return not self._compared("<", other, self)

    def __ge__(self, other: Any) -> Any:
        return not self._compared("<", self, other)

    def __bool__(self) -> bool:
        return bool(self != 0)

    # -- the number itself -----------------------------------------------------------------------

    def __index__(self) -> int:
        self.scope.note("==", self.expression, self.known, True)
        return self.known

    __int__ = __trunc__ = __index__

    def __float__(self) -> float:
        return float(self.__index__())

    def __hash__(self) -> int:
        return hash(self.__index__())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.__index__(), dtype)

    def __repr__(self) -> str:
        return text_of(self.expression) if self.scope.is_closed else str(self.__index__())

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


class Parameter:
    """A number that isn't a length and differs between programs, such as the reciprocal of one."""

    __slots__ = ("dtype", "expression", "scope", "value")
    __array_ufunc__ = None
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1

    def __init__(self, scope: Scope, number: int, value: Any, dtype: Any) -> None:
        self.scope = scope
        self.expression = ("n", number)
        self.value = value
        self.dtype = dtype

    def _pinned(self) -> Any:
        self.scope.note("==", self.expression, float(self.value), True)
        return self.value

    def __float__(self) -> float:
        return float(self._pinned())

    def __int__(self) -> int:
        return int(self._pinned())

    def __bool__(self) -> bool:
        return bool(self._pinned())

    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        if not isinstance(other, int | float):
            return NotImplemented
        return self.scope.note("==", self.expression, other, bool(self.value == other))

    def __lt__(self, other: Any) -> Any:
        return self._pinned() < other

    def __gt__(self, other: Any) -> Any:
        return self._pinned() > other

    def __le__(self, other: Any) -> Any:
        return self._pinned() <= other

    def __ge__(self, other: Any) -> Any:
        return self._pinned() >= other

    def __hash__(self) -> int:
        return hash(self._pinned())

    def __repr__(self) -> str:
        return repr(self._pinned())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._pinned(), dtype or self.dtype)


def known(n: Any) -> Any:
    """Return a number for an estimate: of a size, that in the example.

    Examples
    --------
    >>> known(3), known(Size(Scope([8]), ("n", 0), 8))
    (3, 8)
    """
    return n.known if type(n) is Size else n


def is_fixed(*numbers: Any) -> bool:
    """Tell whether numbers are the same for all shapes."""
    return all(type(n) is not Size for n in numbers)


def bounds(part: slice, n: Any) -> tuple[Any, Any, int, Any]:
    """Return where a slice of an axis begins and ends, its step, and how many elements it has.

    Examples
    --------
    >>> bounds(slice(-3, None), 10)
    (7, 10, 1, 3)
    """
    step = 1 if part.step is None else part.step
    if is_fixed(n, part.start, part.stop):
        start, stop, step = part.indices(n)
        return start, stop, step, len(range(start, stop, step))
    lowest, highest = (0, n) if step > 0 else (-1, n - 1)
    start, stop = (
        default if end is None else min(max(end + n if end < 0 else end, lowest), highest)
        for end, default in (
            (part.start, lowest if step > 0 else highest),
            (part.stop, highest if step > 0 else lowest),
        )
    )
    distance, stride = (stop - start, step) if step > 0 else (start - stop, -step)
    return start, stop, step, max(-(-distance // stride), 0)


def _hint(x: Any) -> Any:
    return x.known if type(x) is Size else x


def _expression(x: Any) -> Expression:
    """Return a size or an integer as an expression; None for anything else."""
    if type(x) is Size:
        return x.expression
    if isinstance(x, float) or not hasattr(x, "__index__"):
        return None
    return operator.index(x)


def _simplified(name: str, x: Expression, y: Expression, a: Any, b: Any) -> Any:
    """Return the result of arithmetic that needs no writing down, or None."""
    if name == "*":
        if x == 0 or y == 0:
            return 0
        return b if x == 1 else a if y == 1 else None
    if name == "+":
        return b if x == 0 else a if y == 0 else None
    if name == "-" and y == 0:
        return a
    if y == 1 and name in ("//", "%"):
        return a if name == "//" else 0
    if x == y and name in ("-", "%"):
        return 0
    return None


def value_of(expression: Expression, numbers: Sequence[Any]) -> Any:
    """Return the value of an expression for numbers of the symbols.

    Examples
    --------
    >>> value_of(("*", ("n", 0), ("-", ("n", 1), 1)), [3, 5])
    12
    """
    if isinstance(expression, int | float):
        return expression
    name, x, *more = expression
    if name == "n":
        return numbers[x]
    if name in _FORMATS:
        number = float(value_of(x, numbers))
        raw = struct.pack("<" + _FORMATS[name], number)
        return int.from_bytes(raw, "little")
    return _ARITHMETIC[name](value_of(x, numbers), value_of(more[0], numbers))


def text_of(expression: Expression) -> str:
    """Return an expression as a person writes it.

    Examples
    --------
    >>> text_of(("*", ("+", ("n", 0), 1), ("n", 1)))
    '(n+1)*m'
    """
    if isinstance(expression, int | float):
        return str(expression)
    name, x, *more = expression
    if name == "n":
        return NAMES[x] if x < len(NAMES) else f"n{x}"
    if not more:
        return f"{name}({text_of(x)})"
    parts = (text_of(x), text_of(more[0]))
    a, b = (f"({p})" if name != "+" and set(p) & set("+-%/") else p for p in parts)
    return f"{a}{name}{b}"


def holds(guards: Iterable[Any], numbers: Sequence[Any]) -> bool:
    """Tell whether everything that was decided is right for numbers of the symbols."""
    return all(
        _RELATIONS[relation](value_of(a, numbers), value_of(b, numbers)) is bool(truth)
        for (relation, a, b), truth in guards
    )
