"""What a trace refuses, each with the user's line, the reason and one rewrite.

A refusal is better than a number without its derivative: anything that would quietly cut a value
off from its gradient ends here.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..program.bytecode import opname_at
from ..program.errors import ShapeError, TraceError, UnsupportedError
from ..program.primitive import Traced
from ..program.spans import Span, argument_texts, result_name, span_of, user_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..program.arraytype import ArrayType
    from .recorder import Recorder
    from .tracer import Tracer


def here() -> Span | None:
    """Return the span of the user's code that is running now."""
    frame = user_frame(2)
    return None if frame is None else span_of(frame.f_code, frame.f_lasti)


def unfitting_shapes(name: str, types: Sequence[ArrayType], error: ValueError) -> NoReturn:
    """Refuse an operation whose operands do not fit, before there are values to try it with."""
    shapes = " and ".join(str(t.shape) for t in types)
    help = "shapes agree from the last axis on, or are 1 there; np.newaxis adds such an axis"
    if name == "matmul":
        help = "transpose one of them, such as `b.T`, so that its rows are as long as columns are"
    elif name in ("max", "min"):
        help = "say with `initial=` what the extreme of nothing is"
    raise ShapeError(str(error), span=here(), why=f"`{name}` got {shapes}", help=help) from None


def name_of(t: Tracer) -> str:
    """Return what the user's code calls a traced value, as far as that can be told."""
    frame = user_frame(2)
    if frame is not None:
        for names in (frame.f_locals, frame.f_globals):
            for name, value in names.items():
                if value is t:
                    return f"`{name}`"
        operand = traced_operand()
        if operand is not None:
            return f"`{operand}`"
    var = t._var
    if var is not None:
        if var.name:
            return f"`{var.name}`"
        for equation in t._recorder.equations:
            if var in equation.outs and equation.origin:
                result = result_name(*equation.origin[0])
                if result:
                    return f"`{result}`"
    return "a value here"


_LONGEST = 40  # characters of source that still read as a name


def traced_operand() -> str | None:
    """Return the source of the one operand of the running operation that is traced, if it's clear.

    An operand counts as traced if a local variable in it is, or holds something that is.
    """
    operands = describe_operands()
    frame = user_frame(2)
    if len(operands) != 1 and frame is not None:
        traced = {name for name, value in frame.f_locals.items() if _holds_traced(value)}
        operands = [o for o in operands if traced.intersection(_NAME.findall(o))]
    if len(operands) != 1 or len(operands[0]) > _LONGEST or operands[0][0] in "[(":
        return None
    return operands[0]


_NAME = re.compile(r"[^\W\d]\w*")


def _holds_traced(value: Any) -> bool:
    if isinstance(value, Traced):
        return True
    if type(value) in (list, tuple, dict) and len(value) < _LONGEST:
        return any(_holds_traced(v) for v in (value.values() if type(value) is dict else value))
    return False


def _plainly(name: str, otherwise: str = "...") -> str:
    """Return how a value is written in a remedy."""
    return name.strip("`") if name.startswith("`") else otherwise


def _stores_element() -> bool:
    frame = user_frame(2)
    return frame is not None and opname_at(frame.f_code, frame.f_lasti).startswith("STORE_S")


