"""Recompute instead of store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..maps import Joint
from ..primitives.batching import spread
from ..program.arraytype import shape_of
from ..program.equation import Var
from ..program.errors import GradientError
from ..program.primitive import Primitive
from ..program.pytree import flatten, tree_map
from ..trace import Tracer, current
from ..trace.body import Body, record_body
from ..trace.refusals import here
from ..trace.tracer import bind_joint
from .branching import _of_smooth, _or_zeros, _placed, _places
from .linear import jvp, pull_values
from .scanning import _output_type, _type, scan


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that means the same as ``f`` and keeps only its inputs for the derivative.

    The results inside of ``f`` are computed again when the derivative gets there: memory for time.

    Parameters
    ----------
    f : callable
        Any function of arrays or pytrees of them, without side effects.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, chapter 12.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> block = checkpoint(lambda x: np.sin(np.exp(x)))
    >>> bool(grad(block)(0.5) == grad(lambda x: np.sin(np.exp(x)))(0.5))
    True
    """

    @functools.wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        if current() is None:
            return f(*args, **kwargs)
        leaves, treedef = flatten((args, kwargs))
        traced = [i for i, x in enumerate(leaves) if isinstance(x, Tracer)]
        trees: list[Any] = []

        def on_leaves(*given: Any) -> Any:
            full = list(leaves)
            for place, value in zip(traced, given, strict=True):
                full[place] = value
            call_args, call_kwargs = treedef.unflatten(full)
            out, tree = flatten(f(*call_args, **call_kwargs))
            trees.append(tree)
            return out

        given = [leaves[i] for i in traced]
        body, results = record_body(on_leaves, [_type(x) for x in given], [x._value for x in given])
        known = None if any(r is None for r in results) else results
        outs = bind_joint(CHECKPOINT, (*given, *body.outer), {"body": body}, known)
        return trees[0].unflatten(outs)

    return recomputed


def _derivative(ys: list[Any], xs: list[Any], body: Body) -> Joint:
    types = [v.type for v in (*body.inputs, *body.captured)]
    smooth = _places(types)
    point = [xs[p] for p in smooth]
    outs = [_output_type(o) for o in body.outputs]
    function = _of_smooth(body, xs, smooth)

    def push(tangents: list[Any]) -> list[Any]:
        moved = [_or_zeros(tangents[p], types[p]) for p in smooth]
        return list(jvp(function, point, moved)[1])

    def pull(cotangents: list[Any]) -> list[Any]:
        seeds = [_or_zeros(ct, t) for ct, t in zip(cotangents, outs, strict=True)]
        return _placed(pull_values(function, point, seeds), smooth, len(xs))

    return Joint(push, pull, "checkpoint")


def _batched(
    primitive: Primitive, operands: Sequence[Any], batched: Any, size: int, params: dict[str, Any]
) -> tuple[Any, ...]:
    from .vmap import run_batched

    body = params["body"]
    n = len(body.inputs)

    def on_batch(*given: Any) -> list[Any]:
        outs = run_batched(body, given[:n], batched[:n], given[n:], size, batched[n:])
        return [spread(o, b, size) for o, b in outs]

    return tuple(checkpoint(on_batch)(*operands))


CHECKPOINT = Primitive(
    "checkpoint",
    lambda *operands, body: tuple(
        body.run(operands[: len(body.inputs)], operands[len(body.inputs) :])
    ),
    type_rule=lambda *types, body: tuple(  # type: ignore[arg-type]
        o.type if type(o) is Var else _type(o) for o in body.outputs
    ),
    joint=_derivative,
    batch=_batched,
    text="checkpoint",
    symbol="recomputed part",
)


# -- loops within a budget -----------------------------------------------------------------------


def scan_within(
    budget: int, f: Callable[..., Any], init: Any, xs: Any, steps: int, reverse: bool
) -> tuple[Any, Any]:
    """Scan in nested segments, so that a derivative keeps no more states than fit.

    With ``levels`` nested loops of ``width`` steps each, the derivative holds the states of one
    loop per level, and computes every step once per level again.
    """
    state = sum(_type(c).size * _type(c).dtype.itemsize for c in flatten(init)[0])
    width, levels = _schedule(steps, budget // max(state, 1), budget, state)
    return _segments(f, init, xs, steps, reverse, width, levels)


def _schedule(steps: int, states: int, budget: int, state: int) -> tuple[int, int]:
    """Return width and levels with ``width ** levels >= steps`` that keep the fewest levels."""
    levels = 1
    while (kept := _root(steps, levels) * levels) > states:
        if _root(steps, levels) <= 2:
            raise GradientError(
                f"a loop of {steps} steps needs a budget of at least {kept * state} bytes "
                f"({kept} states of {state} bytes), not {budget}",
                span=here(),
                help=f"give at least that: `budget={kept * state}`",
            )
        levels += 1
    return _root(steps, levels), levels


def _root(n: int, k: int) -> int:
    """Return the smallest integer whose k-th power is at least n."""
    root = max(1, round(n ** (1.0 / k)) - 1)
    while root**k < n:
        root += 1
    return root


def _segments(
    f: Callable[..., Any], init: Any, xs: Any, steps: int, reverse: bool, width: int, levels: int
) -> tuple[Any, Any]:
    if levels == 1 or steps <= width:
        return scan(f, init, xs, steps, reverse)
    size = width ** (levels - 1)  # the steps of one segment
    whole = steps // size
    rest = steps - whole * size

    @checkpoint
    def segment(carry: Any, rows: Any) -> tuple[Any, Any]:
        return _segments(f, carry, rows, size, reverse, width, levels - 1)

    def cut(x: Any, start: int, stop: int) -> Any:
        return x[start:stop]

    # the segment that is not whole comes last in the order of the loop
    first, last = (rest, steps) if reverse else (0, steps - rest)
    body = tree_map(lambda x: _folded(cut(x, first, last), whole, size), xs)
    carry, ys = scan(segment, init, body, whole, reverse)
    ys = tree_map(lambda y: np.reshape(y, (whole * size, *shape_of(y)[2:])), ys)
    if not rest:
        return carry, ys
    start, stop = (0, rest) if reverse else (steps - rest, steps)
    tail = tree_map(lambda x: cut(x, start, stop), xs)
    carry, more = _segments(f, carry, tail, rest, reverse, width, levels - 1)
    parts = (more, ys) if reverse else (ys, more)
    return carry, tree_map(lambda a, b: np.concatenate([a, b]), *parts)


def _folded(x: Any, count: int, size: int) -> Any:
    return np.reshape(x, (count, size, *shape_of(x)[1:]))
