"""What a gradient transformation is, and how several make one.

A transformation is a pair of functions: ``init`` makes a state for given parameters, ``update``
turns gradients into updates, which are *added* to the parameters. It holds no state of its own:
everything that changes is in the state, a tree of arrays that can be saved, copied and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..tree import TreeDef, flatten

__all__ = ["Transformation", "apply", "chain", "identity", "masked"]


class Update(Protocol):
    """Turns gradients and a state into updates and the next state."""

    def __call__(
        self, gradients: Any, state: Any, params: Any = None, **extra: Any
    ) -> tuple[Any, Any]: ...


class Transformation(NamedTuple):
    """A step on the way from gradients to updates of the parameters.

    An optimiser is a transformation too, most often a :func:`chain` of simpler ones.

    Attributes
    ----------
    init : callable
        ``init(params)`` returns the state to begin with, a pytree.
    update : callable
        ``update(gradients, state, params=None, **extra)`` returns ``(updates, state)``. It changes
        none of its arguments. By keyword come what only some transformations read: ``value``, the
        loss of this step (:func:`reduce_on_plateau`, :func:`lbfgs`), and ``closure``, which maps
        parameters to ``(value, gradients)`` (:func:`lbfgs`). The others ignore them, so a training
        loop may pass them always.

    Examples
    --------
    The ten lines that train anything:

    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> def loss(params):
    ...     return np.sum((params["w"] - np.array([1.0, 2.0])) ** 2)
    >>> params = {"w": np.zeros(2)}
    >>> optimiser = optim.sgd(0.1, momentum=0.5)
    >>> state = optimiser.init(params)
    >>> for step in range(100):
    ...     gradients = cr.grad(loss)(params)
    ...     updates, state = optimiser.update(gradients, state, params)
    ...     params = optim.apply(params, updates)
    >>> params["w"].round(6)
    array([1., 2.])

    One of your own needs two functions:

    >>> sign = optim.Transformation(
    ...     init=lambda params: (),
    ...     update=lambda gradients, state, params=None, **extra: (
    ...         {name: np.sign(g) for name, g in gradients.items()}, state),
    ... )
    >>> sign.update({"w": np.array([3.0, -2.0])}, sign.init(params))
    ({'w': array([ 1., -1.])}, ())
    """

    init: Callable[[Any], Any]
    update: Update


def apply(params: Any, updates: Any) -> Any:
    """Return the parameters with the updates added, each in its parameter's dtype.

    Raises
    ------
    ValueError
        If the updates have another structure or another shape than the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> apply({"w": np.ones(2, np.float32)}, {"w": np.array([0.5, -1.0])})
    {'w': array([1.5, 0. ], dtype=float32)}
    """
    tree, (old, changes) = align(params=params, updates=updates)
    return tree.unflatten(in_dtype(p + u, p) for p, u in zip(old, changes, strict=True))


def identity() -> Transformation:
    """Return the transformation that passes gradients on as they are.

    Examples
    --------
    >>> identity().update([1.0], ())
    ([1.0], ())
    """
    return stateless(lambda gradients, params: gradients)


def chain(*transformations: Transformation) -> Transformation:
    """Apply transformations one after the other; the state is the tuple of their states.

    Parameters
    ----------
    *transformations : Transformation
        The first sees the gradients, each other one what the one before it returns.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import optim
    >>> optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1))
    >>> params = np.zeros(2)
    >>> updates, state = optimiser.update(np.array([3.0, 4.0]), optimiser.init(params), params)
    >>> updates
    array([-0.06, -0.08])
    """
    for position, one in enumerate(transformations):
        if not (hasattr(one, "init") and hasattr(one, "update")):
            raise TypeError(
                f"chain takes transformations; argument {position} is {type(one).__name__}"
            )

    def init(params: Any) -> Any:
        return tuple(one.init(params) for one in transformations)

    def update(gradients: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        if len(state) != len(transformations):
            raise ValueError(
                f"the state is of {len(state)} transformations, this chain has "
                f"{len(transformations)}; use the state that its own init made"
            )
        states = []
        for one, before in zip(transformations, state, strict=True):
            gradients, after = one.update(gradients, before, params, **extra)
            states.append(after)
        return gradients, tuple(states)

    return Transformation(init, update)


def masked(inner: Transformation, mask: Any) -> Transformation:
    """Apply a transformation to some of the parameters; the other gradients pass unchanged.

    Parameters
    ----------
    inner : Transformation
        What to do where the mask holds. Its state has ``None`` in place of the others.
    mask : pytree of bool, or callable
        With the structure of the parameters, or a function that gives it for the parameters.

    Examples
    --------
    Weights and biases with learning rates of their own:

    >>> import numpy as np
    >>> from chainrule import optim
    >>> optimiser = optim.chain(
    ...     optim.masked(optim.sgd(0.1), {"W": True, "b": False}),
    ...     optim.masked(optim.sgd(1.0), {"W": False, "b": True}),
    ... )
    >>> params = {"W": np.ones(2), "b": np.ones(1)}
    >>> optimiser.update(params, optimiser.init(params), params)[0]
    {'W': array([-0.1, -0.1]), 'b': array([-1.])}
    """

    def pick(tree: Any, keep: list[bool], name: str) -> Any:
        leaves, treedef = flatten(tree)
        if len(leaves) != len(keep):
            raise ValueError(f"the mask has {len(keep)} leaves, the {name} have {len(leaves)}")
        return treedef.unflatten(
            leaf if kept else None for leaf, kept in zip(leaves, keep, strict=True)
        )

    def kept(params: Any, name: str) -> list[bool]:
        chosen = mask(params) if callable(mask) else mask
        return [bool(one) for one in align(**{name: params}, mask=chosen, shapes=False)[1][1]]

    def init(params: Any) -> Any:
        return inner.init(pick(params, kept(params, "params"), "parameters"))

    def update(gradients: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        source = gradients if params is None else params
        keep = kept(source, "gradients" if params is None else "params")
        some = None if params is None else pick(params, keep, "parameters")
        changed, state = inner.update(pick(gradients, keep, "gradients"), state, some, **extra)
        leaves, treedef = flatten(gradients)
        new = iter(flatten(changed)[0])
        return treedef.unflatten(
            next(new) if chosen else leaf for leaf, chosen in zip(leaves, keep, strict=True)
        ), state

    return Transformation(init, update)


# -- what the transformations of this room share -------------------------------------------------


def stateless(change: Callable[[Any, Any], Any]) -> Transformation:
    """Return a transformation without a state from ``change(gradients, params)``."""

    def update(gradients: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        return change(gradients, params), state

    return Transformation(lambda params: (), update)


def align(*, shapes: bool = True, **trees: Any) -> tuple[TreeDef, list[list[Any]]]:
    """Return the structure of the first tree and the leaves of all, or say where they differ."""
    (first, reference), *others = trees.items()
    leaves, treedef = flatten(reference)
    lists = [leaves, *(treedef.flatten_like(tree, name) for name, tree in others)]
    if shapes:
        for (name, _), matched in zip(others, lists[1:], strict=True):
            for place, (one, two) in enumerate(zip(leaves, matched, strict=True)):
                if getattr(one, "shape", ()) != getattr(two, "shape", ()):
                    raise ValueError(
                        f"{treedef.leaf_paths(name)[place]} has shape {np.shape(two)}, but "
                        f"{treedef.leaf_paths(first)[place]} has shape {np.shape(one)}"
                    )
    return treedef, lists


def need_params(params: Any, who: str) -> Any:
    """Return the parameters, which ``who`` cannot do without."""
    if params is None:
        raise ValueError(f"{who} reads the parameters: call update(gradients, state, params)")
    return params


def need_extra(value: Any, name: str, who: str) -> Any:
    """Return an extra argument, which ``who`` cannot do without."""
    if value is None:
        raise ValueError(f"{who} needs {name}: call update(gradients, state, params, {name}=...)")
    return value


def zeros(params: Any, who: str, real: bool = False) -> Any:
    """Return zeros for each parameter; ``real`` refuses complex ones."""
    leaves, treedef = flatten(params)
    for place, leaf in enumerate(leaves):
        dtype = np.result_type(leaf)
        if dtype.kind not in "fc":
            raise TypeError(
                f"{treedef.leaf_paths('params')[place]} is of dtype {dtype}; {who} moves "
                "floating-point parameters: keep others out of the tree"
            )
        if real and dtype.kind == "c":
            raise NotImplementedError(
                f"{treedef.leaf_paths('params')[place]} is complex; {who} scales real and "
                "imaginary parts apart: keep them as two real parameters"
            )
    return treedef.unflatten(np.zeros_like(leaf) for leaf in leaves)


def scalar(value: Any, leaf: Any) -> Any:
    """Return a number that leaves the dtype of ``leaf`` as it is when it multiplies it.

    A Python float does, but NumPy's float64 would turn float32 arrays into float64.
    """
    if type(value) in (float, int, np.float64):
        return float(value)
    return in_dtype(value, leaf)


def in_dtype(value: Any, like: Any) -> Any:
    """Return ``value`` in the dtype of ``like``."""
    dtype = getattr(like, "dtype", None)
    if dtype is None or value.dtype == dtype:
        return value
    return value.astype(dtype)


def check_between(low: float, high: float, **numbers: float) -> None:
    """Raise ValueError for a number outside of ``[low, high)``."""
    for name, number in numbers.items():
        if not low <= number < high:
            bounds = f"at least {low:g}" if high == np.inf else f"in [{low:g}, {high:g})"
            raise ValueError(f"{name} must be {bounds}, not {number:g}")
