"""Arrays of other libraries, by the protocol that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tree import map as tree_map

__all__ = ["from_dlpack", "to_dlpack"]


def from_dlpack(tree: Any) -> Any:
    """Return a tree of arrays of any library as one of NumPy arrays that share their memory.

    Parameters
    ----------
    tree : pytree
        Leaves with the DLPack protocol on the CPU (PyTorch, JAX, CuPy and others); other leaves
        stay as they are. A tensor that requires a gradient has to be detached first.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(3.0)
    >>> y = from_dlpack({"x": x, "name": "three"})["x"]
    >>> np.shares_memory(x, y)
    True
    """
    return tree_map(lambda leaf: np.from_dlpack(leaf) if _exchanges(leaf) else leaf, tree)


def to_dlpack(tree: Any, library: Any) -> Any:
    """Return a tree of NumPy arrays as one of another library's, in the same memory if it can be.

    Parameters
    ----------
    tree : pytree
        With NumPy arrays; other leaves stay as they are.
    library : module
        Whose ``from_dlpack`` to call: ``torch``, ``jax.numpy``, ``cupy``, ``numpy``.

    Notes
    -----
    A read-only array is copied: what it is given to may write into it.

    Examples
    --------
    >>> import numpy as np
    >>> to_dlpack([np.arange(3.0)], np)
    [array([0., 1., 2.])]
    """

    def give(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray | np.generic):
            return leaf
        array = np.asarray(leaf)
        return library.from_dlpack(array if array.flags.writeable else array.copy())

    return tree_map(give, tree)


def _exchanges(leaf: Any) -> bool:
    return hasattr(leaf, "__dlpack__") and not isinstance(leaf, np.generic)
