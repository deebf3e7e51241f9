"""PyTorch as a neighbour: functions that cross the border with their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import custom_rule, vjp
from ..tree import TreeDef, flatten

__all__ = ["from_torch", "to_torch"]

Function = Callable[..., Any]


def to_torch(f: Function) -> Function:
    """Return a function of NumPy arrays as one of PyTorch tensors, which PyTorch differentiates.

    Parameters
    ----------
    f : callable
        A function of arrays or pytrees of them that chainrule can differentiate; it returns
        floating-point arrays.

    Returns
    -------
    callable
        Takes tensors in place of arrays and returns tensors, on the device of the first one; the
        computation is on the CPU. Tensors of integers and other arguments have no derivative. It
        can be differentiated again (``create_graph=True``).

    Examples
    --------
    >>> import numpy as np
    >>> import torch  # doctest: +SKIP
    >>> f = to_torch(lambda x: np.sum(np.sin(x)))  # doctest: +SKIP
    >>> x = torch.zeros(2, requires_grad=True)  # doctest: +SKIP
    >>> f(x).backward()  # doctest: +SKIP
    >>> x.grad  # doctest: +SKIP
    tensor([1., 1.])
    """

    @functools.wraps(f)
    def call(*args: Any) -> Any:
        leaves, tree = flatten(args)
        moving = [place for place, leaf in enumerate(leaves) if _differentiable(leaf)]
        fixed = [_array(x) if isinstance(x, torch.Tensor) else x for x in leaves]
        run = _Run(f, tree, fixed, moving)
        outs = _Bridge.apply(run, *(leaves[place] for place in moving))
        assert run.out_tree is not None
        return run.out_tree.unflatten(outs)

    return call


class _Run:
    """A function of those arguments that have a derivative, which returns a flat tuple."""

    def __init__(self, f: Function, tree: TreeDef, fixed: list[Any], moving: list[int]) -> None:
        self.f, self.tree, self.fixed, self.moving = f, tree, fixed, moving
        self.out_tree: TreeDef | None = None

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        leaves = list(self.fixed)
        for place, array in zip(self.moving, arrays, strict=True):
            leaves[place] = array
        outs, self.out_tree = flatten(self.f(*self.tree.unflatten(leaves)))
        return tuple(outs)


class _Bridge(torch.autograd.Function):
    """One call of a chainrule function in PyTorch's graph."""

    @staticmethod
    def forward(ctx: Any, run: Function, *tensors: Any) -> Any:
        arrays = [_array(tensor) for tensor in tensors]
        ctx.run, ctx.pull = run, None
        if any(ctx.needs_input_grad):
            outs, ctx.pull = vjp(run, *arrays)
        else:
            outs = run(*arrays)
        ctx.save_for_backward(*tensors)
        ctx.types = [np.result_type(out) for out in outs]
        device = tensors[0].device if tensors else "cpu"
        return tuple(_tensor(out, device) for out in outs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        tensors = ctx.saved_tensors  # refused by PyTorch if one was changed in place since
        if torch.is_grad_enabled():
            count, run = len(tensors), ctx.run

            def pulled(*arrays: Any) -> Any:
                return vjp(run, *arrays[:count])[1](tuple(arrays[count:]))

            return None, *_Bridge.apply(pulled, *tensors, *cotangents)
        given = tuple(_array(ct).astype(t) for ct, t in zip(cotangents, ctx.types, strict=True))
        pairs = zip(ctx.pull(given), tensors, strict=True)
        return None, *(_tensor(gradient, tensor.device) for gradient, tensor in pairs)


def from_torch(f: Function, result: Function | None = None) -> Function:
    """Return a function of PyTorch tensors as one of NumPy arrays, which chainrule differentiates.

    Parameters
    ----------
    f : callable
        A function of tensors or pytrees of them, differentiable by PyTorch; it returns tensors. Its
        own parameters (of a module, say) count as constants.
    result : callable, optional
        Gives arrays with the shapes and dtypes of the result for the same arguments, for where
        programs are recorded without values (``vmap``, ``scan``, ``jit``).

    Returns
    -------
    callable
        Takes arrays in place of tensors and returns arrays; it can be differentiated again.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> import chainrule as cr
    >>> f = from_torch(lambda x: torch.sin(x).sum())  # doctest: +SKIP
    >>> cr.grad(f)(np.zeros(2))  # doctest: +SKIP
    array([1., 1.])
    """

    def run(*args: Any) -> Any:
        leaves, tree = flatten(args)
        with torch.no_grad():
            outs, out_tree = flatten(f(*tree.unflatten(_tensor(leaf) for leaf in leaves)))
        return out_tree.unflatten(_array(out) for out in outs)

    def rule(ct: Any, y: Any, *args: Any) -> Any:
        return from_torch(_pulled(f), result=lambda ct, *args: args)(ct, *args)

    functools.update_wrapper(run, f, updated=())
    return custom_rule(run, vjp=rule, result=result)


def _pulled(f: Function) -> Function:
    """Return the function of a cotangent and the arguments that gives the arguments' cotangents."""

    def pulled(ct: Any, *args: Any) -> Any:
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            leaves, tree = flatten(args)
            # Arguments that are differentiated already keep their place in the graph.
            leaves = [
                x
                if x.requires_grad
                else x.detach().requires_grad_(x.is_floating_point() or x.is_complex())
                for x in leaves
            ]
            moving = [x for x in leaves if x.requires_grad]
            outs, out_tree = flatten(f(*tree.unflatten(leaves)))
            parts = zip(outs, out_tree.flatten_like(ct, "cotangent"), strict=True)
            pairs = [(out, part) for out, part in parts if out.requires_grad]
            if not pairs:
                return tree.unflatten(torch.zeros_like(x) for x in leaves)
            found = iter(
                torch.autograd.grad(
                    [out for out, _ in pairs],
                    moving,
                    [part for _, part in pairs],
                    create_graph=again,
                    materialize_grads=True,
                )
            )
        return tree.unflatten(
            next(found) if x.requires_grad else torch.zeros_like(x) for x in leaves
        )

    return pulled


def _differentiable(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().resolve_conj().resolve_neg().numpy()


def _tensor(array: Any, device: Any = "cpu") -> Any:
    # NumPy's own functions that make arrays are left alone: a trace may be watching them.
    if isinstance(array, np.ndarray) and array.flags.writeable:
        return torch.from_numpy(array).to(device)
    return torch.tensor(array, dtype=_PYTHON_TYPES.get(type(array)), device=device)


_PYTHON_TYPES = {float: torch.float64, complex: torch.complex128}
