"""Comparing what equations hold by content: constants, parameters, bodies of loops."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..program.codecs import CODECS
from ..program.equation import Equation, Var
from ..program.errors import ProgramError
from ..program.program import Program
from ..program.repeated import essence

_DIGESTED = 1024  # arrays with more bytes than this are compared by a hash of 128 bits


def content_key(value: Any) -> Hashable:
    """Return a key that is the same for two constants or parameters with the same content.

    Content is told apart to the last bit: 0.0 is not -0.0, 1 is not 1.0, and the layout of an
    array in memory counts, because the order in which NumPy adds may depend on it. What can't be
    looked into is compared by identity.
    """
    kind = type(value)
    if value is None or kind in (int, str, bool):
        return kind, value
    if kind is Var:
        return Var, id(value)
    if kind is float or kind is complex:
        return kind, _number_key(value)
    if kind is np.ndarray and value.dtype != object:
        return kind, value.dtype.str, value.shape, value.strides, _bytes_key(value)
    if isinstance(value, np.generic):
        return kind, value.tobytes()
    if kind in (tuple, list):
        return kind, tuple(content_key(v) for v in value)
    if kind is dict:
        return kind, tuple((content_key(k), content_key(v)) for k, v in value.items())
    if kind is slice:
        return kind, content_key((value.start, value.stop, value.step))
    return _other_key(value)


def _number_key(value: Any) -> Hashable:
    return value.hex() if type(value) is float else (value.real.hex(), value.imag.hex())


def _bytes_key(array: np.ndarray[Any, Any]) -> bytes:
    raw = essence(array).tobytes()
    if len(raw) <= _DIGESTED:
        return raw
    import hashlib  # with OpenSSL behind it, slow to import

    return hashlib.blake2b(raw, digest_size=16).digest()


def _other_key(value: Any) -> Hashable:
    kind = type(value)
    if isinstance(value, int):
        return kind, int(value)
    if isinstance(value, np.dtype):
        return kind, value.str
    if isinstance(value, Program):
        return kind, _program_key(value)
    codec = CODECS.get(kind)
    if codec is not None:
        return kind, content_key(codec.encode(value))
    return kind, id(value)


def _program_key(program: Program) -> Hashable:
    try:
        return program.fingerprint()
    except ProgramError:  # it holds something that has no content, such as a user's rule
        return id(program)


def params_key(params: dict[str, Any]) -> Hashable:
    """Return a key for the parameters of an equation."""
    if not params:
        return ()
    return tuple((name, content_key(params[name])) for name in sorted(params))


COMMUTATIVE = frozenset({"add", "mul"})


def equation_key(equation: Equation) -> Hashable:
    """Return a key that is the same for two equations that compute the same."""
    primitive, operands, params, _, _ = equation
    keys = [content_key(o) for o in operands]
    if primitive.name in COMMUTATIVE:
        keys.sort(key=repr)
    return primitive.name, tuple(keys), params_key(params)
