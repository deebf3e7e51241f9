"""Choices and loops that depend on values: cond, switch, while_loop.

Where the deciding value is known they are Python's own ``if`` and ``while``, and everything can be
differentiated in any mode and order. Only where it isn't (inside ``vmap``, ``scan`` or a compiled
function) an operation is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..maps import Joint
from ..primitives.batching import spread
from ..program.arraytype import ArrayType, shape_of
from ..program.errors import GradientError, TraceError
from ..program.primitive import Primitive
from ..program.pytree import flatten
from ..trace import Tracer
from ..trace.body import Body, record_body
from ..trace.refusals import here
from .linear import jvp, pull_values, vjp
from .scanning import _output_type, _type


def _known(value: Any) -> Any:
    """Return the value of something, None where only its type is known."""
    return value._value if isinstance(value, Tracer) else value


def cond(
    predicate: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """Return ``true_fun(*operands)`` if ``predicate`` is true, else ``false_fun(*operands)``.

    Parameters
    ----------
    predicate : bool or array of shape ()
        What decides.
    true_fun, false_fun : callable
        Take the operands; return the same structure, shapes and dtypes.
    *operands : pytree
        Arguments of both.

    Raises
    ------
    TraceError
        If the branches return different types.

    Examples
    --------
    >>> from chainrule import grad
    >>> f = lambda x: cond(x > 0, lambda x: x**2, lambda x: -x, x)
    >>> float(grad(f)(3.0)), float(grad(f)(-3.0))
    (6.0, -1.0)
    """
    value = _known(predicate)
    if value is not None:
        return (true_fun if value else false_fun)(*operands)
    leaves, treedef = flatten(operands)
    trees: list[Any] = []

    def flat(f: Callable[..., Any]) -> Callable[..., Any]:
        def on_leaves(*given: Any) -> Any:
            out, tree = flatten(f(*treedef.unflatten(given)))
            trees.append(tree)
            return out

        return on_leaves

    types = [_type(x) for x in leaves]
    yes, no = (record_body(flat(f), types)[0] for f in (true_fun, false_fun))
    _check_branches(yes, no, trees)
    outs = COND(predicate, *leaves, *yes.outer, *no.outer, yes=yes, no=no, shared=len(leaves))
    return trees[0].unflatten(outs)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return ``branches[index](*operands)``; an index out of range takes the nearest branch.

    Examples
    --------
    >>> switch(1, [lambda x: x, lambda x: 10 * x], 3.0)
    30.0
    """
    if not branches:
        raise GradientError(
            "switch needs at least one branch", span=here(), help="give a list of functions"
        )
    value = _known(index)
    if value is not None:
        return branches[min(max(int(value), 0), len(branches) - 1)](*operands)
    if len(branches) == 1:
        return branches[0](*operands)
    return cond(
        np.less_equal(index, 0),
        branches[0],
        lambda *given: switch(index - 1, branches[1:], *given),
        *operands,
    )


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init: Any) -> Any:
    """Run ``state = body_fun(state)`` as long as ``cond_fun(state)`` is true.

    Parameters
    ----------
    cond_fun : callable
        Returns a boolean scalar.
    body_fun : callable
        Returns the next state.
    init : pytree
        The first state.

    Notes
    -----
    Reverse mode works: the states of the loop are kept. Where the condition is not known while
    recording (under ``vmap``, inside of ``scan``), a second reverse derivative computes them again
    from the first one, at a cost that grows with the square of the number of steps.

    Examples
    --------
    >>> from chainrule import grad
    >>> f = lambda x: while_loop(lambda y: y < 100, lambda y: y * y, x)
    >>> float(f(3.0)), float(grad(f)(3.0))
    (6561.0, 17496.0)
    """
    state = init
    while (decision := _known(cond_fun(state))) is not None:
        if not decision:
            return state
        state = body_fun(state)
    return _recorded_while(cond_fun, body_fun, state)


def _recorded_while(cond_fun: Any, body_fun: Any, init: Any) -> Any:
    leaves, treedef = flatten(init)
    leaves = [x if isinstance(x, Tracer) else np.asarray(x)[()] for x in leaves]
    types = [_type(x) for x in leaves]
    test, _ = record_body(lambda *s: [cond_fun(treedef.unflatten(s))], types)

    def step(*given: Any) -> Any:
        out, tree = flatten(body_fun(treedef.unflatten(given)))
        if tree != treedef:
            raise TraceError(
                f"the state of a while_loop changes from {treedef} to {tree}",
                span=here(),
                help="return the state with the structure that it starts with",
            )
        return out

    body, _ = record_body(step, types)
    for before, out in zip(types, body.outputs, strict=True):
        after = _output_type(out)
        if (after.shape, after.dtype) != (before.shape, before.dtype):
            raise TraceError(
                f"the state of a while_loop is {before} before a step and {after} after it",
                span=here(),
                help="start with a value of the type that the body returns",
            )
    outs = WHILE(*leaves, *test.outer, *body.outer, test=test, body=body)
    return treedef.unflatten(outs)


