"""Floating-point warnings during a trace, shown at the user's line.

NumPy attributes a warning such as "divide by zero encountered in log" to the Python frame that
called it, which during a trace is ours. So NumPy is asked to call back instead of warning.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from ..program.primitive import Primitive
from ..program.spans import is_internal, user_frame


def warn_at_user() -> Any:
    """Return a context in which NumPy's floating-point warnings name the user's line."""
    settings = np.geterr()
    if settings == _DEFAULT:
        return np.errstate(call=_warn, divide="call", over="call", invalid="call")
    kinds: dict[str, Any] = {k: "call" for k, v in settings.items() if v == "warn"}
    return np.errstate(call=_warn, **kinds)


_DEFAULT = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def _warn(kind: str, flag: int) -> None:
    frame = user_frame(2)
    if frame is None:
        return
    operation = _operation()
    warnings.warn_explicit(
        f"{kind} encountered" + (f" in {operation}" if operation else ""),
        RuntimeWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _operation() -> str | None:
    """Return the name of the operation that is being recorded, if one is."""
    frame: Any = sys._getframe(2)
    while frame is not None and is_internal(frame.f_code.co_filename):
        primitive = frame.f_locals.get("primitive") if frame.f_code.co_name in _BINDERS else None
        if type(primitive) is Primitive:
            return _NUMPY_NAMES.get(primitive.name, primitive.name)
        frame = frame.f_back
    return None


_BINDERS = frozenset({"bind", "bind_one", "bind_pair"})
_NUMPY_NAMES = {"div": "divide", "mul": "multiply", "sub": "subtract", "pow": "power"}
