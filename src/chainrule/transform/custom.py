"""Functions with a derivative of their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..maps import Joint, LinearMap, add, bare, push
from ..program.arraytype import ArrayType, array_type
from ..program.errors import GradientError, ShapeError, TraceError, UnsupportedError
from ..program.primitive import Primitive
from ..program.pytree import TreeDef, flatten
from ..program.spans import span_of
from ..trace import Tracer, current
from ..trace.recorder import recording
from ..trace.tracer import bind_joint
from .linear import vjp as pull_of
from .scanning import _type


class custom_rule:  # noqa: N801 - used as a decorator, like the functions beside it
    """A function whose derivative is given and not traced.

    The function itself gets plain arrays and may do anything: call SciPy, compiled code, a solver.
    One of three rules says how a change of its arguments changes its result:

    - ``vjp(ct, y, *args)`` returns one cotangent per argument (None for one without derivative);
    - ``jvp(tangents, y, *args)`` returns the tangent of the result for a tuple of tangents;
    - ``maps(y, *args)`` returns one linear map per argument (see ``chainrule.maps``; None for one
      without derivative), for a result that is one array.

    A rule that is written in NumPy is traced where higher derivatives are asked for, and forward
    mode is derived from a ``vjp`` (and the other way round) by transposing it.

    Parameters
    ----------
    f : callable
        The function; positional arguments that are arrays, scalars or pytrees of them.
        Keyword-only arguments are options: the rules get them as they are.
    vjp, jvp, maps : callable, optional
        The rule; they may also be set later by the decorators of the same names.
    result : callable, optional
        ``result(*args)`` gives something with the shape and dtype of the result (or a pytree of
        such), for programs that are recorded without values, as under ``vmap``.

    Raises
    ------
    GradientError
        If a derivative is asked for and no rule was given.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import grad
    >>> @custom_rule
    ... def cube(x):
    ...     return np.asarray(x) ** 3
    >>> @cube.vjp
    ... def _(ct, y, x):
    ...     return (ct * 3 * x**2,)
    >>> float(grad(cube)(2.0)), float(grad(grad(cube))(2.0))
    (12.0, 12.0)
    """

    def __init__(
        self,
        f: Callable[..., Any],
        *,
        vjp: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
        maps: Callable[..., Any] | None = None,
        result: Callable[..., Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.rules: dict[str, Callable[..., Any]] = {}
        self.result_like = result
        for name, rule in (("vjp", vjp), ("jvp", jvp), ("maps", maps)):
            if rule is not None:
                self.rules[name] = rule

    def vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take the decorated function as the rule for cotangents."""
        self.rules["vjp"] = rule
        return rule

    def jvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take the decorated function as the rule for tangents."""
        self.rules["jvp"] = rule
        return rule

    def maps(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take the decorated function as the one that gives the linear maps."""
        self.rules["maps"] = rule
        return rule

    def result(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take the decorated function as the one that tells shape and dtype of the result."""
        self.result_like = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; inside of a trace its arguments become plain arrays for it."""
        if kwargs:
            bound = inspect.signature(self.f).bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        leaves, treedef = flatten(args)
        if current() is None or not any(isinstance(x, Tracer) for x in leaves):
            return self.f(*args, **kwargs)
        run = _Run(self, treedef, kwargs)
        outs = bind_joint(CUSTOM, tuple(leaves), {"run": run})
        assert run.out_tree is not None
        return run.out_tree.unflatten(outs)

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.f, "__name__", type(self.f).__name__)


class _Run:
    """A custom function for one structure of arguments; what the equation carries."""

    def __init__(self, custom: custom_rule, in_tree: TreeDef, options: dict[str, Any]) -> None:
        self.custom = custom
        self.in_tree = in_tree
        self.options = options
        self.out_tree: TreeDef | None = None

    def __repr__(self) -> str:
        return f"<{self.custom.name}>"

    def call(self, *leaves: Any) -> tuple[Any, ...]:
        # The function may hand arrays of its own to code that takes nothing but plain ones.
        with recording(None):
            out = self.custom.f(*self.in_tree.unflatten(leaves), **self.options)
        out, self.out_tree = flatten(out)
        return tuple(np.asarray(o)[()] for o in out)

    def types(self, *types: ArrayType) -> tuple[ArrayType, ...]:
        like = self.custom.result_like
        if like is None:
            raise TraceError(
                f"the shape of what `{self.custom.name}` returns is not known without running it",
                span=_place(self.custom.f),
                why="only shapes are traced here, and the function is not to be looked into",
                help=f"tell it: `@{self.custom.name}.result` on a function of the same arguments "
                "that returns an array of the right shape and dtype",
            )
        examples = [np.zeros(t.shape, t.dtype) for t in types]
        out, self.out_tree = flatten(like(*self.in_tree.unflatten(examples), **self.options))
        return tuple(array_type(o) for o in out)

    def derivative(self, ys: list[Any], xs: list[Any]) -> Joint:
        rules = self.custom.rules
        if not rules:
            raise GradientError(
                f"`{self.custom.name}` has no derivative rule",
                span=_place(self.custom.f),
                help=f"give one: `@{self.custom.name}.vjp` on "
                "`def rule(ct, y, *args): return (...)`",
            )
        point = _Point(self, ys, xs)
        if "maps" in rules:
            return Joint(point.push_maps, point.pull_maps, self.custom.name)
        push = point.push_rule if "jvp" in rules else point.push_transposed
        pull = point.pull_rule if "vjp" in rules else point.pull_transposed
        return Joint(push, pull, self.custom.name)


