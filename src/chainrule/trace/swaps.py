"""Standing in for what NumPy has no hook for: array creation, `math`, and three methods.

``np.array([t, u])``, ``np.zeros(n)`` (into which ``t`` is assigned later), ``math.exp(t)`` and
``A.dot(t)`` never ask the traced value. So for the length of a trace these functions are replaced
by ones that look at their arguments first. The replacements act only in a thread that traces and
only for calls from user code; everybody else, NumPy's own code included, gets the originals. They
go away with the last trace, on any exit.
"""

from __future__ import annotations

import ctypes
import gc
import math
import sys
import threading
import types
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from ..primitives.special import SCIPY_FUNCTIONS
from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import BY_NAME, FUNCTIONS, Traced
from ..program.spans import is_internal
from .recorder import STATE
from .tracer import Tracer, as_tracer, constant, copy


def _holds_traced(value: Any) -> bool:
    """Whether a value is traced, or a sequence with something traced in it."""
    if isinstance(value, Traced):
        return True
    return isinstance(value, list | tuple) and any(_holds_traced(v) for v in value)


# -- creation ------------------------------------------------------------------------------------


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    """Stand in for a function that makes a new array without looking at any."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None or is_internal(sys._getframe(1).f_code.co_filename):
            return original(*args, **kwargs)
        return constant(recorder, original(*args, **kwargs))

    return stand_in


def _convert(original: Callable[..., Any], copies: bool) -> Callable[..., Any]:
    """Stand in for ``np.array``, ``np.asarray`` and their like."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None:
            return original(*args, **kwargs)
        source = args[0] if args else next(iter(kwargs.values()), None)
        if _holds_traced(source):
            return _converted(source, copies, *args[1:], **kwargs)
        if is_internal(sys._getframe(1).f_code.co_filename):
            return original(*args, **kwargs)
        made = original(*args, **kwargs)
        return made if made is source else constant(recorder, made)

    return stand_in


def _converted(
    source: Any,
    copies: bool,
    dtype: Any = None,
    *args: Any,
    copy_: bool | None = None,
    ndmin: int = 0,
    **kwargs: Any,
) -> Any:
    out = as_tracer(source)
    if dtype is not None and np.dtype(dtype) != out.dtype:
        out = out.astype(dtype)
    elif out is source and copies and kwargs.get("copy", True):
        out = copy(out)
    if isinstance(out, Traced) and ndim_of(out) < ndmin:
        out = np.reshape(out, (1,) * (ndmin - ndim_of(out)) + shape_of(out))
    return out


def _full(original: Callable[..., Any], like: bool) -> Callable[..., Any]:
    """Stand in for ``np.full`` and ``np.full_like``."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None:
            return original(*args, **kwargs)
        given = dict(zip(("first", "fill_value", "dtype"), args, strict=False)) | kwargs
        fill = given["fill_value"]
        if not _holds_traced(fill):
            if is_internal(sys._getframe(1).f_code.co_filename):
                return original(*args, **kwargs)
            return constant(recorder, original(*args, **kwargs))
        first = given.get("first", given.get("a", given.get("shape")))
        shape = shape_of(first) if like and given.get("shape") is None else first
        fill = as_tracer(fill)
        dtype = given.get("dtype") or (first.dtype if like else None)
        filled = np.broadcast_to(fill, shape)
        return copy(filled if dtype is None else filled.astype(dtype))

    return stand_in


# -- the math module -----------------------------------------------------------------------------


def _scalar(original: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        for a in (*args, *kwargs.values()) if kwargs else args:
            if type(a) is Tracer or (isinstance(a, list | tuple) and _holds_traced(a)):
                return answer(*args, **kwargs)
        return original(*args, **kwargs)

    return stand_in


def _log(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _by_name(name: str) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        return BY_NAME[name](*args)

    return answer


_MATH: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in [
        "exp",
        "exp2",
        "expm1",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "cbrt",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "hypot",
        "copysign",
        "degrees",
        "radians",
        "isnan",
        "isinf",
        "isfinite",
        "fmod",
        "fabs",
    ]
} | {
    "log": _log,
    "pow": np.power,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": _by_name("erf"),
    "erfc": _by_name("erfc"),
    "gamma": _by_name("gamma"),
    "lgamma": _by_name("gammaln"),
    "fsum": sum,
    "prod": lambda xs, start=1: np.prod(np.stack([x for x in xs])) * start,
    "dist": lambda p, q: np.linalg.norm(as_tracer(list(p)) - as_tracer(list(q))),
}


# -- methods of ndarray --------------------------------------------------------------------------


def _dot_method(original: Any) -> Any:
    def dot(self: Any, b: Any, out: Any = None) -> Any:
        if STATE.recorder is not None and type(b) is Tracer and type(self) is np.ndarray:
            return FUNCTIONS[np.dot](self, b)
        return original(self, b) if out is None else original(self, b, out)

    return dot


def _copy_method(original: Any) -> Any:
    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        recorder = STATE.recorder
        if recorder is None or type(self) is not np.ndarray:
            return made
        if is_internal(sys._getframe(1).f_code.co_filename):
            return made
        return constant(recorder, made)

    return copy


def _type_dict(cls: type) -> dict[str, Any] | None:
    """Return the dictionary behind a type's read-only view of it, where Python lets us."""
    found = [o for o in gc.get_referents(cls.__dict__) if type(o) is dict]
    return found[0] if len(found) == 1 else None


# -- putting them in place -----------------------------------------------------------------------

_NEW = [
    "zeros",
    "ones",
    "empty",
    "eye",
    "identity",
    "arange",
    "linspace",
    "zeros_like",
    "ones_like",
    "empty_like",
    "tri",
]


