"""One trace from beginning to end, whatever happens in between."""

from __future__ import annotations

from typing import Any

from ..program.bytecode import opname_at
from ..program.errors import TraceError
from ..program.spans import argument_texts, is_internal, span_of
from .recorder import STATE, Recorder
from .swaps import Taken, swap_in, swap_out
from .warning import warn_at_user


class Session:
    """The context in which a user's function runs to be traced.

    Inside another trace it gives that one's recorder. Else it makes a new one and puts the
    stand-ins for NumPy's functions in place until the recorder ends, at the latest on leaving.

    Parameters
    ----------
    f : callable
        The user's function, whose own names for NumPy functions are looked through.
    keep : bool
        Whether the recorded equations outlive the call; constants are then always copied.
    full_origins : bool
        Whether equations note the whole chain of user frames.
    args : tuple, optional
        All arguments that the function will get, where they are known.
    """

    __slots__ = ("args", "errors", "f", "nested", "recorder", "taken")

    def __init__(
        self,
        f: Any,
        keep: bool = False,
        full_origins: bool = False,
        args: tuple[Any, ...] | None = None,
    ) -> None:
        self.f = f
        self.args = args
        outer = STATE.recorder
        self.nested = outer is not None
        self.recorder = Recorder(full_origins, keep) if outer is None else outer
        self.taken: Taken | None = None
        self.errors: Any = None

    def __enter__(self) -> tuple[Recorder, bool]:
        if not self.nested:
            self.taken = swap_in(self.f, self.args)
            self.recorder.on_end = self._end
            self.errors = warn_at_user()
            self.errors.__enter__()
            STATE.recorder = self.recorder
        return self.recorder, self.nested

    def _end(self) -> None:
        STATE.recorder = None
        if self.taken is not None:
            swap_out(self.taken)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self.nested:
            return
        recorder = self.recorder
        recorder.end()
        self.errors.__exit__(kind, error, traceback)
        locked = recorder.locked
        recorder.unlock()
        if isinstance(error, ValueError):
            cause = error.__cause__ or error.__context__
            if isinstance(cause, TraceError):
                raise cause from None  # NumPy had wrapped our refusal
            if locked and "read-only" in str(error) and not _raised_here(error):
                raise _constant_changed(error) from error


def _raised_here(error: BaseException) -> bool:
    """Tell whether an error about writing is our own, as NumPy's for a read-only view."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and is_internal(traceback.tb_frame.f_code.co_filename)


def _constant_changed(error: ValueError) -> TraceError:
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code, offset = traceback.tb_frame.f_code, traceback.tb_lasti
    operands = argument_texts(code, offset)
    stored = opname_at(code, offset).startswith("STORE_S") and operands
    name = operands[0] if stored else "a"
    return TraceError(
        "an array that the derivative needs was changed in place",
        span=span_of(code, offset),
        label="its earlier value is a factor in the chain rule",
        why="it is large, so it was not copied when it was used",
        help=f"change a copy instead: `r = {name}.copy()`",
    )
