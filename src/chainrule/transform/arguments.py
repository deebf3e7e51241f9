"""The arguments and results of a user's function, and which of them are differentiated."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program.arraytype import ArrayType, array_type
from ..program.equation import Var
from ..program.errors import GradientError, ShapeError
from ..program.pytree import LEAF, TreeDef, flatten
from ..program.spans import Span, span_of
from ..trace import Recorder, Tracer
from .call import TracedCall

Function = Callable[..., Any]
Selection = int | str | Sequence[int | str]


class Arguments:
    """The arguments of a call, and which of their leaves are differentiated."""

    def __init__(self, f: Function, wanted: Selection, args: tuple[Any, ...], kwargs: Any) -> None:
        self.f = f
        self.args = args
        self.kwargs = kwargs
        self.single = is_single(wanted)
        simple = type(wanted) is int and wanted == 0 and args
        self.keys = [0] if simple else positions(f, wanted, args, kwargs)
        self.leaves: list[Any] = []
        self.parts: list[tuple[Any, TreeDef, int]] = []
        for key in self.keys:
            arg = kwargs[key] if isinstance(key, str) else args[key]
            if type(arg) is float or (type(arg) is np.ndarray and arg.dtype.kind == "f"):
                self.parts.append((key, LEAF, 1))
                self.leaves.append(arg)
                continue
            leaves, treedef = flatten(arg)
            for i, leaf in enumerate(leaves):
                kind = type(leaf)
                if kind is float or (kind is np.ndarray and leaf.dtype.kind == "f"):
                    continue
                check_input(leaf, f, treedef, i, self._argument(key))
            self.parts.append((key, treedef, len(leaves)))
            self.leaves.extend(leaves)

    def _argument(self, key: Any) -> str:
        if isinstance(key, str):
            return key
        names = [p.name for p in parameters_of(self.f) if p.kind in POSITIONAL]
        return names[key] if key < len(names) else f"argument {key}"

    def call(self, call: TracedCall) -> Any:
        """Call the function with traced leaves in the place of the differentiated ones."""
        args, kwargs = list(self.args), self.kwargs
        recorder = call.recorder
        tracers = [Tracer(recorder, var) for var in call.inputs]
        for (key, _, _), tree in zip(self.parts, self.arrange_all(tracers), strict=True):
            if isinstance(key, str):
                kwargs = {**kwargs, key: tree}
            else:
                args[key] = tree
        return self.f(*args, **kwargs)

    def arrange_all(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return derivatives in the structures of their arguments, one per argument."""
        trees = []
        start = 0
        for _, treedef, count in self.parts:
            if treedef is LEAF:
                trees.append(leaves[start])
            else:
                trees.append(treedef.unflatten(leaves[start : start + count]))
            start += count
        return tuple(trees)

    def arrange(self, leaves: Sequence[Any]) -> Any:
        """Return derivatives in the structure in which the arguments were asked for."""
        arranged = self.arrange_all(leaves)
        return arranged[0] if self.single else arranged

    def tangents(self, given: Sequence[Any]) -> list[Any]:
        """Return the leaves of tangents, checked against the arguments."""
        if not isinstance(given, tuple | list):
            raise GradientError(
                f"the tangents have to be a tuple, not {type(given).__name__}",
                help="give one tangent per argument: `(t,)` for a single one",
            )
        if len(given) != len(self.parts):
            raise GradientError(
                f"{len(given)} tangents for {len(self.parts)} arguments",
                help="give one tangent per argument",
            )
        leaves: list[Any] = []
        for (key, treedef, _), tangent in zip(self.parts, given, strict=True):
            leaves.extend(treedef.flatten_like(tangent, f"tangent of {self._argument(key)}"))
        return [
            checked(t, array_type(x), "tangent") for t, x in zip(leaves, self.leaves, strict=True)
        ]


def record(
    arguments: Arguments, recorder: Recorder, nested: bool, has_aux: bool = False
) -> TracedCall:
    """Call the user's function and note what it does and what it returns."""
    call = TracedCall(recorder, nested, arguments.leaves)
    result = arguments.call(call)
    if has_aux:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise GradientError(
                "with has_aux=True the function has to return a pair (value, aux)",
                span=definition(arguments.f),
                why=f"it returned {described(flatten(result)[1])}",
                help="`return loss, extra`",
            )
        result, aux = result
        call.aux = aux if nested else _detached(aux)
    call.finish(result)
    return call


def _detached(aux: Any) -> Any:
    """Return auxiliary results as plain values; they have no derivative."""
    leaves, treedef = flatten(aux)
    return treedef.unflatten(x._value if isinstance(x, Tracer) else x for x in leaves)


def described(treedef: TreeDef) -> str:
    """Return what a result is arranged as, for a message: each ``*`` stands for one value."""
    return "one value" if treedef is LEAF else repr(treedef)[8:-1]


# -- which arguments -----------------------------------------------------------------------------

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def is_single(wanted: Selection) -> bool:
    """Whether ``argnums`` names one argument rather than a sequence of them."""
    return isinstance(wanted, int | str | np.integer)


