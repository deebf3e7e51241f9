"""The traced value: what a user's function gets instead of an array.

A :class:`Tracer` is a cell that holds an immutable variable. Operations read the variable and
record an equation; an assignment such as ``r[i] = t`` records a functional update and puts the
new variable into the cell, so that every name for the same array sees it, as in NumPy. A tracer
that was made by a view (a slice, a transpose) knows its base and keeps in step with it.

A cell may also hold a plain array that doesn't depend on any input: a *constant*. That is what
``np.zeros(n)`` gives inside a trace, so that a traced value can be assigned into it later.
"""

from __future__ import annotations

import math
import os
import sys
from types import BuiltinFunctionType
from typing import Any, NoReturn

import numpy as np

from ..program.arraytype import ArrayType, array_type
from ..program.equation import Equation, Var
from ..program.errors import ChainruleError
from ..program.primitive import Primitive, Traced
from ..program.spans import is_internal
from . import refusals
from .cells import Cell, View, moves_unit_axes
from .recorder import STATE, Recorder

_HERE = os.path.dirname(__file__) + os.sep
NO_PARAMS: dict[str, Any] = {}
_equation = tuple.__new__  # a named tuple's own constructor takes twice as long


class Tracer(Traced):
    """A value that is being traced. It behaves as the ndarray or scalar that it stands for."""

    __slots__ = ("_cell", "_recorder", "_var")
    __array_priority__ = 1e6
    # so that isinstance(t, np.ndarray) and isinstance(t, float) answer as without a trace
    __class__ = property(lambda self: _claimed_class(self))

    _var: Var | None
    _recorder: Recorder
    _cell: Cell | None

    def __init__(self, recorder: Recorder, var: Var | None, cell: Cell | None = None) -> None:
        self._recorder = recorder
        self._var = var
        self._cell = cell

    # -- what it holds ---------------------------------------------------------------------------

    def _operand(self) -> Any:
        """Return the variable, or the constant array, that an equation takes."""
        cell = self._cell
        if cell is None:
            return self._var
        if cell.view is not None:
            self._follow(cell.view)
        if self._var is not None:
            return self._var
        cell.shared = True
        return cell.buffer

    def _state(self) -> Cell:
        """Return the cell, making one for a tracer that had needed none so far."""
        cell = self._cell
        if cell is None:
            cell = self._cell = Cell()
        return cell

    def _follow(self, view: View) -> None:
        """Bring a view up to date when its base was assigned to."""
        state, base = self._state(), view.base._state()
        if base.view is not None:
            view.base._follow(base.view)
        if base.version == view.version:
            return
        if not view.certain:
            refusals.stale_reshape(self)
        fresh = bind(view.primitive, (view.base, *view.parts), view.params)
        self._var, state.buffer, state.shared = fresh._var, fresh._state().buffer, True
        state.version += 1
        view.version = base.version

    @property
    def _current(self) -> Var | None:
        """The variable, brought up to date; None for a constant."""
        cell = self._cell
        if cell is not None and cell.view is not None:
            self._follow(cell.view)
        return self._var

    @property
    def _is_constant(self) -> bool:
        return self._current is None

    @property
    def _value(self) -> Any:
        """The concrete value; None in an abstract trace."""
        var = self._current
        return self._state().buffer if var is None else var.value

    @property
    def _type(self) -> ArrayType:
        var = self._current
        return array_type(self._state().buffer) if var is None else var.type

    def _fresh(self, array: Any) -> Any:
        """Wrap a new array, so that traced values can be assigned into it."""
        return constant(self._recorder, array)

    def _bind(self, primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if primitive.joint is not None:
            return bind_joint(primitive, operands, params)
        return bind(primitive, operands, params)

    # -- shape and type --------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        if self._cell is None and type(array := self._var.value) is np.ndarray:  # type: ignore[union-attr]
            shape: tuple[int, ...] = array.shape
            return shape
        value = self._value
        if value is None:
            return self._type.shape
        return getattr(value, "shape", ())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        if self._cell is None and type(array := self._var.value) is np.ndarray:  # type: ignore[union-attr]
            ndim: int = array.ndim
            return ndim
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._type.size

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of unsized object")
        return shape[0]

    # -- what would cut the derivative off ---------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if not self._is_constant:
            refusals.to_array(self)
        array = self._plain_array()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def _plain_array(self) -> Any:
        """Return a constant's elements; read-only, since a write would pass the cell by."""
        array = self._operand().view()
        array.flags.writeable = False
        return array

    def __float__(self) -> float:
        return float(self._plain("float"))

    def __complex__(self) -> complex:
        return complex(self._plain("complex"))

    def _plain(self, wanted: str) -> Any:
        if not self._is_constant:
            refusals.to_number(self, wanted)
        return self._value

    def __int__(self) -> int:
        return int(self._known("int"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return int(self._known("an index"))

    def __bool__(self) -> bool:
        return bool(self._known("bool"))

    def _known(self, wanted: str) -> Any:
        # a result of these is piecewise constant in the value, so its derivative is truly zero
        value = self._value
        if value is None:
            refusals.abstract_value(self, wanted)
        return value

    def __trunc__(self) -> int:
        return math.trunc(self._known("int"))

    def __floor__(self) -> int:
        return math.floor(self._known("int"))

    def __ceil__(self) -> int:
        return math.ceil(self._known("int"))

    def __hash__(self) -> int:
        value = self._value
        if isinstance(value, np.ndarray) or self.shape:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        refusals.as_key(self)

    def __reduce__(self) -> NoReturn:
        refusals.not_storable(self)

    # -- printing and copying --------------------------------------------------------------------

    def __repr__(self) -> str:
        value = self._value
        return f"traced({self._type if value is None else repr(value)})"

    def __str__(self) -> str:
        value = self._value
        return f"traced({self._type})" if value is None else str(value)

    def __format__(self, spec: str) -> str:
        value = self._value
        return str(self) if value is None else format(value, spec)


def _claimed_class(t: Tracer) -> type:
    """Return the class of the value that a tracer stands for, as the user's code sees it.

    Chainrule's and NumPy's own code gets one answer for all, so that a rule that asks for a plain
    number never takes a traced one for it.
    """
    frame: Any = sys._getframe(2)
    if frame.f_code.co_filename == "<frozen abc>":
        frame = frame.f_back
    value = None if is_internal(frame.f_code.co_filename) else t._value
    return np.ndarray if value is None else type(value)


_array: Any = np.array  # a trace replaces it by one that looks for traced values


def constant(recorder: Recorder, value: Any) -> Any:
    """Wrap an array that depends on no input, so that traced values can be assigned into it."""
    if type(value) is np.ndarray and value.dtype.kind in "fciub":
        return Tracer(recorder, None, Cell(value))
    return value


def bind(
    primitive: Primitive,
    operands: tuple[Any, ...],
    params: dict[str, Any] = NO_PARAMS,
    impl: Any = None,
) -> Any:
    """Apply a primitive to traced values: compute the result and write the equation down.

    Parameters
    ----------
    primitive : Primitive
        The operation.
    operands : tuple
        Tracers, arrays, scalars, or sequences of them.
    params : dict
        Static parameters.
    impl : callable, optional
        How to compute the value if not by the primitive's own implementation.

    Returns
    -------
    Tracer or array
        A plain array or scalar if the result cannot depend on an input.
    """
    recorder = STATE.recorder
    taken = []
    values = []
    traced = abstract = False
    for o in operands:
        kind = type(o)
        if kind is Tracer:
            if o._recorder is not recorder:
                o = adopt(o, recorder)
            o = o._var if o._cell is None else o._operand()
            if type(o) is Var:
                traced = True
                taken.append(o)
                o = o.value
                if o is None:
                    abstract = True
                values.append(o)
                continue
        elif kind is not float and kind is not int:
            o = _constant_operand(o, recorder)
            if type(o) is Tracer:  # a sequence with traced values in it
                return bind(primitive, _as_arrays(operands), params, impl)
        taken.append(o)
        values.append(o)
    assert recorder is not None
    compute = primitive.impl if impl is None else impl
    if not traced:
        result = constant(recorder, compute(*values, **params))
        return _as_view(result, primitive, operands, params)
    type_ = value = None
    if abstract:
        types = [o.type if type(o) is Var else array_type(o) for o in taken]
        type_ = _type_of(primitive, types, params)
        if type(compute) is BuiltinFunctionType and all(t.weak for t in types):
            type_ = type_._replace(weak=type_.dtype.kind in "ifc")  # Python's own operator
    else:
        try:
            value = compute(*values, **params) if params else compute(*values)
        except (ZeroDivisionError, OverflowError):
            if not _deriving():
                raise
            with np.errstate(all="ignore"):
                value = compute(*map(_in_numpy, values), **params)
        if not primitive.differentiable:
            return value
    out = recorder.variable(value, type_)
    recorder.equations.append(
        _equation(Equation, (primitive, tuple(taken), params, (out,), recorder.origin(2)))
    )
    result = Tracer(recorder, out)
    return _as_view(result, primitive, operands, params) if primitive.makes_view else result


def _type_of(primitive: Primitive, types: list[ArrayType], params: dict[str, Any]) -> Any:
    """Return the type of a result whose value isn't known, or refuse shapes that do not fit."""
    try:
        return primitive.type_rule(*types, **params)
    except ValueError as error:
        if isinstance(error, ChainruleError | IndexError):  # NumPy's error of an axis is both
            raise
        refusals.unfitting_shapes(primitive.name, types, error)


def bind_pair(primitive: Primitive, a: Any, b: Any) -> Any:
    """Apply an operator to two tracers, or a tracer and a Python number.

    The same as :func:`bind` and twice as fast where nothing special is the case: the values are
    known, and no view or constant is involved. Half of all operations are of this kind.
    """
    recorder = STATE.recorder
    x, y = a, b
    if type(a) is Tracer:
        if a._cell is not None or a._recorder is not recorder:
            return bind(primitive, (a, b))
        a = a._var
        x = a.value
    if type(b) is Tracer:
        if b._cell is not None or b._recorder is not recorder:
            return bind(primitive, (_again(a, recorder), b))
        b = b._var
        y = b.value
    if x is None or y is None or recorder is None or not primitive.differentiable:
        return bind(primitive, (_again(a, recorder), _again(b, recorder)))
    try:
        value = primitive.impl(x, y)
    except (ZeroDivisionError, OverflowError):
        return bind(primitive, (_again(a, recorder), _again(b, recorder)))
    out = Var(recorder.next_id, value)
    recorder.next_id += 1
    recorder.equations.append(
        _equation(Equation, (primitive, (a, b), NO_PARAMS, (out,), recorder.origin(2)))
    )
    return Tracer(recorder, out)


def bind_one(primitive: Primitive, t: Tracer, impl: Any) -> Any:
    """Apply a function of one operand to a tracer; as quick as :func:`bind_pair`."""
    recorder = STATE.recorder
    if t._cell is not None or t._recorder is not recorder or not primitive.differentiable:
        return bind(primitive, (t,), NO_PARAMS, impl)
    var: Any = t._var
    x = var.value
    if x is None or recorder is None or primitive.makes_view:
        return bind(primitive, (t,), NO_PARAMS, impl)
    out = Var(recorder.next_id, impl(x))
    recorder.next_id += 1
    recorder.equations.append(
        _equation(Equation, (primitive, (var,), NO_PARAMS, (out,), recorder.origin(2)))
    )
    return Tracer(recorder, out)


def _again(o: Any, recorder: Any) -> Any:
    return Tracer(recorder, o) if type(o) is Var else o


def _in_numpy(value: Any) -> Any:
    return np.float64(value) if type(value) is float else value


def _deriving() -> bool:
    """Tell whether a rule computes, in which 1/0 is infinite as in NumPy, or the user's code."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return is_internal(frame.f_code.co_filename)


def _as_view(result: Any, primitive: Primitive, operands: Any, params: dict[str, Any]) -> Any:
    """Let a result know the array whose memory it shares; a NumPy scalar shares none."""
    base = operands[0]
    if primitive.makes_view and type(result) is type(base) is Tracer and _is_array(result, params):
        copied = primitive.name == "getitem" and len(operands) > 1
        certain = True
        if primitive.name == "reshape":
            certain = base._value is not None or moves_unit_axes(base.shape, params["shape"])
            copied = base._value is not None and not _may_share(result._value, base._value)
        if not copied:
            view = View(base, primitive, operands[1:], params)
            view.certain = certain
            buffer = None if result._cell is None else result._cell.buffer
            result._cell = Cell(buffer, view)
    return result


_may_share = np.may_share_memory


def _is_array(result: Tracer, params: dict[str, Any]) -> bool:
    var = result._var
    if var is None:
        return True
    if var.value is None:
        return bool(var.type.shape) or Ellipsis in params.get("spec", ())
    return type(var.value) is np.ndarray


def adopt(t: Tracer, recorder: Recorder | None) -> Tracer:
    """Return a value of an enclosing trace as one of ``recorder``'s own."""
    if recorder is None or not t._recorder.open:
        refusals.check_alive(t, recorder)
    operand = t._operand()
    if type(operand) is not Var:
        cell = Cell(operand)
        cell.shared = True
        return Tracer(recorder, None, cell)
    try:
        return Tracer(recorder, recorder.capture(operand, t._recorder))
    except LookupError:
        refusals.check_alive(t, recorder)


_SCALARS = (np.generic, complex, bool)


def _constant_operand(o: Any, recorder: Recorder | None) -> Any:
    if type(o) is np.ndarray:
        if o.dtype.hasobject:
            return as_tracer(o)
        return o if recorder is None else recorder.constant(o)
    if isinstance(o, _SCALARS):
        return o
    if isinstance(o, np.ndarray):
        refusals.array_subclass(o)
    return as_tracer(o)


def _as_arrays(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(as_tracer(o) if isinstance(o, list | tuple) else o for o in operands)


def as_tracer(o: Any) -> Any:
    """Return a sequence, nested or flat, as one array, its traced elements included."""
    if isinstance(o, Traced | np.generic | int | float | complex):
        return o
    if type(o) is np.ndarray and o.dtype != object:
        return o
    if isinstance(o, list | tuple) or (type(o) is np.ndarray and o.ndim):
        parts = [as_tracer(part) for part in o]
        if any(isinstance(part, Traced) for part in parts):
            return np.stack(parts)
        return _array(parts)
    if type(o) is np.ndarray:
        return as_tracer(o.item())
    refusals.unknown_operand(o)


def bind_joint(
    primitive: Primitive, operands: tuple[Any, ...], params: dict[str, Any], values: Any = None
) -> tuple[Any, ...]:
    """Apply a primitive with several results; as :func:`bind` does for one.

    ``values`` are the results' values, where they have been computed already.
    """
    recorder = STATE.recorder
    assert recorder is not None
    taken = tuple(_taken(o, recorder) for o in operands)
    if not any(type(o) is Var for o in taken):
        return tuple(primitive.impl(*taken, **params)) if values is None else tuple(values)
    if values is None and not any(type(o) is Var and o.value is None for o in taken):
        given = (o.value if type(o) is Var else o for o in taken)
        values = primitive.impl(*given, **params)
    if values is None:
        types = [o.type if type(o) is Var else array_type(o) for o in taken]
        found: Any = _type_of(primitive, types, params)
        outs = tuple(recorder.variable(None, t) for t in found)
    else:
        outs = tuple(recorder.variable(v) for v in values)
    recorder.equations.append(Equation(primitive, taken, params, outs, recorder.origin(2)))
    return tuple(Tracer(recorder, out) for out in outs)


def _taken(o: Any, recorder: Recorder) -> Any:
    """Return what an equation takes for an operand: a variable or a constant."""
    if isinstance(o, Traced):
        assert isinstance(o, Tracer)
        return (o if o._recorder is recorder else adopt(o, recorder))._operand()
    return _constant_operand(o, recorder) if type(o) not in (float, int) else o