def to_number(t: Tracer, wanted: str) -> NoReturn:
    """Refuse ``float(t)``, which NumPy also calls to store ``t`` in a plain array."""
    span, name = here(), name_of(t)
    if _stores_element():
        into_element(t)
    if t._value is None:
        abstract_value(t, f"{wanted}()")
    if span is not None and not span.text:  # typed in, so that it is not known who asks
        raise TraceError(
            f"a plain {wanted} is needed here, but {name} is being differentiated",
            span=span,
            why="a plain number has no derivative, so the gradient would silently lose this path",
            help="NumPy functions and operators take the value as it is; if no derivative is "
            f"wanted through it, pass `stop_gradient({_plainly(name)})`",
        )
    if span is not None and not span.text.startswith(f"{wanted}("):
        raise TraceError(
            f"this call needs plain numbers, but {name} is being differentiated",
            span=span,
            label="compiled code, which cannot be traced",
            why="a plain number has no derivative, so the gradient would silently lose this path",
            help="give the call a derivative with custom_rule; if none is wanted through it, pass "
            f"`stop_gradient({_plainly(name)})`",
        )
    raise TraceError(
        f"{wanted}() needs a plain number, but {name} is being differentiated",
        span=span,
        label="this value carries a derivative",
        why=f"a Python {wanted} has no derivative, so the gradient would silently lose this path",
        help=f"leave {wanted}() out, since NumPy takes the value as it is; for printing only: "
        f"`{wanted}(stop_gradient({_plainly(name)}))`",
    )


def into_element(t: Tracer) -> NoReturn:
    """Refuse ``buf[i] = t`` for a plain array."""
    operands = describe_operands()
    array = f"the plain array `{operands[0]}`" if operands else "a plain array"
    raise TraceError(
        f"a value that is being differentiated cannot be written into {array}",
        span=here(),
        label="a plain array has no place for a derivative",
        why="the array was made outside of the traced function, or by a function that makes "
        "plain arrays",
        help="take a copy inside the function and write into that: "
        f"`r = np.array({operands[0] if operands else 'a'})`",
    )


def to_array(t: Tracer) -> NoReturn:
    """Refuse a conversion to a plain array, which C code asks for."""
    if _stores_element():
        into_element(t)
    if t._value is None:
        _unknown_array(t)
    sequences = [o for o in describe_operands() if o.startswith(("[", "("))]
    name = name_of(t)
    help_ = (
        f"make an array of it first: `np.array({sequences[0]})`"
        if len(sequences) == 1
        else "use functions of NumPy instead; if no derivative is wanted through it, pass "
        f"`stop_gradient({_plainly(name)})`"
    )
    raise TraceError(
        f"{name} is being differentiated and cannot become a plain array",
        span=here(),
        label="this reads raw memory, which holds no derivative",
        why="compiled code cannot be traced, so the gradient would silently lose this path",
        help=help_,
    )


def _unknown_array(t: Tracer) -> NoReturn:
    """Refuse a conversion to a plain array, or to the index of one, where only types are known."""
    span, name = here(), name_of(t)
    array, bracket, _ = (span.text if span is not None else "").partition("[")
    if bracket and array.replace(".", "").isidentifier():
        raise TraceError(
            f"the plain array `{array}` is indexed by {name}, of which only the shape is known",
            span=span,
            label="no value here yet",
            why="the program is recorded once for all values",
            help=f"index a copy that is made inside the function: `np.array({array})[...]`",
        )
    abstract_value(t, "a conversion to a plain array")


def as_key(t: Tracer) -> NoReturn:
    """Refuse ``hash(t)``."""
    name = name_of(t)
    raise TraceError(
        f"{name} is being differentiated and cannot be hashed",
        span=here(),
        label="a dictionary key, a set member or an argument of a cached function",
        why="what is found by the value would be cut off from the derivative",
        help=f"look it up by the plain value: `float(stop_gradient({_plainly(name)}))`",
    )


def shuffle(t: Tracer) -> NoReturn:
    """Refuse to let compiled code swap the rows of an array in place."""
    name = _plainly(name_of(t), "x")
    raise TraceError(
        "the rows of an array cannot be shuffled in place here",
        span=here(),
        label="compiled code swaps rows one by one",
        why="it takes the array for a list, whose items are no views",
        help=f"`{name} = {name}[rng.permutation(len({name}))]`",
    )


def object_array() -> NoReturn:
    """Refuse an array of Python objects."""
    raise TraceError(
        "an array of objects cannot hold values that are being differentiated",
        span=here(),
        why="NumPy would compute with each element by itself and unseen",
        help="leave `dtype=object` out, or use a list",
    )


