"""NumPy's own hooks: what happens when a NumPy function or ufunc meets a traced value."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..primitives.accumulate import CUMMAX, CUMMIN, accumulate_extreme
from ..primitives.indexing import SCATTER_ADD
from ..primitives.reductions import log_sum_exp
from ..program.arraytype import ndim_of, shape_of
from ..program.primitive import BY_NAME, FUNCTIONS, Primitive
from ..program.pytree import tree_map
from ..program.spans import user_frame
from . import assignment, refusals
from .recorder import STATE, Recorder, recording
from .tracer import NO_PARAMS, Tracer, bind, bind_one, constant

REDUCTIONS: dict[Any, Any] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
REDUCED: dict[Any, Any] = {f: FUNCTIONS[g] for f, g in REDUCTIONS.items()} | {
    np.logaddexp: log_sum_exp
}
ACCUMULATED: dict[Any, Any] = {
    np.add: FUNCTIONS[np.cumsum],
    np.multiply: FUNCTIONS[np.cumprod],
    np.maximum: accumulate_extreme(CUMMAX),
    np.minimum: accumulate_extreme(CUMMIN),
}


def array_ufunc(self: Tracer, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Answer a ufunc: NumPy's ``__array_ufunc__`` protocol (NEP 13)."""
    if method == "__call__":
        answer = FUNCTIONS.get(ufunc)
        if not kwargs:
            if type(answer) is Primitive:
                if len(inputs) == 1:
                    return bind_one(answer, self, ufunc)
                return bind(answer, inputs, NO_PARAMS, ufunc)
            if answer is not None:
                return answer(*inputs)
        return _call(ufunc, answer, inputs, kwargs)
    if method == "reduce":
        return _reduce(ufunc, *inputs, **kwargs)
    if method == "accumulate":
        return _accumulate(ufunc, *inputs, **kwargs)
    if method == "outer":
        return _outer(ufunc, *inputs, **kwargs)
    if method == "at":
        return _at(ufunc, *inputs)
    refusals.unsupported(f"np.{ufunc.__name__}.{method}")


def _call(ufunc: Any, answer: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = kwargs.pop("out", None)
    where = kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    for harmless in ("casting", "order", "subok"):
        kwargs.pop(harmless, None)
    if kwargs:
        refusals.unsupported(f"np.{ufunc.__name__} with {', '.join(kwargs)}=")
    if answer is None:
        answer = BY_NAME.get(ufunc.__name__)
    if dtype is not None and np.dtype(dtype).kind in "fc":  # NumPy computes in this dtype
        inputs = tuple(_cast(i, dtype) if hasattr(i, "astype") else i for i in inputs)
    if answer is not None:
        with nullcontext() if where is True else np.errstate(all="ignore"):
            result = answer(*inputs)
    elif all(_is_plain(i) for i in inputs):
        result = _owned(ufunc(*(_without_tracer(i) for i in inputs)))
    else:
        refusals.unsupported_ufunc(ufunc)
    if isinstance(result, tuple):
        return _deliver(ufunc, result, out, where, dtype)
    if dtype is not None:
        result = _cast(result, dtype)
    target = out[0] if isinstance(out, tuple) else out
    if where is not True:
        if target is None:
            refusals.unsupported(
                f"np.{ufunc.__name__} with where= and without out=",
                why="the elements that `where` leaves out would be uninitialised memory",
                help="use np.where(condition, f(x), other)",
            )
        result = np.where(where, result, target)
    return result if target is None else write_out(target, result)


def _deliver(ufunc: Any, results: Any, out: Any, where: Any, dtype: Any) -> tuple[Any, ...]:
    """Finish a ufunc with several results."""
    if where is not True or dtype is not None:
        refusals.unsupported(f"np.{ufunc.__name__} with where= or dtype=")
    targets = out or (None,) * len(results)
    pairs = zip(targets, results, strict=True)
    return tuple(r if t is None else write_out(t, r) for t, r in pairs)


def _cast(result: Any, dtype: Any) -> Any:
    if result.dtype == np.dtype(dtype):
        return result
    return result.astype(dtype)


def _without_tracer(value: Any) -> Any:
    return value._plain_array() if isinstance(value, Tracer) else value


def _owned(result: Any) -> Any:
    """Wrap what a function made of constants, so that traced values can be assigned into it."""
    recorder = STATE.recorder
    if type(result) in (tuple, list):
        return type(result)(_owned(r) for r in result)
    if recorder is None or type(result) is not np.ndarray or result.base is not None:
        return result
    return constant(recorder, result)


def write_out(target: Any, result: Any) -> Any:
    """Deliver a result to ``out=``."""
    if isinstance(target, Tracer):
        assignment.setitem(target, ..., result)
        return target
    if not isinstance(target, np.ndarray):
        raise TypeError("return arrays must be of ArrayType")
    if _is_plain(result):
        np.copyto(target, _without_tracer(result), casting="same_kind")
        return target
    # `array += t` arrives as out=(array,), and Python binds the name to what is returned here.
    # That is right as long as nobody else holds the array.
    shared = _has_other_users(sys.getrefcount(target)) or target.base is not None
    if shared or not _in_augmented_assignment():
        refusals.into_plain_array(target, shared)
    if shape_of(result) != target.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {target.shape} doesn't match "
            f"the broadcast shape {shape_of(result)}"
        )
    if not np.can_cast(result.dtype, target.dtype, "same_kind"):
        refusals.lossy_assignment(result, target.dtype, result.dtype)
    return result if result.dtype == target.dtype else result.astype(target.dtype)


