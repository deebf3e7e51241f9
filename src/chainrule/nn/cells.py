"""One step of a recurrent network: the equations, and nothing else.

A cell has two parts: ``project`` is what a step needs of the inputs, computed for all times at
once in one product, and ``step`` is the recurrence. The parameters of the gates lie one after the
other in ``weight_ih`` (for the inputs), ``weight_hh`` (for the hidden state) and the biases, in
PyTorch's order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from .. import random
from .activations import sigmoid
from .checks import one_of
from .containers import STATIC
from .initialisers import Initialiser, fan_in_uniform
from .printing import Printed


@dataclass(frozen=True, eq=False, repr=False)
class _Cell(Printed):
    weight_ih: Any
    weight_hh: Any
    bias_ih: Any = None
    bias_hh: Any = None

    gates: ClassVar[int] = 1

    @classmethod
    def init(
        cls,
        key: Any,
        inputs: int,
        hidden: int,
        *,
        bias: bool = True,
        weight_init: Initialiser = fan_in_uniform,
        recurrent_init: Initialiser = fan_in_uniform,
        dtype: Any = np.float64,
    ) -> Self:
        """Make a cell with random parameters; by default those of weights are within ±1/√fan_in.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        inputs, hidden : int
            Numbers of features of the inputs and of the hidden state.
        bias : bool
            Whether to add biases.
        weight_init, recurrent_init : callable
            Give one gate's weights from ``(key, shape, dtype)``.
        dtype : dtype
            float32 or float64.
        """
        keys = random.split(key, 2 * cls.gates + 2)
        rows = [weight_init(k, (hidden, inputs), dtype) for k in keys[: cls.gates]]
        loops = [recurrent_init(k, (hidden, hidden), dtype) for k in keys[cls.gates : -2]]
        offsets = [
            fan_in_uniform(k, (cls.gates * hidden,), dtype, fan=hidden) if bias else None
            for k in keys[-2:]
        ]
        return cls(np.concatenate(rows), np.concatenate(loops), *offsets)

    @property
    def hidden(self) -> int:
        """Number of features of the hidden state."""
        return int(self.weight_hh.shape[1])

    def project(self, x: Any) -> Any:
        """Return what the steps need of inputs of shape (..., inputs)."""
        a = x @ self.weight_ih.T
        return a if self.bias_ih is None else a + self.bias_ih

    def recur(self, h: Any) -> Any:
        """Return what a step needs of the hidden state."""
        b = h @ self.weight_hh.T
        return b if self.bias_hh is None else b + self.bias_hh

    def initial(self, batch: int, dtype: Any) -> Any:
        """Return the state before the first step: zeros."""
        return np.zeros((batch, self.hidden), dtype)

    def step(self, state: Any, a: Any) -> Any:
        """Return the next state, from the state and the projected input."""
        raise NotImplementedError

    def output(self, state: Any) -> Any:
        """Return the part of the state that the next layer sees."""
        return state

    def __call__(self, x: Any, state: Any = None) -> Any:
        if state is None:
            state = self.initial(np.shape(x)[0], np.result_type(x, self.weight_ih))
        return self.step(state, self.project(x))


@dataclass(frozen=True, eq=False, repr=False)
class RNNCell(_Cell):
    """One step of the simple recurrent network [1]_: h = tanh(W x + U h + b).

    Attributes
    ----------
    weight_ih : array of shape (hidden, inputs)
    weight_hh : array of shape (hidden, hidden)
    bias_ih, bias_hh : array of shape (hidden,), or None
    nonlinearity : {"tanh", "relu"}

    References
    ----------
    .. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> cell = nn.RNNCell.init(random.key(0), 3, 5)
    >>> cell(np.ones((2, 3))).shape
    (2, 5)
    """

    nonlinearity: str = field(default="tanh", metadata=STATIC)

    def __post_init__(self) -> None:
        one_of("nonlinearity", self.nonlinearity, ("tanh", "relu"))

    def step(self, state: Any, a: Any) -> Any:
        z = a + self.recur(state)
        return np.tanh(z) if self.nonlinearity == "tanh" else np.where(z <= 0, 0.0, z)


@dataclass(frozen=True, eq=False, repr=False)
class LSTMCell(_Cell):
    """One step of the long short-term memory [1]_, with forget gates [2]_.

    The state is a pair ``(h, c)`` of the hidden state and the memory.

    Attributes
    ----------
    weight_ih : array of shape (4 · hidden, inputs)
    weight_hh : array of shape (4 · hidden, hidden)
    bias_ih, bias_hh : array of shape (4 · hidden,), or None

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    .. [2] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction
       with LSTM", Neural Computation 12, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> h, c = nn.LSTMCell.init(random.key(0), 3, 5)(np.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates: ClassVar[int] = 4

    def initial(self, batch: int, dtype: Any) -> Any:
        zero = np.zeros((batch, self.hidden), dtype)
        return zero, zero

    def step(self, state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = np.split(a + self.recur(h), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h, c

    def output(self, state: Any) -> Any:
        return state[0]


@dataclass(frozen=True, eq=False, repr=False)
class GRUCell(_Cell):
    """One step of the gated recurrent unit [1]_.

    As in PyTorch and cuDNN, the reset gate acts after the product with the recurrent weight.

    Attributes
    ----------
    weight_ih : array of shape (3 · hidden, inputs)
    weight_hh : array of shape (3 · hidden, hidden)
    bias_ih, bias_hh : array of shape (3 · hidden,), or None

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", EMNLP 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> nn.GRUCell.init(random.key(0), 3, 5)(np.ones((2, 3))).shape
    (2, 5)
    """

    gates: ClassVar[int] = 3

    def step(self, state: Any, a: Any) -> Any:
        h = state
        ar, az, an = np.split(a, 3, axis=-1)
        br, bz, bn = np.split(self.recur(h), 3, axis=-1)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        n = np.tanh(an + r * bn)
        return (1.0 - z) * n + z * h
