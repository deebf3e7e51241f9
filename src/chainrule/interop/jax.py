"""JAX as a neighbour: functions that cross the border with their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import custom_rule, vjp
from ..tree import TreeDef, flatten

__all__ = ["from_jax", "to_jax"]

Function = Callable[..., Any]


def to_jax(f: Function) -> Function:
    """Return a function of NumPy arrays as one of JAX arrays, which JAX differentiates.

    Parameters
    ----------
    f : callable
        A function of arrays or pytrees of them that chainrule can differentiate; it returns
        floating-point arrays, whose shapes depend on nothing but those of its arguments.

    Returns
    -------
    callable
        Takes and returns JAX arrays, also inside of ``jax.jit`` and ``jax.vmap``; the computation
        is a call back to the CPU. Integers and other arguments have no derivative. Reverse mode, to
        any order; JAX derives no forward mode for a function with a rule of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import jax  # doctest: +SKIP
    >>> f = to_jax(lambda x: np.sum(np.sin(x)))  # doctest: +SKIP
    >>> jax.grad(f)(jax.numpy.zeros(2))  # doctest: +SKIP
    Array([1., 1.], dtype=float32)
    """

    @functools.wraps(f)
    def call(*args: Any) -> Any:
        leaves, tree = flatten(args)
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
        run = _Run(f, tree, leaves, places)
        outs = _bridge(run, tuple(leaves[place] for place in places))
        assert run.out_tree is not None
        return run.out_tree.unflatten(outs)

    return call


class _Run:
    """A function of those arguments that are JAX's, which returns a flat tuple."""

    def __init__(self, f: Function, tree: TreeDef, leaves: list[Any], places: list[int]) -> None:
        self.f, self.tree, self.leaves, self.places = f, tree, leaves, places
        self.out_tree: TreeDef | None = None

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        leaves = list(self.leaves)
        for place, array in zip(self.places, arrays, strict=True):
            leaves[place] = array
        outs, self.out_tree = flatten(self.f(*self.tree.unflatten(leaves)))
        return tuple(outs)


def _bridge(run: Function, operands: tuple[Any, ...]) -> Any:
    """Call a chainrule function of a flat list with JAX's arrays, and give JAX its derivative."""
    moving = [k for k, x in enumerate(operands) if jnp.issubdtype(x.dtype, jnp.inexact)]

    def pulled(*arrays: Any) -> Any:
        given, cotangents = list(arrays[: len(operands)]), arrays[len(operands) :]

        def of_moving(*moved: Any) -> Any:
            for place, array in zip(moving, moved, strict=True):
                given[place] = array
            return run(*given)

        values, pull = vjp(of_moving, *(given[place] for place in moving))
        pairs = zip(cotangents, values, strict=True)
        return pull(tuple(ct.astype(np.result_type(value)) for ct, value in pairs))

    def backward(residuals: tuple[Any, ...], cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
        found = dict(zip(moving, _bridge(pulled, (*residuals, *cotangents)), strict=True))
        return tuple(
            found[k] if k in found else np.zeros(x.shape, jax.dtypes.float0)
            for k, x in enumerate(residuals)
        )

    bridged = jax.custom_vjp(lambda *operands: _host(run, operands))
    bridged.defvjp(lambda *operands: (bridged(*operands), operands), backward)
    return bridged(*operands)


def _host(run: Function, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Run a function on the CPU, now if the values are known and else when they will be."""
    if not any(isinstance(x, jax.core.Tracer) for x in operands):
        return tuple(jnp.asarray(out) for out in run(*map(jax.device_get, operands)))
    with np.errstate(all="ignore"):  # only the types of these results are of interest
        examples = run(*(np.zeros(x.shape, x.dtype) for x in operands))
    types = tuple(
        jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.canonicalize_dtype(np.result_type(x)))
        for x in examples
    )

    def later(*arrays: Any) -> tuple[Any, ...]:
        outs = run(*map(jax.device_get, arrays))
        return tuple(np.asarray(out, t.dtype) for out, t in zip(outs, types, strict=True))

    return tuple(jax.pure_callback(later, types, *operands, vmap_method="sequential"))


def from_jax(f: Function) -> Function:
    """Return a function of JAX arrays as one of NumPy arrays, which chainrule differentiates.

    Parameters
    ----------
    f : callable
        A function of arrays or pytrees of them that JAX can differentiate.

    Returns
    -------
    callable
        Takes and returns NumPy arrays, also where programs are recorded without values. It can be
        differentiated again.

    Raises
    ------
    TypeError
        For an argument of 64 bits, while JAX is set to compute with 32.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> import jax  # doctest: +SKIP
    >>> f = from_jax(lambda x: jax.numpy.sum(jax.numpy.sin(x)))  # doctest: +SKIP
    >>> cr.grad(f)(np.zeros(2, np.float32))  # doctest: +SKIP
    array([1., 1.], dtype=float32)
    """

    def run(*args: Any) -> Any:
        leaves, tree = flatten(args)
        outs, out_tree = flatten(f(*tree.unflatten(_given(leaf) for leaf in leaves)))
        return out_tree.unflatten(jax.device_get(out) for out in outs)

    def pulled(ct: Any, *args: Any) -> Any:
        out, pull = jax.vjp(f, *args)
        found, tree = flatten(pull(jax.tree.map(lambda o, c: c.astype(o.dtype), out, ct)))
        return tree.unflatten(
            jnp.zeros(x.shape) if x.dtype == jax.dtypes.float0 else x for x in found
        )

    def rule(ct: Any, y: Any, *args: Any) -> Any:
        return from_jax(pulled)(ct, *args)

    def result(*args: Any) -> Any:
        leaves, tree = flatten(jax.eval_shape(f, *args))
        return tree.unflatten(jax.device_get(jnp.zeros(x.shape, x.dtype)) for x in leaves)

    functools.update_wrapper(run, f, updated=())
    return custom_rule(run, vjp=rule, result=result)


def _given(leaf: Any) -> Any:
    dtype = np.result_type(leaf)
    if dtype.kind in "fc" and jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(
            f"JAX would compute with {jax.dtypes.canonicalize_dtype(dtype)} what was given as "
            f'{dtype}; call jax.config.update("jax_enable_x64", True) first, or pass float32'
        )
    return jnp.asarray(leaf)