def _numpy_stand_ins() -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {name: _create(getattr(np, name)) for name in _NEW}
    for name, copies in (
        ("array", True),
        ("asarray", False),
        ("asanyarray", False),
        ("ascontiguousarray", False),
        ("asfortranarray", False),
    ):
        table[name] = _convert(getattr(np, name), copies)
    table["full"] = _full(np.full, like=False)
    table["full_like"] = _full(np.full_like, like=True)
    table["copy"] = _convert(np.copy, True)
    return table


class _Swaps:
    """The replacements and how many traces need them at the moment."""

    def __init__(self) -> None:
        numpy = _numpy_stand_ins()
        math_ = {n: _scalar(getattr(math, n), a) for n, a in _MATH.items() if hasattr(math, n)}
        self.tables: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
            (np.__dict__, numpy, {n: getattr(np, n) for n in numpy}),
            (math.__dict__, math_, {n: getattr(math, n) for n in math_}),
        ]
        self.by_original = {
            id(original): replacements[name]
            for _, replacements, originals in self.tables
            for name, original in originals.items()
        }
        self.methods = _type_dict(np.ndarray)
        self.own = {"dot": np.ndarray.dot, "copy": np.ndarray.copy}
        self.own_stand_ins = {
            "dot": _dot_method(np.ndarray.dot),
            "copy": _copy_method(np.ndarray.copy),
        }
        self.users = 0
        self.lock = threading.Lock()
        self.knows_scipy = False

    def look_for_scipy(self) -> None:
        """Learn SciPy's functions that ask no protocol, once their user has imported them."""
        module = sys.modules.get("scipy.special")
        if self.knows_scipy or module is None:
            return
        found = {n: module.__dict__[n] for n in SCIPY_FUNCTIONS if n in module.__dict__}
        if len(found) < len(SCIPY_FUNCTIONS):
            return  # the import is still under way
        with self.lock:
            if self.knows_scipy:
                return
            replacements = {n: _scalar(f, SCIPY_FUNCTIONS[n]) for n, f in found.items()}
            self.tables.append((module.__dict__, replacements, found))
            self.by_original |= {id(f): replacements[n] for n, f in found.items()}
            self.knows_scipy = True
            _taken_by_code.clear()
            if self.users:
                module.__dict__.update(replacements)

    def install(self) -> None:
        with self.lock:
            self.users += 1
            if self.users > 1:
                return
            for target, replacements, _ in self.tables:
                target.update(replacements)
            self._set_methods(self.own_stand_ins)

    def remove(self) -> None:
        with self.lock:
            self.users -= 1
            if self.users:
                return
            for target, _, originals in self.tables:
                target.update(originals)
            self._set_methods(self.own)

    def _set_methods(self, methods: dict[str, Any]) -> None:
        if self.methods is not None:
            self.methods.update(methods)
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.ndarray))


_SWAPS = _Swaps()


Taken = list[tuple[dict[str, Any], str, Any]]


def swap_in(f: Any) -> Taken:
    """Put the replacements in place for a trace of ``f``; the result goes to :func:`swap_out`.

    Names that the modules of ``f`` and of the functions it calls took with
    ``from numpy import zeros`` are replaced as well.
    """
    taken: Taken = []
    if not _SWAPS.knows_scipy:
        _SWAPS.look_for_scipy()
    names = _names_taken(f)
    _SWAPS.install()
    for namespace, name in names:
        original = namespace.get(name)
        replacement = _SWAPS.by_original.get(id(original))
        if replacement is not None:
            namespace[name] = replacement
            taken.append((namespace, name, original))
    return taken


def swap_out(taken: Taken) -> None:
    """Bring the originals back, unless another trace still needs the replacements."""
    for namespace, name, original in taken:
        namespace[name] = original
    _SWAPS.remove()


_taken_by_code: dict[Any, list[tuple[dict[str, Any], str]]] = {}


def _names_taken(f: Any) -> list[tuple[dict[str, Any], str]]:
    """Return where ``f`` and the functions that it can reach keep originals under own names."""
    function = _python_function(f)
    if function is None:
        return []
    known = _taken_by_code.get(function.__code__)
    if known is None:
        known = _search(function)
        _taken_by_code[function.__code__] = known
    return known


def _python_function(f: Any) -> types.FunctionType | None:
    while hasattr(f, "__wrapped__"):
        f = f.__wrapped__
    f = getattr(f, "func", f)
    f = getattr(f, "__func__", f)
    if not isinstance(f, types.FunctionType):
        f = getattr(type(f), "__call__", None)
    return f if isinstance(f, types.FunctionType) else None


def _search(function: types.FunctionType) -> list[tuple[dict[str, Any], str]]:
    found: list[tuple[dict[str, Any], str]] = []
    seen: set[int] = set()
    waiting: list[types.FunctionType] = [function]
    while waiting and len(seen) < 500:
        current = waiting.pop()
        if id(current) in seen or is_internal(current.__code__.co_filename):
            continue
        seen.add(id(current))
        for name in _names(current.__code__):
            value = current.__globals__.get(name)
            if id(value) in _SWAPS.by_original:
                found.append((current.__globals__, name))
            waiting.extend(_functions_in(value))
        for cell in current.__closure__ or ():
            try:
                waiting.extend(_functions_in(cell.cell_contents))
            except ValueError:
                continue  # a cell that is still empty
    return found


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def _functions_in(value: Any) -> list[types.FunctionType]:
    if isinstance(value, types.FunctionType):
        return [value]
    if isinstance(value, type):
        return [v for v in vars(value).values() if isinstance(v, types.FunctionType)]
    return []