class _Point:
    """The rules of a custom function at one point, as functions of flat lists."""

    def __init__(self, run: _Run, ys: list[Any], xs: list[Any]) -> None:
        self.custom = run.custom
        self.in_tree = run.in_tree
        self.options = run.options
        assert run.out_tree is not None
        self.out_tree = run.out_tree
        self.xs = xs
        self.in_types = [_type(x) for x in xs]
        self.out_types = [_type(y) for y in ys]
        self.args = run.in_tree.unflatten(xs)
        self.y = run.out_tree.unflatten(ys)

    def _filled(self, given: Sequence[Any], types: Sequence[ArrayType]) -> list[Any]:
        return [
            np.zeros(t.shape, t.dtype if t.is_differentiable else float)[()] if v is None else v
            for v, t in zip(given, types, strict=True)
        ]

    def pull_rule(self, given: list[Any]) -> list[Any]:
        ct = self.out_tree.unflatten(self._filled(given, self.out_types))
        found = self.custom.rules["vjp"](ct, self.y, *self.args, **self.options)
        if not isinstance(found, tuple) or len(found) != len(self.args):
            raise GradientError(
                f"the vjp of `{self.custom.name}` has to return a tuple of length "
                f"{len(self.args)}: the cotangents, one per argument",
                span=_place(self.custom.rules["vjp"]),
                help="`return (ct_x,)`, with None for an argument without derivative",
            )
        return self._per_leaf(found)

    def _per_leaf(self, found: tuple[Any, ...]) -> list[Any]:
        out: list[Any] = []
        for value, arg in zip(found, self.args, strict=True):
            leaves, treedef = flatten(arg)
            out += [None] * len(leaves) if value is None else treedef.flatten_like(value)
        for i, (value, type_) in enumerate(zip(out, self.in_types, strict=True)):
            if value is not None and np.shape(value) != type_.shape:
                raise ShapeError(
                    f"the vjp of `{self.custom.name}` gives a cotangent of shape "
                    f"{np.shape(value)} for an argument of shape {type_.shape}",
                    span=_place(self.custom.rules["vjp"]),
                )
            if value is not None and not type_.is_differentiable:
                out[i] = None
        return out

    def push_rule(self, given: list[Any]) -> list[Any]:
        tangents = self.in_tree.unflatten(self._filled(given, self.in_types))
        moved = self.custom.rules["jvp"](tuple(tangents), self.y, *self.args, **self.options)
        leaves = self.out_tree.flatten_like(moved, f"the jvp of {self.custom.name}")
        for value, type_ in zip(leaves, self.out_types, strict=True):
            if np.shape(value) != type_.shape:
                raise ShapeError(
                    f"the jvp of `{self.custom.name}` gives a tangent of shape {np.shape(value)} "
                    f"for a result of shape {type_.shape}",
                    span=_place(self.custom.rules["jvp"]),
                )
        return leaves

    # -- the other mode: a linear function is transposed by differentiating it ---------------

    def push_transposed(self, given: list[Any]) -> list[Any]:
        places = [i for i, v in enumerate(given) if v is not None]

        def pulled(*ct: Any) -> list[Any]:
            found = self.pull_rule(list(ct))
            return [
                np.zeros(self.in_types[i].shape) if found[i] is None else found[i] for i in places
            ]

        start = self._filled([None] * len(self.out_types), self.out_types)
        back = self._transposable("vjp", "forward", pulled, start)
        return list(back([given[i] for i in places]))

    def pull_transposed(self, given: list[Any]) -> list[Any]:
        smooth = [i for i, t in enumerate(self.in_types) if t.is_differentiable]

        def pushed(*tangents: Any) -> list[Any]:
            full = dict(zip(smooth, tangents, strict=True))
            return self.push_rule([full.get(i) for i in range(len(self.xs))])

        start = self._filled([None] * len(smooth), [self.in_types[i] for i in smooth])
        back = self._transposable("jvp", "reverse", pushed, start)
        found = dict(zip(smooth, back(self._filled(given, self.out_types)), strict=True))
        return [found.get(i) for i in range(len(self.xs))]

    def _transposable(self, have: str, want: str, linear: Any, start: list[Any]) -> Any:
        try:
            return pull_of(linear, *start)[1]
        except (TraceError, UnsupportedError) as error:
            raise UnsupportedError(
                f"`{self.custom.name}` has a {have} and is differentiated in {want} mode",
                span=_place(self.custom.rules[have]),
                why=f"{want} mode can be derived from a {have} in NumPy; this one uses code that "
                "cannot be traced",
                help=f"give the function a {'jvp' if have == 'vjp' else 'vjp'} as well",
            ) from error

    # -- linear maps -----------------------------------------------------------------------------

    def _maps(self) -> list[LinearMap | None]:
        found = list(self.custom.rules["maps"](self.y, *self.args, **self.options))
        if len(found) != len(self.xs) or len(self.out_types) != 1:
            raise GradientError(
                f"the maps of `{self.custom.name}` have to be one per argument, all of them and "
                "the result arrays",
                span=_place(self.custom.rules["maps"]),
            )
        return found

    def push_maps(self, given: list[Any]) -> list[Any]:
        total = None
        for map, v in zip(self._maps(), given, strict=True):
            if map is not None and v is not None:
                moved = push(map, v)
                total = moved if total is None else add(total, moved)
        return [bare(total)]

    def pull_maps(self, given: list[Any]) -> list[Any]:
        (ct,) = given
        return [None if m is None else bare(push(m.transpose(), ct)) for m in self._maps()]


def _place(f: Callable[..., Any]) -> Any:
    code = getattr(f, "__code__", None)
    return None if code is None else span_of(code, 0)


CUSTOM = Primitive(
    "custom",
    lambda *leaves, run: run.call(*leaves),
    type_rule=lambda *types, run: run.types(*types),
    joint=lambda ys, xs, run: run.derivative(ys, xs),
    text="custom",
    symbol="custom rule",
)
