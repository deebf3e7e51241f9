"""How parameters that rooms above this one define are taken apart: the bodies of loops, say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Codec(NamedTuple):
    """How parameters of one class are written and read.

    Attributes
    ----------
    tag : str
        Its name in the text.
    encode : callable
        From an instance to parameters that can be written already, a program for instance.
    decode : callable
        The way back.
    """

    tag: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


CODECS: dict[type, Codec] = {}
"""Codecs of parameters that rooms above this one define."""
