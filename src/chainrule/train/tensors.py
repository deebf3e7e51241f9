"""Tensors in safetensors files: reading, writing, and saying exactly what is wrong with a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CheckpointError", "read_tensors", "serialize", "storable"]

FilePath = str | os.PathLike[str]

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "C64": np.dtype(np.complex64),
}
_COMPLEX = "complex128"  # unknown to the format: stored as pairs of float64, listed under this name


class CheckpointError(ValueError):
    """A file that is not the checkpoint that was expected."""


def storable(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of a dtype can be written.

    Examples
    --------
    >>> storable(np.dtype(np.float32)), storable(np.dtype(object))
    (True, False)
    """
    return dtype.newbyteorder("=") in _DTYPES.values() or dtype.name == _COMPLEX


def serialize(tensors: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file.

    Examples
    --------
    >>> content = serialize({"W": np.zeros(3)}, {"about": "an example"})
    >>> content[8:60].decode().strip()
    '{"__metadata__":{"about":"an example"},"W":{"dtype":'
    """
    save = _library("numpy").save
    pairs = [name for name, array in tensors.items() if array.dtype.name == _COMPLEX]
    plain = {
        name: _as_pairs(array) if name in pairs else _native(array)
        for name, array in tensors.items()
    }
    about = {**metadata, _COMPLEX: json.dumps(pairs)} if pairs else metadata
    content: bytes = save(plain, about)
    return content


def read_tensors(
    path: FilePath,
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Tensors in bfloat16, which NumPy lacks, come as float32.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is not whole.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "weights.safetensors")
    >>> _ = file.write_bytes(serialize({"W": np.arange(3.0)}, {}))
    >>> read_tensors(file)[0]
    {'W': array([0., 1., 2.])}
    """
    library = _library()
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    header = _header(path, content)
    try:
        entries = library.deserialize(content)
    except library.SafetensorError as error:
        raise CheckpointError(f"{path}: not a valid safetensors file: {error}") from None
    metadata = header.get("__metadata__", {})
    tensors = {name: _decoded(path, name, entry) for name, entry in entries}
    try:
        for name in json.loads(metadata.get(_COMPLEX, "[]")):
            tensors[name] = tensors[name].view(np.complex128)[..., 0]
    except (ValueError, TypeError, KeyError, IndexError):
        raise CheckpointError(f"{path}: damaged: the list of complex tensors is wrong") from None
    return tensors, metadata


def _library(part: str | None = None) -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            "checkpoints need the package safetensors: pip install 'chainrule[train]'"
        ) from None
    return safetensors if part is None else safetensors.numpy


def _header(path: FilePath, content: bytes) -> dict[str, Any]:
    """Read the list of tensors at the start of a file, and check that all are there.

    The library's own message for a file that was cut short does not say what is missing.
    """
    foreign = CheckpointError(f"{path}: not a safetensors file")
    if not content:
        raise CheckpointError(f"{path}: the file is empty")
    size = int.from_bytes(content[:8], "little")
    if len(content) < 9 or content[8:9] != b"{":
        raise foreign
    if 8 + size > len(content):
        raise CheckpointError(f"{path}: truncated within the list of tensors")
    try:
        header = json.loads(content[8 : 8 + size])
        data = len(content) - 8 - size
        offsets = {n: e["data_offsets"] for n, e in header.items() if n != "__metadata__"}
        cut = [name for name, (_, end) in sorted(offsets.items()) if end > data]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise foreign from None
    if cut:
        raise CheckpointError(f"{path}: truncated: tensor {cut[0]} is not complete")
    checked: dict[str, Any] = header
    return checked


def _decoded(path: FilePath, name: str, entry: dict[str, Any]) -> np.ndarray[Any, Any]:
    kind, shape = entry["dtype"], tuple(entry["shape"])
    data = bytearray(entry["data"])  # a copy that can be written to
    if kind == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    if kind not in _DTYPES:
        raise CheckpointError(f"{path}: tensor {name} is of type {kind}, which NumPy lacks")
    dtype = _DTYPES[kind]
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # not np.ascontiguousarray, which gives arrays without axes one
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _as_pairs(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.stack([array.real, array.imag], axis=-1)
