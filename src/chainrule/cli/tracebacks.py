"""Tracebacks that end where the user's code is, and not in the machinery that ran it."""

from __future__ import annotations

import os
import traceback

from ..program.spans import is_internal

_MACHINERY = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen importlib")


def describe(error: BaseException, everything: bool = False) -> str:
    """Format an exception as Python would, without the frames that are not the user's.

    Parameters
    ----------
    error : BaseException
        What the user's code raised.
    everything : bool
        Whether to keep all frames.
    """
    shown = traceback.TracebackException.from_exception(error)
    if not everything:
        _trim(shown)
    return "".join(shown.format())


def is_from_user(error: BaseException) -> bool:
    """Whether the user's code was running when the exception was raised."""
    return any(not _is_machinery(f.filename) for f in traceback.extract_tb(error.__traceback__))


def _trim(shown: traceback.TracebackException) -> None:
    kept = [frame for frame in shown.stack if not _is_machinery(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(kept)
    for related in (shown.__cause__, shown.__context__):
        if related is not None:
            _trim(related)


def _is_machinery(file: str) -> bool:
    return is_internal(file) or file.startswith(_MACHINERY)