def _in_augmented_assignment() -> bool:
    frame = user_frame(2)
    if frame is None:
        return False
    code, offset = frame.f_code.co_code, frame.f_lasti
    op = dis.opname[code[offset]]
    # the second half of the binary operators are the in-place ones (opcode.h: NB_INPLACE_ADD)
    return op == "BINARY_OP" and code[offset + 1] >= _FIRST_IN_PLACE


_FIRST_IN_PLACE = 13


class _Measured(Exception):  # noqa: N818 - it is no error
    """Carries a reference count out of the calibration."""


def _has_other_users(references: int) -> bool:
    if not _UNSHARED:
        raise _Measured(references)
    return references > _UNSHARED[0]


_UNSHARED: list[int] = []


def _calibrate() -> None:
    """Count the references to an array that only a local variable holds, inside ``array += t``.

    The number depends on the versions of Python and NumPy, so it's measured and not assumed.
    """
    recorder = Recorder()
    array: Any = np.zeros(1)
    with recording(recorder):
        traced = Tracer(recorder, recorder.variable(np.zeros(1)))
        try:
            array += traced
        except _Measured as measured:
            _UNSHARED.append(measured.args[0])


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Tracer) or value._is_constant


# -- the other methods of a ufunc ----------------------------------------------------------------


def _reduce(
    ufunc: Any,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    **kwargs: Any,
) -> Any:
    function = REDUCED.get(ufunc)
    if function is None:
        refusals.unsupported(f"np.{ufunc.__name__}.reduce")
    if dtype is not None:
        kwargs["dtype"] = dtype
    result = function(a, axis=axis, keepdims=keepdims, **kwargs)
    return result if out is None else write_out(out[0] if isinstance(out, tuple) else out, result)


