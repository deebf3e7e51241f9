"""The errors that chainrule raises about a user's code, and the place in it that they show.

Examples
--------
>>> import numpy as np
>>> from chainrule import errors, grad
>>> try:
...     grad(lambda x: x * 2.0)(np.ones(3))
... except errors.ChainruleError as error:
...     print(error.title)
grad needs a real scalar, but the function returns an array of shape (3,)
"""

from __future__ import annotations

import os
import sys

from .program.errors import (
    BoundsError,
    ChainruleError,
    GradientError,
    ProgramError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from .program.spans import Span, is_internal, span_of

__all__ = [
    "BoundsError",
    "ChainruleError",
    "GradientError",
    "ProgramError",
    "ShapeError",
    "Span",
    "TraceError",
    "UnsupportedError",
    "call_from_outside",
]


def call_from_outside(folder: str) -> Span | None:
    """Return where code outside of a folder, and of chainrule's core, called into it.

    A library of layers shows this place in its errors: ``ShapeError(..., span=...)``.

    Parameters
    ----------
    folder : str
        With a separator at its end.

    Examples
    --------
    >>> call_from_outside("/a/library/").function
    '<module>'
    """
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_internal(file) and not os.path.abspath(file).startswith(folder):
            return span_of(frame.f_code, frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None
