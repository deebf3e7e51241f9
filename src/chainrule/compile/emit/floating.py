"""Division by zero, overflow and invalid values: what ``np.errstate`` asks for.

The processor notes them in flags, which cost nothing and say neither where it was nor, because a
vector also holds elements that a selection discards, whether it was in earnest. So where the
flags are up and the user wants to hear of it, the program is run once more by NumPy, equation by
equation. What that finds is told as NumPy tells it, with the user's line. It is rare; and where it
is not, the first finding is told again as long as only warnings are wanted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...program.equation import Equation, Var
from ...program.errors import picture
from ...program.program import Program
from ...program.spans import span_of

INVALID, DIVIDE, OVERFLOW = 1, 4, 8
_KINDS = {"divide": DIVIDE, "over": OVERFLOW, "invalid": INVALID}
_TEXTS = {"divide by zero": "divide", "overflow": "over", "invalid value": "invalid"}
_NAMES = {kind: text for text, kind in _TEXTS.items()}
_USUAL = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_registry: dict[Any, Any] = {}
# What holds the state of errstate: asking for the object is ten times as fast as for its contents.
_holder: Any = getattr(getattr(np, "_core", None), "umath", None)
_holder = getattr(_holder, "_extobj_contextvar", None)


def _state() -> Any:
    """Return an object that is another one where ``np.errstate`` is; a new one if in doubt."""
    return object() if _holder is None else _holder.get()


class Event(NamedTuple):
    """One thing that happened, where it did."""

    kind: str
    message: str
    file: str
    line: int
    picture: str = ""


class Monitor:
    """What is known about the exceptional values of one program.

    Attributes
    ----------
    known : dict
        By the flags that were up: what a run by NumPy found then.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: dict[int, list[Event]] = {}
        self._calls = 0
        self._next = 0
        self._calm: Any = object()

    def tell(self, leaves: Sequence[Any], flags: int, intact: bool) -> None:
        """Do what the user's ``np.errstate`` says about flags.

        Parameters
        ----------
        leaves : sequence
            The arguments.
        flags : int
            The processor's.
        intact : bool
            Whether the arguments are still what they were.
        """
        state = _state()
        if state is self._calm and self.known.get(flags) == [] and self._calls + 1 < self._next:
            self._calls += 1  # a false alarm, as before, and nobody wants an exception
            return
        modes: dict[str, str] = dict(np.geterr())  # type: ignore[arg-type]
        self._calm = state if modes == _USUAL else object()
        wanted = {kind for kind, flag in _KINDS.items() if flags & flag and modes[kind] != "ignore"}
        if not wanted:
            return
        for event in self._events(leaves, flags, intact, {modes[kind] for kind in wanted}):
            if modes[event.kind] != "ignore":
                _act(event, modes[event.kind])

    def _events(
        self, leaves: Sequence[Any], flags: int, intact: bool, modes: set[str]
    ) -> list[Event]:
        if not intact:
            name = self.program.name
            return [
                Event(kind, f"{_NAMES[kind]} encountered in `{name}`", name, 0)
                for kind, flag in _KINDS.items()
                if flags & flag
            ]
        self._calls += 1
        known = self.known.get(flags)
        if known is not None and modes == {"warn"} and (known or self._calls < self._next):
            return known
        found = self.known[flags] = find(self.program, leaves)
        if not found:  # a false alarm; the next look comes later and later
            self._next = self._calls * 2
        return found


def find(program: Program, leaves: Sequence[Any]) -> list[Event]:
    """Run a program by NumPy, and return what happens in it."""
    events: list[Event] = []
    env: dict[Var, Any] = {}
    for var, value in zip(program.inputs, leaves, strict=True):
        weak = complex if var.type.dtype.kind == "c" else float
        env[var] = weak(value) if var.type.weak else np.asarray(value, var.type.dtype)
    for equation in program.equations:
        kinds: list[str] = []

        def note(text: str, _: int, kinds: list[str] = kinds) -> None:
            kinds.append(_TEXTS[text])

        with np.errstate(all="call", under="ignore", call=note):
            results = _run(equation, env)
        env.update(zip(equation.outs, results, strict=True))
        events += (_event(kind, equation) for kind in dict.fromkeys(kinds))
    return events


def _run(equation: Equation, env: dict[Var, Any]) -> Sequence[Any]:
    primitive = equation.primitive
    given = [env[o] if type(o) is Var else o for o in equation.operands]
    # Python's own numbers raise exceptions where those of NumPy meet the rules of errstate
    given = [np.float64(v) if type(v) is float else v for v in given]
    result = primitive.impl(*given, **equation.params)
    return (result,) if primitive.joint is None else result


def _event(kind: str, equation: Equation) -> Event:
    message = f"{_NAMES[kind]} encountered in {equation.primitive.name}"
    if not equation.origin:
        return Event(kind, message, "chainrule", 0)
    span = span_of(*equation.origin[0])
    shown = f"{message} ({span.text})" if span.text else message
    return Event(kind, shown, span.file, span.line, picture(message, span))


def _act(event: Event, mode: str) -> None:
    where = f" ({event.file}:{event.line})" if event.line else ""
    if mode == "raise":
        raise FloatingPointError(event.picture or event.message)
    if mode == "warn":
        warnings.warn_explicit(
            event.message, RuntimeWarning, event.file, event.line, registry=_registry
        )
    elif mode == "print":
        print(f"Warning: {event.message}{where}")
    else:
        receiver: Any = np.geterrcall()
        if mode == "log":
            receiver.write(f"Warning: {event.message}{where}\n")
        else:
            receiver(_NAMES[event.kind], _KINDS[event.kind])
