"""Weights that were trained elsewhere: PyTorch's ``state_dict`` in a safetensors file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from ..tree import flatten
from .checkpoint import arrange
from .tensors import CheckpointError, FilePath, read_tensors

__all__ = ["load_state_dict"]

Source = str | tuple[str, Callable[[Any], Any]]


def load_state_dict(
    path: FilePath, like: Any, names: Mapping[str, Source], ignore: Collection[str] = ()
) -> Any:
    """Read the weights of a model from a file of another system, by a map of names.

    Parameters
    ----------
    path : str or Path
        A safetensors file, such as ``safetensors.torch.save_file(model.state_dict(), path)``
        writes.
    like : pytree
        The model, initialised anyhow: its structure, shapes and dtypes.
    names : mapping
        From the path of a leaf in ``like``, as ``leaf_paths(like)`` lists them, to the name of a
        tensor in the file, or to a pair of that name and a function that is applied to the
        tensor, such as ``np.transpose``.
    ignore : collection of str
        Tensors of the file that are left out on purpose.

    Returns
    -------
    pytree
        With the structure and the dtypes of ``like``.

    Raises
    ------
    CheckpointError
        If a leaf or a tensor is left over, or a shape is wrong, naming it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.train.tensors import serialize
    >>> file = pathlib.Path(tempfile.mkdtemp(), "linear.safetensors")
    >>> weights = {"fc.weight": np.array([[1.0, 2.0]], np.float32), "fc.bias": np.zeros(1)}
    >>> _ = file.write_bytes(serialize(weights, {}))
    >>> model = {"W": np.zeros((2, 1)), "b": np.zeros(1)}
    >>> names = {"['W']": ("fc.weight", np.transpose), "['b']": "fc.bias"}
    >>> load_state_dict(file, model, names)
    {'W': array([[1.], [2.]]), 'b': array([0.])}
    """
    tensors, _ = read_tensors(path)
    leaves, treedef = flatten(like)
    expected = dict(zip((p.removeprefix(".") for p in treedef.leaf_paths()), leaves, strict=True))
    by_path = {target.removeprefix("."): source for target, source in names.items()}
    unknown = sorted(set(by_path) - set(expected))
    if unknown:
        raise CheckpointError(f"{path}: the model has no {unknown[0]}, which the name map lists")
    found, used = {}, set(ignore)
    for target, source in by_path.items():
        name, change = source if isinstance(source, tuple) else (source, None)
        if name not in tensors:
            raise CheckpointError(f"{path}: tensor {name}, meant for {target}, is missing")
        used.add(name)
        tensor = tensors[name] if change is None else np.asarray(change(tensors[name]))
        found[target] = _converted(tensor, expected[target])
    left = sorted(set(tensors) - used)
    if left:
        raise CheckpointError(
            f"{path}: tensor {left[0]} is not used by the name map; list it in `ignore` if so meant"
        )
    return arrange(path, found, like)


def _converted(tensor: np.ndarray[Any, Any], like: Any) -> np.ndarray[Any, Any]:
    """Change the precision of a float; any other difference in kind stays, and is an error."""
    dtype = getattr(like, "dtype", None)
    floats = tensor.dtype.kind == "f" and dtype is not None and dtype.kind == "f"
    return tensor.astype(dtype) if floats else tensor
