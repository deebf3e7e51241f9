"""IDX files, the format of MNIST and its family."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .split import Split

__all__ = ["mnist", "read_idx", "write_idx"]

FilePath = str | os.PathLike[str]

# big-endian in the file
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


def read_idx(path: FilePath) -> np.ndarray[Any, Any]:
    """Read an array from an IDX file, which may be compressed by gzip.

    Raises
    ------
    ValueError
        If the file is of another format, or its size is not the one that it states.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/labels.idx1-ubyte"
    >>> write_idx(file, np.array([5, 0, 4], np.uint8))
    >>> read_idx(file)
    array([5, 0, 4], dtype=uint8)
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: the compressed file is damaged: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise ValueError(f"{path}: not an IDX file")
    dtype, axes = np.dtype(">" + _DTYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError(f"{path}: truncated: {axes} axes are stated, their lengths are missing")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, offset=4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{path}: {len(content)} bytes, but an array of shape {shape} takes {expected}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder())


def write_idx(path: FilePath, array: Any) -> None:
    """Write an array as an IDX file, compressed if its name ends in ``.gz``.

    Examples
    --------
    >>> import tempfile
    >>> write_idx(tempfile.mkdtemp() + "/images.idx3-ubyte.gz", np.zeros((2, 3, 3), np.uint8))
    """
    array = np.asarray(array)
    codes = [code for code, kind in _DTYPES.items() if kind == array.dtype.str[1:]]
    if not codes:
        raise ValueError(f"IDX files hold no {array.dtype}")
    lengths = np.array(array.shape, ">u4").tobytes()
    body = array.astype(array.dtype.newbyteorder(">")).tobytes()
    content = bytes([0, 0, codes[0], array.ndim]) + lengths + body
    compressed = os.fspath(path).endswith(".gz")
    Path(path).write_bytes(gzip.compress(content, mtime=0) if compressed else content)


def mnist(folder: FilePath) -> Split:
    """Read MNIST, or a set of the same form such as Fashion-MNIST, from its four files.

    Parameters
    ----------
    folder : str or Path
        Where ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        and ``t10k-labels-idx1-ubyte`` are, each with ``.gz`` or without.

    Returns
    -------
    Split
        Images are float32 in [0, 1] of shape (n, 28, 28), labels int64.

    Raises
    ------
    FileNotFoundError
        If a file is missing. This function downloads nothing.

    Examples
    --------
    >>> mnist("no/such/folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no/such/folder/train-images-idx3-ubyte(.gz) is missing. MNIST is not ...
    """
    parts = []
    for part in ("train", "t10k"):
        images = read_idx(_existing(folder, f"{part}-images-idx3-ubyte"))
        labels = read_idx(_existing(folder, f"{part}-labels-idx1-ubyte"))
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{folder}: {part} has images of shape {images.shape} "
                f"and labels of shape {labels.shape}"
            )
        parts.append((images.astype(np.float32) / np.float32(255), labels.astype(np.int64)))
    return Split(*parts)


def _existing(folder: FilePath, name: str) -> Path:
    for file in (Path(folder, name), Path(folder, name + ".gz")):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"{Path(folder, name)}(.gz) is missing. MNIST is not part of chainrule, and nothing is "
        "downloaded: its four files have to be fetched from the internet once and put there. "
        "data.digits() is a smaller set of real digits that needs no internet"
    )
