"""The types of LLVM. There is one object of each, so they can be compared and looked up quickly."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, ClassVar

from ..sizes import Size
from .values import Constant, Symbolic


class Type:
    """A type: ``text`` is how LLVM writes it, ``short`` how it does in the names of functions."""

    __slots__ = ("short", "text")
    short: str
    text: str
    _made: ClassVar[dict[tuple[Any, ...], Any]] = {}

    def __new__(cls, *of: Any) -> Any:
        """Return the one object that there is of a type."""
        found = Type._made.get((cls, *of))
        if found is None:
            found = object.__new__(cls)
            found._name(*of)
            # whichever thread comes first
            found = Type._made.setdefault((cls, *of), found)
        return found

    def _name(self, *of: Any) -> None:
        raise NotImplementedError

    def __call__(self, value: Any) -> Constant:
        """Return a constant of the type."""
        return Constant(self, value)

    def __str__(self) -> str:
        return self.text

    def written(self, value: Any) -> str:
        """Return how LLVM writes a constant of the type."""
        raise NotImplementedError


class VoidType(Type):
    """What a function returns that returns nothing."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.text = self.short = "void"


class IntType(Type):
    """An integer, or bits, of a width."""

    __slots__ = ("width",)
    width: int

    def _name(self, *of: Any) -> None:
        (self.width,) = of
        self.text = self.short = f"i{self.width}"

    def __call__(self, value: Any) -> Constant:
        """Return a constant; a size is one that is filled in when the code is loaded."""
        if type(value) is not Size:
            return Constant(self, value)
        if self.width < 64:
            value.scope.note("<", value.expression, 1 << (self.width - 1), True)
        return filled_in(value.scope.symbol(value.expression), self)

    def written(self, value: Any) -> str:
        if self.width == 1:
            return "true" if value else "false"
        return self(value).text if type(value) is Size else str(int(value))


class FloatType(Type):
    """A number of single precision."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.text, self.short = "float", "f32"

    def written(self, value: Any) -> str:
        (rounded,) = struct.unpack("<f", struct.pack("<f", value))
        return _bits(rounded)


class DoubleType(Type):
    """A number of double precision."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.text, self.short = "double", "f64"

    def written(self, value: Any) -> str:
        return _bits(value)


def filled_in(symbol: str, kind: Any) -> Constant:
    """Return a constant of which the loader gives the bits, as the address of a symbol."""
    width = 64 if kind is DoubleType() else 32 if kind is FloatType() else kind.width
    text = f'ptrtoint (ptr @"{symbol}" to i64)'
    if width < 64:
        text = f"trunc (i64 {text} to i{width})"
    if not isinstance(kind, IntType):
        text = f"bitcast (i{width} {text} to {kind})"
    return Symbolic(kind, text)


def _bits(value: float) -> str:
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    return f"0x{bits:016x}"


class PointerType(Type):
    """An address; of what, only loads and stores say."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.text, self.short = "ptr", "p0"

    def written(self, value: Any) -> str:
        raise TypeError("no address but zero is known when a program is written")


class _Row(Type):
    """So many elements of one type."""

    __slots__ = ("count", "element")
    element: Type
    count: int


class VectorType(_Row):
    """Elements in a register."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.element, self.count = of
        self.text = f"<{self.count} x {self.element.text}>"
        self.short = f"v{self.count}{self.element.short}"

    def written(self, value: Any) -> str:
        """Return the text of a constant; a number stands for as many elements as there are."""
        kind = self.element
        texts = [kind.written(v) for v in (value if isinstance(value, Sequence) else (value,))]
        if len(set(texts)) == 1:
            zero = texts[0] in ("0", "0x0000000000000000")
            return "zeroinitializer" if zero else f"splat ({kind.text} {texts[0]})"
        return f"<{', '.join([f'{kind.text} {t}' for t in texts])}>"


class ArrayType(_Row):
    """Elements in memory."""

    __slots__ = ()

    def _name(self, *of: Any) -> None:
        self.element, self.count = of
        self.text = self.short = f"[{self.count} x {self.element.text}]"

    def written(self, value: Any) -> str:
        kind = self.element
        return f"[{', '.join([f'{kind.text} {kind.written(v)}' for v in value])}]"


class FunctionType:
    """What a function takes and returns."""

    __slots__ = ("args", "return_type")

    def __init__(self, return_type: Type, args: Sequence[Type]) -> None:
        self.return_type = return_type
        self.args = tuple(args)
