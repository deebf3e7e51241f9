"""From a function of one example to a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..primitives import batching
from ..program.arraytype import ArrayType, array_type, ndim_of, shape_of
from ..program.equation import Equation, Var
from ..program.errors import ShapeError
from ..program.pytree import LEAF, flatten, leaf_paths
from ..trace import Session, Tracer, current
from ..trace.body import Body, record_body
from ..trace.cells import Cell
from ..trace.refusals import here
from .arguments import POSITIONAL, parameters_of

Axes = Any


def vmap(
    f: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0, axis_size: int | None = None
) -> Callable[..., Any]:
    """Return a function that applies ``f`` to every example of a batch at once.

    ``f`` is written for one example. It is recorded once and its operations are then done on the
    whole batch: a product of a matrix with a vector becomes a product of two matrices, and no
    Python loop is left.

    Parameters
    ----------
    f : callable
        A function of arrays or pytrees of them.
    in_axes : int, None, or pytree of them
        Which axis of each argument counts the examples; None for an argument that all examples
        share. One value for all arguments, or a tuple with one (or a pytree with the arguments'
        structure) per argument. Keyword arguments are mapped along axis 0.
    out_axes : int, None, or pytree of them
        Where the results get that axis; None for results that don't depend on the example.
    axis_size : int, optional
        The number of examples, where no argument tells it.

    Raises
    ------
    ShapeError
        If the mapped axes differ in length, or an argument has no such axis.
    TraceError
        If ``f`` branches on the value of an example; ``np.where`` chooses per example.

    Examples
    --------
    >>> import numpy as np
    >>> distance = vmap(lambda a, b: np.sqrt(np.sum((a - b) ** 2)), in_axes=(0, None))
    >>> distance(np.array([[0.0, 3.0], [3.0, 4.0]]), np.zeros(2))
    array([3., 5.])

    Gradients for each example:

    >>> from chainrule import grad
    >>> vmap(grad(lambda x: x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        with Session(f):
            leaves, treedef = flatten((args, kwargs))
            axes = _input_axes(in_axes, args, kwargs)
            size = _batch_size(leaves, axes, axis_size, lambda: _paths(f, args, kwargs))
            body = _record(f, leaves, axes, treedef)
            moved = [_first(x, a) for x, a in zip(leaves, axes, strict=True) if a is not None]
            results = run_batched(body, moved, [True] * len(moved), body.outer, size)
            placed = _output_axes(out_axes, body)
            out = [_place(r, b, a, size) for (r, b), a in zip(results, placed, strict=True)]
        given = {id(x) for x in leaves}
        return body.out_tree.unflatten([_own(o, given) for o in out])

    return mapped


def _own(o: Any, given: set[int]) -> Any:
    """Return a result that shares memory with nothing."""
    if isinstance(o, Tracer) or type(o) is not np.ndarray:
        return o
    own = o.base is None and o.flags.writeable and id(o) not in given
    given.add(id(o))
    return o if own else o.copy()


def _record(f: Any, leaves: list[Any], axes: list[int | None], treedef: Any) -> Body:
    types = [
        _example_type(array_type(x) if not isinstance(x, Tracer) else x._type, a)
        for x, a in zip(leaves, axes, strict=True)
        if a is not None
    ]

    def on_example(*examples: Any) -> Any:
        mapped = iter(examples)
        args, kwargs = treedef.unflatten(
            [_shared(x) if a is None else next(mapped) for x, a in zip(leaves, axes, strict=True)]
        )
        return f(*args, **kwargs)

    body, _ = record_body(on_example, types)
    return body


def _shared(x: Any) -> Any:
    """Return an argument that all examples share so that an example may index it: ``x[i]``."""
    recorder = current()
    assert recorder is not None
    if type(x) is not np.ndarray:
        return x
    cell = Cell(recorder.constant(x))
    cell.shared = True
    return Tracer(recorder, None, cell)


def _example_type(t: ArrayType, axis: int) -> ArrayType:
    axis %= len(t.shape)
    return ArrayType(t.shape[:axis] + t.shape[axis + 1 :], t.dtype)


def run_batched(
    body: Body,
    values: Sequence[Any],
    batched: Sequence[bool],
    captured: Sequence[Any],
    size: int,
    captured_batched: Sequence[bool] | None = None,
) -> list[tuple[Any, bool]]:
    """Run a recorded function on whole batches.

    ``batched`` says which inputs carry the batch, ``captured_batched`` the same for what was
    captured (nothing, by default).

    Returns
    -------
    list of (value, bool)
        Each output, and whether it carries the batch as its first axis.
    """
    env: dict[Var, tuple[Any, bool]] = {}
    env.update(zip(body.inputs, zip(values, batched, strict=True), strict=True))
    flags = [False] * len(captured) if captured_batched is None else captured_batched
    env.update(zip(body.captured, zip(captured, flags, strict=True), strict=True))
    for equation in body.equations:
        given = [env[o] if type(o) is Var else (o, False) for o in equation.operands]
        result, is_batched = _apply(equation, given, size)
        results = (result,) if equation.primitive.joint is None else result
        for out, r in zip(equation.outs, results, strict=True):
            env[out] = r, is_batched
    return [env[o] if type(o) is Var else (o, False) for o in body.outputs]


def _apply(equation: Equation, given: list[tuple[Any, bool]], size: int) -> tuple[Any, bool]:
    primitive, params = equation.primitive, equation.params
    operands = tuple(value for value, _ in given)
    flags = tuple(flag for _, flag in given)
    if not any(flags):
        return primitive(*operands, **params), False
    rule = primitive.batch or (batching.elementwise if primitive.elementwise else None)
    return (rule or batching.one_by_one)(primitive, operands, flags, size, params), True


# -- axes ----------------------------------------------------------------------------------------


def _input_axes(in_axes: Axes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | None]:
    """Return the mapped axis of every leaf of the arguments."""
    if not isinstance(in_axes, tuple | list):
        in_axes = (in_axes,) * len(args)
    if len(in_axes) != len(args):
        raise ShapeError(
            f"in_axes has {len(in_axes)} entries for {len(args)} arguments",
            span=here(),
            help="give one entry per positional argument, or one axis for all of them",
        )
    found: list[int | None] = []
    for axes, arg in zip(in_axes, args, strict=True):
        found.extend(_per_leaf(axes, arg, "in_axes"))
    # the leaves of keyword arguments come in the order in which flatten sorts the names
    found.extend([0] * len(flatten(kwargs)[0]))
    return found


def _per_leaf(axes: Axes, tree: Any, what: str) -> list[int | None]:
    """Return one axis per leaf of ``tree``; ``axes`` may stop at any node above the leaves."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(flatten(tree)[0])
    if isinstance(axes, dict) and isinstance(tree, dict) and set(axes) == set(tree):
        _, treedef = flatten(dict.fromkeys(tree, 0))
        ordered = treedef.unflatten(range(len(tree)))
        keys = sorted(tree, key=lambda k: ordered[k])
        return [a for k in keys for a in _per_leaf(axes[k], tree[k], what)]
    if isinstance(axes, tuple | list) and isinstance(tree, tuple | list) and len(axes) == len(tree):
        return [a for x, t in zip(axes, tree, strict=True) for a in _per_leaf(x, t, what)]
    place = "argument" if what == "in_axes" else "result"
    raise ShapeError(
        f"{what} {axes!r} does not fit the structure of the {place}",
        span=here(),
        help="give one axis for the whole, or the same containers with an axis in each place",
    )


def _paths(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """Return what the user calls each leaf of the arguments: ``x``, ``params['W']``."""
    names = [p.name for p in parameters_of(f) if p.kind in POSITIONAL]
    names += [f"argument {i}" for i in range(len(names), len(args))]
    paths = [path for name, arg in zip(names, args, strict=False) for path in leaf_paths(arg, name)]
    ordered = flatten({name: name for name in kwargs})[0]
    return paths + [path for name in ordered for path in leaf_paths(kwargs[name], name)]


def _batch_size(
    leaves: list[Any],
    axes: list[int | None],
    axis_size: int | None,
    paths: Callable[[], list[str]],
) -> int:
    sizes = {} if axis_size is None else {-1: axis_size}
    for i, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = shape_of(leaf)
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap over axis {axis} of {paths()[i]}, which has shape {shape}",
                span=here(),
                help="give in_axes=None for an argument that all examples share",
            )
        sizes[i] = shape[axis]
    if not sizes:
        raise ShapeError(
            "vmap has no argument to map over",
            span=here(),
            help="give axis_size, or an axis for one argument in in_axes",
        )
    if len(set(sizes.values())) > 1:
        names = [*paths(), "axis_size"]  # the last one, where -1 leads
        raise ShapeError(
            "vmap over axes of different lengths: "
            + ", ".join(f"{n} in {names[i]}" for i, n in sizes.items()),
            span=here(),
            help="give in_axes=None for an argument that all examples share",
        )
    return next(iter(sizes.values()))


def _first(x: Any, axis: int) -> Any:
    return np.moveaxis(x, axis, 0) if axis else (x if isinstance(x, Tracer) else np.asarray(x))


def _output_axes(out_axes: Axes, body: Body) -> list[int | None]:
    if body.out_tree is LEAF or isinstance(out_axes, int) or out_axes is None:
        return [out_axes] * len(body.outputs)
    tree = body.out_tree.unflatten(range(len(body.outputs)))
    return _per_leaf(out_axes, tree, "out_axes")


def _place(result: Any, is_batched: bool, axis: int | None, size: int) -> Any:
    if axis is None:
        if is_batched:
            raise ShapeError(
                "out_axes=None for a result that depends on the example",
                span=here(),
                help="give the axis along which the results are stacked, such as out_axes=0",
            )
        return result
    if not is_batched:
        result = np.broadcast_to(result, (size, *shape_of(result)))
    axis = axis + ndim_of(result) if axis < 0 else axis
    return np.moveaxis(result, 0, axis) if axis else result
