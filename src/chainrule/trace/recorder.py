"""The recorder: where equations are written down while the user's function runs.

There is one flat list of equations per thread. A transformation inside a transformed function
(``grad`` of something that calls ``grad``) records into the same list; its inputs are fresh
variables, and what depends on them is read off the equations. So derivatives of derivatives need
no levels or tags, and a value of an outer function that an inner one closes over is simply an
earlier variable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from sys import _getframe
from types import CodeType
from typing import Any

import numpy as np

from ..program.arraytype import ArrayType
from ..program.basis import is_standard_basis
from ..program.equation import DerivedOrigin, Equation, Origin, Var
from ..program.repeated import essence, is_repeated, repeated
from ..program.spans import INTERNAL

# Constants up to this size are copied when an equation takes them; larger ones are made read-only
# until the derivative is done. Either way a later `constant[i] = ...` can't change a derivative.
COPY_BYTES = 4096
_copy = np.ndarray.copy  # a trace replaces the method by one that looks at its caller


def copy_in_layout(elements: Any, like: np.ndarray[Any, Any]) -> Any:
    """Return a copy of some elements that lies in memory as ``like`` does, gaps included.

    A reshape of it is then a view or a copy as it is without a trace.
    """
    steps = [(s, n) for s, n in zip(like.strides, like.shape, strict=True) if n]
    extent = sum(abs(s) * (n - 1) for s, n in steps) + like.itemsize
    if like.flags.forc or len(steps) < like.ndim or extent > 4 * COPY_BYTES + 4 * like.nbytes:
        made = np.empty_like(like, elements.dtype)
    else:
        start = sum(-s * (n - 1) for s, n in steps if s < 0)
        made = np.ndarray(like.shape, like.dtype, bytearray(extent), start, like.strides)
    made[...] = elements
    return made


class Recorder:
    """The equations of one trace, and what is needed to write more.

    Attributes
    ----------
    equations : list of Equation
        What was recorded, in program order.
    full_origins : bool
        Whether each equation keeps the whole chain of user frames (for explanations) or just the
        innermost one.
    keep : bool
        Whether the equations outlive the call, so that every constant must be copied.
    open : bool
        False once the trace is over; a traced value that is used after that has escaped.
    next_id : int
        The id that the next variable will get.
    on_end : callable or None
        What to do when the trace ends.
    differentiated : tuple or None
        The place of the operation whose derivative is being recorded.
    parent : Recorder or None
        The enclosing trace, when this one records a part of a program that is to be run on other
        values later: the body of a loop, a function to be mapped.
    rolls : bool
        Whether what repeats may be made a loop before it is differentiated.
    captured : dict
        The variables of enclosing traces that this one uses: by the original variable, the
        parent's variable and our own.
    """

    __slots__ = (
        "_locked",
        "captured",
        "differentiated",
        "equations",
        "full_origins",
        "keep",
        "next_id",
        "on_end",
        "open",
        "parent",
        "rolls",
    )

    def __init__(
        self, full_origins: bool = False, keep: bool = False, parent: Recorder | None = None
    ) -> None:
        self.parent = parent
        self.differentiated: tuple[CodeType, int] | None = None
        if parent is not None:
            self.differentiated = parent.differentiated
        self.captured: dict[Var, tuple[Var, Var]] = {}
        self.equations: list[Equation] = []
        self.keep = keep
        self.full_origins = full_origins
        self.open = True
        self.on_end: Callable[[], None] | None = None
        self.next_id = 0
        self.rolls = False
        self._locked: list[np.ndarray[Any, Any]] = []

    def variable(self, value: Any, type: ArrayType | None = None, name: str | None = None) -> Var:
        """Return a new variable."""
        id = self.next_id
        self.next_id = id + 1
        return Var(id, value, type, name)

    def capture(self, var: Var, owner: Recorder) -> Var:
        """Return our own variable for one of an enclosing trace.

        Raises
        ------
        LookupError
            If ``owner`` doesn't enclose this trace, or is over.
        """
        known = self.captured.get(var)
        if known is not None:
            return known[1]
        if self.parent is None or not owner.open:
            raise LookupError
        outer = var if owner is self.parent else self.parent.capture(var, owner)
        inner = self.variable(outer.value, outer.type)
        self.captured[var] = outer, inner
        return inner

    def origin(self, depth: int) -> Origin:
        """Return where in the user's code the current operation is."""
        frame = _getframe(depth)
        code = frame.f_code
        while INTERNAL[code.co_filename]:
            back = frame.f_back
            if back is None:
                return ()
            frame = back
            code = frame.f_code
        if not self.full_origins:
            if self.differentiated is not None:
                return DerivedOrigin((self.differentiated, (code, frame.f_lasti)))
            return ((code, frame.f_lasti),)
        chain = []
        current: Any = frame
        while current is not None and not INTERNAL[current.f_code.co_filename]:
            chain.append((current.f_code, current.f_lasti))
            current = current.f_back
        return tuple(chain)

    @contextmanager
    def differentiating(self, equations: Iterable[Equation]) -> Iterator[Iterator[Equation]]:
        """Give equations one by one; what is recorded meanwhile is of the derivative of the last.

        With whole chains of frames, which tell where a derivative was asked for, nothing is noted.
        """

        def one_by_one() -> Iterator[Equation]:
            for equation in equations:
                origin = equation.origin
                self.differentiated = origin[0] if origin and not self.full_origins else None
                yield equation

        previous = self.differentiated
        try:
            yield one_by_one()
        finally:
            self.differentiated = previous

    def constant(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array that is safe to keep as a constant of an equation."""
        if is_standard_basis(array):
            return array
        if self.keep or array.nbytes <= COPY_BYTES:
            if array.flags.c_contiguous:
                return _copy(array)
            if is_repeated(array):
                return repeated(self.constant(essence(array)), array)
            made = _copy(array, "K")
            return made if made.strides == array.strides else copy_in_layout(array, array)
        base: Any = array
        while isinstance(base, np.ndarray):
            if base.flags.writeable:
                base.flags.writeable = False
                self._locked.append(base)
            base = base.base
        return array

    def end(self) -> None:
        """End the trace: nothing can be recorded any more, the equations remain."""
        if self.open:
            self.open = False
            on_end, self.on_end = self.on_end, None  # which refers back to us
            if on_end is not None:
                on_end()

    def take_locks(self, inner: Recorder) -> None:
        """Become responsible for the arrays that an inner trace made read-only."""
        self._locked.extend(inner._locked)
        inner._locked = []

    def unlock(self) -> None:
        """Make the arrays writeable again that :meth:`constant` had locked."""
        # a view can be made writeable only after what it is a view of
        for array in sorted(self._locked, key=_views):
            array.flags.writeable = True
        self._locked.clear()

    @property
    def locked(self) -> bool:
        """Whether some constants are read-only at the moment."""
        return bool(self._locked)


def _views(array: Any) -> int:
    """Return of how many arrays, one within the other, an array is a view."""
    return 1 + _views(array.base) if isinstance(array, np.ndarray) else 0


class _State(threading.local):
    recorder: Recorder | None = None


STATE = _State()


def current() -> Recorder | None:
    """Return the recorder of this thread, or None outside of any trace."""
    return STATE.recorder


@contextmanager
def recording(recorder: Recorder | None) -> Iterator[Recorder | None]:
    """Make ``recorder`` the one of this thread; None lets code run as if outside of any trace."""
    previous = STATE.recorder
    STATE.recorder = recorder
    try:
        yield recorder
    finally:
        STATE.recorder = previous
