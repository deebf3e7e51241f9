"""Attention, and the block that transformers are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import random, stop_gradient
from .activations import gelu
from .checks import require_features, require_shape
from .containers import STATIC
from .dropout import Dropout
from .initialisers import glorot_uniform
from .linear import Linear
from .normalisation import LayerNorm
from .printing import Printed


def attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    mask: Any = None,
    causal: bool = False,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    """Return the scaled dot-product attention, softmax(Q Kᵀ / √d) V [1]_.

    Parameters
    ----------
    query : array of shape (..., queries, d)
    key : array of shape (..., keys, d)
    value : array of shape (..., keys, features)
    mask : array of bool that broadcasts to (..., queries, keys), optional
        Where a query may attend to a key. A query that may attend to none gives zeros.
    causal : bool
        Whether a query may attend only to keys up to its own place.
    dropout : callable, optional
        Applied to the weights.

    Returns
    -------
    array of shape (..., queries, features)

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> v = np.array([[1.0], [3.0]])
    >>> attention(np.zeros((2, 4)), np.zeros((2, 4)), v, causal=True)
    array([[1.],
           [2.]])
    """
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    if causal:
        earlier = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool)
        mask = earlier if mask is None else earlier & np.asarray(mask, bool)
    weights = _masked_softmax(scores, mask)
    return (weights if dropout is None else dropout(weights)) @ value


def _masked_softmax(scores: Any, mask: Any) -> Any:
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    largest = stop_gradient(np.max(scores, axis=-1, keepdims=True))
    if mask is not None:
        largest = np.where(np.isfinite(largest), largest, 0.0)  # of a query without a key
    powers = np.exp(scores - largest)
    total = np.sum(powers, axis=-1, keepdims=True)
    return powers / (total if mask is None else np.where(np.equal(total, 0.0), 1.0, total))


@dataclass(frozen=True, eq=False, repr=False)
class MultiHeadAttention(Printed):
    """Attention in several heads, each of which sees a part of the features [1]_.

    Attributes
    ----------
    query, key, value, output : Linear
        The projections before and after.
    heads : int
        Number of heads.
    dropout : float
        The rate of :class:`Dropout` on the weights.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> layer = nn.MultiHeadAttention.init(random.key(0), 8, heads=2)
    >>> layer(np.ones((3, 5, 8)), causal=True).shape
    (3, 5, 8)
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int = field(metadata=STATIC)
    dropout: float = field(default=0.0, metadata=STATIC)

    @classmethod
    def init(
        cls,
        key: Any,
        features: int,
        heads: int,
        *,
        context_features: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: Any = np.float64,
    ) -> MultiHeadAttention:
        """Make a layer with random parameters.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        features, heads : int
            Number of features, and of heads that share them.
        context_features : int, optional
            Number of features of what is attended to; by default the same.
        dropout : float
            The rate of dropout on the weights.
        bias : bool
            Whether the projections add a bias.
        dtype : dtype
            float32 or float64.
        """
        if heads < 1 or features % heads:
            raise ValueError(f"{heads} heads do not divide {features} features")
        Dropout(dropout)  # refuses a rate out of range
        context = features if context_features is None else context_features
        sizes = (features, context, context, features)
        query, to_key, value, output = (
            Linear.init(k, size, features, bias=bias, weight_init=glorot_uniform, dtype=dtype)
            for k, size in zip(random.split(key, 4), sizes, strict=True)
        )
        return cls(query, to_key, value, output, heads, dropout)

    def __call__(
        self,
        x: Any,
        context: Any = None,
        *,
        mask: Any = None,
        causal: bool = False,
        key: Any = None,
        train: bool = False,
    ) -> Any:
        """Attend from each element of ``x`` to those of ``context``, or of ``x`` itself.

        Parameters
        ----------
        x : array of shape (batch, queries, features)
        context : array of shape (batch, keys, context features), optional
        mask : array of bool, optional
            Where there are keys, of shape (batch, keys), or where a query may attend to a key, of
            a shape that broadcasts to (batch, heads, queries, keys).
        causal : bool
            Whether an element may attend only to itself and those before it.
        key, train
            For the dropout.

        Returns
        -------
        array of shape (batch, queries, features)
        """
        features = self.query.weight.shape[1]
        name, shape = f"MultiHeadAttention({features}, heads={self.heads})", np.shape(x)
        require_shape(
            len(shape) == 3,
            f"{name} got an input of shape {shape}",
            f"it takes shape (batch, time, {features})",
            "add an axis for the batch: x[np.newaxis]",
        )
        require_features(name, x, features)
        context = x if context is None else context
        if mask is not None and np.ndim(mask) == 2:
            mask = np.asarray(mask, bool)[:, np.newaxis, np.newaxis, :]
        drop = Dropout(self.dropout)
        y = attention(
            self._split(self.query(x)),
            self._split(self.key(context)),
            self._split(self.value(context)),
            mask=mask,
            causal=causal,
            dropout=lambda weights: drop(weights, key=key, train=train),
        )
        joined = np.reshape(np.swapaxes(y, 1, 2), (*shape[:2], -1))
        return self.output(joined)

    def draws(self) -> bool:
        """Return whether there is dropout."""
        return self.dropout > 0

    def _split(self, x: Any) -> Any:
        """Turn (batch, time, features) into (batch, heads, time, features of a head)."""
        batch, time, features = x.shape
        return np.swapaxes(np.reshape(x, (batch, time, self.heads, features // self.heads)), 1, 2)


@dataclass(frozen=True, eq=False, repr=False)
class TransformerBlock(Printed):
    """Attention and a small network for each element, both as residuals [1]_.

    Attributes
    ----------
    attention : MultiHeadAttention
    up, down : Linear
        The network: ``down(activation(up(x)))``.
    norm1, norm2 : LayerNorm
    activation : callable
    norm_first : bool
        Whether to normalise the inputs of both residuals (as most models since [2]_ do) or their
        sums.
    dropout : float
        The rate of :class:`Dropout` at the end of both residuals.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
    .. [2] R. Xiong et al., "On layer normalization in the transformer architecture", ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> block = nn.TransformerBlock.init(random.key(0), 8, heads=2)
    >>> block(np.ones((3, 5, 8)), causal=True).shape
    (3, 5, 8)
    """

    attention: MultiHeadAttention
    up: Linear
    down: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    activation: Callable[[Any], Any] = field(default=gelu, metadata=STATIC)
    norm_first: bool = field(default=True, metadata=STATIC)
    dropout: float = field(default=0.0, metadata=STATIC)

    @classmethod
    def init(
        cls,
        key: Any,
        features: int,
        heads: int,
        *,
        hidden: int | None = None,
        activation: Callable[[Any], Any] = gelu,
        norm_first: bool = True,
        dropout: float = 0.0,
        dtype: Any = np.float64,
    ) -> TransformerBlock:
        """Make a block with random parameters.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        features, heads : int
            Number of features, and of heads that share them.
        hidden : int, optional
            Width of the small network; by default four times the features.
        activation, norm_first, dropout
            As the attributes; the dropout also acts on the weights of the attention.
        dtype : dtype
            float32 or float64.
        """
        keys = random.split(key, 3)
        width = 4 * features if hidden is None else hidden
        return cls(
            MultiHeadAttention.init(keys[0], features, heads, dropout=dropout, dtype=dtype),
            Linear.init(keys[1], features, width, dtype=dtype),
            Linear.init(keys[2], width, features, dtype=dtype),
            LayerNorm.init(features, dtype=dtype),
            LayerNorm.init(features, dtype=dtype),
            activation,
            norm_first,
            dropout,
        )

    def __call__(
        self,
        x: Any,
        *,
        mask: Any = None,
        causal: bool = False,
        key: Any = None,
        train: bool = False,
    ) -> Any:
        """Apply the block to an array of shape (batch, time, features).

        ``mask`` and ``causal`` are those of :class:`MultiHeadAttention`.
        """
        keys = [None] * 4 if key is None else random.split(key, 4)
        drop = Dropout(self.dropout)

        def attend(x: Any) -> Any:
            y = self.attention(x, mask=mask, causal=causal, key=keys[0], train=train)
            return drop(y, key=keys[1], train=train)

        def transform(x: Any) -> Any:
            hidden = drop(self.activation(self.up(x)), key=keys[2], train=train)
            return drop(self.down(hidden), key=keys[3], train=train)

        if self.norm_first:
            x = x + attend(self.norm1(x))
            return x + transform(self.norm2(x))
        x = self.norm1(x + attend(x))
        return self.norm2(x + transform(x))

    def draws(self) -> bool:
        """Return whether there is dropout."""
        return self.dropout > 0 or self.attention.draws()
