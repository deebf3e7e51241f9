"""Loops with a known number of steps, as one operation: scan, fori_loop, map.

The body is recorded once. Its derivative is again a scan: forwards over the tangents, backwards
over the cotangents, with the states that the first run went through as an input.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..maps import Joint
from ..primitives.batching import spread
from ..program.arraytype import ArrayType, array_type, shape_of
from ..program.equation import Equation, Var
from ..program.errors import ShapeError, TraceError
from ..program.primitive import Primitive
from ..program.pytree import TreeDef, flatten
from ..trace import Session, Tracer, current
from ..trace.body import Body, record_body
from ..trace.refusals import here
from .arguments import described
from .linear import jvp, vjp

Pair = tuple[Any, Any]


def scan(
    f: Callable[[Any, Any], Pair],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    budget: int | None = None,
) -> Pair:
    """Run a loop that carries a state and reads one element of ``xs`` per step.

    Means the same as::

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    but inside of a derivative the body is recorded once instead of once per step.

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)``; the carry keeps its structure, shapes and dtypes.
    init : pytree
        The state before the first step.
    xs : pytree, optional
        Arrays that are read along their first axis.
    length : int, optional
        The number of steps, where there are no ``xs``.
    reverse : bool
        Whether to go from the last element to the first; ``ys`` stay in the order of ``xs``.
    budget : int, optional
        How many bytes a derivative may use to keep states of the loop. States that don't fit are
        computed again from earlier ones; a loop of n steps can do with about log n states, each
        step then being computed about log n times. By default all states are kept.

    Returns
    -------
    carry : pytree
        The state after the last step.
    ys : pytree
        The outputs of all steps, stacked along a new first axis.

    Raises
    ------
    ShapeError
        If the ``xs`` differ in length.
    TraceError
        If the carry changes its structure, shape or dtype, or ``f`` branches on a value.
    ValueError
        If the budget is too small for any schedule.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives, chapter 12 (checkpointing).

    Examples
    --------
    >>> import numpy as np
    >>> scan(lambda total, x: (total + x, total + x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([1., 3., 6.]))
    """
    leaves, xs_tree = flatten(xs)
    steps = _steps(leaves, length)
    if current() is None and steps:
        return _plain_loop(f, init, leaves, xs_tree, steps, reverse)
    if budget is not None:
        from .checkpointing import scan_within

        return scan_within(budget, f, init, xs, steps, reverse)
    return _recorded_scan(f, init, leaves, xs_tree, steps, reverse)


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """Run ``state = body(i, state)`` for ``i`` from ``lower`` up to, not including, ``upper``.

    Parameters
    ----------
    lower, upper : int
        The range of the counter.
    body : callable
        ``body(i, state) -> state``; the state keeps its structure, shapes and dtypes.
    init : pytree
        The state before the first step.

    Examples
    --------
    >>> fori_loop(1, 5, lambda i, product: product * i, 1.0)
    np.float64(24.0)
    """
    counter = np.arange(operator.index(lower), operator.index(upper))
    return scan(lambda state, i: (body(i, state), None), init, counter)[0]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Apply ``f`` to the elements of ``xs`` along their first axis, one after the other.

    :func:`vmap` does them all at once; this needs the memory of one at a time.

    Examples
    --------
    >>> import numpy as np
    >>> map(lambda x: x**2, np.array([1.0, 2.0, 3.0]))
    array([1., 4., 9.])
    """
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


def _recorded_scan(
    f: Any, init: Any, leaves: list[Any], xs_tree: TreeDef, steps: int, reverse: bool
) -> Pair:
    """Record the body once and run the loop as one operation."""
    with Session(f) as (_, nested):
        carry, carry_tree = flatten(init)
        carry = [_as_array(c) for c in carry]
        state: dict[str, Any] = {}

        def step(*inputs: Any) -> Any:
            given = carry_tree.unflatten(inputs[: len(carry)])
            x = xs_tree.unflatten(inputs[len(carry) :])
            after, y = _pair(f(given, x))
            flat, tree = flatten(after)
            if tree != carry_tree:
                raise TraceError(
                    f"the carry of a scan changes its structure from {carry_tree} to {tree}",
                    span=here(),
                    help="return the carry with the structure of init",
                )
            flat_y, state["tree"] = flatten(y)
            return flat, flat_y

        rows = [_type(x) for x in leaves]
        types = [_type(c) for c in carry] + [ArrayType(t.shape[1:], t.dtype) for t in rows]
        body, _ = record_body(step, types)
        _check_carry(body, types[: len(carry)])
        outs = run_scan(body, carry, leaves, steps, reverse)
    n = len(carry)
    if not nested:
        outs = [o._value if isinstance(o, Tracer) else o for o in outs]
    return carry_tree.unflatten(outs[:n]), state["tree"].unflatten(outs[n:])


def _steps(leaves: Sequence[Any], length: int | None) -> int:
    sizes = {shape_of(x)[0] if shape_of(x) else None for x in leaves}
    if None in sizes:
        raise ShapeError(
            "scan reads along the first axis of xs, but one of them is a scalar",
            span=here(),
            why="a list or a tuple in xs is a tree of arrays that are read side by side",
            help="make one array of numbers that are read one after another: np.array(xs)",
        )
    if length is not None:
        sizes.add(length)
    if len(sizes) != 1:
        raise ShapeError(
            f"scan over arrays of different lengths: {sorted(sizes)}"  # type: ignore[type-var]
            if sizes
            else "scan needs xs or a length",
            span=here(),
            help="give arrays with one length, that of `length` if there is one",
        )
    (steps,) = sizes
    assert steps is not None
    return steps


def _plain_loop(
    f: Any, init: Any, leaves: list[Any], xs_tree: Any, steps: int, reverse: bool
) -> Pair:
    carry, ys = init, []
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, y = _pair(f(carry, xs_tree.unflatten([x[t] for x in leaves])))
        ys.append(flatten(y))
    if reverse:
        ys.reverse()
    columns = zip(*(flat for flat, _ in ys), strict=True)
    return carry, ys[0][1].unflatten([np.stack(column) for column in columns])


def _pair(result: Any) -> Pair:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TraceError(
            f"the body of a scan returns a pair (carry, y), not {described(flatten(result)[1])}",
            span=here(),
            help="`return carry, None` where there is nothing to collect",
        )
    return result


def _as_array(c: Any) -> Any:
    return c if isinstance(c, Tracer) else np.asarray(c)[()]


def _type(value: Any) -> ArrayType:
    type_ = value._type if isinstance(value, Tracer) else array_type(value)
    return ArrayType(type_.shape, type_.dtype)


def _output_type(out: Any) -> ArrayType:
    type_ = out.type if type(out) is Var else _type(out)
    return ArrayType(type_.shape, type_.dtype)


def _check_carry(body: Body, types: Sequence[ArrayType]) -> None:
    for before, out in zip(types, body.outputs, strict=False):
        after = _output_type(out)
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise TraceError(
                f"the carry of a scan is {before} before a step and {after} after it",
                span=here(),
                why="a loop is recorded once, so its state has to keep shape and dtype",
                help="start with a value of the type that the body returns, e.g. np.zeros(...) "
                "or 0.0 instead of 0",
            )


# -- the operation -------------------------------------------------------------------------------


def run_scan(
    body: Body, carry: Sequence[Any], xs: Sequence[Any], steps: int, reverse: bool
) -> list[Any]:
    """Scan with a recorded body; returns the last carry and the stacked outputs, flat."""
    n = len(carry)
    kept = len(body.outputs)
    recording = body
    if any(isinstance(o, Tracer) for o in (*carry, *xs, *body.outer)):
        # the states before each step are collected too: the derivative needs them
        recording = body.with_outputs((*body.outputs, *body.inputs[:n]))
    outs = SCAN(
        *carry,
        *xs,
        *body.outer,
        body=recording,
        carries=n,
        scanned=len(xs),
        steps=steps,
        reverse=reverse,
    )
    return list(outs[:kept])


def _scan(
    *operands: Any, body: Body, carries: int, scanned: int, steps: int, reverse: bool
) -> tuple[Any, ...]:
    carry = list(operands[:carries])
    xs = operands[carries : carries + scanned]
    captured = operands[carries + scanned :]
    types = (_output_type(o) for o in body.outputs[carries:])
    columns = [np.empty((steps, *t.shape), t.dtype) for t in types]
    del operands  # the first state need not outlive the first step
    for t in reversed(range(steps)) if reverse else range(steps):
        out = body.run([*carry, *(x[t] for x in xs)], captured)
        carry = out[:carries]
        for column, y in zip(columns, out[carries:], strict=True):
            column[t] = y
    return (*carry, *columns)


def _scan_type(
    *types: ArrayType, body: Body, carries: int, scanned: int, steps: int, reverse: bool
) -> tuple[ArrayType, ...]:
    outs = [_output_type(o) for o in body.outputs]
    stacked = (ArrayType((steps, *t.shape), t.dtype) for t in outs[carries:])
    return (*outs[:carries], *stacked)


class _Derivative:
    """What the forward and the backward derivative of one scan share."""

    def __init__(self, ys: list[Any], xs: list[Any], params: dict[str, Any]) -> None:
        self.params = params
        self.body: Body = params["body"]
        self.n: int = params["carries"]
        self.m: int = params["scanned"]
        self.scanned = xs[self.n : self.n + self.m]
        self.captured = xs[self.n + self.m :]
        self.history = self._states(ys, xs)
        inputs = (*self.body.inputs, *self.body.captured)
        self.smooth = [v.type.is_differentiable for v in inputs]
        self.places = [i for i, smooth in enumerate(self.smooth) if smooth]
        self.types = [v.type for v in inputs]

    def _states(self, ys: list[Any], xs: list[Any]) -> list[Any]:
        """Return the states before each step, from another run if they have not been kept."""
        states, outputs = self.body.inputs[: self.n], self.body.outputs
        first = len(outputs) - self.n
        pairs = zip(outputs[first:], states, strict=False)
        if first >= self.n and all(out is state for out, state in pairs):
            return ys[first:]
        body = self.body.with_outputs((*outputs[: self.n], *states))
        return list(SCAN(*xs, **self.params | {"body": body})[self.n :])

    def function(
        self, values: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> Callable[..., list[Any]]:
        """Return the body as a function of its differentiable inputs, the others fixed."""
        k = len(self.body.inputs)

        def of_smooth(*smooth: Any) -> list[Any]:
            full = list(values)
            for place, value in zip(self.places, smooth, strict=True):
                full[place] = value
            outs = self.body.run(full[:k], full[k:])
            return outs if wanted is None else [outs[i] for i in wanted]

        return of_smooth

    def scan(self, step: Any, carry: Any, rows: Any, backwards: bool) -> Pair:
        reverse = self.params["reverse"] != backwards
        leaves, treedef = flatten(rows)
        return _recorded_scan(step, carry, leaves, treedef, self.params["steps"], reverse)

    def zeros(self, places: Sequence[int], given: Sequence[Any]) -> list[Any]:
        """Return tangents or cotangents, zeros where there is none."""
        return [
            np.zeros(self.types[p].shape, self.types[p].dtype) if v is None else v
            for p, v in zip(places, given, strict=True)
        ]

    def push(self, tangents: list[Any]) -> list[Any]:
        n, m = self.n, self.m
        carries = [p for p in self.places if p < n]
        start = self.zeros(carries, [tangents[p] for p in carries])
        rows = [p for p in self.places if n <= p < n + m and tangents[p] is not None]
        fixed = {p: tangents[p] for p in self.places if p >= n + m and tangents[p] is not None}

        def step(moving: Any, row: Any) -> Pair:
            states, inputs, moved = row
            values = [*states, *inputs, *self.captured]
            given = dict(zip(carries, moving, strict=True)) | dict(zip(rows, moved, strict=True))
            given |= fixed
            point = [values[p] for p in self.places]
            directions = self.zeros(self.places, [given.get(p) for p in self.places])
            _, out = jvp(self.function(values), point, directions)
            return [out[p] for p in carries], self._smooth_outputs(out)

        columns = (self.history, self.scanned, [tangents[p] for p in rows])
        last, stacked = self.scan(step, start, columns, backwards=False)
        return self._all_outputs(dict(zip(carries, last, strict=True)), stacked)

    def _smooth_outputs(self, out: list[Any]) -> list[Any]:
        return [out[i] for i in self._smooth_rows()]

    def _smooth_rows(self) -> list[int]:
        outs = self.body.outputs
        kinds = [(o.type if type(o) is Var else _type(o)).is_differentiable for o in outs]
        return [i for i in range(self.n, len(outs)) if kinds[i]]

    def _all_outputs(self, last: dict[int, Any], stacked: list[Any]) -> list[Any]:
        found = last | dict(zip(self._smooth_rows(), stacked, strict=True))
        return [found.get(i) for i in range(len(self.body.outputs))]

    def pull(self, cotangents: list[Any]) -> list[Any]:
        n, m = self.n, self.m
        carries = [p for p in self.places if p < n]
        fixed = [p for p in self.places if p >= n + m]
        rows = [i for i in self._smooth_rows() if cotangents[i] is not None]
        seeded = [*carries, *rows]
        start = self.zeros(carries, [cotangents[p] for p in carries])
        nothing = self.zeros(fixed, [None] * len(fixed))

        def step(state: Any, row: Any) -> Pair:
            later, total = state
            states, inputs, given = row
            values = [*states, *inputs, *self.captured]
            _, back = vjp(self.function(values, seeded), *(values[p] for p in self.places))
            found = dict(zip(self.places, back([*later, *given]), strict=True))
            added = [t + found[p] for t, p in zip(total, fixed, strict=True)]
            earlier = [found[p] for p in carries]
            return (earlier, added), [found[p] for p in self.places if n <= p < n + m]

        columns = (self.history, self.scanned, [cotangents[i] for i in rows])
        (first, total), stacked = self.scan(step, (start, nothing), columns, backwards=True)
        found = dict(zip(carries, first, strict=True)) | dict(zip(fixed, total, strict=True))
        found |= dict(zip([p for p in self.places if n <= p < n + m], stacked, strict=True))
        return [found.get(p) for p in range(len(self.types))]


def with_states(equation: Equation, variable: Callable[[ArrayType], Var]) -> Equation:
    """Return a scan that collects the states before each step, which its derivative needs."""
    params = equation.params
    body: Body = params["body"]
    states = body.inputs[: params["carries"]]
    outs = [variable(ArrayType((params["steps"], *v.type.shape), v.type.dtype)) for v in states]
    body = body.with_outputs((*body.outputs, *states))
    return equation._replace(params=params | {"body": body}, outs=(*equation.outs, *outs))


def _trimmed(equation: Equation, used: set[Var]) -> Equation:
    """Leave out stacked results that nobody reads, such as the states for a derivative."""
    params = equation.params
    n = params["carries"]
    kept = [i for i, out in enumerate(equation.outs) if i < n or out in used]
    body = params["body"].with_outputs(tuple(params["body"].outputs[i] for i in kept))
    outs = tuple(equation.outs[i] for i in kept)
    return equation._replace(params={**params, "body": body}, outs=outs)


def _derivative(ys: list[Any], xs: list[Any], **params: Any) -> Joint:
    derivative = _Derivative(ys, xs, params)
    return Joint(derivative.push, derivative.pull, "scan")


def _batched(
    primitive: Primitive, operands: Any, batched: Any, size: int, params: dict[str, Any]
) -> tuple[Any, ...]:
    """Scan over whole batches: every state carries the batch, rows get it as second axis."""
    from .vmap import run_batched

    n, m, body = params["carries"], params["scanned"], params["body"]
    carry = [spread(o, b, size) for o, b in zip(operands[:n], batched[:n], strict=True)]
    flags = batched[n : n + m]
    xs = operands[n : n + m]
    rows = [np.moveaxis(x, 0, 1) if b else x for x, b in zip(xs, flags, strict=True)]
    fixed = operands[n + m :]

    def step(states: Any, row: Any) -> Pair:
        outs = run_batched(
            body, [*states, *row], [True] * n + list(flags), fixed, size, batched[n + m :]
        )
        full = [spread(o, b, size) for o, b in outs]
        return full[:n], full[n:]

    last, stacked = scan(step, carry, rows, params["steps"], params["reverse"])
    return (*last, *(np.moveaxis(y, 1, 0) for y in stacked))


SCAN = Primitive(
    "scan",
    _scan,
    type_rule=_scan_type,  # type: ignore[arg-type]
    joint=_derivative,
    batch=_batched,
    trim=_trimmed,
    text="scan",
    symbol="loop",
)