def shape_of_view(t: Tracer) -> NoReturn:
    """Refuse ``t.shape = ...`` for an array that shares its elements with others."""
    name = name_of(t)
    raise TraceError(
        f"the shape of {name} cannot be set: it is a view, or there are views of it",
        span=here(),
        why="the views would have to keep the old shape",
        help=f"`{_plainly(name, 't')} = {_plainly(name, 't')}.reshape(shape)`",
    )


def no_attribute(t: Tracer, name: str) -> NoReturn:
    """Refuse an attribute or a method that has no answer."""
    raise UnsupportedError(
        f"the ndarray attribute .{name} cannot be followed by the derivative",
        span=here(),
        why="it reads raw memory or the raw values" if name in _RAW else "it has no rule here",
        help=f"if no derivative is wanted through it, use `stop_gradient({_plainly(name_of(t))})`",
    )


_RAW = frozenset(("ctypes", "data", "dump", "dumps", "tobytes", "tofile", "getfield", "setfield"))


def abstract_value(t: Tracer, wanted: str) -> NoReturn:
    """Refuse to use the value of something of which only the shape is known."""
    if wanted == "bool":
        raise TraceError(
            f"the truth of {name_of(t)} is not known while only shapes are traced",
            span=here(),
            label="this branch depends on a value",
            why="the program is recorded once for all values, so it can't follow one branch",
            help="choose between values instead: np.where(condition, a, b)",
        )
    raise TraceError(
        f"{wanted} needs the value of {name_of(t)}, but only its shape is known",
        span=here(),
        label="no value here yet",
        why="the program is recorded once for all values",
        help="keep the computation in NumPy functions; a size or a number of steps has to be a "
        "plain number from outside",
    )


def unknown_length() -> NoReturn:
    """Refuse ``t[mask]`` where the mask's values are not known."""
    raise TraceError(
        "how many elements this mask selects is not known while only shapes are traced",
        span=here(),
        why="the program is recorded once for all values, so every shape has to be the same",
        help="keep all elements and choose among them: np.where(mask, a, b)",
    )


def not_storable(t: Tracer) -> NoReturn:
    """Refuse pickling."""
    raise TraceError(
        f"{name_of(t)} cannot be pickled while it is being differentiated",
        span=here(),
        why="it is a place in a computation and not a value",
        help=f"store `stop_gradient({_plainly(name_of(t))})`",
    )


def check_alive(t: Tracer, recorder: Recorder | None) -> NoReturn:
    """Refuse a traced value that is used outside the call that made it."""
    raise TraceError(
        f"{name_of(t)} was used outside the call that traced it",
        span=here(),
        label="this value belongs to a derivative that is finished or runs elsewhere",
        why="the function kept a traced value (in a global, an attribute, a list or another "
        "thread) beyond its own call",
        help="return the value from the function (has_aux=True hands back extra outputs)",
    )


def outer_assignment(t: Tracer) -> NoReturn:
    """Refuse to assign to an array from within a part of the program that is run again."""
    raise TraceError(
        f"{name_of(t)} was made outside of this function and is assigned to inside",
        span=here(),
        why="the function is recorded once and run many times, so its effects on the outside "
        "would be lost",
        help="pass the array in and return the changed one",
    )


def stale_reshape(t: Tracer) -> NoReturn:
    """Refuse a reshaped array whose original was assigned to afterwards."""
    raise TraceError(
        f"{name_of(t)} is a reshaped array whose original has been assigned to since",
        span=here(),
        label="does NumPy see the new elements here? It depends on the memory layout",
        why="a reshape is a view of the original for some layouts and a copy for others",
        help="reshape after the assignment, or take a .copy() before it",
    )


