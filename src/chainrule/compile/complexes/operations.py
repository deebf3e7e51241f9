"""The two operations between complex arrays in memory and their parts.

What they mean is stated in NumPy. In memory a complex number is its real part and, right behind it,
its imaginary one; so machine code reads and writes the parts where they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...primitives.families import made_late, real_dtype
from ...program.arraytype import ArrayType
from ...program.primitive import Primitive


def _part(z: Any, imaginary: bool) -> Any:
    return np.asarray(z).imag[()] if imaginary else np.asarray(z).real[()]


def _joined(re: Any, im: Any) -> Any:
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), np.result_type(re, im, 1j))
    out.real, out.imag = re, im
    return out[()]


PART = Primitive(
    "part",
    _part,
    type_rule=lambda z, imaginary: ArrayType(z.shape, real_dtype(z.dtype)),
    d=(made_late,),
    elementwise=True,
    text="part({0})",
)
JOINED = Primitive(
    "joined",
    _joined,
    type_rule=lambda re, im: ArrayType(
        np.broadcast_shapes(re.shape, im.shape), np.result_type(re.dtype, im.dtype, np.complex64)
    ),
    d=(made_late, made_late),
    elementwise=True,
    text="{0} + i·{1}",
)