def _check_branches(yes: Body, no: Body, trees: list[Any]) -> None:
    types = [[_output_type(o) for o in body.outputs] for body in (yes, no)]
    if trees[0] != trees[1] or types[0] != types[1]:
        raise TraceError(
            "the branches of a cond return different types",
            span=here(),
            why=f"the first returns {[str(t) for t in types[0]]}, "
            f"the second {[str(t) for t in types[1]]}",
            help="let both return the same structure, shapes and dtypes",
        )


# -- cond as an operation ------------------------------------------------------------------------


def _split(operands: Sequence[Any], yes: Body, shared: int) -> tuple[Any, Any, Any]:
    """Return the operands of both branches: the shared ones and what each captured."""
    middle = 1 + shared + len(yes.outer)
    return operands[1 : 1 + shared], operands[1 + shared : middle], operands[middle:]


def _cond(predicate: Any, *operands: Any, yes: Body, no: Body, shared: int) -> tuple[Any, ...]:
    given, of_yes, of_no = _split((predicate, *operands), yes, shared)
    return tuple(yes.run(given, of_yes) if predicate else no.run(given, of_no))


def _places(types: Sequence[ArrayType]) -> list[int]:
    return [i for i, t in enumerate(types) if t.is_differentiable]


def _cond_derivative(ys: list[Any], xs: list[Any], yes: Body, no: Body, shared: int) -> Joint:
    predicate, *operands = xs
    types = [v.type for v in (*yes.inputs, *yes.captured, *no.captured)]
    smooth = _places(types)
    outs = [_output_type(o) for o in yes.outputs]
    smooth_outs = _places(outs)

    def branch(body: Body) -> Callable[..., list[Any]]:
        def of_smooth(*values: Any) -> list[Any]:
            full = list(operands)
            for place, value in zip(smooth, values, strict=True):
                full[place] = value
            given, of_yes, of_no = _split([None, *full], yes, shared)
            return body.run(given, of_yes if body is yes else of_no)

        return of_smooth

    point = [operands[p] for p in smooth]

    def push(tangents: list[Any]) -> list[Any]:
        moved = [_or_zeros(tangents[p + 1], types[p]) for p in smooth]

        def along(body: Body) -> Callable[..., Any]:
            def pushed(*directions: Any) -> list[Any]:
                _, out = jvp(branch(body), point, directions)
                return [out[i] for i in smooth_outs]

            return pushed

        found = cond(predicate, along(yes), along(no), *moved)
        return _placed(found, smooth_outs, len(outs))

    def pull(cotangents: list[Any]) -> list[Any]:
        seeds = [_or_zeros(ct, t) for ct, t in zip(cotangents, outs, strict=True)]

        def back(body: Body) -> Callable[..., Any]:
            return lambda *given: list(vjp(branch(body), *point)[1](list(given)))

        found = cond(predicate, back(yes), back(no), *seeds)
        return _placed(found, [p + 1 for p in smooth], len(xs))

    return Joint(push, pull, "cond")


def _or_zeros(v: Any, t: ArrayType) -> Any:
    return np.zeros(t.shape, t.dtype)[()] if v is None else v


