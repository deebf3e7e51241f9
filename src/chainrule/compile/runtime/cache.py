"""Machine code on disk, so that a program is compiled once and not in every process.

A file holds one image under a key that names all that it depends on. It is private to the user,
checked by a digest before anything in it is used, and written under another name first, so that
any number of processes may write at the same time. What was not used for longest goes when the
files take more room than they may.

``CHAINRULE_CACHE_DIR`` says where the files are; empty, ``0`` or ``off`` mean nowhere.
``CHAINRULE_CACHE_SIZE`` says how many MiB they may take, 256 if nothing is said.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...program.errors import ProgramError

if TYPE_CHECKING:
    from ...program.program import Program
    from .image import Image

MAGIC = b"chainrule native 1\n"
SUFFIX = ".native"
ROOMS = ("compile", "maps", "primitives", "program", "trace", "transform")
SIZE = 256  # MiB
LOWER = 0.8  # of the limit is what remains after files were removed
TOUCH_AFTER = 3600.0  # seconds after which a use is noted again
_OFF = ("", "0", "off", "no", "false", "none")
_lock = threading.Lock()
_state: dict[str, Any] = {"written": 0, "told": False}


def directory() -> str | None:
    """Return where files are kept, or None if none shall be kept."""
    wished = os.environ.get("CHAINRULE_CACHE_DIR")
    if wished is not None:
        return None if wished.strip().lower() in _OFF else os.path.expanduser(wished)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.join(os.path.expanduser(base), "chainrule")


def limit() -> int:
    """Return how many bytes the files may take."""
    try:
        return int(float(os.environ.get("CHAINRULE_CACHE_SIZE", SIZE)) * 2**20)
    except ValueError:
        return SIZE << 20


def _digest(data: bytes) -> bytes:
    import hashlib  # with OpenSSL behind it, slow to import

    return hashlib.sha256(data).digest()


@functools.cache
def _surroundings() -> str:
    """Return what else than the program decides about its machine code."""
    parts = (
        sources(os.path.dirname(os.path.dirname(os.path.dirname(__file__)))),
        _version("llvmlite"),
        np.__version__,
        *map(str, sys.version_info[:2]),
        sys.platform,
        platform.machine(),
        _processor(),
    )
    return "\n".join(parts)


def sources(package: str) -> str:
    """Return a hash of what is known of the source files that decide about machine code.

    Length and time tell whether they are the same, as they tell Python whether byte code is still
    right; to read them all takes longer than to load the code of a small program.
    """
    known = []
    for entry in _files(package):
        status = entry.stat()
        known.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return _digest("\n".join(known).encode()).hex()


def _files(package: str) -> Iterator[os.DirEntry[str]]:
    """Yield the source files of the rooms of a package, in an order that is always the same."""
    waiting = [os.path.join(package, room) for room in ROOMS]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.name.endswith((".py", ".ll")):
                    yield entry
                elif entry.is_dir():
                    waiting.append(entry.path)


def _version(package: str) -> str:
    """Return a package's version, from the name of its metadata: it isn't imported for that."""
    for place in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(place or "."):
                if name.startswith(f"{package}-") and name.endswith(".dist-info"):
                    return name
    return "unknown"


def _processor() -> str:
    """Return the processor's name and abilities, as code is made for them."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        found = []
        for line in lines:
            if line.startswith(("model name", "cpu family", "model\t", "flags", "Features", "CPU")):
                found.append(line.strip())
            if not line.strip() and found:
                break
        if found:
            return "\n".join(found)
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def key_of(program: Program, options: Any = None) -> str | None:
    """Return under which name a program's machine code is kept; None if it isn't."""
    if directory() is None:
        return None
    try:
        content = program.fingerprint()
    except ProgramError:  # a user's own rule, say, which has no content to be told by
        return None
    return _digest(f"{content} {options} {_surroundings()}".encode()).hex()


def key_of_text(text: str) -> str | None:
    """Return under which name the machine code of a module of LLVM is kept."""
    if directory() is None:
        return None
    return _digest((text + _surroundings()).encode()).hex()


def find(key: str | None) -> Image | None:
    """Return the image that is kept under a key, or None. A damaged file is removed."""
    place = directory()
    if key is None or place is None:
        return None
    path = os.path.join(place, key + SUFFIX)
    try:
        _check_owner(place)
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    content = _verified(data, key)
    if content is None:
        with contextlib.suppress(OSError):
            os.unlink(path)
        return None
    _note_use(path)
    from .image import Image

    return Image.from_bytes(content)


def _verified(data: bytes, key: str) -> bytes | None:
    """Return what a file holds if it is whole, and is what it is called."""
    start = len(MAGIC) + 32
    head, digest, content = data[: len(MAGIC)], data[len(MAGIC) : start], data[start:]
    if head != MAGIC or len(digest) != 32:
        return None
    return content if _digest(key.encode() + content) == digest else None


def _note_use(path: str) -> None:
    with contextlib.suppress(OSError):
        import time

        if time.time() - os.stat(path).st_mtime > TOUCH_AFTER:
            os.utime(path)


def _check_owner(place: str) -> None:
    """Refuse a directory into which somebody else could have put code."""
    if not hasattr(os, "getuid"):
        return
    status = os.stat(place)
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{place} can be written by others")


def keep(key: str | None, image: Image) -> None:
    """Write an image under a key, if it can be used by another process."""
    place = directory()
    if key is None or place is None or image.constants is None:
        return
    content = image.to_bytes()
    data = MAGIC + _digest(key.encode() + content) + content
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        _check_owner(place)
        _write(place, key, data)
    except OSError as error:
        _tell(place, error)
        return
    with _lock:
        first = not _state["written"]
        _state["written"] += len(data)
        due = first or _state["written"] > limit() // 16
        if due:
            _state["written"] = 1
    if due:
        shrink(place, limit())


def _write(place: str, key: str, data: bytes) -> None:
    # not by `tempfile`, which brings much along
    name = os.path.join(place, f".{os.getpid()}-{threading.get_ident()}-{os.urandom(8).hex()}.part")
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, os.path.join(place, key + SUFFIX))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def shrink(place: str, size: int) -> None:
    """Remove what was not used for longest until the files take no more than ``size`` bytes."""
    found: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith((SUFFIX, ".part")):
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
    total = sum(n for _, n, _ in found)
    if total <= size:
        return
    for _, n, path in sorted(found):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= n
        if total <= size * LOWER:
            return


def _tell(place: str, error: OSError) -> None:
    """Say once that nothing is kept."""
    with _lock:
        told, _state["told"] = _state["told"], True
    if not told:
        from ..warning import JitWarning

        message = f"compiled functions cannot be kept in {place}: {error.strerror or error}"
        warnings.warn(f"{message}; set CHAINRULE_CACHE_DIR", JitWarning, stacklevel=2)
