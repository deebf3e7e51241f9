"""What a trace refuses, each with the user's line, the reason and one rewrite.

A refusal is better than a number without its derivative: anything that would quietly cut a value
off from its gradient ends here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ..program.errors import TraceError, UnsupportedError
from ..program.spans import Span, argument_texts, result_name, span_of, user_frame

if TYPE_CHECKING:
    from .recorder import Recorder
    from .tracer import Tracer


def here() -> Span | None:
    """Return the span of the user's code that is running now."""
    frame = user_frame(2)
    return None if frame is None else span_of(frame.f_code, frame.f_lasti)


def name_of(t: Tracer) -> str:
    """Return what the user's code calls a traced value, as far as that can be told."""
    frame = user_frame(2)
    if frame is not None:
        for name, value in frame.f_locals.items():
            if value is t:
                return f"`{name}`"
    var = t._var
    if var is not None:
        if var.name:
            return f"`{var.name}`"
        for equation in t._recorder.equations:
            if var in equation.outs and equation.origin:
                name = result_name(*equation.origin[0])
                if name:
                    return f"`{name}`"
    return "a value here"


def to_number(t: Tracer, wanted: str) -> NoReturn:
    """Refuse ``float(t)``."""
    raise TraceError(
        f"{wanted}() needs a plain number, but {name_of(t)} is being differentiated",
        span=here(),
        label="this value carries a derivative",
        why=f"a Python {wanted} has no derivative, so the gradient would silently lose this path",
        help="keep it as it is (NumPy functions take it); for printing or logging only, write "
        "stop_gradient(...) around it",
    )


def to_array(t: Tracer) -> NoReturn:
    """Refuse a conversion to a plain array, which C code asks for."""
    raise TraceError(
        f"{name_of(t)} is being differentiated and cannot become a plain array",
        span=here(),
        label="this call reads raw memory, which holds no derivative",
        why="the function called here is compiled code that chainrule cannot look into",
        help="use a NumPy function or operator instead, give the call its own derivative with a "
        "rule, or pass stop_gradient(...) if no derivative is wanted through it",
    )


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
        help="keep the computation in NumPy, or pass this argument as a static one",
    )


def not_storable(t: Tracer) -> NoReturn:
    """Refuse pickling."""
    raise TraceError(
        f"{name_of(t)} cannot be pickled while it is being differentiated",
        span=here(),
        why="it is a place in a computation and not a value",
        help="store stop_gradient(...) of it",
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
    raise UnsupportedError(
        f"a {type(array).__name__} met a value that is being differentiated",
        span=here(),
        why="this kind of array changes what operators mean",
        help="pass a plain array: np.asarray(...)",
    )


def unknown_operand(o: Any) -> NoReturn:
    """Refuse an operand that is no number and no array."""
    raise TraceError(
        f"a {type(o).__name__} cannot be combined with a value that is being differentiated",
        span=here(),
        help="convert it to an array or a number first",
    )


def lossy_assignment(t: Tracer, target: Any, value: Any) -> NoReturn:
    """Refuse to write a float into an array of integers."""
    raise TraceError(
        f"a {value} that is being differentiated is assigned into an array of {target}",
        span=here(),
        label=f"NumPy would convert it to {target} here",
        why="that conversion has no derivative, so the gradient would silently be zero",
        help="create the array with a floating-point dtype, e.g. np.zeros(n)",
    )


def into_plain_array(shared: bool) -> NoReturn:
    """Refuse to change an existing plain array by a traced value."""
    raise TraceError(
        "a value that is being differentiated cannot be written into an existing array",
        span=here(),
        why="the array has other users that would not see the change"
        if shared
        else "a plain array has no place for a derivative",
        help="make a new array instead: `a = a + t`, or start from a copy made inside the "
        "function: `a = np.array(a)`",
    )


def unsupported(what: str, why: str | None = None, help: str | None = None) -> NoReturn:
    """Refuse an operation that has no rule."""
    raise UnsupportedError(
        f"{what} has no derivative rule here",
        span=here(),
        why=why,
        help=help
        or "write it with other NumPy functions, or wrap it in stop_gradient if no "
        "derivative is wanted through it",
    )


def describe_operands() -> list[str]:
    """Return the source texts of the operands of the running operation, for messages."""
    frame = user_frame(2)
    return [] if frame is None else list(argument_texts(frame.f_code, frame.f_lasti))
