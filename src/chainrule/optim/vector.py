"""A tree of arrays as one vector of real numbers, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tree import TreeDef, flatten


class Layout:
    """Where each leaf of a tree lies in a vector; a complex number takes two places."""

    def __init__(self, tree: Any, name: str = "params") -> None:
        leaves, self.treedef = flatten(tree)
        self.types = [(np.shape(leaf), np.result_type(leaf)) for leaf in leaves]
        for place, (_, dtype) in enumerate(self.types):
            if dtype.kind not in "fc":
                where = self.treedef.leaf_paths(name)[place]
                raise TypeError(f"{where} is of dtype {dtype}; only floating point can be moved")
        if not leaves:
            raise ValueError(f"{name} holds no arrays")
        sizes = [
            int(np.prod(shape)) * (2 if dtype.kind == "c" else 1) for shape, dtype in self.types
        ]
        self.borders = np.cumsum(sizes)[:-1]
        self.dtype = np.result_type(*(real(dtype) for _, dtype in self.types))

    treedef: TreeDef

    def ravel(self, tree: Any, name: str = "gradients") -> Any:
        """Return the vector of a tree with the same structure and shapes."""
        leaves = self.treedef.flatten_like(tree, name)
        parts = []
        for place, (leaf, (shape, dtype)) in enumerate(zip(leaves, self.types, strict=True)):
            if np.shape(leaf) != shape:
                where = self.treedef.leaf_paths(name)[place]
                raise ValueError(f"{where} has shape {np.shape(leaf)}, not {shape}")
            parts.append(np.array(leaf, dtype).reshape(-1).view(real(dtype)))
        return np.concatenate(parts, dtype=self.dtype)

    def unravel(self, vector: Any) -> Any:
        """Return the tree of a vector, each leaf in its dtype."""
        parts = np.split(vector, self.borders)
        return self.treedef.unflatten(
            np.array(part, real(dtype)).view(dtype).reshape(shape)
            for part, (shape, dtype) in zip(parts, self.types, strict=True)
        )


def real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the parts of a number."""
    return np.finfo(dtype).dtype
