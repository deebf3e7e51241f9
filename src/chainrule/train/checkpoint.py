"""Checkpoints: any tree of arrays and numbers in one safetensors file that is whole or not there.

Arrays are tensors of the file, named by their paths; plain numbers and texts stand as JSON in the
file's metadata, together with a version and a checksum of everything. Nothing in a checkpoint can
be executed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..tree import TreeDef, flatten
from .tensors import CheckpointError, FilePath, read_tensors, serialize, storable

__all__ = ["CheckpointError", "load", "save"]

VERSION = 1
_FORMAT = "chainrule checkpoint"
_SCALARS = {"bool": bool, "int": int, "float": float, "complex": complex, "str": str}


def save(path: FilePath, tree: Any) -> None:
    """Write a tree to a file, whole or not at all.

    The file is written beside its place, forced to the disk and then renamed, so that whoever
    reads ``path`` sees the old checkpoint or the new one, also after a crash or a power cut.

    Parameters
    ----------
    path : str or Path
        Name of the file, by custom ending in ``.safetensors``.
    tree : pytree
        Leaves are arrays, NumPy scalars, or Python's bool, int, float, complex and str; None may
        stand anywhere.

    Raises
    ------
    TypeError
        If a leaf is something else, naming it.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> file = tempfile.mkdtemp() + "/model.safetensors"
    >>> save(file, {"W": np.ones((2, 2)), "step": 3})
    >>> load(file)
    {"['W']": array([[1., 1.], [1., 1.]]), "['step']": 3}
    """
    leaves, treedef = flatten(tree)
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    scalars: dict[str, list[str]] = {}
    for name, leaf in zip(_names(treedef), leaves, strict=True):
        kind = type(leaf).__name__
        if type(leaf) in _SCALARS.values():
            # repr gives back every bit of a float, and nan and inf, which JSON cannot write
            scalars[name] = [kind, leaf if isinstance(leaf, str) else repr(leaf)]
        elif isinstance(leaf, np.ndarray | np.generic) and storable(leaf.dtype):
            tensors[name] = np.asarray(leaf)
        else:
            raise TypeError(
                f"{path}: {name} cannot be saved: it is a {kind}"
                f"{f' of {leaf.dtype}' if isinstance(leaf, np.ndarray) else ''}; "
                "a checkpoint holds arrays of numbers, plain numbers, texts and None"
            )
    digests = {name: _digest(array) for name, array in tensors.items()}
    body = json.dumps({"scalars": scalars, "digests": digests}, sort_keys=True)
    about = {
        "format": _FORMAT,
        "version": str(VERSION),
        "body": body,
        "digest": hashlib.sha256(body.encode()).hexdigest(),
    }
    write_atomically(path, serialize(tensors, about))


def load(path: FilePath, like: Any = None) -> Any:
    """Read a checkpoint and check it.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save` wrote.
    like : pytree, optional
        A tree with the structure, shapes and dtypes that are expected, such as a model that was
        just initialised. Its values don't matter.

    Returns
    -------
    pytree
        With the structure of ``like``; without it, a dict from the path of each leaf to its value.

    Raises
    ------
    CheckpointError
        If the file is missing, cut short, damaged, of another kind or version, or does not fit
        ``like``: the message names the file and the tensor.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> file = tempfile.mkdtemp() + "/model.safetensors"
    >>> save(file, {"W": np.ones((2, 2)), "step": 3})
    >>> load(file, like={"W": np.zeros((2, 2)), "step": 0})
    {'W': array([[1., 1.], [1., 1.]]), 'step': 3}
    >>> load(file, like={"W": np.zeros((3, 2)), "step": 0})
    Traceback (most recent call last):
        ...
    chainrule.train.tensors.CheckpointError: ...['W'] has shape (2, 2), but (3, 2) is expected
    """
    found, about = read_tensors(path)
    if about.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path}: a safetensors file, but not a checkpoint of chainrule; "
            "for the weights of other systems there is load_state_dict"
        )
    if about.get("version") != str(VERSION):
        raise CheckpointError(
            f"{path}: written in version {about.get('version')} of the format, "
            f"and this release of chainrule reads version {VERSION}"
        )
    body = about.get("body", "")
    if hashlib.sha256(body.encode()).hexdigest() != about.get("digest"):
        raise CheckpointError(f"{path}: damaged: the description does not match its checksum")
    description = json.loads(body)
    for name, digest in description["digests"].items():
        if name not in found:
            raise CheckpointError(f"{path}: damaged: tensor {name} is missing")
        if _digest(found[name]) != digest:
            raise CheckpointError(f"{path}: damaged: tensor {name} does not match its checksum")
    leaves: dict[str, Any] = {name: found[name] for name in description["digests"]}
    for name, (kind, text) in description["scalars"].items():
        leaves[name] = text == "True" if kind == "bool" else _SCALARS[kind](text)
    return leaves if like is None else arrange(path, leaves, like)


def arrange(path: FilePath, found: dict[str, Any], like: Any) -> Any:
    """Put leaves that are named by their paths into the structure of ``like``."""
    expected, treedef = flatten(like)
    names = _names(treedef)
    surplus = sorted(set(found) - set(names))
    for name, leaf in zip(names, expected, strict=True):
        if name not in found:
            more = f"; it has {surplus[0]}, which is not expected" if surplus else ""
            raise CheckpointError(f"{path}: {name} is missing{more}")
        found[name] = _fitted(path, name, found[name], leaf)
    if surplus:
        raise CheckpointError(f"{path}: {surplus[0]} is in the file, but not expected")
    return treedef.unflatten(found[name] for name in names)


def write_atomically(path: FilePath, content: bytes) -> None:
    """Give a file new content such that at any moment it has all of the old or of the new."""
    target = Path(path)
    # One fixed name, so that what a killed process leaves behind is overwritten by the next.
    partial = target.with_name(f".{target.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is on the disk only when the folder is
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _names(treedef: TreeDef) -> list[str]:
    """Paths of the leaves; a leaf by itself is called ``value``."""
    return [path.removeprefix(".") or "value" for path in treedef.leaf_paths()]


def _digest(array: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype.name} {array.shape} ".encode())
    # in the byte order of the file, so that machines of both orders agree
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest.update(stored.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _fitted(path: FilePath, name: str, found: Any, like: Any) -> Any:
    """Return a leaf as the kind of thing that is expected, if it is that."""
    if isinstance(like, np.ndarray | np.generic):
        if not isinstance(found, np.ndarray):
            raise CheckpointError(f"{path}: {name} is {found!r}, but an array is expected")
        if found.shape != like.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {found.shape}, but {like.shape} is expected"
            )
        if found.dtype != like.dtype:
            raise CheckpointError(
                f"{path}: {name} has dtype {found.dtype}, but {like.dtype} is expected"
            )
        return found if isinstance(like, np.ndarray) else found[()]
    if type(found) is not type(like):
        raise CheckpointError(
            f"{path}: {name} is of type {type(found).__name__}, "
            f"but {type(like).__name__} is expected"
        )
    return found
