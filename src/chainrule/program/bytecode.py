"""The name that bytecode gives to the result of an instruction, where no source can be read."""

from __future__ import annotations

import dis
from types import CodeType

__all__ = ["instruction_start", "opname_at", "stored_name"]

_LOADS = {
    "LOAD_FAST",
    "LOAD_FAST_CHECK",
    "LOAD_FAST_BORROW",
    "LOAD_NAME",
    "LOAD_GLOBAL",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
}
_DOUBLE_LOADS = {"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"}
_STORES = {"STORE_FAST", "STORE_FAST_MAYBE_NULL", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"}
_NO_EFFECT = {"NOP", "CACHE", "EXTENDED_ARG", "RESUME", "NOT_TAKEN"}
_CACHE = dis.opmap.get("CACHE", 0)
_UNKNOWN = "?"  # something that lay below the result before the two were swapped


def opname_at(code: CodeType, lasti: int) -> str:
    """Name of the instruction at an offset, as the compiler wrote it; '' if there is none."""
    bytecode, start = code.co_code, instruction_start(code, lasti)
    return dis.opname[bytecode[start]] if 0 <= start < len(bytecode) else ""


def instruction_start(code: CodeType, lasti: int) -> int:
    """Return the offset of the instruction that an offset lies in.

    Once an operation has been done a few times Python may call a method of ours directly, and then
    gives the end of the instruction's inline cache as the caller's place.
    """
    bytecode = code.co_code
    while 0 < lasti < len(bytecode) and bytecode[lasti] == _CACHE:
        lasti -= 2
    return lasti


def stored_name(code: CodeType, lasti: int) -> str | None:
    """Name under which the result of the instruction at ``lasti`` is stored, if it is.

    Follows the result on the stack for as long as the next instructions only load names and
    constants or move values about; any other use of the result means that it has no name.

    Examples
    --------
    >>> code = compile("y = -x", "<no source>", "exec")
    >>> offsets = {i.opname: i.offset for i in dis.get_instructions(code)}
    >>> stored_name(code, offsets["UNARY_NEGATIVE"])
    'y'
    """
    follower = _Follower()
    for instruction in dis.get_instructions(code):
        if instruction.offset > lasti:
            follower.step(instruction)
            if follower.done:
                return follower.name
    return None


class _Follower:
    """Sources of what lies on the stack above the result, the topmost last."""

    def __init__(self) -> None:
        self.above: list[str] = []
        self.name: str | None = None
        self.done = False

    def step(self, instruction: dis.Instruction) -> None:
        op, value = instruction.opname, instruction.argval
        if op in _NO_EFFECT:
            return
        if op in _STORES:
            self._store(value)
        elif op == "STORE_FAST_STORE_FAST":
            for name in value:
                self._store(name)
        elif op == "STORE_FAST_LOAD_FAST":
            self._store(value[0])
            self.above.append(value[1])
        elif op == "LOAD_GLOBAL" and (instruction.arg or 0) & 1:
            self._finish(None)  # it also pushes the NULL that opens a call
        elif op in _LOADS:
            self.above.append(value)
        elif op in _DOUBLE_LOADS:
            self.above.extend(value)
        elif op in ("LOAD_CONST", "LOAD_SMALL_INT"):
            self.above.append(repr(value))
        else:
            self._move(instruction)

    def _store(self, name: str) -> None:
        if self.done:
            return
        if self.above:
            self.above.pop()
        else:
            self._finish(name)

    def _finish(self, name: str | None) -> None:
        self.name = None if name is None or _UNKNOWN in name else name
        self.done = True

    def _move(self, instruction: dis.Instruction) -> None:
        op, argument, above = instruction.opname, instruction.arg or 0, self.above
        if op == "COPY" and argument == len(above) + 1:
            above.clear()  # from here on the copy on top stands for the result
        elif op == "SWAP" and not above:
            above.extend([_UNKNOWN] * (argument - 1))
        elif op == "SWAP" and argument == len(above) + 1:
            above.clear()
        elif op == "SWAP" and argument <= len(above):
            above[-1], above[-argument] = above[-argument], above[-1]
        elif op == "LOAD_ATTR" and above and "NULL|self" not in instruction.argrepr:
            above[-1] = f"{above[-1]}.{instruction.argval}"
        elif self._is_subscript(instruction) and len(above) >= 2:
            key = above.pop()
            above[-1] = f"{above[-1]}[{key}]"
        elif op == "STORE_ATTR" and len(above) == 1:
            self._finish(f"{above[0]}.{instruction.argval}")
        elif op == "STORE_SUBSCR" and len(above) == 2:
            self._finish(f"{above[0]}[{above[1]}]")
        else:
            self._finish(None)

    @staticmethod
    def _is_subscript(instruction: dis.Instruction) -> bool:
        # Python 3.14 made the subscript one of the binary operations.
        op = instruction.opname
        return op == "BINARY_SUBSCR" or (op == "BINARY_OP" and instruction.argrepr == "[]")
