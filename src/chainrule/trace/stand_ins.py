"""What stands in, for the length of a trace, for the functions of NumPy that have no hook.

Each stand-in looks at its arguments and at its caller. Traced arguments are dealt with here; calls
from NumPy's own code get the original; and what user code creates becomes a constant of the
trace, so that traced values can be assigned into it.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from importlib.machinery import EXTENSION_SUFFIXES
from types import CodeType
from typing import Any

import numpy as np

from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import FUNCTIONS, Traced
from ..program.spans import is_internal
from . import refusals
from .copies import as_array, copy
from .recorder import STATE
from .tracer import Tracer, as_tracer, constant

Function = Callable[..., Any]


def holds_traced(value: Any) -> bool:
    """Whether a value is traced, or a sequence with something traced in it."""
    if isinstance(value, Traced):
        return True
    return type(value) in (list, tuple) and any(holds_traced(v) for v in value)


def _from_user(depth: int) -> bool:
    return not _in_machinery(sys._getframe(depth + 1).f_code.co_filename)


class _Machinery(dict[str, bool]):
    """Whether a file belongs to chainrule, to NumPy or to a library with compiled parts.

    Such a library hands its arrays to its compiled code, which takes nothing but plain ones.
    """

    def __missing__(self, filename: str) -> bool:
        answer = self[filename] = is_internal(filename) or _has_compiled_parts(filename)
        return answer


_in_machinery = _Machinery().__getitem__


def _has_compiled_parts(filename: str) -> bool:
    from pathlib import Path  # takes milliseconds to import, and few traces get here

    folder, installed = Path(filename).parent, {"site-packages", "dist-packages"}
    if not installed.intersection(folder.parts):
        return False
    while folder.parent.name not in installed and (folder.parent / "__init__.py").exists():
        folder = folder.parent
    if folder.name in installed:
        return False
    return any(next(folder.rglob("*" + s), None) is not None for s in EXTENSION_SUFFIXES)


# -- creation ------------------------------------------------------------------------------------


def create(original: Function) -> Function:
    """Stand in for a function that makes a new array without looking at any."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None or not _from_user(1):
            return original(*args, **kwargs)
        return constant(recorder, original(*args, **kwargs))

    return stand_in


def convert(original: Function, **defaults: Any) -> Function:
    """Stand in for ``np.array``, ``np.asarray`` and their like."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None:
            return original(*args, **kwargs)
        source = args[0] if args else next(iter(kwargs.values()), None)
        if holds_traced(source):
            if not _from_user(1) and isinstance(source, Tracer) and source._is_constant:
                source = source._plain_array()
                return original(source, *args[1:], **(kwargs if args else {}))
            rest = kwargs if args else dict(list(kwargs.items())[1:])
            return _converted(source, *args[1:], **{**defaults, **rest})
        made = original(*args, **kwargs)
        if made is source or not _from_user(1) or getattr(made, "base", None) is not None:
            return made  # NumPy's own, or somebody else's memory
        return constant(recorder, made)

    return stand_in


def _converted(
    source: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    ndmin: int = 0,
    **others: Any,
) -> Any:
    out = as_tracer(source)
    if dtype is not None and np.dtype(dtype) != out.dtype:
        if np.dtype(dtype) == object:
            refusals.object_array()
        out = out.astype(dtype)
    if not isinstance(out, Tracer):
        return out
    out = as_array(out)
    if isinstance(copy, np._CopyMode):  # as SciPy says it
        copy = copy is np._CopyMode.ALWAYS
    if (out is source and copy) or (order in ("C", "F") and not _is_laid_out(out, order)):
        out = copy_of(out, order or "K")
    missing = ndmin - ndim_of(out)
    return out if missing <= 0 else np.reshape(out, (1,) * missing + shape_of(out))


copy_of = copy


def _is_laid_out(t: Tracer, order: str) -> bool:
    value = t._value
    if not isinstance(value, np.ndarray):
        return True
    return value.flags.f_contiguous if order == "F" else value.flags.c_contiguous


def copy_function(original: Function) -> Function:
    """Stand in for ``np.copy``."""

    @wraps(original)
    def stand_in(a: Any, order: str = "K", subok: bool = False) -> Any:
        recorder = STATE.recorder
        if recorder is None:
            return original(a, order, subok)
        if holds_traced(a):
            made = as_tracer(a)
            return copy(as_array(made), order) if isinstance(made, Tracer) else made
        made = original(a, order, subok)
        return constant(recorder, made) if _from_user(1) else made

    return stand_in


def fill(original: Function, like: bool) -> Function:
    """Stand in for ``np.full`` and ``np.full_like``."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        recorder = STATE.recorder
        if recorder is None:
            return original(*args, **kwargs)
        given = dict(zip(("first", "fill_value", "dtype"), args, strict=False)) | kwargs
        value = given.get("fill_value")
        if not holds_traced(value):
            made = original(*args, **kwargs)
            return constant(recorder, made) if _from_user(1) else made
        first: Any = given.get("first", given.get("a", given.get("shape")))
        shape = shape_of(first) if like and given.get("shape") is None else first
        value = as_tracer(value)
        dtype = given.get("dtype") or (first.dtype if like else None)
        filled: Any = np.broadcast_to(value, shape)
        return copy(filled if dtype is None else filled.astype(dtype))

    return stand_in


