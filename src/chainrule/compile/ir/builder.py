"""Writes instructions at the end of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .module import LIKELY, UNLIKELY, Block, Function, GlobalVariable, Module
from .types import FunctionType, IntType, PointerType, Type, VectorType
from .values import Constant, Value

POINTER = PointerType()
I1 = IntType(1)
_COMPARED = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


class Phi(Value):
    """A value that depends on where the execution comes from."""

    __slots__ = ("incoming",)

    def __init__(self, type: Type, text: str) -> None:
        super().__init__(type, text)
        self.incoming: list[tuple[Value, Block]] = []

    def add_incoming(self, value: Value, block: Block) -> None:
        """Let it be a value if the execution comes from a block."""
        self.incoming.append((value, block))


class Alloca(Value):
    """Memory on the stack; ``align`` may be set."""

    __slots__ = ("align", "count", "value_type")

    def __init__(self, value_type: Type, count: Value | None, text: str) -> None:
        super().__init__(POINTER, text)
        self.value_type = value_type
        self.count = count
        self.align: int | None = None


class _Late:
    """An instruction whose text is known when the function is complete."""

    __slots__ = ("value",)

    def __init__(self, value: Phi | Alloca) -> None:
        self.value = value

    def __str__(self) -> str:
        value = self.value
        if isinstance(value, Phi):
            pairs = ", ".join(f"[{x.text}, %{block.name}]" for x, block in value.incoming)
            return f"{value.text} = phi {value.type.text} {pairs}"
        count = f", {value.count}" if value.count is not None else ""
        align = f", align {value.align}" if value.align else ""
        return f"{value.text} = alloca {value.value_type.text}{count}{align}"


class _Call:
    """A call of a function."""

    __slots__ = ("function", "given", "start")

    def __init__(self, start: str, function: Function, given: Sequence[Value]) -> None:
        self.start = start
        self.function = function
        self.given = given

    def __str__(self) -> str:
        values = [x.same if isinstance(x, Function) else x for x in self.given]
        listed = [f"{x.type.text} {x.text}" for x in values]
        assert not any(isinstance(x, Function) and x.takes_length for x in values)
        if self.function.same.takes_length:
            listed.append(f"i64 {self.function.length}")
        return f"{self.start} {self.function.same.text}({', '.join(listed)})"


def _binary(name: str) -> Callable[..., Value]:
    def write(self: IRBuilder, x: Value, y: Value, flags: Sequence[str] = ()) -> Value:
        kind = x.type
        words = f"{name} {' '.join(flags)}" if flags else name
        return self._new(f"{words} {kind.text} {x.text}, {y.text}", kind)

    write.__doc__ = f"Write ``{name}``."
    return write


def _cast(name: str) -> Callable[[IRBuilder, Value, Type], Value]:
    def write(self: IRBuilder, x: Value, target: Type) -> Value:
        if x.type is target:
            return x
        return self._new(f"{name} {x} to {target.text}", target)

    write.__doc__ = f"Write ``{name}``, unless the value is of that type."
    return write


class IRBuilder:
    """Writes instructions; ``block`` is where they go."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.function: Function = block.function

    @property
    def module(self) -> Module:
        """The module of the function."""
        return self.function.module

    def _name(self) -> str:
        function = self.function
        function.count = number = function.count + 1
        return f"%v{number}"

    def _new(self, text: str, kind: Type) -> Value:
        """Write an instruction; return its result."""
        function = self.function
        function.count = number = function.count + 1
        name = f"%v{number}"
        self.block.lines.append(f"{name} = {text}")
        return Value(kind, name)

    def _end(self, text: str) -> None:
        self.block.lines.append(text)
        self.block.is_terminated = True

    # -- where to write ----------------------------------------------------------------------------

    def position_at_end(self, block: Block) -> None:
        """Go on at the end of a block."""
        self.block = block

    def append_basic_block(self, name: str = "block") -> Block:
        """Return a new block of the function."""
        return self.function.append_basic_block(name)

    @contextmanager
    def goto_entry_block(self) -> Iterator[None]:
        """Write into the function's first block, and then go on here."""
        before, first = self.block, self.function.blocks[0]
        last = first.lines.pop() if first.is_terminated else None
        self.block = first
        yield
        if last is not None:
            first.lines.append(last)
        self.block = before

    @contextmanager
    def goto_end(self, block: Block) -> Iterator[Callable[[], Block]]:
        """Write before the branch at the end of a block, and then go on here.

        There may be branches in what is written: what is yielded tells the last block afterwards.
        """
        here, self.block = self.block, block
        branch = block.lines.pop()
        block.is_terminated = False
        last = block
        yield lambda: last
        last = self.block
        last.lines.append(branch)
        last.is_terminated = True
        self.block = here

    @contextmanager
    def if_then(self, condition: Value, likely: bool | None = None) -> Iterator[None]:
        """Write what is done if a condition holds."""
        yes, after = self.append_basic_block("if"), self.append_basic_block("endif")
        self.cbranch(condition, yes, after, likely)
        self.block = yes
        yield
        if not self.block.is_terminated:
            self.branch(after)
        self.block = after

    @contextmanager
    def if_else(self, condition: Value, likely: bool | None = None) -> Iterator[tuple[Any, Any]]:
        """Write what is done if a condition holds, and what if it does not."""
        blocks = self.append_basic_block("if"), self.append_basic_block("else")
        after = self.append_basic_block("endif")
        self.cbranch(condition, *blocks, likely)

        @contextmanager
        def branch(block: Block) -> Iterator[None]:
            self.block = block
            yield
            if not self.block.is_terminated:
                self.branch(after)

        yield branch(blocks[0]), branch(blocks[1])
        self.block = after

    # -- arithmetic --------------------------------------------------------------------------------

    add = _binary("add")
    sub = _binary("sub")
    mul = _binary("mul")
    sdiv = _binary("sdiv")
    udiv = _binary("udiv")
    srem = _binary("srem")
    urem = _binary("urem")
    shl = _binary("shl")
    lshr = _binary("lshr")
    ashr = _binary("ashr")
    and_ = _binary("and")
    or_ = _binary("or")
    xor = _binary("xor")
    fadd = _binary("fadd")
    fsub = _binary("fsub")
    fmul = _binary("fmul")
    fdiv = _binary("fdiv")
    frem = _binary("frem")
    trunc = _cast("trunc")
    zext = _cast("zext")
    sext = _cast("sext")
    fptrunc = _cast("fptrunc")
    fpext = _cast("fpext")
    fptosi = _cast("fptosi")
    fptoui = _cast("fptoui")
    sitofp = _cast("sitofp")
    uitofp = _cast("uitofp")
    bitcast = _cast("bitcast")
    ptrtoint = _cast("ptrtoint")
    inttoptr = _cast("inttoptr")

    def neg(self, x: Value) -> Value:
        """Write the negative of an integer."""
        return self.sub(Constant(x.type, 0), x)

    def not_(self, x: Value) -> Value:
        """Write an integer with all its bits turned over."""
        return self.xor(x, Constant(x.type, -1))

    def fneg(self, x: Value) -> Value:
        """Write the negative of a number."""
        return self._new(f"fneg {x}", x.type)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """Write x y + z, rounded once."""
        kind = FunctionType(x.type, [x.type] * 3)
        return self.call(self.module.declare_intrinsic("llvm.fma", [x.type], kind), [x, y, z])

    def _compare(self, words: str, x: Value, y: Value) -> Value:
        kind = VectorType(I1, x.type.count) if isinstance(x.type, VectorType) else I1
        return self._new(f"{words} {x}, {y.text}", kind)

    def icmp_signed(self, symbol: str, x: Value, y: Value) -> Value:
        """Compare integers with a sign."""
        word = _COMPARED[symbol]
        return self._compare(f"icmp {word if word in ('eq', 'ne') else 's' + word}", x, y)

    def icmp_unsigned(self, symbol: str, x: Value, y: Value) -> Value:
        """Compare integers without a sign, or addresses."""
        word = _COMPARED[symbol]
        return self._compare(f"icmp {word if word in ('eq', 'ne') else 'u' + word}", x, y)

    def fcmp_ordered(self, symbol: str, x: Value, y: Value) -> Value:
        """Compare numbers; false for NaN."""
        word = "o" + _COMPARED[symbol] if symbol in _COMPARED else symbol
        return self._compare(f"fcmp {word}", x, y)

    def fcmp_unordered(self, symbol: str, x: Value, y: Value) -> Value:
        """Compare numbers; true for NaN."""
        word = "u" + _COMPARED[symbol] if symbol in _COMPARED else symbol
        return self._compare(f"fcmp {word}", x, y)

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """Choose one of two values."""
        return self._new(f"select {condition}, {yes}, {no}", yes.type)

    def hidden(self, x: Value) -> Value:
        """Return an integer as a value of which LLVM knows nothing."""
        return self._new(f'call {x.type.text} asm "", "=r,0"({x})', x.type)

    # -- vectors -----------------------------------------------------------------------------------

    def insert_element(self, vector: Value, x: Value, place: Value) -> Value:
        """Write a vector with one element changed."""
        return self._new(f"insertelement {vector}, {x}, {place}", vector.type)

    def extract_element(self, vector: Value, place: Value) -> Value:
        """Write one element of a vector."""
        assert isinstance(vector.type, VectorType)
        return self._new(f"extractelement {vector}, {place}", vector.type.element)

    def shuffle_vector(self, x: Value, y: Value, places: Value) -> Value:
        """Write a vector of elements of two others."""
        assert isinstance(x.type, VectorType)
        assert isinstance(places.type, VectorType)
        kind = VectorType(x.type.element, places.type.count)
        return self._new(f"shufflevector {x}, {y}, {places}", kind)

    # -- memory ------------------------------------------------------------------------------------

    def alloca(self, kind: Type, count: Value | None = None) -> Alloca:
        """Take memory from the stack."""
        made = Alloca(kind, count, self._name())
        self.block.lines.append(_Late(made))
        return made

    def load(self, pointer: Value, align: int | None = None, typ: Type | None = None) -> Value:
        """Read memory."""
        if typ is None:
            assert isinstance(pointer, Alloca | GlobalVariable)
            typ = pointer.value_type
        end = f", align {align}" if align else ""
        return self._new(f"load {typ.text}, ptr {pointer.text}{end}", typ)

    def load_atomic(self, pointer: Value, ordering: str, align: int, typ: Type) -> Value:
        """Read memory that other threads change."""
        text = f"load atomic {typ.text}, ptr {pointer.text} {ordering}, align {align}"
        return self._new(text, typ)

    def store(self, value: Value, pointer: Value, align: int | None = None) -> None:
        """Write memory."""
        end = f", align {align}" if align else ""
        self.block.lines.append(f"store {value.type.text} {value.text}, ptr {pointer.text}{end}")

    def gep(
        self,
        pointer: Value,
        indices: Sequence[Value],
        inbounds: bool = False,
        source_etype: Type | None = None,
    ) -> Value:
        """Write an address that is so many elements of a type away."""
        assert source_etype is not None
        inside = " inbounds" if inbounds else ""
        places = ", ".join([f"{i.type.text} {i.text}" for i in indices])
        text = f"getelementptr{inside} {source_etype.text}, ptr {pointer.text}, {places}"
        return self._new(text, POINTER)

    def atomic_rmw(self, operation: str, pointer: Value, value: Value, ordering: str) -> Value:
        """Change memory that other threads change as well."""
        return self._new(f"atomicrmw {operation} {pointer}, {value} {ordering}", value.type)

    # -- control -----------------------------------------------------------------------------------

    def phi(self, kind: Type, name: str = "") -> Phi:
        """Write a value that depends on where the execution comes from."""
        made = Phi(kind, self._name())
        self.block.lines.append(_Late(made))
        return made

    def call(
        self, function: Function, given: Sequence[Value], fastmath: Sequence[str] = ()
    ) -> Value:
        """Call a function."""
        result = function.kind.return_type
        words = f"call {' '.join(fastmath)} {result.text}" if fastmath else f"call {result.text}"
        self.function.called[function] = None
        name = "" if result.text == "void" else self._name()
        start = f"{name} = {words}" if name else words
        passed = [x for x in given if isinstance(x, Function)]
        self.function.called.update(dict.fromkeys(passed))
        call = _Call(start, function, given)
        # another one may stand for a function of this module
        self.block.lines.append(call if function.linkage or passed else str(call))
        return Value(result, name)

    def branch(self, target: Block) -> None:
        """Go on at a block."""
        self._end(f"br label %{target.name}")

    def cbranch(self, condition: Value, yes: Block, no: Block, likely: bool | None = None) -> None:
        """Go on at one of two blocks."""
        weights = "" if likely is None else f", !prof {LIKELY if likely else UNLIKELY}"
        self._end(f"br {condition}, label %{yes.name}, label %{no.name}{weights}")

    def ret(self, value: Value) -> None:
        """Return a value."""
        self._end(f"ret {value}")

    def ret_void(self) -> None:
        """Return nothing."""
        self._end("ret void")
