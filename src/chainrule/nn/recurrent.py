"""Recurrent networks: cells run over time, stacked, in one or both directions.

The loop over time is :func:`chainrule.scan`: its body is recorded once, so that a long sequence
makes no longer a program. The products of all inputs with the weights are done before the loop, in
one go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from .. import random, scan
from .cells import GRUCell, LSTMCell, RNNCell, _Cell
from .checks import require_features, require_shape
from .containers import STATIC
from .dropout import Dropout
from .printing import Printed


def unroll(cell: Any, x: Any, initial: Any, mask: Any = None, reverse: bool = False) -> Any:
    """Run a cell over time.

    Parameters
    ----------
    cell : cell
        One of the cells of this package, or a layer with their methods.
    x : array of shape (batch, time, inputs)
    initial : pytree
        The state before the first step.
    mask : array of bool of shape (batch, time), optional
        Where a sequence has elements. Elsewhere the state stays as it is and the output is 0.
    reverse : bool
        Whether to go from the last element to the first.

    Returns
    -------
    outputs : array of shape (batch, time, hidden)
    state : pytree
        The state after the last step.
    """
    projected = np.swapaxes(cell.project(x), 0, 1)
    if mask is None:

        def advance(state: Any, a: Any) -> Any:
            state = cell.step(state, a)
            return state, cell.output(state)

        state, ys = scan(advance, initial, projected, reverse=reverse)
        return np.swapaxes(ys, 0, 1), state

    def advance_where(state: Any, inputs: Any) -> Any:
        a, valid = inputs
        after = _select(valid, cell.step(state, a), state)
        return after, np.where(valid, cell.output(after), 0.0)

    valid = np.swapaxes(np.asarray(mask, bool), 0, 1)[..., np.newaxis]
    state, ys = scan(advance_where, initial, (projected, valid), reverse=reverse)
    return np.swapaxes(ys, 0, 1), state


def _select(valid: Any, after: Any, before: Any) -> Any:
    if isinstance(after, tuple):
        return tuple(np.where(valid, a, b) for a, b in zip(after, before, strict=True))
    return np.where(valid, after, before)


def length_mask(lengths: Any, time: int) -> Any:
    """Return a mask of shape (batch, time) for sequences of given lengths.

    Examples
    --------
    >>> length_mask([1, 3], 3)
    array([[ True, False, False],
           [ True,  True,  True]])
    """
    return np.arange(time) < np.asarray(lengths)[:, np.newaxis]


@dataclass(frozen=True, eq=False, repr=False)
class _Recurrent(Printed):
    """Cells of one kind in layers and directions."""

    cells: tuple[tuple[Any, ...], ...]
    dropout: float = field(default=0.0, metadata=STATIC)

    cell: ClassVar[type[_Cell]]

    @classmethod
    def init(
        cls,
        key: Any,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Any = np.float64,
        **options: Any,
    ) -> Self:
        """Make a network with random parameters.

        Parameters
        ----------
        key : array of shape (2,)
            A key of :mod:`chainrule.random`.
        inputs, hidden : int
            Numbers of features of the inputs and of the hidden state.
        layers : int
            How many layers, each of which runs over the outputs of the one before.
        bidirectional : bool
            Whether each layer also runs backwards; the outputs are then joined.
        dropout : float
            The rate of :class:`Dropout` between layers.
        dtype : dtype
            float32 or float64.
        **options
            For the cells: ``bias``, ``weight_init``, ``recurrent_init``.
        """
        directions = 2 if bidirectional else 1
        Dropout(dropout)  # refuses a rate out of range
        keys = np.reshape(random.split(key, layers * directions), (layers, directions, 2))
        sizes = [inputs] + [hidden * directions] * (layers - 1)
        cells = tuple(
            tuple(cls.cell.init(k, size, hidden, dtype=dtype, **options) for k in layer_keys)
            for size, layer_keys in zip(sizes, keys, strict=True)
        )
        return cls(cells, dropout)

    def __call__(
        self,
        x: Any,
        initial: Any = None,
        *,
        mask: Any = None,
        key: Any = None,
        train: bool = False,
    ) -> Any:
        """Run over sequences.

        Parameters
        ----------
        x : array of shape (batch, time, inputs)
        initial : tuple of tuples, optional
            For each layer and direction the state before the first step; by default zeros.
        mask : array of bool of shape (batch, time), optional
            Where the sequences have elements, such as :func:`length_mask` gives it. Elsewhere
            outputs are 0, and states stay as they are.
        key, train
            For the dropout between layers.

        Returns
        -------
        outputs : array of shape (batch, time, hidden), of both directions joined if there are two
        final : tuple of tuples
            For each layer and direction the state after the last step.
        """
        self._require_sequences(x, mask)
        final = []
        for depth, layer in enumerate(self.cells):
            if depth and self.dropout:
                layer_key = None if key is None else random.fold_in(key, depth)
                x = Dropout(self.dropout)(x, key=layer_key, train=train)
            starts = [None] * len(layer) if initial is None else initial[depth]
            runs = [
                unroll(cell, x, self._start(cell, x, start), mask, reverse=direction == 1)
                for direction, (cell, start) in enumerate(zip(layer, starts, strict=True))
            ]
            x = runs[0][0] if len(runs) == 1 else np.concatenate([y for y, _ in runs], axis=-1)
            final.append(tuple(state for _, state in runs))
        return x, tuple(final)

    @staticmethod
    def _start(cell: Any, x: Any, start: Any) -> Any:
        if start is not None:
            return start
        return cell.initial(x.shape[0], np.result_type(x.dtype, cell.weight_hh.dtype))

    def draws(self) -> bool:
        """Return whether there is dropout between layers."""
        return self.dropout > 0 and len(self.cells) > 1

    def _require_sequences(self, x: Any, mask: Any) -> None:
        first = self.cells[0][0]
        inputs = first.weight_ih.shape[1]
        name, shape = f"{type(self).__name__}({inputs} → {first.hidden})", np.shape(x)
        require_shape(
            len(shape) == 3,
            f"{name} got an input of shape {shape}",
            f"it takes shape (batch, time, {inputs})",
            "add an axis for the batch: x[np.newaxis]",
        )
        require_features(name, x, inputs)
        require_shape(
            mask is None or np.shape(mask) == shape[:2],
            f"{name} got an input of shape {shape} and a mask of shape {np.shape(mask)}",
            "the mask says for each sequence and time whether there is an element",
            f"make it from lengths: nn.length_mask(lengths, {shape[1] if len(shape) > 1 else 0})",
        )


class RNN(_Recurrent):
    """The simple recurrent network; see :class:`RNNCell` for its equation.

    Attributes
    ----------
    cells : tuple of tuples of RNNCell
        For each layer the cells of its one or two directions.
    dropout : float
        The rate of dropout between layers.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> outputs, final = nn.RNN.init(random.key(0), 3, 5)(np.ones((2, 7, 3)))
    >>> outputs.shape, final[0][0].shape
    ((2, 7, 5), (2, 5))
    """

    cell = RNNCell


class LSTM(_Recurrent):
    """The long short-term memory; see :class:`LSTMCell` for its equations.

    Its attributes are those of :class:`RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> lstm = nn.LSTM.init(random.key(0), 3, 5, layers=2, bidirectional=True)
    >>> mask = nn.length_mask([7, 4], 7)
    >>> outputs, final = lstm(np.ones((2, 7, 3)), mask=mask)
    >>> outputs.shape
    (2, 7, 10)
    >>> h, c = final[1][0]  # of the second layer, forwards
    >>> h.shape
    (2, 5)
    """

    cell = LSTMCell


class GRU(_Recurrent):
    """The network of gated recurrent units; see :class:`GRUCell` for its equations.

    Its attributes are those of :class:`RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, random
    >>> outputs, final = nn.GRU.init(random.key(0), 3, 5)(np.ones((2, 7, 3)))
    >>> outputs.shape, final[0][0].shape
    ((2, 7, 5), (2, 5))
    """

    cell = GRUCell