def from_iterable(original: Function) -> Function:
    """Stand in for ``np.fromiter``."""

    @wraps(original)
    def stand_in(iter: Iterable[Any], dtype: Any, count: int = -1, **kwargs: Any) -> Any:
        if STATE.recorder is None:
            return original(iter, dtype, count, **kwargs)
        items = list(iter) if count < 0 else [x for _, x in zip(range(count), iter, strict=False)]
        if not holds_traced(items):
            return constant(STATE.recorder, original(items, dtype, count, **kwargs))
        out = as_tracer(items)
        return out if out.dtype == np.dtype(dtype) else out.astype(dtype)

    return stand_in


# -- functions of a list, classes ----------------------------------------------------------------


def of_list(original: Function) -> Function:
    """Stand in for a function that has a hook for an array, but none for a list of values."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if args and type(args[0]) in (list, tuple) and STATE.recorder is not None:  # noqa: SIM102
            if holds_traced(args[0]):
                args = (as_tracer(args[0]), *args[1:])
        return original(*args, **kwargs)

    return stand_in


def answered(original: Function, answer: Function) -> Function:
    """Stand in for a function that never asks its arguments."""

    @wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if STATE.recorder is not None and any(holds_traced(a) for a in (*args, *kwargs.values())):
            return answer(*args, **kwargs)
        return original(*args, **kwargs)

    return stand_in


def is_scalar(original: Function) -> Function:
    """Stand in for ``np.isscalar``, which looks at classes."""

    @wraps(original)
    def stand_in(element: Any) -> bool:
        if isinstance(element, Tracer):
            value = element._value
            return not isinstance(value, np.ndarray) if value is not None else False
        return bool(original(element))

    return stand_in


def refused(original: Any, name: str, remedy: str) -> Function:
    """Stand in for something that reads raw memory."""

    @wraps(original, updated=())
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if any(holds_traced(a) for a in args):
            if all(t._is_constant for a in args for t in _tracers(a)):
                args = tuple(_without_tracers(a) for a in args)
            else:
                refusals.unsupported(
                    f"`{name}`", why="it reads raw memory, which holds no derivative", help=remedy
                )
        return original(*args, **kwargs)

    return stand_in


def _tracers(value: Any) -> list[Tracer]:
    if isinstance(value, Tracer):
        return [value]
    return [t for v in value for t in _tracers(v)] if type(value) in (list, tuple) else []


def _without_tracers(value: Any) -> Any:
    if isinstance(value, Tracer):
        return value._plain_array()
    return [_without_tracers(v) for v in value] if type(value) in (list, tuple) else value


class Joined:
    """Stands in for ``np.r_`` and ``np.c_``."""

    def __init__(self, original: Any, columns: bool) -> None:
        self.original = original
        self.columns = columns

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if STATE.recorder is None or not any(holds_traced(i) for i in items):
            return self.original[key]
        if any(isinstance(i, str) for i in items):
            refusals.unsupported(
                "np.r_ with a directive in a string", help="np.concatenate or np.stack"
            )
        plain = self.original
        parts = [plain[i] if isinstance(i, slice) else np.atleast_1d(as_tracer(i)) for i in items]
        if not self.columns:
            return np.concatenate(parts)
        columns = [np.reshape(p, (-1, 1)) if ndim_of(p) == 1 else p for p in parts]
        return np.concatenate(columns, axis=-1)


def vectorized(original: Function) -> Function:
    """Stand in for calling an ``np.vectorize`` object."""

    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        traced = STATE.recorder is not None and holds_traced([*args, *kwargs.values()])
        if not traced or not callable(self.pyfunc):
            return original(self, *args, **kwargs)
        if self.signature is not None or self.excluded or kwargs:
            refusals.unsupported(
                "np.vectorize with a signature, excluded or named arguments",
                help="write the loop: np.array([f(a) for a in x])",
            )
        arrays = np.broadcast_arrays(*(as_tracer(a) for a in args))
        shape = shape_of(arrays[0])
        results = [self.pyfunc(*(a[i] for a in arrays)) for i in np.ndindex(shape)]
        if not results:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        types = self.otypes or ""
        if isinstance(results[0], tuple):
            columns = list(zip(*results, strict=True))
            return tuple(_shaped(c, shape, types[i : i + 1]) for i, c in enumerate(columns))
        return _shaped(results, shape, types)

    return call


def _shaped(results: Any, shape: tuple[int, ...], type_: str) -> Any:
    out = np.reshape(as_tracer(list(results)), shape)
    return out.astype(type_) if type_ and out.dtype != np.dtype(type_) else out


# -- methods of types written in C ---------------------------------------------------------------


def type_dict(cls: type) -> dict[str, Any] | None:
    """Return the dictionary behind a type's read-only view of it, where Python lets us."""
    found = [o for o in gc.get_referents(cls.__dict__) if type(o) is dict]
    return found[0] if len(found) == 1 else None


