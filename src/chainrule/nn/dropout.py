"""Dropout: zeros at random, which make a network rely on no single unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import random
from ..errors import TraceError
from .checks import caller
from .containers import STATIC
from .printing import Printed


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Printed):
    """Set elements to zero at random in training, and scale the others up [1]_.

    Attributes
    ----------
    rate : float
        The probability of a zero. The others are divided by ``1 - rate``, so that the mean stays
        the same and nothing is to be done after training.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a
       simple way to prevent neural networks from overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> layer = nn.Dropout(0.5)
    >>> layer(np.ones(5), key=random.key(0), train=True)
    array([2., 2., 2., 0., 0.])
    >>> layer(np.ones(5))
    array([1., 1., 1., 1., 1.])
    """

    rate: float = field(metadata=STATIC)

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate < 1.0:
            raise ValueError(f"the rate of a Dropout is at least 0 and below 1, not {self.rate!r}")

    def draws(self) -> bool:
        """Return whether there are zeros to be drawn."""
        return self.rate > 0

    def __call__(self, x: Any, *, key: Any = None, train: bool = False) -> Any:
        if not train or self.rate == 0.0:
            return x
        if key is None:
            raise TraceError(
                f"Dropout({self.rate}) got no key",
                span=caller(),
                why="in training it draws random numbers, and these come from an explicit key",
                help="pass a fresh key for each step: `model(x, key=key, train=True)`",
            )
        kept = random.bernoulli(key, 1.0 - self.rate, np.shape(x))
        return np.where(kept, x / (1.0 - self.rate), 0.0)