def write_to_view(t: Tracer, how: str) -> NoReturn:
    """Refuse to assign through a view that cannot be followed back."""
    raise TraceError(
        f"assignment through {how} cannot be traced",
        span=here(),
        why="whether the original sees the new elements depends on the memory layout",
        help="assign to the original array with an index, or to a .copy()",
    )


def array_subclass(array: Any) -> NoReturn:
    """Refuse a matrix, a masked array and their like."""
    array_subclass_of(type(array))


def array_subclass_of(cls: type) -> NoReturn:
    """Refuse a matrix, a masked array and their like."""
    raise UnsupportedError(
        f"a {cls.__name__} met a value that is being differentiated",
        span=here(),
        label="this kind of array changes what operators mean",
        help="pass a plain array: np.asarray(...)",
    )


def unknown_operand(o: Any) -> NoReturn:
    """Refuse an operand that is no number and no array."""
    raise TraceError(
        f"a {type(o).__name__} cannot be combined with a value that is being differentiated",
        span=here(),
        label=f"one operand is a {type(o).__name__}",
        help="convert it to an array or a number first",
    )


def lossy_assignment(t: Tracer, target: Any, value: Any) -> NoReturn:
    """Refuse to write a float into an array of integers."""
    operands = describe_operands()
    name = f"`{operands[0]}`" if operands else "the array"
    kind = "complex" if np.dtype(value).kind == "c" else "float"
    raise TraceError(
        f"a {value} that is being differentiated is assigned into an array of {target}",
        span=here(),
        label=f"NumPy would convert it to {target} here",
        why="that conversion has no derivative, so the gradient would silently lose this path",
        help=f"create {name} with `dtype={kind}`",
    )


def into_plain_array(target: Any, shared: bool) -> NoReturn:
    """Refuse to change an existing plain array by a traced value."""
    frame = user_frame(2)
    names = {} if frame is None else {**frame.f_globals, **frame.f_locals}
    found = [n for n, v in names.items() if v is target]
    operands = describe_operands()
    name = found[0] if found else operands[0] if operands else "a"
    raise TraceError(
        "a value that is being differentiated cannot be written into an existing plain array",
        span=here(),
        label="a plain array has no place for a derivative",
        why="the array has other users, which would not see the change" if shared else None,
        help=f"start from a copy made inside the function: `r = np.array({name})`",
    )


def unsupported(what: str, why: str | None = None, help: str | None = None) -> NoReturn:
    """Refuse an operation that has no rule."""
    raise UnsupportedError(
        f"{what} has no derivative rule here",
        span=here(),
        why=why,
        help=help
        or "write it with other NumPy functions; if no derivative is wanted through it, pass "
        f"`stop_gradient({traced_operand() or '...'})`",
    )


def unsupported_ufunc(ufunc: Any) -> NoReturn:
    """Refuse a ufunc without a rule, by the name that its caller knows."""
    name = ufunc.__name__
    if getattr(np, name, None) is ufunc:
        unsupported(f"`np.{name}`")
    special = sys.modules.get("scipy.special")
    if special is not None:
        for public, value in vars(special).items():
            if value is ufunc:
                unsupported(f"`scipy.special.{public}`")
    if "(vectorized)" in name:
        unsupported(
            "a function made by np.frompyfunc",
            why="it calls a Python function on each element, unseen",
            help="np.vectorize, or a list: `np.array([f(a) for a in x])`",
        )
    unsupported(f"the ufunc `{name}`")


def unsupported_function(function: Any, how: str = "") -> NoReturn:
    """Refuse an array function without a rule, by the name that its caller knows."""
    module = getattr(function, "__module__", None) or "numpy"
    public = module.replace("numpy", "np", 1)
    unsupported(f"`{public}.{function.__name__}`{how}")


def describe_operands() -> list[str]:
    """Return the source texts of the operands of the running operation, for messages."""
    frame = user_frame(2)
    return [] if frame is None else list(argument_texts(frame.f_code, frame.f_lasti))