def dot_method(original: Any) -> Any:
    """Stand in for ``ndarray.dot``."""
    answer = FUNCTIONS[np.dot]

    def dot(self: Any, b: Any, out: Any = None) -> Any:
        if STATE.recorder is not None and type(b) is Tracer and type(self) is np.ndarray:
            return answer(self, b)
        return original(self, b) if out is None else original(self, b, out)

    return dot


def copy_method(original: Any) -> Any:
    """Stand in for ``ndarray.copy``."""

    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        recorder = STATE.recorder
        if recorder is None or type(self) is not np.ndarray:
            return made
        frame = sys._getframe(1)
        code = frame.f_code
        if _in_machinery(code.co_filename) or not _calls(code, frame.f_lasti, "copy"):
            return made
        return constant(recorder, made)

    return copy


@functools.lru_cache(4096)
def _calls(code: CodeType, lasti: int, method: str) -> bool:
    """Tell whether an instruction calls a method of this name.

    Compiled code has no frame of its own: a copy that ``rng.permutation(a)`` makes seems to come
    from the user's frame, where quite another call stands.
    """
    if method not in code.co_names:
        return False
    called = None
    start: Any = None
    instructions = [i for i in dis.get_instructions(code) if i.offset <= lasti]
    for instruction in reversed(instructions):
        place = instruction.positions
        if place is None or place.lineno is None:
            return True  # no columns to tell by
        if start is None:
            start = place.lineno, place.col_offset
        elif instruction.opname in ("LOAD_METHOD", "LOAD_ATTR") and start == (
            place.lineno,
            place.col_offset,
        ):
            called = instruction.argval
            break
    return called == method