def positions(f: Function, wanted: Selection, args: tuple[Any, ...], kwargs: Any) -> list[Any]:
    """Return ``argnums`` as keys: integers for positional arguments, names for keyword ones."""
    if type(wanted) is tuple and len(set(wanted)) == len(wanted):
        count = len(args)
        for w in wanted:
            if type(w) is not int or not 0 <= w < count:
                break
        else:
            return list(wanted)  # the usual case, and the quick one
    chosen: tuple[Any, ...] = (wanted,) if is_single(wanted) else tuple(wanted)  # type: ignore[arg-type]
    keys = [_position(f, w, args, kwargs) for w in chosen]
    if len(set(keys)) < len(keys):
        raise GradientError(
            f"argnums={wanted!r} names an argument of {name_of(f)} twice",
            help="name each argument once",
        )
    return keys


def _position(f: Function, wanted: Any, args: Any, kwargs: Any) -> Any:
    if isinstance(wanted, str):
        return _position_by_name(f, wanted, args, kwargs)
    wanted = operator.index(wanted)
    index = wanted + len(args) if wanted < 0 else wanted
    if 0 <= index < len(args):
        return index
    names = [p.name for p in parameters_of(f) if p.kind in POSITIONAL]
    if 0 <= wanted < len(names) and names[wanted] in kwargs:
        return names[wanted]
    raise GradientError(
        f"argnums={wanted}, but {name_of(f)} was called with {len(args)} positional arguments",
        help="count from 0, or name the argument: argnums='w'",
    )


def _position_by_name(f: Function, wanted: str, args: Any, kwargs: Any) -> Any:
    if wanted in kwargs:
        return wanted
    parameters = parameters_of(f)
    names = [p.name for p in parameters]
    if wanted not in names:
        raise GradientError(
            f"{name_of(f)} has no argument {wanted!r}",
            why=f"its arguments are {', '.join(names) or 'none'}",
            help="name one of them in argnums",
        )
    index = names.index(wanted)
    if parameters[index].kind not in POSITIONAL or index >= len(args):
        raise GradientError(
            f"argument {wanted!r} of {name_of(f)} was not given",
            why="only arguments that a call passes can be differentiated",
            help=f"pass it by name, `{wanted}=...`, or select arguments by number",
        )
    return index


def parameters_of(f: Function) -> list[inspect.Parameter]:
    """Return the parameters of a callable; none if it does not tell (compiled code)."""
    try:
        return list(inspect.signature(f).parameters.values())
    except (ValueError, TypeError):
        return []


def check_input(leaf: Any, f: Function, treedef: TreeDef, index: int, argument: str) -> None:
    """Refuse what has no derivative: integers, booleans, strings."""
    if type(leaf) is float or type(leaf) is complex:
        return
    dtype = getattr(leaf, "dtype", None)
    if dtype is not None and dtype.kind in "fc":
        return
    which = treedef.leaf_paths(argument)[index]
    what = f"an array of {dtype}" if dtype is not None and np.ndim(leaf) else f"{leaf!r}"
    raise GradientError(
        f"{name_of(f)} cannot be differentiated by {which}: it is {what}",
        why="a derivative needs a continuous argument, real or complex",
        help="pass a floating-point number (2.0, not 2) or array (x.astype(float)), or choose "
        "other arguments with argnums",
    )


# -- tangents and cotangents ---------------------------------------------------------------------


def checked(given: Any, type_: ArrayType, what: str) -> Any:
    """Return a tangent or cotangent in the space of the value that it belongs to."""
    if np.shape(given) != type_.shape:
        raise ShapeError(
            f"a {what} has shape {np.shape(given)}, but its value has shape {type_.shape}",
            help=f"give the {what} the shape of the value",
        )
    dtype = type_.dtype if type_.is_differentiable else np.dtype(float)
    if type(given) is float and type_.weak:
        return given
    traced = isinstance(given, Tracer)
    array = given if traced else np.asarray(given)
    if array.dtype.kind not in "fiubc":
        raise GradientError(f"a {what} has to be a number or an array of them, not {given!r}")
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise GradientError(
            f"a complex {what} for a real value",
            help="pass its real part",
        )
    if array.dtype == dtype:
        return given if traced or type(given) is np.ndarray else array[()]
    return array.astype(dtype) if traced else array.astype(dtype)[()]


def cotangents(call: TracedCall, given: Any) -> list[Any]:
    """Return the leaves of a cotangent, checked against what the function returned."""
    leaves = call.out_tree.flatten_like(given, "cotangent")
    types = [type_of(o) for o in call.outputs]
    return [checked(ct, t, "cotangent") for ct, t in zip(leaves, types, strict=True)]


def type_of(output: Any) -> ArrayType:
    """Return the type of an output: a variable, or a constant."""
    return output.type if type(output) is Var else array_type(output)


# -- the function itself -------------------------------------------------------------------------


def name_of(f: Function) -> str:
    """Return what a message calls a function."""
    inner = _python_function(f)
    return f"`{getattr(inner, '__name__', type(inner).__name__)}`"


def definition(f: Function) -> Span | None:
    """Return where a function is defined, as far as that is known."""
    inner = _python_function(f)
    code = getattr(inner, "__code__", getattr(type(inner).__call__, "__code__", None))
    return None if code is None else span_of(code, 0)


def _python_function(f: Any) -> Any:
    """Return the function below wrappers, partial applications and bound methods."""
    f = inspect.unwrap(f)
    while isinstance(f, functools.partial):
        f = inspect.unwrap(f.func)
    return getattr(f, "__func__", f)


def wrapping(f: Function) -> Callable[[Function], Function]:
    """Let a derivative bear the name and the signature of the function it belongs to.

    Unlike :func:`functools.wraps` this copies no attributes: those of a callable object are its
    state, which a copy would outlive.
    """
    return functools.wraps(f, updated=())
