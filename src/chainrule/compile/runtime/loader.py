"""From an object file to machine code in memory, without LLVM.

Importing LLVM takes longer than everything else that a program from the cache needs. The files
that it writes for Linux on x86-64 are simple: a few sections, a few kinds of references between
them. Anything else is refused, and the caller leaves the file to LLVM.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys
from collections.abc import Callable
from typing import NamedTuple

PAGE = mmap.PAGESIZE
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_REFERENCE = struct.Struct("<QQq")
_MAGIC = b"\x7fELF\x02\x01\x01"
_SYMBOLS, _REFERENCES, _EMPTY = 2, 4, 8  # kinds of sections
_WRITE, _LOADED, _EXECUTED = 1, 2, 4  # flags of sections
_ABSOLUTE, _RELATIVE, _CALL = (1,), (2,), (4,)  # kinds of references, R_X86_64_...
_BY_TABLE = (9, 41, 42)
_JUMP = b"\xff\x25"  # jmp *[rip + ...]
_JUMP_SIZE = 8


class UnreadableObjectError(Exception):
    """An object file has something in it that isn't known here."""


class Section(NamedTuple):
    """A section's header."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class Symbol(NamedTuple):
    """A symbol; ``section`` 0 means that it is external."""

    name: str
    section: int
    value: int


def is_supported() -> bool:
    """Tell whether object files of this platform can be loaded here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


class Loaded:
    """Machine code that is mapped as long as this object lives.

    Parameters
    ----------
    data : bytes
        The object file.
    resolve : callable
        Gives the address of an external symbol.
    """

    def __init__(self, data: bytes, resolve: Callable[[str], int]) -> None:
        self._data = data
        try:
            self._read()
            self._map(resolve)
        except (struct.error, IndexError, ValueError) as error:
            raise UnreadableObjectError(str(error)) from error

    def address(self, name: str) -> int:
        """Return the address of a function or variable."""
        return self._defined[name]

    def _read(self) -> None:
        header = _HEADER.unpack_from(self._data)
        machine, kind, table = header[2], header[1], header[6]
        if header[0][:7] != _MAGIC or kind != 1 or machine != 62:
            raise UnreadableObjectError("not an object file for x86-64")
        size, count = header[11], header[12]
        self.sections = [
            Section(*_SECTION.unpack_from(self._data, table + k * size)) for k in range(count)
        ]
        (symbols,) = (s for s in self.sections if s.kind == _SYMBOLS)
        names = self._content(self.sections[symbols.link])
        self.symbols: list[Symbol] = []
        for at in range(0, symbols.size, _SYMBOL.size):
            name, _, _, section, value, _ = _SYMBOL.unpack_from(self._data, symbols.offset + at)
            text = names[name : names.index(b"\0", name)].decode()
            self.symbols.append(Symbol(text, section, value))

    def _content(self, section: Section) -> bytes:
        return self._data[section.offset : section.offset + section.size]

    def _map(self, resolve: Callable[[str], int]) -> None:
        names = self._content(self.sections[_HEADER.unpack_from(self._data)[13]])
        loaded = [
            k
            for k, s in enumerate(self.sections)
            if s.flags & _LOADED and s.size and not names[s.name :].startswith(b".eh_frame")
        ]
        external = [s.name for s in self.symbols if s.section == 0 and s.name]
        self._places: dict[int, int] = {}
        end = self._place([k for k in loaded if self.sections[k].flags & _EXECUTED], 0)
        self._jumps = {name: end + _JUMP_SIZE * k for k, name in enumerate(external)}
        constants = _up(end + _JUMP_SIZE * len(external), PAGE)
        fixed = [k for k in loaded if not self.sections[k].flags & (_EXECUTED | _WRITE)]
        end = _up(self._place(fixed, constants), 8)
        named = dict.fromkeys(s.name for s in self.symbols if s.name)
        self._table = {name: end + 8 * k for k, name in enumerate(named)}
        variables = _up(end + 8 * len(named), PAGE)
        changed = [k for k in loaded if self.sections[k].flags & _WRITE]
        total = _up(self._place(changed, variables), PAGE) or PAGE
        # private: a child after a fork must not share the state of the code's variables
        self._memory = mmap.mmap(-1, total, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._defined = {
            s.name: self._start + self._places[s.section] + s.value
            for s in self.symbols
            if s.section in self._places
        }
        self._fill(loaded, {name: resolve(name) for name in external})
        self._protect(0, constants, mmap.PROT_READ | mmap.PROT_EXEC)
        self._protect(constants, variables, mmap.PROT_READ)

    def _place(self, numbers: list[int], at: int) -> int:
        for k in numbers:
            at = _up(at, max(self.sections[k].alignment, 1))
            self._places[k] = at
            at += self.sections[k].size
        return at

    def _fill(self, loaded: list[int], addresses: dict[str, int]) -> None:
        for k in loaded:
            section = self.sections[k]
            if section.kind != _EMPTY:
                at = self._places[k]
                self._memory[at : at + section.size] = self._content(section)
        for name, entry in self._table.items():
            address = addresses.get(name) or self._defined.get(name, 0)
            struct.pack_into("<Q", self._memory, entry, address)
        for name, jump in self._jumps.items():
            self._memory[jump : jump + 2] = _JUMP
            struct.pack_into("<i", self._memory, jump + 2, self._table[name] - jump - 6)
        for section in self.sections:
            if section.kind == _REFERENCES and section.info in self._places:
                for at in range(section.offset, section.offset + section.size, _REFERENCE.size):
                    self._refer(section.info, *_REFERENCE.unpack_from(self._data, at))

    def _refer(self, section: int, offset: int, info: int, addend: int) -> None:
        """Write one reference from code or data to a symbol."""
        symbol, kind = self.symbols[info >> 32], info & 0xFFFFFFFF
        at = self._places[section] + offset
        inside = symbol.section in self._places
        if not inside and symbol.name not in self._table:
            raise UnreadableObjectError(f"a reference to section {symbol.section}")
        place = self._places[symbol.section] + symbol.value if inside else 0
        if kind in _ABSOLUTE:
            base = self._start + place if inside else self._external(symbol.name)
            struct.pack_into("<Q", self._memory, at, base + addend)
            return
        if kind in _CALL and not inside:
            place = self._jumps[symbol.name]
        elif kind in _BY_TABLE:
            place = self._table[symbol.name]
        elif kind not in (*_CALL, *_RELATIVE) or not inside:
            raise UnreadableObjectError(f"a reference of kind {kind}")
        struct.pack_into("<i", self._memory, at, place + addend - at)

    def _external(self, name: str) -> int:
        (address,) = struct.unpack_from("<Q", self._memory, self._table[name])
        return int(address)

    def _protect(self, begin: int, end: int, mode: int) -> None:
        if end > begin:
            library = ctypes.CDLL(None, use_errno=True)
            address = ctypes.c_void_p(self._start + begin)
            if library.mprotect(address, ctypes.c_size_t(end - begin), mode) != 0:
                raise OSError(ctypes.get_errno(), "memory for machine code was refused")


def _up(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment
