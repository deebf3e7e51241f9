"""Models that are made of other models."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import random, tree
from .printing import Printed

STATIC = {"static": True}


@dataclass(frozen=True, eq=False, repr=False)
class Function(Printed):
    """A function without parameters as a layer, which makes it part of a model's structure.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Function(np.tanh)(0.0)
    np.float64(0.0)
    """

    f: Callable[..., Any] = field(metadata=STATIC)

    def __call__(self, x: Any) -> Any:
        return self.f(x)

    def __inline__(self) -> str:
        return getattr(self.f, "__name__", repr(self.f))


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Sequential(Printed):
    """Layers one after the other.

    Parameters
    ----------
    *layers : callable
        Layers, or plain functions such as ``nn.relu``.

    Notes
    -----
    ``model(x)`` gives the output. A ``key`` is split, so that each layer that draws (such as
    :class:`Dropout`) gets its own; ``train`` goes to each layer whose call has a parameter of that
    name. A layer with running statistics (such as :class:`BatchNorm`) needs a ``state``: start
    from ``model.init_state()``; a call with a state gives the pair of output and new state.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> first, second = random.split(random.key(0))
    >>> model = nn.Sequential(nn.Linear.init(first, 3, 8), nn.relu, nn.Linear.init(second, 8, 2))
    >>> model
    Sequential(  # 50 parameters
      Linear(weight=float64[8, 3], bias=float64[8]),  # 32
      relu,
      Linear(weight=float64[2, 8], bias=float64[2]),  # 18
    )
    >>> model(np.ones((10, 3))).shape
    (10, 2)
    """

    layers: tuple[Any, ...]

    def __init__(self, *layers: Any) -> None:
        object.__setattr__(self, "layers", tuple(map(as_layer, layers)))

    def init_state(self) -> tuple[Any, ...]:
        """Return the running statistics that the layers start from: one entry per layer."""
        return tuple(init_state(layer) for layer in self.layers)

    def __call__(self, x: Any, state: Any = None, *, key: Any = None, train: bool = False) -> Any:
        keys = [None] * len(self.layers) if key is None else random.split(key, len(self.layers))
        states = [None] * len(self.layers) if state is None else state
        after = []
        for layer, layer_key, layer_state in zip(self.layers, keys, states, strict=True):
            x, new = apply_layer(layer, x, layer_state, key=layer_key, train=train)
            after.append(new)
        return x if state is None else (x, tuple(after))

    def draws(self) -> bool:
        """Return whether a layer draws in training."""
        return any(map(_draws, self.layers))

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)


@dataclass(frozen=True, eq=False, repr=False)
class Residual(Printed):
    """A layer whose input is added to its output [1]_.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition",
       CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Residual(nn.Function(np.square))(3.0)
    np.float64(12.0)
    """

    layer: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer", as_layer(self.layer))

    def init_state(self) -> Any:
        """Return the running statistics that the layer starts from."""
        return init_state(self.layer)

    def __call__(self, x: Any, state: Any = None, *, key: Any = None, train: bool = False) -> Any:
        y, after = apply_layer(self.layer, x, state, key=key, train=train)
        return x + y if state is None else (x + y, after)

    def draws(self) -> bool:
        """Return whether the layer draws in training."""
        return _draws(self.layer)


def init_state(model: Any) -> Any:
    """Return the running statistics that a model starts from, or None if it keeps none.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.init_state(nn.Sequential(np.tanh))
    (None,)
    """
    start = getattr(model, "init_state", None)
    return None if start is None else start()


def _draws(layer: Any) -> bool:
    """Whether a layer takes a key and does not say that it makes no use of it."""
    cls: Any = type(layer)
    return bool(layer.draws()) if hasattr(layer, "draws") else "key" in _parameters(cls)


def apply_layer(
    layer: Any, x: Any, state: Any = None, *, key: Any = None, train: bool = False
) -> tuple[Any, Any]:
    """Call a layer with those of key, train and state that its call has parameters for.

    Returns
    -------
    (output, state)
        The new state, or None for a layer that got none.
    """
    cls: Any = type(layer)
    accepted = _parameters(cls)
    given = {"key": key, "train": train}
    options = {name: value for name, value in given.items() if name in accepted}
    if state is None or "state" not in accepted:
        return layer(x, **options), state
    y, after = layer(x, state, **options)
    return y, after


@functools.cache
def _parameters(cls: Any) -> frozenset[str]:
    """Names of the parameters of a layer's call."""
    return frozenset(inspect.signature(cls.__call__).parameters)


def as_layer(layer: Any) -> Any:
    """Return a layer, with a plain function made one."""
    leaves = tree.leaves(layer)
    if not callable(layer):
        raise TypeError(f"a layer is something to call, not {type(layer).__name__}")
    if len(leaves) != 1 or leaves[0] is not layer:
        return layer
    held = tree.leaves(getattr(layer, "__dict__", {}))
    if any(isinstance(leaf, np.ndarray) for leaf in held):
        raise TypeError(
            f"the arrays of a {type(layer).__name__} cannot be found: make its class a dataclass"
        )
    return Function(layer)
