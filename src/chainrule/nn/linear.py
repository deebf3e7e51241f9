"""Layers that multiply by a matrix or look up its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import random
from ..errors import TraceError
from .checks import caller, require_features, require_indices
from .initialisers import Initialiser, fan_in_uniform, normal
from .printing import Printed


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Printed):
    """A linear layer: ``x @ weight.T + bias`` on the last axis of ``x``.

    Attributes
    ----------
    weight : array of shape (outputs, inputs)
    bias : array of shape (outputs,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> layer = nn.Linear.init(random.key(0), 3, 4)
    >>> layer
    Linear(weight=float64[4, 3], bias=float64[4])  # 16 parameters
    >>> layer(np.ones((10, 3))).shape
    (10, 4)
    """

    weight: Any
    bias: Any = None

    @classmethod
    def init(
        cls,
        key: Any,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        weight_init: Initialiser = fan_in_uniform,
        dtype: Any = np.float64,
    ) -> Linear:
        """Make a layer with random parameters; by default within ±1/√inputs.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        inputs, outputs : int
            Numbers of features.
        bias : bool
            Whether to add a bias.
        weight_init : callable
            Gives the weight from ``(key, shape, dtype)``; one of :mod:`chainrule.nn.initialisers`.
        dtype : dtype
            float32 or float64.
        """
        for_weight, for_bias = random.split(key)
        weight = weight_init(for_weight, (outputs, inputs), dtype)
        return cls(
            weight, fan_in_uniform(for_bias, (outputs,), dtype, fan=inputs) if bias else None
        )

    def __call__(self, x: Any) -> Any:
        outputs, inputs = self.weight.shape
        require_features(f"Linear({inputs} → {outputs})", x, inputs)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, eq=False, repr=False)
class Embedding(Printed):
    """A table of vectors, looked up by integers.

    Attributes
    ----------
    weight : array of shape (entries, features)

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> table = nn.Embedding.init(random.key(0), 10, 4)
    >>> table(np.array([[1, 2, 3], [3, 3, 9]])).shape
    (2, 3, 4)
    """

    weight: Any

    @classmethod
    def init(
        cls,
        key: Any,
        entries: int,
        features: int,
        *,
        weight_init: Initialiser | None = None,
        dtype: Any = np.float64,
    ) -> Embedding:
        """Make a table; by default of standard normal numbers."""
        if weight_init is None:
            return cls(normal(key, (entries, features), dtype, std=1.0))
        return cls(weight_init(key, (entries, features), dtype))

    def __call__(self, indices: Any) -> Any:
        indices = np.asarray(indices)
        if indices.dtype.kind not in "iu":
            raise TraceError(
                f"Embedding got indices of dtype {indices.dtype}",
                span=caller(),
                why="it looks rows up by whole numbers",
                help="convert them: indices.astype(int)",
            )
        help = f"make a table with more than {len(self.weight)} entries, or look for a wrong index"
        return self.weight[require_indices("Embedding", indices, len(self.weight), help)]