def _placed(values: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    found = dict(zip(places, values, strict=True))
    return [found.get(i) for i in range(count)]


def _cond_batched(
    primitive: Primitive, operands: Any, batched: Any, size: int, params: dict[str, Any]
) -> tuple[Any, ...]:
    """Choose per example: both branches are computed for all of them."""
    from .vmap import run_batched

    yes, no, shared = params["yes"], params["no"], params["shared"]
    predicate = operands[0]
    given, of_yes, of_no = _split(operands, yes, shared)
    flags, flags_yes, flags_no = _split(batched, yes, shared)

    def run(body: Body, captured: Any, captured_flags: Any) -> list[Any]:
        outs = run_batched(body, given, flags, captured, size, captured_flags)
        return [spread(o, b, size) for o, b in outs]

    if not batched[0]:
        outs = cond(
            predicate, lambda: run(yes, of_yes, flags_yes), lambda: run(no, of_no, flags_no)
        )
        return tuple(outs)
    both = zip(run(yes, of_yes, flags_yes), run(no, of_no, flags_no), strict=True)
    return tuple(np.where(_column(predicate, a), a, b) for a, b in both)


def _column(flags: Any, like: Any) -> Any:
    """Return one flag per example in a shape that broadcasts against whole examples."""
    return np.reshape(flags, (-1,) + (1,) * (len(shape_of(like)) - 1))


COND = Primitive(
    "cond",
    _cond,
    type_rule=lambda *types, yes, no, shared: tuple(  # type: ignore[arg-type]
        _output_type(o) for o in yes.outputs
    ),
    joint=_cond_derivative,
    batch=_cond_batched,
    text="cond",
    symbol="branch",
)


# -- while as an operation -----------------------------------------------------------------------


def _while_parts(operands: Sequence[Any], test: Body, body: Body) -> tuple[Any, Any, Any]:
    n, k = len(body.inputs), len(test.outer)
    return operands[:n], operands[n : n + k], operands[n + k :]


def _while(*operands: Any, test: Body, body: Body) -> tuple[Any, ...]:
    state, of_test, of_body = _while_parts(operands, test, body)
    while test.run(state, of_test)[0]:
        state = body.run(state, of_body)
    return tuple(state)


def _while_derivative(ys: list[Any], xs: list[Any], test: Body, body: Body) -> Joint:
    state, of_test, of_body = _while_parts(xs, test, body)
    n = len(state)
    types = [v.type for v in (*body.inputs, *body.captured)]
    smooth = _places(types)
    states = [p for p in smooth if p < n]
    fixed = [p for p in smooth if p >= n]
    offset = len(of_test)

    def push(tangents: list[Any]) -> list[Any]:
        start = [_or_zeros(tangents[p], types[p]) for p in states]
        constant = [_or_zeros(tangents[p + offset], types[p]) for p in fixed]

        def step(both: Any) -> Any:
            now, moving = both
            directions = dict(zip((*states, *fixed), (*moving, *constant), strict=True))
            full = [*now, *of_body]
            after, out = jvp(
                _of_smooth(body, full, smooth),
                [full[p] for p in smooth],
                [directions[p] for p in smooth],
            )
            return after, [out[p] for p in states]

        _, moved = while_loop(lambda both: test.run(both[0], of_test)[0], step, (state, start))
        return _placed(moved, states, n)

    def pull(cotangents: list[Any]) -> list[Any]:
        seeds = [_or_zeros(ct, types[i]) for i, ct in enumerate(cotangents)]
        found = WHILE_PULL(*xs, *seeds, test=test, body=body)
        places = [p if p < n else p + offset for p in smooth]
        return _placed(found, places, len(xs))

    return Joint(push, pull, "while_loop")


def _of_smooth(body: Body, values: Sequence[Any], smooth: list[int]) -> Callable[..., Any]:
    n = len(body.inputs)

    def run(*given: Any) -> list[Any]:
        full = list(values)
        for place, value in zip(smooth, given, strict=True):
            full[place] = value
        return body.run(full[:n], full[n:])

    return run


def _while_pull(*operands: Any, test: Body, body: Body) -> tuple[Any, ...]:
    """Run the loop again, keeping its states, and walk them backwards."""
    n = len(body.inputs)
    state, of_test, of_body = _while_parts(operands[: len(operands) - n], test, body)
    cotangents = list(operands[len(operands) - n :])
    smooth = _places([v.type for v in (*body.inputs, *body.captured)])
    tape = []
    while test.run(state, of_test)[0]:
        tape.append(state)
        state = body.run(state, of_body)
    total: dict[int, Any] = {}
    for past in reversed(tape):
        full = [*past, *of_body]
        point = [full[p] for p in smooth]
        back = pull_values(_of_smooth(body, full, smooth), point, cotangents)
        found = dict(zip(smooth, back, strict=True))
        for p in smooth:
            if p >= n:
                total[p] = total[p] + found[p] if p in total else found[p]
        cotangents = [found.get(i, ct) for i, ct in enumerate(cotangents)]
    types = [v.type for v in (*body.inputs, *body.captured)]
    return tuple(cotangents[p] if p < n else _or_zeros(total.get(p), types[p]) for p in smooth)


def _while_pull_type(*types: ArrayType, test: Body, body: Body) -> tuple[ArrayType, ...]:
    known = [v.type for v in (*body.inputs, *body.captured)]
    return tuple(known[p] for p in _places(known))


def _pull_derivative(ys: list[Any], xs: list[Any], test: Body, body: Body) -> Joint:
    """Differentiate the backward loop as the program that it is."""
    n = len(body.inputs)
    state = [v.type for v in body.inputs]
    types = [*state, *(v.type for v in test.captured), *(v.type for v in body.captured), *state]
    smooth = _places(types)
    outs = [_output_type(y) for y in ys]
    point = [xs[p] for p in smooth]

    def of_smooth(*given: Any) -> list[Any]:
        full = list(xs)
        for place, value in zip(smooth, given, strict=True):
            full[place] = value
        known = _known(test.run(full[:n], full[n : n + len(test.outer)])[0]) is not None
        return list((_while_pull if known else _recomputing_pull)(*full, test=test, body=body))

    def push(tangents: list[Any]) -> list[Any]:
        moved = [_or_zeros(tangents[p], types[p]) for p in smooth]
        return list(jvp(of_smooth, point, moved)[1])

    def pull(cotangents: list[Any]) -> list[Any]:
        seeds = [_or_zeros(ct, t) for ct, t in zip(cotangents, outs, strict=True)]
        return _placed(vjp(of_smooth, *point)[1](seeds), smooth, len(xs))

    return Joint(push, pull, "while_loop, backwards")


def _recomputing_pull(*operands: Any, test: Body, body: Body) -> tuple[Any, ...]:
    """Walk a loop backwards by loops alone: each state is computed again from the first one.

    Nothing of unknown length has to be kept, which a recorded program could not. The work grows
    with the square of the number of steps.
    """
    n = len(body.inputs)
    state, of_test, of_body = _while_parts(operands[: len(operands) - n], test, body)
    types = [v.type for v in (*body.inputs, *body.captured)]
    smooth = _places(types)
    states, fixed = [p for p in smooth if p < n], [p for p in smooth if p >= n]
    start = list(state)

    def forward(both: Any) -> Any:
        return body.run(both[0], of_body), both[1] + 1

    zero = np.zeros((), np.int64)
    _, steps = while_loop(lambda both: test.run(both[0], of_test)[0], forward, (start, zero))

    def backward(all_: Any) -> Any:
        left, cotangents, total = all_
        left = left - 1
        past, _ = while_loop(lambda both: both[1] < left, forward, (start, zero))
        full = [*past, *of_body]
        _, back = vjp(_of_smooth(body, full, smooth), *(full[p] for p in smooth))
        found = dict(zip(smooth, back(cotangents), strict=True))
        after = [found.get(i, ct) for i, ct in enumerate(cotangents)]
        return left, after, [t + found[p] for t, p in zip(total, fixed, strict=True)]

    nothing = [np.zeros(types[p].shape, types[p].dtype) for p in fixed]
    begin = (steps, list(operands[len(operands) - n :]), nothing)
    _, cotangents, total = while_loop(lambda all_: all_[0] > 0, backward, begin)
    return (*(cotangents[p] for p in states), *total)


def _while_batched(
    primitive: Primitive, operands: Any, batched: Any, size: int, params: dict[str, Any]
) -> tuple[Any, ...]:
    """Go on until no example wants to; those that are done keep their state."""
    from .vmap import run_batched

    test, body = params["test"], params["body"]
    state, of_test, of_body = _while_parts(operands, test, body)
    flags, flags_test, flags_body = _while_parts(batched, test, body)
    full = [spread(o, b, size) for o, b in zip(state, flags, strict=True)]
    every = [True] * len(full)

    def wants(now: Any) -> Any:
        ((more, is_batched),) = run_batched(test, now, every, of_test, size, flags_test)
        return spread(more, is_batched, size)

    def step(now: Any) -> Any:
        more = wants(now)
        outs = run_batched(body, now, every, of_body, size, flags_body)
        after = [spread(o, b, size) for o, b in outs]
        return [np.where(_column(more, a), a, b) for a, b in zip(after, now, strict=True)]

    return tuple(while_loop(lambda now: np.any(wants(now)), step, full))


WHILE = Primitive(
    "while",
    _while,
    type_rule=lambda *types, test, body: tuple(  # type: ignore[arg-type]
        _output_type(o) for o in body.outputs
    ),
    joint=_while_derivative,
    batch=_while_batched,
    text="while",
    symbol="loop",
)
WHILE_PULL = Primitive(
    "while_pull",
    _while_pull,
    type_rule=_while_pull_type,  # type: ignore[arg-type]
    joint=_pull_derivative,
    text="while, backwards",
    symbol="loop",
)