def _accumulate(ufunc: Any, a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    function = ACCUMULATED.get(ufunc)
    if function is None:
        refusals.unsupported(f"np.{ufunc.__name__}.accumulate")
    result = function(a, axis=axis)
    if dtype is not None:
        result = result.astype(dtype)
    return result if out is None else write_out(out[0] if isinstance(out, tuple) else out, result)


def _outer(ufunc: Any, a: Any, b: Any, **kwargs: Any) -> Any:
    left = np.reshape(a, shape_of(a) + (1,) * ndim_of(b))
    return ufunc(left, b, **kwargs)


def _at(ufunc: Any, target: Any, index: Any, values: Any = None) -> None:
    operands = () if values is None else (values,)
    if all(_is_plain(o) for o in (target, *operands)):
        plain = target._operand().copy() if isinstance(target, Tracer) else target
        ufunc.at(plain, _without_tracer(index), *(_without_tracer(o) for o in operands))
        if isinstance(target, Tracer):
            assignment.store(target, plain)
        return
    if not isinstance(target, Tracer):
        refusals.into_plain_array(target, False)
    if ufunc not in (np.add, np.subtract):
        refusals.unsupported(f"`np.{ufunc.__name__}.at`")
    parts, spec = assignment.normalize(index)
    spread = np.broadcast_to(values, shape_of(assignment.getitem(target, index)))
    added = bind(SCATTER_ADD, (spread * 1.0, *parts), {"shape": target.shape, "spec": spec})

    def one_by_one(before: Any, _: Any) -> Any:
        # the sum of the additions would be rounded in another order
        after = before.copy()
        ufunc.at(after, _without_tracer(index), values._value if _is_traced(values) else values)
        return after

    primitive: Any = FUNCTIONS[ufunc]
    result = bind(primitive, (target, added), NO_PARAMS, one_by_one)
    assignment.update(target, result)


def _is_traced(value: Any) -> bool:
    return isinstance(value, Tracer)


# -- array functions -----------------------------------------------------------------------------


def array_function(self: Tracer, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Answer an array function: NumPy's ``__array_function__`` protocol (NEP 18)."""
    answer = FUNCTIONS.get(function)
    if answer is None:
        answer = BY_NAME.get(f"{function.__module__}.{function.__name__}")
    out = kwargs.pop("out", None) if "out" in kwargs else None
    if answer is not None:
        try:
            result = answer(*args, **kwargs)
        except TypeError as error:
            if not _is_mismatch(error):
                raise
            by_name = _by_name(function, args, kwargs)
            if by_name is not None:
                return array_function(self, function, types, *by_name)
        else:
            return result if out is None else write_out(out, result)
    found: list[bool] = []
    plain_args, plain_kwargs = tree_map(lambda leaf: _unwrap(leaf, found), (args, kwargs))
    if not found or not all(found):
        refusals.unsupported_function(function, " with these arguments" if answer else "")
    result = _owned(function(*plain_args, **plain_kwargs))
    return result if out is None else write_out(out, result)


def method(name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of :class:`Tracer` that answers for one of ndarray."""

    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None) if "out" in kwargs else None
        try:
            result = answer(self, *args, **kwargs)
        except TypeError as error:
            if not _is_mismatch(error):
                raise
            by_name = _by_name(getattr(np, name, None), (self, *args), kwargs)
            if by_name is not None:
                return method(*by_name[0], **by_name[1])
            if not self._is_constant:
                refusals.unsupported(f"`.{name}()` with these arguments")
            result = _owned(getattr(self._plain_array(), name)(*args, **kwargs))
        return result if out is None else write_out(out, result)

    method.__name__ = name
    return method


def _by_name(function: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """Return the arguments of a call with all but the first by name, without NumPy's defaults.

    Positions such as that of ``out`` differ between NumPy and the function that answers. None says
    that nothing changes by it.
    """
    try:
        signature = inspect.signature(function)
        given = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return None
    first, *rest = given
    parameters = [signature.parameters[name] for name in rest]
    if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
        return None
    named = {p.name: given[p.name] for p in parameters if given[p.name] is not p.default}
    return None if len(args) == 1 and named == kwargs else ((given[first],), named)


def _is_mismatch(error: TypeError) -> bool:
    """Tell whether a call failed because the function doesn't take such arguments."""
    traceback = error.__traceback__
    return traceback is not None and traceback.tb_next is None and "argument" in str(error)


def _unwrap(leaf: Any, found: list[bool]) -> Any:
    if isinstance(leaf, Tracer):
        found.append(leaf._is_constant)
        return leaf._plain_array() if leaf._is_constant else leaf
    return leaf


def install() -> None:
    """Make :class:`Tracer` answer NumPy's protocols."""
    Tracer.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
    Tracer.__array_function__ = array_function  # type: ignore[attr-defined]
    _calibrate()
